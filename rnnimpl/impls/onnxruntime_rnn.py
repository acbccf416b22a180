"""ONNX Runtime's RNN, LSTM and GRU operators on a CPU, inference only.

One node a layer, both directions in the same node (https://onnx.ai/onnx/operators/onnx__RNN.html, onnx__LSTM.html,
onnx__GRU.html). The operator's W and R are `torch.nn`'s w_ih and w_hh with their gates in another order, its B is
b_ih and b_hh concatenated. Without `linear_before_reset` a GRU has its reset gate before the product, which is
another function.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as KernelMissing
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException as RunFailed

from rnnimpl.gates import reorder
from rnnimpl.inference_base import InferenceRnn
from rnnimpl.interface import CellName, NumpyArray, RnnConfig, State, Unsupported, Weights

OPSET = 17
ELEMENT_TYPES = {"float16": TensorProto.FLOAT16, "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}


class OnnxOperator(NamedTuple):
    """An ONNX operator with the order of its gates; without an activation it has its default one."""

    name: str
    gates: str
    activation: str
    attributes: Mapping[str, int]


OPERATORS: Mapping[CellName, OnnxOperator] = {
    "tanh": OnnxOperator("RNN", gates="a", activation="Tanh", attributes={}),
    "relu": OnnxOperator("RNN", gates="a", activation="Relu", attributes={}),
    "lstm": OnnxOperator("LSTM", gates="iofg", activation="", attributes={}),
    "gru": OnnxOperator("GRU", gates="zrn", activation="", attributes={"linear_before_reset": 1}),
}


class OnnxRuntimeRnn(InferenceRnn):
    """A graph of recurrent nodes in a session of the CPU execution provider."""

    devices = ("cpu",)
    cells = ("tanh", "relu", "lstm", "gru")
    requires = ("onnxruntime>=1.20", "onnx>=1.17")

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.operator = OPERATORS[config.cell].name
        self._starts = tuple(f"{name}0" for name in config.state_names)
        self._weights = weights
        self._of_lengths: onnxruntime.InferenceSession | None = None
        self.session = self._new_session(sequence_lens=False)
        if config.dtype == "float64":
            try:
                self._run_one_step()
            except RunFailed as error:
                raise self._missing(error) from error

    def _new_session(self, *, sequence_lens: bool) -> onnxruntime.InferenceSession:
        """A session of the network. Raises Unsupported where ONNX Runtime has no kernel of the dtype."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # 3 is errors alone: else each build prints that float16 is cast, which `describe` reports.
        options.log_severity_level = 3
        model = _model(self.config, self._weights, sequence_lens=sequence_lens)
        try:
            return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except (KernelMissing, RunFailed) as error:
            raise self._missing(error) from error

    def _missing(self, error: Exception) -> Unsupported:
        return Unsupported(
            f"ONNX Runtime {onnxruntime.__version__} has no {self.config.dtype} {self.operator}: {error}"
        )

    def _run_one_step(self) -> None:
        """Raise RunFailed where a session is built although its kernel does not have the dtype."""
        quiet = onnxruntime.RunOptions()
        quiet.log_severity_level = 4
        x = np.zeros((1, 1, self.config.input_size), self._dtype)
        self.session.run(None, {"x": x} | dict(zip(self._starts, self.config.zero_state(1), strict=True)), quiet)

    def infer(self, x: NumpyArray, state: State[NumpyArray]) -> tuple[NumpyArray, State[NumpyArray]]:
        y, *state_n = self.session.run(None, {"x": x} | dict(zip(self._starts, state, strict=True)))
        return y, tuple(state_n)

    def infer_lengths(
        self, x: NumpyArray, state: State[NumpyArray], lengths: tuple[int, ...]
    ) -> tuple[NumpyArray, State[NumpyArray]]:
        """As `infer`, by the operators' input `sequence_lens`, in a session that the first such call builds."""
        if self._of_lengths is None:
            self._of_lengths = self._new_session(sequence_lens=True)
        given = {"x": x, "sequence_lens": np.array(lengths, np.int32)} | dict(zip(self._starts, state, strict=True))
        y, *state_n = self._of_lengths.run(None, given)
        return y, tuple(state_n)

    def describe(self) -> dict[str, str]:
        cast = ", float16 cast to float32 and back" if self.config.dtype == "float16" else ""
        return {
            "library": f"onnxruntime {onnxruntime.__version__}",
            "path": f"{self.operator} operator of opset {OPSET}, {', '.join(self.session.get_providers())}{cast}",
            "threads": str(self.threads or "chosen by ONNX Runtime"),
        }


def _model(config: RnnConfig, weights: Weights, *, sequence_lens: bool) -> bytes:
    """The network as a serialized ONNX model: x (T, B, I), h0 ... (L*D, B, H) -> y (T, B, D*H), h_n ... (L*D, B, H).

    With `sequence_lens` it has one more input, the lengths (B,).
    """
    D, H, L = config.num_directions, config.hidden_size, config.num_layers
    operator = OPERATORS[config.cell]
    activations = {"activations": [operator.activation] * D} if operator.activation else {}
    nodes, constants = [], []

    def constant(name: str, array: NumpyArray) -> str:
        constants.append(numpy_helper.from_array(array, name))
        return name

    def layer_names(whole: str) -> list[str]:
        return [whole] if L == 1 else [f"{whole}_l{layer}" for layer in range(L)]

    starts = [layer_names(f"{name}0") for name in config.state_names]
    ends = [layer_names(f"{name}_n") for name in config.state_names]
    if L > 1:
        share = constant("share", np.full(L, D))
        for name, start, end in zip(config.state_names, starts, ends, strict=True):
            nodes.append(helper.make_node("Split", [f"{name}0", share], start))
            nodes.append(helper.make_node("Concat", end, [f"{name}_n"], axis=0))
    layer_input = "x"
    for layer in range(L):
        layers = [weights.layer(layer, direction) for direction in range(D)]
        w = [reorder(each.w_ih, config.cell, operator.gates) for each in layers]
        r = [reorder(each.w_hh, config.cell, operator.gates) for each in layers]
        b = [
            np.concatenate([reorder(bias, config.cell, operator.gates) for bias in (each.b_ih, each.b_hh)])
            for each in layers
            if each.b_ih is not None and each.b_hh is not None
        ]
        nodes.append(
            helper.make_node(
                operator.name,
                [
                    layer_input,
                    constant(f"w_l{layer}", np.stack(w)),  # (D, G*H, I)
                    constant(f"r_l{layer}", np.stack(r)),  # (D, G*H, H)
                    constant(f"b_l{layer}", np.stack(b)) if b else "",  # (D, 2*G*H)
                    "sequence_lens" if sequence_lens else "",
                    *(start[layer] for start in starts),  # (D, B, H)
                ],
                [f"states_l{layer}", *(end[layer] for end in ends)],  # (T, D, B, H), (D, B, H)
                direction="bidirectional" if D == 2 else "forward",
                hidden_size=H,
                **activations,
                **operator.attributes,
            )
        )
        output = "y" if layer == L - 1 else f"y_l{layer}"  # (T, B, D*H)
        if D == 2:
            nodes.append(
                helper.make_node("Transpose", [f"states_l{layer}"], [f"transposed_l{layer}"], perm=(0, 2, 1, 3))
            )
            # A size of 0 keeps an axis.
            nodes.append(
                helper.make_node(
                    "Reshape", [f"transposed_l{layer}", constant(f"s_l{layer}", np.array([0, 0, 2 * H]))], [output]
                )
            )
        else:
            nodes.append(
                helper.make_node("Squeeze", [f"states_l{layer}", constant(f"d_l{layer}", np.array([1]))], [output])
            )
        layer_input = output
    # A node comes after those whose outputs it reads: Concat of the final states comes last.
    nodes.sort(key=lambda node: node.op_type == "Concat")

    def tensor(name: str, *shape: str | int) -> object:
        return helper.make_tensor_value_info(name, ELEMENT_TYPES[config.dtype], shape)

    inputs = [tensor("x", "T", "B", config.input_size)]
    if sequence_lens:
        inputs.append(helper.make_tensor_value_info("sequence_lens", TensorProto.INT32, ["B"]))
    graph = helper.make_graph(
        nodes,
        "rnn",
        [*inputs, *(tensor(f"{each}0", L * D, "B", H) for each in config.state_names)],
        [tensor("y", "T", "B", D * H), *(tensor(f"{each}_n", L * D, "B", H) for each in config.state_names)],
        initializer=constants,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets))
    serialized: bytes = model.SerializeToString()
    return serialized
