"""The code that puts an answer to use: one line for each implementation and kind of source."""

from __future__ import annotations

from benchmarks.advice.verdict import DROP_IN, Verdict
from benchmarks.models.layers import Found, Layer
from benchmarks.models.source import Source
from rnnimpl.interface import RnnConfig


def how_to_use(verdict: Verdict, source: Source, found: Found) -> str:
    """The line of code that uses the best implementation in place of a layer of the source."""
    best = verdict.best
    if best is verdict.present:
        return "nothing: keep the model as it is"
    if source.kind == "onnx":
        return _of_onnx(best.source, source, _layer_of(verdict, found), verdict.question.threads)
    if best.source == DROP_IN:
        return "import rnnimpl.torch; rnnimpl.torch.replace(model)" + _loaded(source)
    layer = _layer_of(verdict, found)
    prefix = f', "{layer.name}."' if layer.name else ""
    module, state_dict = _state_dict(source, found)
    return (
        f'import rnnimpl{module}; rnn = rnnimpl.load("{best.source}")(config := {_config(layer.config)}, '
        f'rnnimpl.Weights.from_state_dict(config, {state_dict}{prefix}), "{layer.device}"); '
        "y, state = rnn.forward(rnn.from_numpy(x))"
    )


def _layer_of(verdict: Verdict, found: Found) -> Layer:
    """The layer with the question's largest workload."""
    wanted = verdict.question.largest.config
    return next(layer for layer in found.layers if layer.config == wanted)


def _config(config: RnnConfig) -> str:
    defaults = RnnConfig(input_size=1, hidden_size=1)
    fields = ("input_size", "hidden_size", "num_layers", "cell", "bias", "bidirectional", "dtype")
    kept = [name for name in fields if name.endswith("_size") or getattr(config, name) != getattr(defaults, name)]
    return f"rnnimpl.RnnConfig({', '.join(f'{name}={getattr(config, name)!r}' for name in kept)})"


def _state_dict(source: Source, found: Found) -> tuple[str, str]:
    """The module to import, after a comma, and the code of the state dict that holds a layer's weights."""
    if source.kind == "module":
        return "", "model.state_dict()"
    if source.kind == "safetensors":
        return ", safetensors.numpy", f"safetensors.numpy.load_file({source.text!r})"
    keys = "".join(f"[{key!r}]" for key in found.within)
    return ", torch", f"torch.load({source.text!r}, weights_only=True){keys}"


def _loaded(source: Source) -> str:
    """A comment on the model that is meant where a file has its weights alone."""
    return "" if source.kind == "module" else f"  # once the model has loaded {source.text}"


def _of_onnx(name: str, source: Source, layer: Layer, threads: int) -> str:
    if name == "onnxruntime_rnn":
        return (
            "import onnxruntime; options = onnxruntime.SessionOptions(); "
            f"options.intra_op_num_threads = {threads}; "
            f"session = onnxruntime.InferenceSession({source.text!r}, options)"
        )
    if name == "openvino_rnn":
        return (
            f"import openvino; model = openvino.compile_model({source.text!r}, 'CPU', "
            f"{{'INFERENCE_NUM_THREADS': {threads}}})"
        )
    return (
        f'import rnnimpl; from rnnimpl.onnx_file import read_network; rnn = rnnimpl.load("{name}")'
        f'(*read_network({source.text!r}, {layer.name!r}), "cpu"); y, state = rnn.forward(rnn.from_numpy(x))'
    )
