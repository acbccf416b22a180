"""What names a model on the command line: `module:factory`, or a file by its ending."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from benchmarks.quoting import quoted

Kind = Literal["module", "state_dict", "safetensors", "onnx"]
ENDINGS: dict[str, Kind] = {
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin"), "state_dict"),
    ".safetensors": "safetensors",
    ".onnx": "onnx",
}
EXPECTED = "expected module:factory, or a file that ends in .pt, .safetensors or .onnx"


@dataclasses.dataclass(frozen=True)
class Source:
    """A model's code or file."""

    text: str
    kind: Kind

    @classmethod
    def parse(cls, text: str) -> Source:
        """The source that a text names. Raises ValueError, with what was expected, where it names none."""
        path = Path(text)
        kind = ENDINGS.get(path.suffix.lower())
        if kind is not None and ":" not in path.name:
            if not path.exists():
                raise ValueError(f"{text} does not exist; {EXPECTED}")
            if not path.is_file():
                raise ValueError(f"{text} is no regular file; {EXPECTED}")
            return cls(text, kind)
        module, colon, factory = text.partition(":")
        if colon and all(part.isidentifier() for part in (*module.split("."), factory)):
            return cls(text, "module")
        if path.is_file():
            raise ValueError(f"{text} ends in {quoted(path.suffix)}; {EXPECTED}")
        raise ValueError(f"the model is {quoted(text)}; {EXPECTED}, such as my_package.my_module:build_model")
