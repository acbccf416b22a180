"""The share of an ONNX file's time that its recurrent nodes take, by ONNX Runtime's own profile.

Imported in the process that holds the model alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.models.calls import MOST_BLOCKS, WARM_UP_CALLS, Times
from benchmarks.models.layers import CannotCall
from benchmarks.reading import read_whole
from benchmarks.statistics import MINIMUM_BLOCKS
from rnnimpl.onnx_file import GATES

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
LARGEST_PROFILE = 2**28
"""Bytes of a profile."""


class OnnxModel:
    """An ONNX file in ONNX Runtime on some threads. Raises CannotCall where it cannot be loaded."""

    def __init__(self, path: Path, *, threads: int, folder: Path) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise CannotCall("ONNX Runtime, which would run it, is not installed") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_profiling = True
        options.profile_file_prefix = str(folder / "onnxruntime")
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise CannotCall(f"ONNX Runtime does not load it ({' '.join(str(error).split())[:200]})") from error
        self.feeds: dict[str, Any] = {}

    def prepare(self, path: Path, T: int, B: int) -> None:
        """Draw its inputs for T steps of B sequences. Raises CannotCall where their sizes are not known."""
        names = symbols(path)
        known = {names[0]: T, names[1]: B}
        generator = np.random.default_rng(0)
        for each in self.session.get_inputs():
            shape = [known.get(size, size) for size in each.shape]
            if each.type not in _DTYPES or not all(isinstance(size, int) for size in shape):
                raise CannotCall(f"the size of its input {each.name} {each.shape} is not known for T {T} and B {B}")
            dtype = _DTYPES[each.type]
            drawn = generator.normal(size=shape) if np.issubdtype(dtype, np.floating) else np.zeros(shape)
            self.feeds[each.name] = drawn.astype(dtype)

    def measure(self) -> Times:
        """Seconds of each of some calls, and of its recurrent nodes. Raises CannotCall where it does not run."""
        try:
            for _ in range(WARM_UP_CALLS + MINIMUM_BLOCKS * 5):
                self.session.run(None, self.feeds)
        except Exception as error:
            raise CannotCall(f"ONNX Runtime does not run it ({' '.join(str(error).split())[:200]})") from error
        events = json.loads(read_whole(Path(self.session.end_profiling()), LARGEST_PROFILE))
        return _times(events)


def symbols(path: Path) -> tuple[Any, Any]:
    """The names, or numbers, that the file gives T and B of its first recurrent node's input."""
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load(path, load_external_data=False))
    node = next(each for each in model.graph.node if each.op_type in GATES)
    known = {each.name: each for each in (*model.graph.input, *model.graph.value_info)}
    if node.input[0] not in known:
        raise CannotCall(f"the shape of {node.input[0]}, the input of {node.name or node.op_type}, is not known")
    dims = known[node.input[0]].type.tensor_type.shape.dim
    first, second = (each.dim_param or each.dim_value or None for each in dims[:2])
    batch_first = any(each.name == "layout" and each.i == 1 for each in node.attribute)
    return (second, first) if batch_first else (first, second)


def _times(events: list[Mapping[str, Any]]) -> Times:
    """The calls in a profile, without the first ones: events of nodes lie within that of their call."""
    calls = [each for each in events if each.get("name") == "model_run"][WARM_UP_CALLS:][:MOST_BLOCKS]
    nodes = [
        each
        for each in events
        if each.get("cat") == "Node"
        and str(each.get("name", "")).endswith("_kernel_time")
        and each.get("args", {}).get("op_name") in GATES
    ]
    whole = [call["dur"] * 1e-6 for call in calls]
    layers = [
        sum(node["dur"] for node in nodes if call["ts"] <= node["ts"] <= call["ts"] + call["dur"]) * 1e-6
        for call in calls
    ]
    return Times(whole, layers)
