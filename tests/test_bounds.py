"""Bounds: what follows from peaks of known numbers, by hand, and what they say of a case's time."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from benchmarks.counts import chain_flops, least_bytes, necessary_flops, products, step_bytes
from benchmarks.limits.bounds import (
    Bound,
    blas_seconds,
    bound,
)
from benchmarks.limits.peak import Peak
from benchmarks.limits.peaks import shapes_by_importance
from benchmarks.limits.reached import Reached
from benchmarks.workload import Workload
from tests.synthetic_peaks import gemm, multiply_add, peak, read

SMALL = Workload(mode="inference", T=3, B=2, I=5, H=7)
WORKLOAD = Workload(mode="inference", T=11, B=16, I=100, H=100)
W = step_bytes(WORKLOAD)  # 40 kB


def bounded(workload: Workload, *peaks: Peak) -> Bound:
    found = bound(workload, peaks)
    assert found is not None
    return found


def test_many_operations_are_bound_by_the_multipliers() -> None:
    found = bounded(WORKLOAD, multiply_add(1e9), read(W, 1e12, "L2"), peak("step", seconds=1e-9))
    assert found.compute_seconds == pytest.approx(necessary_flops(WORKLOAD) / 1e9)
    assert found.attainable_seconds == pytest.approx(found.compute_seconds)
    assert (found.binds, found.multiply_adds_measured) == ("compute", True)


@pytest.mark.parametrize("changes", [{"lengths": "text"}, {"mode": "many-lengths", "T": 40}])
def test_sequences_of_several_lengths_have_no_bound(changes: dict[str, Any]) -> None:
    """Most calls have fewer steps than the longest, and so a limit of the longest would be passed."""
    workload = dataclasses.replace(WORKLOAD, **changes)
    assert bound(workload, (multiply_add(1e9), read(W, 1e12, "L2"), peak("step", seconds=1e-9))) is None
    assert not shapes_by_importance([workload])
    assert workload.valid_steps < workload.T * workload.B


def test_slow_weights_bind_the_steps_but_not_the_projection() -> None:
    """Ten of the eleven steps meet a state that is not zero; each reads w_hh once."""
    found = bounded(WORKLOAD, multiply_add(1e12), read(W, 1e9, "L2"), peak("step", seconds=1e-9))
    projection = 2 * 11 * 16 * 100 * 100 / 1e12
    assert found.weights_seconds == pytest.approx(10 * 40_000 / 1e9)
    assert found.parts == pytest.approx({"L2": 10 * 40_000 / 1e9, "compute": projection, "overhead": 0.0})
    assert (found.binds, found.weights_level) == ("L2", "L2")


def test_slow_steps_are_bound_by_the_chain() -> None:
    found = bounded(WORKLOAD, multiply_add(1e12), read(W, 1e12, "L2"), peak("step", seconds=1e-3))
    assert found.latency_seconds == pytest.approx(10e-3)
    assert found.binds == "chain"


def test_training_reads_the_weights_forward_and_back() -> None:
    training = dataclasses.replace(WORKLOAD, mode="training")
    found = bounded(training, multiply_add(1e15), read(W, 1e9, "L2"))
    assert found.weights_seconds == pytest.approx((10 + 11) * 40_000 / 1e9)


def test_layers_and_directions_each_have_their_steps() -> None:
    deep = dataclasses.replace(WORKLOAD, L=3, bidirectional=True)
    peaks = multiply_add(1e15), read(W, 1e9, "L2"), peak("step", seconds=1e-6)
    found = bounded(deep, *peaks)
    assert found.weights_seconds == pytest.approx(6 * 10 * 40_000 / 1e9)
    # They wait for their own steps alone.
    assert found.latency_seconds == pytest.approx(10e-6)


def test_threads_take_sequences_where_sharing_a_step_costs_more() -> None:
    """Threads with sequences of their own each read all of w_hh, at half of what both read of the same array."""
    pair = dataclasses.replace(WORKLOAD, threads=2)
    peaks = [
        *(multiply_add(threads * 1e12, threads) for threads in (1, 2)),
        *(read(W // 2, 8e9, "L1", threads=2), read(W, 6e9, "L2", threads=2)),
        read(W, 4e9, "L2", threads=2, kind="shared_read"),
        peak("step", seconds=1e-9),
        peak("exchange", threads=2, seconds=1e-3),
    ]
    found = bounded(pair, *peaks)
    assert found.weights_seconds == pytest.approx(10 * 40_000 / 2e9)
    assert found.weights_level == "L2"
    assert found.latency_seconds == pytest.approx(10 * 1e-9)
    # With a fast exchange they share each step, and each reads its half from the cache that holds it.
    cheap = [each for each in peaks if each.kind != "exchange"] + [peak("exchange", threads=2, seconds=1e-8)]
    found = bounded(pair, *cheap)
    assert found.weights_seconds == pytest.approx(10 * 40_000 / 8e9)
    assert found.weights_level == "L1"
    assert found.latency_seconds == pytest.approx(10 * 1.1e-8)


def test_threads_take_layers_where_sharing_a_step_costs_more() -> None:
    """Two threads on two layers of one sequence read a w_hh each, at half of what both read together."""
    layers = dataclasses.replace(WORKLOAD, B=1, L=2, threads=2)
    peaks = [
        *(multiply_add(threads * 1e12, threads) for threads in (1, 2)),
        read(W, 4e9, "L2", threads=2, kind="shared_read"),
        *(peak("step", seconds=1e-9), peak("exchange", threads=2, seconds=1.0)),
    ]
    assert bounded(layers, *peaks).weights_seconds == pytest.approx(10 * 40_000 / 2e9)


def test_threads_without_a_layer_leave_the_caches_to_the_others() -> None:
    """Two layers on four threads: two of them read, each as fast as one that is alone."""
    layers = dataclasses.replace(WORKLOAD, B=1, L=2, threads=4)
    peaks = [
        *(multiply_add(threads * 1e12, threads) for threads in (1, 4)),
        *(read(W, 3e9, "L2"), read(W, 8e9, "L2", threads=4, kind="shared_read")),
        *(peak("step", seconds=1e-9), peak("exchange", threads=4, seconds=1.0)),
    ]
    assert bounded(layers, *peaks).weights_seconds == pytest.approx(10 * 40_000 / 3e9)


def test_threads_that_share_each_step_read_the_weights_of_every_layer() -> None:
    """A part each, which comes from nearer than the whole would to each of them."""
    deep = dataclasses.replace(WORKLOAD, L=3, threads=2)
    peaks = [
        *(multiply_add(threads * 1e12, threads) for threads in (1, 2)),
        *(read(W // 2, 8e9, "L1", threads=2), read(W, 1e6, "L2", threads=2, kind="shared_read")),
        *(peak("step", seconds=1e-9), peak("exchange", threads=2, seconds=1e-8)),
    ]
    found = bounded(deep, *peaks)
    assert found.weights_seconds == pytest.approx(10 * 3 * 40_000 / 8e9)
    assert found.weights_level == "L1"


def test_one_sequence_on_two_threads_is_one_thread_or_an_exchange_a_step() -> None:
    alone = dataclasses.replace(WORKLOAD, B=1, threads=2)
    rates = [multiply_add(threads * 1e9, threads) for threads in (1, 2)]
    step = peak("step", seconds=1e-9)
    one = chain_flops(alone) / 1e9
    slow = bounded(alone, *rates, step, peak("exchange", threads=2, seconds=1.0))
    rest = (necessary_flops(alone) - chain_flops(alone)) / 2e9
    assert slow.attainable_seconds == pytest.approx(one + rest)
    fast = bounded(alone, *rates, step, peak("exchange", threads=2, seconds=1e-9))
    assert fast.attainable_seconds == pytest.approx(one / 2 + rest)


def test_what_must_move_bounds_a_call_that_hardly_computes() -> None:
    found = bounded(WORKLOAD, multiply_add(1e15), read(2**30, 1e6, "memory"))
    assert found.memory_seconds == pytest.approx(least_bytes(WORKLOAD) / 1e6)
    short = dataclasses.replace(WORKLOAD, T=1)
    found = bounded(short, multiply_add(1e15), read(2**30, 1e6, "memory"))
    assert found.parts == pytest.approx({"memory": least_bytes(short) / 1e6, "overhead": 0.0})
    assert found.binds == "memory"


def test_what_must_move_is_no_bound_where_steps_and_projection_together_take_longer() -> None:
    """0.4 ms of steps and 0.3 ms of projection bound a call, although 0.5 ms of moving is more than either."""
    rates = multiply_add(2 * 11 * 16 * 100 * 100 / 3e-4), read(W, 10 * 40_000 / 4e-4, "L2")
    moved = read(least_bytes(WORKLOAD), least_bytes(WORKLOAD) / 5e-4, "memory")
    found = bounded(WORKLOAD, *rates, moved)
    assert found.memory_seconds == pytest.approx(5e-4)
    assert found.parts == pytest.approx({"L2": 4e-4, "compute": 3e-4, "overhead": 0.0})


def test_what_must_move_lies_in_the_caches_of_all_threads() -> None:
    """Half of it in that of each of two, where the whole would lie in memory."""
    pair = dataclasses.replace(WORKLOAD, threads=2)
    whole = least_bytes(pair)
    reads = read(whole // 2, 8e9, "L2", threads=2), read(whole, 1e9, "memory", threads=2)
    found = bounded(pair, multiply_add(1e15, threads=2), *reads)
    assert found.memory_seconds == pytest.approx(whole / 8e9)
    assert found.memory_level == "L2"


def test_what_must_move_on_a_gpu_moves_as_fast_as_a_copy() -> None:
    """The bandwidth of a GPU is that of a copy, as its caches are not measured."""
    on_gpu = dataclasses.replace(WORKLOAD, device="cuda")
    copied = peak("bandwidth", "torch", bytes_per_second=1e9, device="cuda")
    found = bounded(on_gpu, gemm(8, 8, 8, 1e12, device="cuda"), copied)
    assert found.memory_seconds == pytest.approx(least_bytes(on_gpu) / 1e9)
    assert found.memory_level == "memory"


def test_a_call_costs_what_it_does_on_the_workloads_threads() -> None:
    """The overhead is that of a call on the workload's threads: on two it is longer than on one."""
    pair = dataclasses.replace(WORKLOAD, threads=2)
    calls = [peak("call", "torch", threads=threads, seconds=float(threads)) for threads in (1, 2)]
    assert bounded(pair, multiply_add(1e15, threads=2), *calls).overhead_seconds == 2.0


def test_a_call_costs_once_in_inference_and_twice_in_training() -> None:
    peaks = (
        multiply_add(1e15),
        peak("call", "torch", seconds=2.0),
        peak("call", "numpy", seconds=1.0),
    )
    found = bounded(WORKLOAD, *peaks)
    assert (found.overhead_seconds, found.binds) == (1.0, "overhead")
    assert bounded(dataclasses.replace(WORKLOAD, mode="training"), *peaks).overhead_seconds == 2.0


def test_without_multiply_adds_the_fastest_product_stands_for_them() -> None:
    found = bounded(WORKLOAD, gemm(8, 8, 8, 3e9), gemm(9, 9, 9, 2e9))
    assert not found.multiply_adds_measured
    assert found.compute_seconds == pytest.approx(necessary_flops(WORKLOAD) / 3e9)
    assert found.weights_seconds is found.latency_seconds is found.memory_seconds is None
    assert bound(WORKLOAD, [gemm(8, 8, 8, 3e9, threads=2), gemm(8, 8, 8, 3e9, dtype="float64")]) is None


def test_a_product_that_was_faster_than_the_multiply_adds_is_believed() -> None:
    found = bounded(WORKLOAD, multiply_add(1e9), gemm(8, 8, 8, 3e9))
    assert found.compute_seconds == pytest.approx(necessary_flops(WORKLOAD) / 3e9)


def test_some_threads_are_as_fast_as_one_each_and_as_all_together() -> None:
    of_four = dataclasses.replace(WORKLOAD, threads=4)
    reached = Reached(of_four, [multiply_add(r, n) for n, r in ((1, 10.0), (4, 25.0))])
    assert [reached.rate(threads) for threads in (1, 2, 3, 4)] == [10.0, 20.0, 25.0, 25.0]


def test_what_a_library_reaches_on_one_thread_is_no_limit_of_that_thread() -> None:
    """The multiply-adds of one thread may be faster than a library; those of all threads together are known."""
    of_two = dataclasses.replace(WORKLOAD, threads=2)
    assert Reached(of_two, [gemm(8, 8, 8, 10.0), gemm(8, 8, 8, 30.0, threads=2)]).rate(1) == 30.0


def test_a_bandwidth_between_two_arrays_is_not_below_the_smaller_ones() -> None:
    """Between two measured sizes the larger bandwidth counts, and a small array is at least as fast as a large one."""
    measured = [read(10, 5.0, "L1"), read(100, 9.0, "L1"), read(1000, 4.0, "L2"), read(10_000, 1.0, "memory")]
    reached = Reached(WORKLOAD, measured)
    sizes = (1, 10, 50, 100, 500, 1000, 5000, 10_000, 10**9)
    found = [reached.bandwidth("read", 1, size) for size in sizes]
    assert [each.bytes_per_second for each in found if each] == [9.0, 9.0, 9.0, 9.0, 9.0, 4.0, 4.0, 1.0, 1.0]
    assert [each.level for each in found if each] == ["L1"] * 4 + ["L2"] * 2 + ["memory"] * 3
    assert reached.bandwidth("shared_read", 1, 10) is None


def test_of_an_array_that_was_measured_twice_the_faster_time_counts() -> None:
    """A run that was gone on with has its peaks twice."""
    reached = Reached(WORKLOAD, [read(1000, 2e9, "L1"), read(1000, 3e9, "L1"), read(1000, 1e9, "L1")])
    found = reached.bandwidth("read", 1, 1000)
    assert found is not None
    assert (found.bytes_per_second, found.level) == (3e9, "L1")


def test_the_chain_is_the_fastest_that_was_seen() -> None:
    chains = [gemm(16, 100, 100, rate, source, "chain") for rate, source in ((2e9, "torch"), (4e9, "fused_cpu"))]
    others = gemm(1, 100, 100, 9e9, kind="chain"), gemm(16, 100, 100, 9e12, kind="chain", threads=8)
    found = bounded(WORKLOAD, *chains, gemm(8, 8, 8, 8e9), *others)
    assert found.chain_seconds == pytest.approx(10 * 2 * 16 * 100 * 100 / 4e9)
    assert found.chain_source == "fused_cpu"
    # In place of the ten steps at the rate of the multipliers, with the projection as it was.
    beyond = chain_flops(WORKLOAD) / 4e9 - chain_flops(WORKLOAD) / 9e9
    assert found.reached_seconds == pytest.approx(found.attainable_seconds + beyond)
    assert bounded(WORKLOAD, gemm(8, 8, 8, 8e9)).chain_seconds is None


def test_a_chain_that_was_faster_than_its_bound_takes_nothing_off_it() -> None:
    """A measured chain that is faster than its bound, by noise, leaves the reached time at the bound."""
    chain = gemm(16, 100, 100, 1e11, "fused_cpu", "chain")
    found = bounded(WORKLOAD, multiply_add(1e12), read(W, 1e9, "L2"), chain)
    assert found.reached_seconds == found.attainable_seconds


@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("T", [1, 5])
@pytest.mark.parametrize(("cell", "G"), [("tanh", 1), ("relu", 1), ("lstm", 4), ("gru", 3)])
def test_no_schedule_is_faster_than_its_bound(cell: Any, G: int, T: int, mode: Any) -> None:
    """A schedule that is built block by block, without any product with zeros, takes at least its bound."""
    of = Workload(mode=mode, T=T, B=16, I=100, H=100, cell=cell)
    block = 2 * 16 * 100 * 100  # operations of one gate's product of a step, of the input or the state
    idle = 1 if G > 1 else 0  # gates of the first step that multiply zeros
    forward, backward = [G] * (T - 1), [G] * (T - 1) + [G - idle]  # blocks of w_hh, step by step of the chain
    # The forget gate of an LSTM is needed for the gradient of c0.
    projected = G * T - (idle if mode == "inference" else 0)
    gradients = 2 * (G * T - idle) + G * (T - 1)  # of w_ih and the input; of w_hh
    steps = forward if mode == "inference" else forward + backward
    rest = projected if mode == "inference" else projected + gradients
    for rate, bandwidth, step in ((1e9, 1e13, 1e-9), (1e13, 1e9, 1e-9), (1e13, 1e13, 1e-3)):
        peaks = multiply_add(rate), read(G * W, bandwidth, "L2"), peak("step", seconds=step)
        schedule = sum(max(blocks * block / rate, blocks * W / bandwidth, step) for blocks in steps)
        schedule = max(schedule + rest * block / rate, least_bytes(of) / bandwidth)
        assert bounded(of, *peaks).attainable_seconds == pytest.approx(schedule)
        assert bounded(of, *peaks).attainable_seconds <= schedule * (1 + 1e-12)


def test_the_chain_of_a_gated_cell_is_reached_forward_and_backward_by_whoever_was_fastest() -> None:
    lstm = dataclasses.replace(WORKLOAD, cell="lstm")
    forward = gemm(16, 400, 100, 2e9, "torch", "chain"), gemm(16, 400, 100, 4e9, "fused_cpu", "chain")
    backward = gemm(16, 100, 400, 1e9, "numpy", "chain")
    plain = gemm(16, 100, 100, 9e9, "fused_cpu", "chain")
    rate = multiply_add(1e12)
    found = bounded(lstm, rate, *forward, backward, plain)
    assert found.chain_seconds == pytest.approx(chain_flops(lstm) / 4e9)
    assert found.chain_source == "fused_cpu"
    training = dataclasses.replace(lstm, mode="training")
    found = bounded(training, rate, *forward, backward, plain)
    both = chain_flops(lstm) / 4e9 + (chain_flops(training) - chain_flops(lstm)) / 1e9
    assert found.chain_seconds == pytest.approx(both)
    assert found.chain_source == "fused_cpu, numpy"
    assert bounded(training, rate, *forward, plain).chain_seconds is None


def test_the_calls_of_a_gated_cell_take_the_times_of_their_own_shapes() -> None:
    """The chain forward and backward; gemm and chain peaks of a plain cell say nothing of it."""
    gru = dataclasses.replace(SMALL, mode="training", cell="gru")
    measured = [gemm(*product.shape, 1e6 * at) for at, product in enumerate(products(gru), start=1)]
    expected = sum(product.flops / (1e6 * at) for at, product in enumerate(products(gru), start=1))
    assert len(products(gru)) == 6
    assert blas_seconds(gru, measured) == pytest.approx(expected)
    plain = [gemm(*product.shape, 1e6) for product in products(dataclasses.replace(gru, cell="tanh"))]
    assert blas_seconds(gru, plain) is None


# A time and what it goes to.


# Libraries alone.
