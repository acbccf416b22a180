"""Counts: operations against PyTorch's own counter, products against operations, bytes by hand."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.counts import (
    Product,
    backward_flops,
    chain_flops,
    chain_reads,
    chain_steps,
    elementwise_flops,
    flops,
    forward_flops,
    intensity,
    least_bytes,
    necessary_flops,
    products,
    step_bytes,
    traffic_bytes,
)
from benchmarks.memory_needed import TEMPORARIES, memory_needed, too_large
from benchmarks.workload import Workload
from rnnimpl import Weights, load
from rnnimpl.interface import CellName

WORKLOADS = [
    Workload(mode="training", T=3, B=2, I=5, H=7),
    Workload(mode="training", T=4, B=1, I=3, H=6, L=3, bias=False, cell="relu"),
    Workload(mode="training", T=2, B=3, I=4, H=5, L=2, bidirectional=True),
    Workload(mode="training", T=3, B=2, I=5, H=7, cell="lstm"),
    Workload(mode="training", T=3, B=2, I=5, H=7, cell="gru"),
]
GATED_CELLS: tuple[CellName, ...] = ("lstm", "gru")
GATED = [
    dataclasses.replace(WORKLOADS[0], L=2, cell=cell, dtype="float64", bias=bias, bidirectional=not bias)
    for cell, bias in itertools.product(GATED_CELLS, (True, False))
]
MODULES: dict[str, Any] = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def inference(workload: Workload) -> Workload:
    return dataclasses.replace(workload, mode="inference")


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.id)
def test_operations_are_those_that_pytorch_counts(workload: Workload) -> None:
    network: Any = load("torch_loop")(workload.config, Weights.init(workload.config, 0), "cpu")
    x = network.from_numpy(np.ones((workload.T, workload.B, workload.I), np.float32))
    with FlopCounterMode(display=False) as of_forward:
        network.forward(x)
    assert forward_flops(workload) == flops(inference(workload)) == of_forward.get_total_flops()
    with FlopCounterMode(display=False) as of_training:
        y, state_n, pullback = network.vjp(x)
        pullback(y, state_n)
    assert flops(workload) == of_training.get_total_flops()
    assert backward_flops(workload) == of_training.get_total_flops() - of_forward.get_total_flops()


@pytest.mark.parametrize("workload", GATED, ids=lambda workload: workload.id)
def test_operations_of_gated_cells_are_those_that_pytorch_counts_in_its_own_modules(workload: Workload) -> None:
    """Counted in float64: the counter sees nothing within oneDNN's kernel for float32."""
    config = workload.config
    options = {"bias": workload.bias, "bidirectional": workload.bidirectional, "dtype": torch.float64}
    module = MODULES[workload.cell](workload.I, workload.H, workload.L, **options)
    x = torch.ones(workload.T, workload.B, workload.I, dtype=torch.float64, requires_grad=True)
    state = [torch.zeros(s, dtype=torch.float64, requires_grad=True) for s in config.state_shapes(workload.B)]
    given = tuple(state) if len(state) > 1 else state[0]
    with FlopCounterMode(display=False) as of_inference, torch.no_grad():
        module(x, given)
    assert flops(inference(workload)) == of_inference.get_total_flops()
    with FlopCounterMode(display=False) as of_training:
        y, _ = module(x, given)
        y.sum().backward()
    assert flops(workload) == of_training.get_total_flops()


def test_inference_has_no_backward_operations() -> None:
    assert backward_flops(inference(WORKLOADS[0])) == 0


@pytest.mark.parametrize("workload", [*WORKLOADS, *map(inference, WORKLOADS)], ids=lambda workload: workload.id)
def test_the_products_make_up_all_operations(workload: Workload) -> None:
    assert sum(product.flops for product in products(workload)) == flops(workload)


def test_the_products_of_one_layer_are_projection_recurrence_and_gradients() -> None:
    workload = WORKLOADS[0]  # T3 B2 I5 H7
    projection, recurrence = Product(1, 6, 7, 5), Product(3, 2, 7, 7)
    assert products(inference(workload)) == (projection, recurrence)
    gradients = {Product(1, 7, 5, 6), Product(1, 7, 7, 6), Product(1, 6, 5, 7)}
    assert set(products(workload)) == {projection, Product(6, 2, 7, 7)} | gradients


@pytest.mark.parametrize(("cell", "G"), [("lstm", 4), ("gru", 3)])
def test_the_products_of_a_gated_layer_have_all_gates_of_a_step_in_one(cell: Any, G: int) -> None:
    """Forward (B, H) by (H, G*H), backward (B, G*H) by (G*H, H), each once a step."""
    workload = Workload(mode="training", T=3, B=2, I=5, H=7, cell=cell)
    forward = {Product(1, 6, 7 * G, 5), Product(3, 2, 7 * G, 7)}
    assert set(products(inference(workload))) == forward
    gradients = {Product(1, 7 * G, 5, 6), Product(1, 7 * G, 7, 6), Product(1, 6, 5, 7 * G)}
    assert set(products(workload)) == forward | {Product(3, 2, 7, 7 * G)} | gradients


def test_products_of_equal_shape_are_counted_together() -> None:
    workload = Workload(mode="inference", T=3, B=2, I=7, H=7, L=2)
    assert products(workload) == (Product(2, 6, 7, 7), Product(6, 2, 7, 7))


def test_elementwise_operations_follow_the_formulas() -> None:
    workload = WORKLOADS[0]
    states = 3 * 2 * 7
    assert elementwise_flops(inference(workload)) == 4 * states
    assert elementwise_flops(workload) == (4 + 5) * states
    relu_without_bias = WORKLOADS[1]
    assert elementwise_flops(relu_without_bias) == (2 + 2) * 4 * 1 * 6 * 3
    both_ways = WORKLOADS[2]
    assert elementwise_flops(both_ways) == (4 + 5) * 2 * 3 * 5 * 4 + 2 * 3 * (4 + 10)


@pytest.mark.parametrize(
    ("cell", "forward", "backward"),
    [
        # Sums of both sides and their functions; the state and the output. Four and three gates, two biases each.
        ("lstm", 4 + 4 + 3 + 2 + 2 * 4, 23 + 4),
        # r and z are sums; r * s is added within n; (1 - z) * n + z * h. Gradients of biases: three, one more for n.
        ("gru", 2 + 2 + 3 + 4 + 2 * 3, 18 + 3 + 1),
    ],
)
def test_elementwise_operations_of_gated_cells_follow_the_formulas(cell: Any, forward: int, backward: int) -> None:
    workload = Workload(mode="training", T=3, B=2, I=5, H=7, cell=cell)
    assert elementwise_flops(inference(workload)) == 3 * 2 * 7 * forward
    assert elementwise_flops(workload) == 3 * 2 * 7 * (forward + backward)


@pytest.mark.parametrize(("cell", "G"), [("lstm", 4), ("gru", 3)])
def test_a_gate_that_multiplies_zeros_in_the_first_step_can_be_left_out(cell: Any, G: int) -> None:
    """Inference omits the gate's projection; training its gradients of w_ih, the input and, in the last step, h0."""
    training = Workload(mode="training", T=3, B=2, I=5, H=7, L=2, cell=cell)
    of_state, of_input = 2 * 2 * 7 * 7, 2 * 2 * 7 * (5 + 7)
    assert flops(inference(training)) - necessary_flops(inference(training)) == 2 * G * of_state + of_input
    assert flops(training) - necessary_flops(training) == 2 * 2 * G * of_state + 2 * of_input + 2 * of_state
    assert chain_flops(inference(training)) == 2 * 2 * G * of_state
    assert chain_flops(training) == 2 * (5 * G - 1) * of_state
    assert (chain_reads(inference(training)), chain_reads(training)) == (2, 5 - 1 / G)
    assert chain_reads(WORKLOADS[0]) == chain_steps(WORKLOADS[0])


def test_a_call_without_h0_leaves_out_the_products_with_zeros() -> None:
    """The first step of each layer and direction and, in training, its part of the gradient of w_hh."""
    forward = inference(WORKLOADS[0])  # T3 B2 I5 H7
    assert (chain_steps(forward), chain_steps(WORKLOADS[0])) == (2, 2 + 3)
    product = 2 * 2 * 7 * 7
    assert (chain_flops(forward), chain_flops(WORKLOADS[0])) == (2 * product, 5 * product)
    assert flops(forward) - necessary_flops(forward) == product
    assert flops(WORKLOADS[0]) - necessary_flops(WORKLOADS[0]) == 2 * product
    both_ways = WORKLOADS[2]  # T2 B3 I4 H5 L2 D2
    assert chain_flops(both_ways) == 4 * 3 * 2 * 3 * 5 * 5


def test_the_recurrent_weights_are_read_once_a_step() -> None:
    workload = WORKLOADS[0]
    assert step_bytes(workload) == 4 * 7 * 7
    assert traffic_bytes(workload) == least_bytes(workload) + 5 * 4 * 7 * 7
    assert intensity(workload) == flops(workload) / traffic_bytes(workload)
    long = Workload(mode="inference", T=10_000, B=16, I=1, H=512)
    assert intensity(long) == pytest.approx(16 / 2, rel=0.05)
    # Of an LSTM those of four gates.
    assert step_bytes(dataclasses.replace(workload, cell="lstm")) == 4 * 4 * 7 * 7


def test_the_least_bytes_are_each_input_and_result_once() -> None:
    workload = WORKLOADS[0]
    x, y, h_n, weights = 3 * 2 * 5, 3 * 2 * 7, 2 * 7, 7 * 5 + 7 * 7 + 2 * 7
    assert least_bytes(inference(workload)) == 4 * (x + y + h_n + weights)
    assert least_bytes(workload) == 4 * (2 * x + 2 * y + 3 * h_n + 2 * weights)
    assert least_bytes(dataclasses.replace(workload, dtype="float64")) == 2 * least_bytes(workload)


def test_an_lstm_has_two_states_and_keeps_its_gates_for_the_backward_pass() -> None:
    workload = Workload(mode="training", T=2, B=3, I=4, H=5, cell="lstm")
    x, y, state, weights = 2 * 3 * 4, 2 * 3 * 5, 2 * 3 * 5, 20 * 4 + 20 * 5 + 2 * 20
    assert least_bytes(inference(workload)) == 4 * (x + y + state + weights)
    assert least_bytes(workload) == 4 * (2 * x + 2 * y + 3 * state + 2 * weights)
    # The output, its cotangent, h, c and four gates.
    assert memory_needed(workload) == TEMPORARIES * 4 * (2 * x + 8 * y + 3 * state + 2 * weights)


def test_the_memory_needed_is_that_of_the_arrays_times_the_temporaries() -> None:
    workload = WORKLOADS[2]  # T2 B3 I4 H5 L2 D2
    x, y, h_n = 2 * 3 * 4, 2 * 3 * 10, 4 * 3 * 5
    weights = 2 * (5 * 4 + 5 * 5 + 10) + 2 * (5 * 10 + 5 * 5 + 10)
    assert memory_needed(inference(workload)) == TEMPORARIES * 4 * (x + 2 * y + h_n + weights)
    assert memory_needed(workload) == TEMPORARIES * 4 * (2 * x + 4 * y + 3 * h_n + 2 * weights)


def test_a_workload_beyond_the_memory_is_refused_in_a_sentence() -> None:
    workload = WORKLOADS[0]
    assert too_large(workload, memory_needed(workload)) is None
    reason = too_large(workload, memory_needed(workload) - 1)
    assert reason is not None
    assert workload.id in reason
    huge = Workload(mode="inference", T=2**20, B=2**10, I=1, H=2**10)
    assert "needs about 8.2e+03 GiB of memory, 16 GiB are" in str(too_large(huge, 16 * 2**30))
