"""Counts: operations against PyTorch's own counter, products against operations, bytes by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.counts import (
    TEMPORARIES,
    Product,
    backward_flops,
    chain_flops,
    chain_steps,
    elementwise_flops,
    flops,
    forward_flops,
    intensity,
    least_bytes,
    memory_needed,
    necessary_flops,
    products,
    step_bytes,
    too_large,
    traffic_bytes,
)
from benchmarks.workload import Workload
from rnnimpl import Weights, load

WORKLOADS = [
    Workload(mode="training", T=3, B=2, I=5, H=7),
    Workload(mode="training", T=4, B=1, I=3, H=6, L=3, bias=False, nonlinearity="relu"),
    Workload(mode="training", T=2, B=3, I=4, H=5, L=2, bidirectional=True),
]


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
        y, h_n, pullback = network.vjp(x)
        pullback(y, h_n)
    assert flops(workload) == of_training.get_total_flops()
    assert backward_flops(workload) == of_training.get_total_flops() - of_forward.get_total_flops()


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


def test_the_least_bytes_are_each_input_and_result_once() -> None:
    workload = WORKLOADS[0]
    x, y, h_n, weights = 3 * 2 * 5, 3 * 2 * 7, 2 * 7, 7 * 5 + 7 * 7 + 2 * 7
    assert least_bytes(inference(workload)) == 4 * (x + y + h_n + weights)
    assert least_bytes(workload) == 4 * (2 * x + 2 * y + 3 * h_n + 2 * weights)
    assert least_bytes(dataclasses.replace(workload, dtype="float64")) == 2 * least_bytes(workload)


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
