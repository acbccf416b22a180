"""The reference: outputs and every gradient in float64 NumPy, written to be read and never timed.

It shares no code with the implementations, so that it would take two independent mistakes for both to be wrong alike.
`rnnimpl.cells` has the step of each cell; the loop over time, directions and layers is here, with the products. For one
layer in one direction, with the shape letters of `rnnimpl.interface` and "dz" for the gradient of the loss with respect
to z (Werbos 1990, "Backpropagation through time"):

    s_in[t] = x[t] @ w_ih.T + b_ih             s_st[t] = h[t-1] @ w_hh.T + b_hh
    h[t], ... = the cell's step of s_in[t], s_st[t] and the states before

    dh[t] = dy[t] + dh[t] of the step t+1      dh[T-1] = dy[T-1] + dh_n
    ds_in[t], ds_st[t] = the cell's step back of dh[t], ...
    dx[t] = ds_in[t] @ w_ih                    dw_ih = sum over t of ds_in[t].T @ x[t]          db_ih = sum of ds_in[t]
    dh[t-1] += ds_st[t] @ w_hh                 dw_hh = sum over t of ds_st[t].T @ h[t-1]        db_hh = sum of ds_st[t]

With sequences of unequal lengths, a sequence keeps its states through the steps that are its padding, forward and
backward: they are at the end, where the reverse direction begins. There y and the gradients of x and of the sums are
zero.

The same code is the plain loop in a given dtype, from whose error `rnnimpl.tolerance` derives what is allowed: an
`Arithmetic` rounds the result of each operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnimpl.arithmetic import FLOAT64, Arithmetic
from rnnimpl.cells import CELLS, Cell, States, Stepped
from rnnimpl.interface import Grads, LayerWeights, Lengths, NumpyArray, RnnConfig, State, Weights, layer_weight_names
from rnnimpl.lengths import checked_lengths

LayerKey: TypeAlias = tuple[int, int]
"""(layer, direction), as `RnnConfig.layers` gives them."""


class LayerRun(NamedTuple):
    """The inputs and results of one layer in one direction, in its own order of time.

    x (T, B, I), the states before the first step (B, H) and after each step (T, B, H), each step's result, and whether
    a step is no padding (T, B, 1), None where none is.
    """

    x: NumpyArray
    state: States
    weights: LayerWeights[NumpyArray]
    states: States
    steps: Sequence[Stepped]
    valid: NumpyArray | None

    @property
    def h_before(self) -> NumpyArray:
        """The output before each step (T, B, H)."""
        return np.concatenate([self.state[0][None], self.states[0][:-1]])

    def saved(self, place: int) -> NumpyArray:
        """The array at this place of what each step saved, stacked (T, B, H)."""
        return np.stack([step.saved[place] for step in self.steps])


class LayerGrads(NamedTuple):
    """Gradients of one layer in one direction: both sums of all steps (T, B, G*H), x, the state and the weights."""

    of_input: NumpyArray
    of_state: NumpyArray
    x: NumpyArray
    state: States
    weights: LayerWeights[NumpyArray]


Sums: TypeAlias = tuple[NumpyArray, NumpyArray]
"""The gradients of a layer's sums, that of the input and that of the state, each (T, B, G*H)."""


def forward(
    config: RnnConfig,
    weights: Weights,
    x: NumpyArray,
    state: State[NumpyArray] | None = None,
    lengths: Lengths = None,
) -> tuple[NumpyArray, State[NumpyArray]]:
    """x (T, B, I), state of arrays (L*D, B, H) or None for zeros -> y (T, B, D*H) and the final state, in float64."""
    y, state_n, _ = run(config, weights, x, state, lengths=lengths)
    return y, state_n


def vjp(
    config: RnnConfig,
    weights: Weights,
    x: NumpyArray,
    state: State[NumpyArray] | None,
    dy: NumpyArray,
    dstate_n: State[NumpyArray],
    lengths: Lengths = None,
) -> tuple[NumpyArray, State[NumpyArray], Grads[NumpyArray]]:
    """y, the final state, and the gradients of sum(dy * y) + sum(dstate_n * state_n), all in float64.

    x (T, B, I), state and dstate_n of arrays (L*D, B, H), dy (T, B, D*H); a state of None is zeros.
    """
    y, state_n, runs = run(config, weights, x, state, lengths=lengths)
    grads, _ = backward(config, runs, dy, dstate_n)
    return y, state_n, grads


def run(
    config: RnnConfig,
    weights: Weights,
    x: NumpyArray,
    state: State[NumpyArray] | None,
    arithmetic: Arithmetic = FLOAT64,
    lengths: Lengths = None,
) -> tuple[NumpyArray, State[NumpyArray], dict[LayerKey, LayerRun]]:
    """Run all layers -> y (T, B, D*H), the final state (L*D, B, H) and the run of each layer for `backward`."""
    if state is None:
        state = config.zero_state(x.shape[1])
    lengths = checked_lengths(lengths, *x.shape[:2])
    valid = None if lengths is None else np.arange(len(x))[:, None, None] < np.array(lengths)[:, None]  # (T, B, 1)
    layer_input, state = arithmetic.values(_without_padding(x, valid)), tuple(arithmetic.values(each) for each in state)
    runs: dict[LayerKey, LayerRun] = {}
    for layer, direction in config.layers():
        start = tuple(each[layer * config.num_directions + direction] for each in state)
        own = LayerWeights(*(_values(arithmetic, each, config) for each in weights.layer(layer, direction)))
        runs[layer, direction] = layer_forward(
            CELLS[config.cell],
            arithmetic,
            in_order(layer_input, direction),
            start,
            own,
            None if valid is None else in_order(valid, direction),
        )
        if direction == config.num_directions - 1:
            outputs = [in_order(runs[layer, each].states[0], each) for each in range(config.num_directions)]
            layer_input = _without_padding(np.concatenate(outputs, axis=2), valid)  # (T, B, D*H)
    last = [[each[-1] for each in layer_run.states] for layer_run in runs.values()]
    state_n = tuple(np.stack(each) for each in zip(*last, strict=True))  # each (L*D, B, H)
    return layer_input, state_n, runs


def _values(arithmetic: Arithmetic, array: NumpyArray | None, config: RnnConfig) -> NumpyArray:
    """A weight in an arithmetic; zeros (G*H,) for a bias that the network does not have."""
    gates = len(CELLS[config.cell].gates)
    return arithmetic.values(np.zeros(gates * config.hidden_size) if array is None else array)


def _without_padding(array: NumpyArray, valid: NumpyArray | None) -> NumpyArray:
    """The array (T, B, N) with zeros in the padding, whatever it held there."""
    return array if valid is None else np.where(valid, array, array.dtype.type(0))


def _keep(valid_t: NumpyArray, new: States, old: States) -> States:
    """The new states of the sequences whose step is valid (B, 1), and the old ones of the others."""
    return tuple(np.where(valid_t, *both) for both in zip(new, old, strict=True))


def layer_forward(
    cell: Cell,
    arithmetic: Arithmetic,
    x: NumpyArray,
    state: States,
    weights: LayerWeights[NumpyArray],
    valid: NumpyArray | None = None,
) -> LayerRun:
    """Run one layer in one direction: x (T, B, I), the states before its first step (B, H), valid steps (T, B, 1)."""
    T, B, I = x.shape
    w_ih, w_hh, b_ih, b_hh = weights
    # Rows of a product are independent, so the projections of all steps are one product.
    projected = arithmetic.product(x.reshape(T * B, I), w_ih.T).reshape(T, B, -1)
    of_input = arithmetic.round(projected + b_ih)
    steps: list[Stepped] = []
    before = state
    for t in range(T):
        of_state = arithmetic.round(arithmetic.product(before[0], w_hh.T) + b_hh)
        step = cell.step(arithmetic, of_input[t], of_state, before)
        steps.append(step if valid is None else step._replace(states=_keep(valid[t], step.states, before)))
        before = steps[-1].states
    states = tuple(np.stack(each) for each in zip(*(step.states for step in steps), strict=True))
    return LayerRun(x, state, weights, states, steps, valid)


def backward(
    config: RnnConfig,
    runs: Mapping[LayerKey, LayerRun],
    dy: NumpyArray,
    dstate_n: State[NumpyArray],
    arithmetic: Arithmetic = FLOAT64,
    active: Mapping[LayerKey, npt.NDArray[np.bool_]] | None = None,
) -> tuple[Grads[NumpyArray], dict[LayerKey, Sums]]:
    """The gradients from dy (T, B, D*H) and dstate_n (L*D, B, H), the last layer first, and those of the layers' sums.

    `active` has for each layer of a kinked cell a mask (T, B, H) of the units whose slope is not 0, in place of the
    run's.
    """
    H, D = config.hidden_size, config.num_directions
    dy, dstate_n = arithmetic.values(dy), tuple(arithmetic.values(each) for each in dstate_n)
    dstate = tuple(np.empty_like(each) for each in dstate_n)
    dweights: dict[str, NumpyArray] = {}
    sums: dict[LayerKey, Sums] = {}
    for layer in reversed(range(config.num_layers)):
        dx = np.zeros_like(runs[layer, 0].x)
        for direction in range(D):
            key, place = (layer, direction), layer * D + direction
            of_layer = in_order(dy[:, :, direction * H : (direction + 1) * H], direction)
            grads = layer_backward(
                CELLS[config.cell],
                arithmetic,
                runs[key] if active is None else _with_active(runs[key], active[key]),
                of_layer,
                tuple(each[place] for each in dstate_n),
            )
            dx = arithmetic.round(dx + in_order(grads.x, direction))
            for whole, part in zip(dstate, grads.state, strict=True):
                whole[place] = part
            sums[key] = grads.of_input, grads.of_state
            for name, gradient in zip(layer_weight_names(layer, direction), grads.weights, strict=True):
                assert gradient is not None
                dweights[name] = gradient
        dy = dx
    return Grads(dy, dstate, {name: dweights[name] for name in config.weight_shapes()}), sums


def layer_backward(cell: Cell, arithmetic: Arithmetic, run: LayerRun, dy: NumpyArray, dstate_n: States) -> LayerGrads:
    """The gradients of one layer from dy (T, B, H) and those of its last states (B, H), in its own order of time."""
    T, B, I = run.x.shape
    rounded = arithmetic.round
    of_input: list[NumpyArray] = []
    of_state: list[NumpyArray] = []
    dstates, dy = dstate_n, _without_padding(dy, run.valid)
    for t in reversed(range(T)):
        before = run.steps[t - 1].states if t else run.state
        after = (rounded(dy[t] + dstates[0]), *dstates[1:])
        step = cell.step_back(arithmetic, after, before, run.steps[t])
        sums: States = (step.of_input, step.of_state)
        if run.valid is not None:
            sums = _keep(run.valid[t], sums, (np.zeros_like(sums[0]), np.zeros_like(sums[1])))
        of_input.append(sums[0])
        of_state.append(sums[1])
        through_sum = arithmetic.product(sums[1], run.weights.w_hh)
        dstates = (rounded(step.states[0] + through_sum), *step.states[1:])
        if run.valid is not None:
            dstates = _keep(run.valid[t], dstates, after)
    ds_in, ds_st = np.stack(of_input[::-1]), np.stack(of_state[::-1])  # (T, B, G*H)
    return LayerGrads(
        of_input=ds_in,
        of_state=ds_st,
        x=arithmetic.product(ds_in.reshape(T * B, -1), run.weights.w_ih).reshape(T, B, I),
        state=dstates,
        weights=LayerWeights(
            w_ih=arithmetic.sum_of_products(ds_in, run.x),
            w_hh=arithmetic.sum_of_products(ds_st, run.h_before),
            b_ih=arithmetic.sum_over_steps(ds_in),
            b_hh=arithmetic.sum_over_steps(ds_st),
        ),
    )


def _with_active(run: LayerRun, active: npt.NDArray[np.bool_]) -> LayerRun:
    """The run with `active` (T, B, H) as its mask of active units."""
    steps = [step._replace(saved=(units, *step.saved[1:])) for step, units in zip(run.steps, active, strict=True)]
    return run._replace(steps=steps)


def in_order(array: NumpyArray, direction: int) -> NumpyArray:
    """The array (T, ...) in the order in which a direction reads it: direction 1 reads from the end."""
    return array[::-1] if direction else array
