"""The process that holds a user's model: what its code does happens here, within limits of time and memory.

    {"do": "find", "source": "package.module:factory"}
    {"do": "run", "T": 64, "B": 16, "I": null, "threads": 2, "folder": FOLDER}
    {"do": "time", "trains": false, "seconds": 3.0}

`replies` declares the form of each answer. `time` times the calls of the last `run`.
"""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring.processes.worker import Bench, main
from benchmarks.models.layers import CannotCall, Found
from benchmarks.models.source import Source
from rnnimpl.interface import Unavailable, Unsupported

if TYPE_CHECKING:
    from benchmarks.measuring.processes.replies import Service


class ModelBench(Bench):
    """A bench that holds a model, or what its file says of it."""

    def __init__(self, implementation: None = None) -> None:
        super().__init__(implementation)
        self.model: Any = None
        self.found = Found(())
        self.arguments: Any = None
        self.calls: list[Any] = []
        self.path: Path | None = None
        """The ONNX file that is called in place of a model."""
        self.session: Any = None

    @staticmethod
    def service() -> Service:
        from benchmarks.models.replies import MODEL

        return MODEL

    def serve(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "find":
                self.found = self.find(Source.parse(request["source"]))
                return {
                    "layers": [each.to_json() for each in self.found.layers],
                    "left_out": [dataclasses.asdict(each) for each in self.found.left_out],
                    "within": list(self.found.within),
                    "runs": self.model is not None or self.path is not None,
                }
            case "run":
                return self.run(**{name: value for name, value in request.items() if name != "do"})
            case "time":
                from benchmarks.models.calls import measure

                if self.path is not None:
                    return self.session.measure()._asdict()  # type: ignore[no-any-return]  # a mapping of lists
                times = measure(
                    self.model, self.arguments, self.calls, trains=request["trains"], seconds=request["seconds"]
                )
                return times._asdict()
        return super().serve(request)

    def find(self, source: Source) -> Found:
        """The recurrent layers of a source; a module's model is kept. Raises Unsupported or Unavailable."""
        if source.kind == "onnx":
            from benchmarks.models import onnx_layers

            self.path = Path(source.text)
            return onnx_layers.find_layers(self.path)
        if source.kind == "module":
            from benchmarks.models.modules import find_layers

            self.model = _built(source)
            self.model.eval()
            return find_layers(self.model)
        from benchmarks.models import state_dict_files, tensors

        if source.kind == "safetensors":
            return tensors.find_layers(state_dict_files.read_safetensors(Path(source.text)))
        within, read = state_dict_files.read_pt(Path(source.text))
        return dataclasses.replace(tensors.find_layers(read), within=within)

    def run(self, *, T: int, B: int, I: int | None, threads: int, folder: str) -> dict[str, Any]:
        """The calls of the layers in a call of the model, or why it cannot be called.

        Each layer of an ONNX file is called once; ONNX Runtime writes its profile to the folder.
        """
        names = [layer.name for layer in self.found.layers]
        try:
            if self.path is not None:
                from benchmarks.models.onnx_calls import OnnxModel

                self.session = OnnxModel(self.path, threads=threads, folder=Path(folder))
                self.session.prepare(self.path, T, B)
                return {"calls": [[name, T, B] for name in names], "packed": False, "problem": None}
            from benchmarks.models.calls import run_once

            self.arguments, self.calls = run_once(self.model, names, T, B, I)
        except CannotCall as reason:
            return {"calls": [], "packed": False, "problem": str(reason)}
        calls = [[call.layer, call.T, call.B] for call in self.calls]
        return {"calls": calls, "packed": any(call.is_packed for call in self.calls), "problem": None}


def _built(source: Source) -> Any:
    """The model that a factory returns. Raises Unsupported, with a sentence, where there is none."""
    import torch

    module_name, _, factory_name = source.text.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise Unsupported(
                f"there is no module {error.name!r}: expected one that Python can import from here; is it installed, "
                "or in the current folder?"
            ) from error
        raise Unavailable(f"{module_name} needs {error.name}, which is not installed") from error
    except Exception as error:
        raise Unsupported(f"importing {module_name} fails with {type(error).__name__}: {error}") from error
    factory = getattr(module, factory_name, None)
    if factory is None:
        raise Unsupported(f"{module_name} has no {factory_name!r}")
    if isinstance(factory, torch.nn.Module):
        return factory
    try:
        model = factory()
    except Exception as error:
        raise Unsupported(
            f"{factory_name}() raises {type(error).__name__}: {error}; expected a function without arguments that "
            "returns an nn.Module"
        ) from error
    if not isinstance(model, torch.nn.Module):
        raise Unsupported(f"{factory_name}() returns a {type(model).__name__}; expected an nn.Module")
    return model


if __name__ == "__main__":
    main(ModelBench)
