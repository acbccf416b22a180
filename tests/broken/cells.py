"""LSTM and GRU with one fault each."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnimpl import Grads
from rnnimpl.impls.numpy_hoisted import GruLayer, LstmLayer
from rnnimpl.interface import LayerWeights, NumpyArray
from rnnimpl.numpy_base import Layer, LayerGrads
from tests.broken.base import (
    Forward,
    Hooked,
    NumpyState,
    Pullback,
    Reweighted,
    Sound,
    Spoilt,
    caught_by,
    only,
    zeros_like,
)


def sigmoid(a: NumpyArray) -> NumpyArray:
    """1 / (1 + exp(-a)), computed by tanh, which does not overflow."""
    squashed: NumpyArray = (np.tanh(a / 2) + 1) / 2
    return squashed


def in_order(weights: LayerWeights[NumpyArray], order: tuple[int, ...]) -> LayerWeights[NumpyArray]:
    """The weights with their blocks in the order of these numbers."""

    def turn(array: NumpyArray | None) -> Any:
        return None if array is None else np.concatenate([np.split(array, len(order))[block] for block in order])

    return LayerWeights(*map(turn, weights))


def sums(weights: LayerWeights[NumpyArray], x: NumpyArray, h: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    """The sum of the input and that of the state, each (B, G*H)."""
    of_input, of_state = x @ weights.w_ih.T, h @ weights.w_hh.T
    if weights.b_ih is None or weights.b_hh is None:
        return of_input, of_state
    return of_input + weights.b_ih, of_state + weights.b_hh


@only("lstm")
class Lstm(Hooked):
    """An LSTM with a hook for the step of the forward pass; its backward pass is the sound one."""

    def step(self, a: NumpyArray, c: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        """The pre-activations of the gates (B, 4*H) and the memory -> h and the next memory."""
        i, f, g, o = np.split(a, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    def layer_forward(self, layer: Layer, x: NumpyArray, state: NumpyState) -> Forward:
        h, c = state
        outputs = []
        for x_t in x:
            h, c = self.step(np.add(*sums(layer.weights, x_t, h)), c)
            outputs.append(h)
        return np.stack(outputs), (h, c), layer.forward(x, state)[2]


@only("gru")
class Gru(Hooked):
    """A GRU with hooks for the step of the forward pass; its backward pass is the sound one."""

    def step(
        self, weights: LayerWeights[NumpyArray], of_input: NumpyArray, of_state: NumpyArray, h: NumpyArray
    ) -> NumpyArray:
        """The sums of the input and of the state (B, 3*H), and h -> the next h."""
        input_r, input_z, input_n = np.split(of_input, 3, axis=1)
        state_r, state_z, state_n = np.split(of_state, 3, axis=1)
        r, z = sigmoid(input_r + state_r), sigmoid(input_z + state_z)
        n = np.tanh(input_n + r * state_n)
        return self.mix(z, n, h)

    def mix(self, z: NumpyArray, n: NumpyArray, h: NumpyArray) -> NumpyArray:
        """The next h from the update gate, the candidate and h."""
        mixed: NumpyArray = (1 - z) * n + z * h
        return mixed

    def layer_forward(self, layer: Layer, x: NumpyArray, state: NumpyState) -> Forward:
        (h,) = state
        outputs = []
        for x_t in x:
            h = self.step(layer.weights, *sums(layer.weights, x_t, h), h)
            outputs.append(h)
        return np.stack(outputs), (h,), layer.forward(x, state)[2]


@caught_by("check_output")
@only("lstm")
class LstmGatesInAnotherOrder(Reweighted):
    """Takes the blocks of an LSTM's weights for i, o, f, g, the order of ONNX."""

    def change(self, weights: LayerWeights[NumpyArray]) -> LayerWeights[NumpyArray]:
        return in_order(weights, (0, 2, 3, 1))


@caught_by("check_output")
class ForgetBiasOfOne(Lstm):
    """Adds one to the forget gate's sum, as some libraries initialise its bias."""

    def step(self, a: NumpyArray, c: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        H = c.shape[1]
        a[:, H : 2 * H] += 1
        return super().step(a, c)


@caught_by("check_output")
class MemoryNotCarried(Lstm):
    """Starts every step of an LSTM from a memory of zeros."""

    def step(self, a: NumpyArray, c: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        return super().step(a, np.zeros_like(c))


@caught_by("check_output")
class MemoryShownBare(Lstm):
    """Multiplies the output gate with the memory and not with its tanh."""

    def step(self, a: NumpyArray, c: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        _, c = super().step(a, c)
        return sigmoid(np.split(a, 4, axis=1)[3]) * c, c


@caught_by("check_final_state")
@only("lstm")
class FinalMemoryIsTheOutput(Spoilt):
    """Gives h_n for c_n."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return y, (state_n[0], state_n[0].copy())


@caught_by("check_initial_state")
@only("lstm")
class GivenMemoryIgnored(Sound):
    """Starts from a memory of zeros whatever c0 is given."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        return super().forward(x, state if state is None else (state[0], *zeros_like(state[1:])))


@caught_by("check_gradient_through_final_state")
@only("lstm")
class FinalMemorysGradientIgnored(Sound):
    """Ignores dc_n."""

    def vjp(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state)
        return y, state_n, lambda dy, dstate_n: pullback(dy, (dstate_n[0], *zeros_like(dstate_n[1:])))


class ForgetfulLayer(LstmLayer):
    """An LSTM whose memory sends no gradient to the step before."""

    def backward(self, dy: NumpyArray, dstate_n: NumpyState, saved: Any) -> LayerGrads:
        x, h0, c0, gates, y, memory, squashed = saved
        steps: list[LayerGrads] = []
        dh, dc = dstate_n
        for t in reversed(range(len(x))):
            h_before, c_before = (y[t - 1], memory[t - 1]) if t else (h0, c0)
            of_step = (each[t : t + 1] for each in (gates, y, memory, squashed))
            steps.append(super().backward(dy[t : t + 1], (dh, dc), (x[t : t + 1], h_before, c_before, *of_step)))
            dh, dc = steps[-1].state[0], np.zeros_like(dc)
        return LayerGrads(
            x=np.concatenate([step.x for step in reversed(steps)]),
            state=(dh, dc),
            weights=LayerWeights(*(sum(each) for each in zip(*(step.weights for step in steps), strict=True))),
        )


@caught_by("check_gradient_of_x")
@only("lstm")
class MemorysGradientNotSentBack(Sound):
    """Sends no gradient of an LSTM's memory back over time."""

    layer_types = {"lstm": ForgetfulLayer}  # noqa: RUF012  # never written


@caught_by("check_output")
@only("gru")
class GruGatesInAnotherOrder(Reweighted):
    """Takes the blocks of a GRU's weights for z, r, n, the order of ONNX."""

    def change(self, weights: LayerWeights[NumpyArray]) -> LayerWeights[NumpyArray]:
        return in_order(weights, (1, 0, 2))


@caught_by("check_output")
class ResetBeforeTheProduct(Gru):
    """Multiplies h with the reset gate before the product with w_hn, as the paper and unlike torch.nn.GRU."""

    def step(
        self, weights: LayerWeights[NumpyArray], of_input: NumpyArray, of_state: NumpyArray, h: NumpyArray
    ) -> NumpyArray:
        H = h.shape[1]
        r = sigmoid(of_input[:, :H] + of_state[:, :H])
        z = sigmoid(of_input[:, H : 2 * H] + of_state[:, H : 2 * H])
        state_n = (r * h) @ weights.w_hh[2 * H :].T + (0 if weights.b_hh is None else weights.b_hh[2 * H :])
        return self.mix(z, np.tanh(of_input[:, 2 * H :] + state_n), h)


@caught_by("check_output")
class BiasOutsideOfTheReset(Gru):
    """Adds b_hn outside of the product with the reset gate, as if both biases of the candidate were one."""

    def step(
        self, weights: LayerWeights[NumpyArray], of_input: NumpyArray, of_state: NumpyArray, h: NumpyArray
    ) -> NumpyArray:
        if weights.b_hh is not None:
            moved = weights.b_hh.copy()
            moved[: 2 * h.shape[1]] = 0
            of_input, of_state = of_input + moved, of_state - moved
        return super().step(weights, of_input, of_state, h)


@caught_by("check_output")
class UpdateGateInverted(Gru):
    """Uses 1 - z in place of the update gate z."""

    def mix(self, z: NumpyArray, n: NumpyArray, h: NumpyArray) -> NumpyArray:
        mixed: NumpyArray = z * n + (1 - z) * h
        return mixed


@caught_by("check_gradient_of_weights")
@only("gru")
class OneGradientForBothBiases(Spoilt):
    """Gives a GRU's b_hh the gradient of b_ih."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        same = {name: grads.weights[name.replace("bias_hh", "bias_ih")] for name in grads.weights}
        return Grads(grads.x, grads.state, same)


class OneGradientForBothSumsLayer(GruLayer):
    """A GRU whose weights of the state have gradients from the sums of the input."""

    def collect(self, *args: Any) -> LayerGrads:
        x, h_before, state, of_input, _ = args
        return super().collect(x, h_before, state, of_input, of_input)


@caught_by("check_gradient_of_weights")
@only("gru")
class OneGradientForBothSums(Sound):
    """Computes a GRU's gradient of w_hh from the candidate's gradient before the reset gate."""

    layer_types = {"gru": OneGradientForBothSumsLayer}  # noqa: RUF012  # never written


@caught_by("check_large_input")
class OverflowingSigmoid(Lstm):
    """Computes sigmoid as exp(a) / (1 + exp(a)), which is infinity by infinity for large a."""

    def step(self, a: NumpyArray, c: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        with np.errstate(over="ignore", invalid="ignore"):
            i, f, g, o = np.split(a, 4, axis=1)
            i, f, o = (np.exp(gate) / (1 + np.exp(gate)) for gate in (i, f, o))
            c = f * c + i * np.tanh(g)
        return o * np.tanh(c), c
