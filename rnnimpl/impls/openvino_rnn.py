"""OpenVINO's RNNSequence on a CPU, inference only: oneDNN's RNN primitive.

One RNNSequence a layer (https://docs.openvino.ai/2025/documentation/openvino-ir-format/operation-sets/
operation-specs/sequence/rnn-sequence-5.html), both directions in the same node. The model is compiled for fixed
T and B at the first call of each input shape; that call has the cost.
"""

from __future__ import annotations

import numpy as np
import openvino
import openvino.properties as properties
from openvino import opset5
from openvino.properties import hint

from rnnimpl.inference_base import InferenceRnn
from rnnimpl.interface import NumpyArray, RnnConfig, Unsupported, Weights


class OpenVinoRnn(InferenceRnn):
    """A model of RNNSequence nodes, compiled by OpenVINO's CPU plugin."""

    devices = ("cpu",)
    requires = ("openvino>=2025.0",)

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        if config.dtype != "float32":
            raise Unsupported(f"OpenVINO's CPU plugin computes {config.dtype} in another precision; expected float32")
        self.weights = weights
        self.core = openvino.Core()
        self.requests: dict[tuple[int, ...], openvino.InferRequest] = {}

    def infer(self, x: NumpyArray, h0: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        if x.shape not in self.requests:
            self.requests[x.shape] = self._compile(*x.shape[:2])
        # Inputs are read where they are; outputs are copied, so that a later call leaves them alone.
        y, h_n = self.requests[x.shape].infer([x, h0], share_inputs=True, share_outputs=False).values()
        return y, h_n

    def describe(self) -> dict[str, str]:
        described = {"library": f"openvino {openvino.__version__}"}
        if not self.requests:
            return described | {"path": "compiled at the first call"}
        compiled = next(reversed(self.requests.values())).get_compiled_model()
        return described | {
            "path": ", ".join(_executed(compiled)),
            "precision": compiled.get_property(hint.inference_precision()).to_string(),
            "threads": str(compiled.get_property(properties.inference_num_threads())),
        }

    def _compile(self, T: int, B: int) -> openvino.InferRequest:
        """The network for sequences of T steps in batches of B, ready to run."""
        settings = {
            hint.performance_mode(): hint.PerformanceMode.LATENCY,
            # Without it the plugin computes in bfloat16 where the CPU has that, whatever the model's type.
            hint.inference_precision(): openvino.Type.f32,
            hint.execution_mode(): hint.ExecutionMode.ACCURACY,
            properties.inference_num_threads(): self.threads,
            # Cores are the caller's to choose: those the process is bound to, and every thread that was asked for.
            hint.enable_cpu_pinning(): False,
            hint.enable_hyper_threading(): True,
        }
        return self.core.compile_model(_model(self.config, self.weights, T, B), "CPU", settings).create_infer_request()


def _executed(compiled: openvino.CompiledModel) -> list[str]:
    """Which kernels run the recurrent layers, as the compiled model says: `RNNSeq gemm_any_f32`."""
    information = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    kernels = [(each["layerType"].astype(str), each["primitiveType"].astype(str)) for each in information]
    return list(dict.fromkeys(f"{layer} {kernel}" for layer, kernel in kernels if layer.startswith("RNN")))


def _model(config: RnnConfig, weights: Weights, T: int, B: int) -> openvino.Model:
    """The network as a model: x (T, B, I), h0 (L*D, B, H) -> y (T, B, D*H), h_n (L*D, B, H)."""
    D, H, L = config.num_directions, config.hidden_size, config.num_layers
    x = opset5.parameter([T, B, config.input_size], np.float32, "x")
    h0 = opset5.parameter([L * D, B, H], np.float32, "h0")
    starts = opset5.split(h0, np.array(0), L).outputs()  # (D, B, H) each
    ends = []
    layer_input = x  # (T, B, I)
    for layer in range(L):
        cells = [weights.cell(layer, direction) for direction in range(D)]
        biases = [cell.b_ih + cell.b_hh for cell in cells if cell.b_ih is not None and cell.b_hh is not None]
        sequence = opset5.rnn_sequence(
            # Turned so before the sequence and so after it, as a model from ONNX has it: the plugin then turns nothing.
            opset5.transpose(layer_input, np.array([1, 0, 2])),  # (B, T, I)
            opset5.transpose(starts[layer], np.array([1, 0, 2])),  # (B, D, H)
            np.full(B, T),
            np.stack([cell.w_ih for cell in cells]),  # (D, H, I)
            np.stack([cell.w_hh for cell in cells]),  # (D, H, H)
            np.stack(biases) if biases else np.zeros((D, H), np.float32),
            H,
            "bidirectional" if D == 2 else "forward",
            [config.nonlinearity],
        )
        states, end = sequence.outputs()  # (B, D, T, H), (B, D, H)
        ends.append(opset5.transpose(end, np.array([1, 0, 2])))
        turned = opset5.transpose(states, np.array([2, 1, 0, 3]))  # (T, D, B, H)
        if D == 2:
            beside = opset5.transpose(turned, np.array([0, 2, 1, 3]))
            layer_input = opset5.reshape(beside, np.array([T, B, D * H]), special_zero=False)
        else:
            layer_input = opset5.squeeze(turned, np.array(1))
    return openvino.Model([layer_input, opset5.concat(ends, 0)], [x, h0], "rnn")
