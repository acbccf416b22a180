"""ONNX Runtime's RNN operator on a CPU, inference only.

One RNN node a layer (https://onnx.ai/onnx/operators/onnx__RNN.html), both directions in the same node. The
operator's W and R are nn.RNN's w_ih and w_hh, its B holds b_ih and b_hh one after the other.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as KernelMissing

from rnnimpl.inference_base import InferenceRnn
from rnnimpl.interface import NumpyArray, RnnConfig, Unsupported, Weights

OPSET = 17
ELEMENT_TYPES = {"float16": TensorProto.FLOAT16, "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu"}


class OnnxRuntimeRnn(InferenceRnn):
    """A graph of RNN nodes in a session of the CPU execution provider."""

    devices = ("cpu",)
    requires = ("onnxruntime>=1.20", "onnx>=1.17")

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # That float16 has no kernel and is cast is said in describe, not printed at each build.
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(
                _model(config, weights), options, providers=["CPUExecutionProvider"]
            )
        except KernelMissing as error:
            raise Unsupported(f"ONNX Runtime {onnxruntime.__version__} has no {config.dtype} RNN: {error}") from error

    def infer(self, x: NumpyArray, h0: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        y, h_n = self.session.run(("y", "h_n"), {"x": x, "h0": h0})
        return y, h_n

    def describe(self) -> dict[str, str]:
        cast = ", float16 cast to float32 and back" if self.config.dtype == "float16" else ""
        return {
            "library": f"onnxruntime {onnxruntime.__version__}",
            "path": f"RNN operator of opset {OPSET}, {', '.join(self.session.get_providers())}{cast}",
            "threads": str(self.threads or "chosen by ONNX Runtime"),
        }


def _model(config: RnnConfig, weights: Weights) -> bytes:
    """The network as a serialized ONNX model: x (T, B, I), h0 (L*D, B, H) -> y (T, B, D*H), h_n (L*D, B, H)."""
    D, H, L = config.num_directions, config.hidden_size, config.num_layers
    nodes, constants = [], []

    def constant(name: str, array: NumpyArray) -> str:
        constants.append(numpy_helper.from_array(array, name))
        return name

    starts, ends = (["h0"], ["h_n"]) if L == 1 else ([f"{end}_l{layer}" for layer in range(L)] for end in ("h0", "h_n"))
    if L > 1:
        nodes.append(helper.make_node("Split", ["h0", constant("states", np.full(L, D))], starts))
        nodes.append(helper.make_node("Concat", ends, ["h_n"], axis=0))
    layer_input = "x"
    for layer in range(L):
        cells = [weights.cell(layer, direction) for direction in range(D)]
        w = constant(f"w_l{layer}", np.stack([cell.w_ih for cell in cells]))  # (D, H, I)
        r = constant(f"r_l{layer}", np.stack([cell.w_hh for cell in cells]))  # (D, H, H)
        biases = [np.concatenate([cell.b_ih, cell.b_hh]) for cell in cells if cell.b_ih is not None]
        b = constant(f"b_l{layer}", np.stack(biases)) if biases else ""  # (D, 2*H)
        nodes.append(
            helper.make_node(
                "RNN",
                [layer_input, w, r, b, "", starts[layer]],
                [f"states_l{layer}", ends[layer]],  # (T, D, B, H), (D, B, H)
                activations=[ACTIVATIONS[config.nonlinearity]] * D,
                direction="bidirectional" if D == 2 else "forward",
                hidden_size=H,
            )
        )
        output = "y" if layer == L - 1 else f"y_l{layer}"  # (T, B, D*H)
        if D == 2:
            nodes.append(helper.make_node("Transpose", [f"states_l{layer}"], [f"turned_l{layer}"], perm=(0, 2, 1, 3)))
            # 0 keeps an axis as it is.
            nodes.append(
                helper.make_node(
                    "Reshape", [f"turned_l{layer}", constant(f"s_l{layer}", np.array([0, 0, 2 * H]))], [output]
                )
            )
        else:
            nodes.append(
                helper.make_node("Squeeze", [f"states_l{layer}", constant(f"d_l{layer}", np.array([1]))], [output])
            )
        layer_input = output
    # A graph lists its nodes in an order in which they can run.
    nodes.sort(key=lambda node: node.op_type == "Concat")

    def tensor(name: str, *shape: str | int) -> object:
        return helper.make_tensor_value_info(name, ELEMENT_TYPES[config.dtype], shape)

    graph = helper.make_graph(
        nodes,
        "rnn",
        [tensor("x", "T", "B", config.input_size), tensor("h0", L * D, "B", H)],
        [tensor("y", "T", "B", D * H), tensor("h_n", L * D, "B", H)],
        initializer=constants,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets))
    serialized: bytes = model.SerializeToString()
    return serialized
