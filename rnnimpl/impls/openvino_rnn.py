"""OpenVINO's RNNSequence, LSTMSequence and GRUSequence on a CPU, inference only: oneDNN's RNN primitive.

One node a layer, both directions in the same node (https://docs.openvino.ai/2025/documentation/openvino-ir-format/
operation-sets/operation-specs/sequence/rnn-sequence-5.html, lstm-sequence-1.html, gru-sequence-5.html). Its weights
have their gates in another order than `torch.nn`'s. Without `linear_before_reset` a GRU has its reset gate before the
product, which is another function. The model is compiled for fixed T and B in the first call of each input shape, whose
time includes that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rnnimpl import onednn
from rnnimpl.dtypes import Precision
from rnnimpl.gates import reorder
from rnnimpl.inference_base import InferenceRnn
from rnnimpl.interface import CellName, LayerWeights, NumpyArray, RnnConfig, State, Unsupported, Weights
from rnnimpl.lengths import valid_steps
from rnnimpl.openvino_quiet import hint, openvino, opset5, properties

SEQUENCES: Mapping[CellName, Callable[..., Any]] = {
    "tanh": functools.partial(opset5.rnn_sequence, activations=["tanh"]),
    "relu": functools.partial(opset5.rnn_sequence, activations=["relu"]),
    "lstm": opset5.lstm_sequence,
    "gru": functools.partial(opset5.gru_sequence, linear_before_reset=True),
}
GATES: Mapping[CellName, str] = {"tanh": "a", "relu": "a", "lstm": "figo", "gru": "zrn"}


class _Compiled(NamedTuple):
    """The shape (T, B, I) for which a model is compiled, and whether lengths are one of its inputs."""

    shape: tuple[int, ...]
    of_lengths: bool


class OpenVinoRnn(InferenceRnn):
    """A model of sequence nodes, compiled by OpenVINO's CPU plugin."""

    devices = ("cpu",)
    cells = ("tanh", "relu", "lstm", "gru")
    requires = ("openvino>=2025.0",)

    asks_for_kernels: ClassVar[bool] = False
    """Whether oneDNN reports the kernels that it creates, once asked for every model in the process."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        if config.dtype != "float32":
            raise Unsupported(f"OpenVINO's CPU plugin computes {config.dtype} in another precision; expected float32")
        self.weights = weights
        self.core = openvino.Core()
        self.requests: dict[_Compiled, openvino.InferRequest] = {}
        self.kernels: dict[_Compiled, str] = {}
        self.last: _Compiled | None = None

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        super().configure_process(threads=threads, precision=precision)
        cls.asks_for_kernels = True

    def infer(self, x: NumpyArray, state: State[NumpyArray]) -> tuple[NumpyArray, State[NumpyArray]]:
        return self._infer(_Compiled(x.shape, False), x, *state)

    def infer_lengths(
        self, x: NumpyArray, state: State[NumpyArray], lengths: tuple[int, ...]
    ) -> tuple[NumpyArray, State[NumpyArray]]:
        """As `infer`, with the lengths as an input: the plugin computes such a sequence step by step, by a loop node.

        Its primitive takes sequences of one length alone.
        """
        # A step of its loop may read what the padding holds.
        clean = np.where(valid_steps(lengths, len(x)), x, x.dtype.type(0))
        return self._infer(_Compiled(x.shape, True), clean, *state, np.array(lengths, np.int64))

    def _infer(self, which: _Compiled, *arrays: NumpyArray) -> tuple[NumpyArray, State[NumpyArray]]:
        if which not in self.requests:
            self._compile(which)
        self.last = which
        # Inputs are read in place; outputs are copied, so that a later call does not change them.
        results = self.requests[which].infer(list(arrays), share_inputs=True, share_outputs=False)
        y, *state_n = results.values()
        return y, tuple(state_n)

    def describe(self) -> dict[str, str]:
        described = {"library": f"openvino {openvino.__version__}"}
        if self.last is None:
            return described | {"path": "compiled at the first call"}
        compiled = self.requests[self.last].get_compiled_model()
        return described | {
            "path": self.kernels[self.last],
            "precision": compiled.get_property(hint.inference_precision()).to_string(),
            "threads": str(compiled.get_property(properties.inference_num_threads())),
        }

    def _compile(self, which: _Compiled) -> None:
        """Compile the network for such inputs, and keep its request and the names of its kernels."""
        settings = {
            hint.performance_mode(): hint.PerformanceMode.LATENCY,
            # By default the plugin computes in bfloat16 where the CPU has it, whatever the model's type.
            hint.inference_precision(): openvino.Type.f32,
            hint.execution_mode(): hint.ExecutionMode.ACCURACY,
            properties.inference_num_threads(): self.threads,
            # The caller chooses the cores, by the process's affinity, and the number of threads.
            hint.enable_cpu_pinning(): False,
            hint.enable_hyper_threading(): True,
        }
        model = _model(self.config, self.weights, which)
        compile_model = functools.partial(self.core.compile_model, model, "CPU", settings)
        # oneDNN's own report: the compiled model has the same name for every kernel that oneDNN may choose.
        compiled, primitives = (
            onednn.created_during(compile_model) if self.asks_for_kernels else (compile_model(), None)
        )
        self.requests[which] = compiled.create_infer_request()
        self.kernels[which] = onednn.rnn_kernels(primitives)


def _model(config: RnnConfig, weights: Weights, which: _Compiled) -> openvino.Model:
    """The network as a model: x (T, B, I), h0 ... (L*D, B, H), lengths (B,) -> y (T, B, D*H), h_n ... (L*D, B, H)."""
    D, H, L = config.num_directions, config.hidden_size, config.num_layers
    T, B, _ = which.shape
    given = [opset5.parameter([B], np.int64, "lengths")] if which.of_lengths else []
    x = opset5.parameter([T, B, config.input_size], np.float32, "x")
    state = [opset5.parameter([L * D, B, H], np.float32, f"{name}0") for name in config.state_names]
    starts = [opset5.split(each, np.array(0), L).outputs() for each in state]  # (D, B, H) each
    ends: list[list[Any]] = []
    layer_input = x  # (T, B, I)
    for layer in range(L):
        sequence = SEQUENCES[config.cell](
            # The plugin removes this transpose together with the one after the sequence, as in models from ONNX.
            opset5.transpose(layer_input, np.array([1, 0, 2])),  # (B, T, I)
            *(opset5.transpose(each[layer], np.array([1, 0, 2])) for each in starts),  # (B, D, H)
            *(given or [np.full(B, T)]),
            *_weights(config, [weights.layer(layer, direction) for direction in range(D)]),
            H,
            "bidirectional" if D == 2 else "forward",
        )
        states, *last = sequence.outputs()  # (B, D, T, H), (B, D, H)
        ends.append([opset5.transpose(each, np.array([1, 0, 2])) for each in last])
        by_time = opset5.transpose(states, np.array([2, 1, 0, 3]))  # (T, D, B, H)
        if D == 2:
            beside = opset5.transpose(by_time, np.array([0, 2, 1, 3]))
            layer_input = opset5.reshape(beside, np.array([T, B, D * H]), special_zero=False)
        else:
            layer_input = opset5.squeeze(by_time, np.array(1))
    state_n = [opset5.concat(list(of_layers), 0) for of_layers in zip(*ends, strict=True)]
    return openvino.Model([layer_input, *state_n], [x, *state, *given], "rnn")


def _weights(
    config: RnnConfig, directions: Sequence[LayerWeights[NumpyArray]]
) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
    """W (D, G*H, I), R (D, G*H, H) and B (D, G*H), of a GRU (D, 4*H), of one layer."""
    order = GATES[config.cell]

    def stacked(arrays: Sequence[NumpyArray]) -> NumpyArray:
        return np.stack([reorder(array, config.cell, order) for array in arrays])

    W, R = stacked([each.w_ih for each in directions]), stacked([each.w_hh for each in directions])
    none = np.zeros(W.shape[1], W.dtype)
    b_ih = stacked([none if each.b_ih is None else each.b_ih for each in directions])
    b_hh = stacked([none if each.b_hh is None else each.b_hh for each in directions])
    if config.cell != "gru":
        return W, R, b_ih + b_hh
    # The candidate has one bias outside of the product with the reset gate and one inside, so both are kept.
    H = config.hidden_size
    summed = b_ih[:, : 2 * H] + b_hh[:, : 2 * H]
    return W, R, np.concatenate([summed, b_ih[:, 2 * H :], b_hh[:, 2 * H :]], axis=1)
