"""What a call's time goes to, and the times of libraries' calls."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from benchmarks.counts import flops, products
from benchmarks.limits.bounds import (
    Bound,
    blas_seconds,
    peak_bandwidth,
    peak_flops,
    share_of_attainable,
    time_parts,
    what_bounds,
)
from benchmarks.workload import Workload
from tests.synthetic_peaks import gemm, multiply_add, peak, read

SMALL = Workload(mode="inference", T=3, B=2, I=5, H=7)


# A time and what it goes to.

MADE: dict[str, Any] = {
    **dict.fromkeys(("compute_seconds", "overhead_seconds"), 0.0),
    **dict.fromkeys(("weights_seconds", "weights_level", "latency_seconds", "memory_seconds", "memory_level")),
    "multiply_adds_measured": True,
    "reached_seconds": None,
    "chain_seconds": None,
    "chain_source": None,
    "blas_seconds": None,
}


def test_the_share_of_the_attainable_is_one_at_the_bound() -> None:
    limit = Bound(**MADE | {"parts": {"compute": 3.0, "L2": 1.0}})
    assert [share_of_attainable(seconds, limit) for seconds in (4.0, 8.0)] == [1.0, 0.5]


def test_a_chain_that_was_reached_counts_where_calls_are_faster_or_unknown() -> None:
    limit = Bound(**MADE | {"parts": {"compute": 4.0}, "reached_seconds": 9.0, "blas_seconds": 5.0})
    assert time_parts(10.0, limit) == {"compute": 4.0, "chain": 5.0, "overhead": 1.0}
    assert time_parts(10.0, dataclasses.replace(limit, blas_seconds=None)) == time_parts(10.0, limit)


@pytest.mark.parametrize(
    ("seconds", "parts", "bounds"),
    [
        (4.0, {"compute": 1.0, "L2": 3.0}, "L2"),
        (2.0, {"compute": 0.5, "L2": 1.5}, "L2"),
        (6.0, {"compute": 1.0, "L2": 3.0, "chain": 2.0, "overhead": 0.0}, "L2"),
        (9.0, {"compute": 1.0, "L2": 3.0, "chain": 5.0, "overhead": 0.0}, "chain"),
        (11.0, {"compute": 1.0, "L2": 3.0, "chain": 6.0, "overhead": 1.0}, "chain"),
        (20.0, {"compute": 1.0, "L2": 3.0, "chain": 6.0, "overhead": 10.0}, "overhead"),
    ],
)
def test_a_time_goes_to_its_bound_then_to_calls_then_to_overhead(
    seconds: float, parts: dict[str, float], bounds: str
) -> None:
    """The bound is 4 s, the products as calls of a library take 10."""
    limit = Bound(**MADE | {"parts": {"compute": 1.0, "L2": 3.0}, "blas_seconds": 10.0})
    assert time_parts(seconds, limit) == pytest.approx(parts)
    assert sum(time_parts(seconds, limit).values()) == pytest.approx(seconds)
    assert what_bounds(seconds, limit) == bounds


def test_what_is_beyond_the_bound_comes_to_what_the_bound_has_of_its_kind() -> None:
    """A bound of 3 s of chain and 1 s of call gets 2 of 6 further seconds as chain, 4 as overhead."""
    limit = Bound(**MADE | {"parts": {"chain": 3.0, "overhead": 1.0}, "blas_seconds": 6.0})
    assert time_parts(10.0, limit) == {"chain": 5.0, "overhead": 5.0}


def test_where_calls_were_not_measured_what_is_beyond_the_bound_is_overhead() -> None:
    limit = Bound(**MADE | {"parts": {"compute": 4.0}})
    assert time_parts(10.0, limit) == {"compute": 4.0, "chain": 0.0, "overhead": 6.0}


# Libraries alone.


def test_products_as_calls_take_their_time_at_their_own_rates() -> None:
    projection, recurrence = products(SMALL)
    assert (projection.shape, recurrence.shape) == ((6, 7, 5), (2, 7, 7))
    measured = [gemm(6, 7, 5, 1e6), gemm(6, 7, 5, 2e6, source="numpy"), gemm(2, 7, 7, 1e3), gemm(2, 7, 7, 5e2)]
    expected = 2 * 6 * 7 * 5 / 2e6 + 3 * 2 * 2 * 7 * 7 / 1e3
    assert blas_seconds(SMALL, measured) == pytest.approx(expected)
    # A chain is a call a step as well; that of our own kernel is none.
    chains = [gemm(2, 7, 7, 2e3, kind="chain"), gemm(2, 7, 7, 9e9, source="fused_cpu", kind="chain")]
    expected = 2 * 6 * 7 * 5 / 2e6 + 3 * 2 * 2 * 7 * 7 / 2e3
    assert blas_seconds(SMALL, measured + chains) == pytest.approx(expected)


def test_products_as_calls_have_no_time_where_a_shape_was_not_measured() -> None:
    assert blas_seconds(SMALL, [gemm(6, 7, 5, 1e6)]) is None
    of_another = [gemm(6, 7, 5, 1e6), gemm(2, 7, 7, 1e6, threads=2)]
    assert blas_seconds(SMALL, of_another) is None


def test_a_long_workload_has_the_rate_of_the_largest_shape() -> None:
    long = Workload(mode="inference", T=10_000, B=2, I=5, H=7)
    measured = [gemm(2048, 7, 5, 1e6), gemm(2, 7, 7, 1e6)]
    assert blas_seconds(long, measured) == pytest.approx(flops(long) / 1e6)


def test_peaks_are_the_best_under_the_workloads_own_settings() -> None:
    """The peak rate is of a product and the peak bandwidth of a copy."""
    measured = [
        *(gemm(8, 8, 8, 3.0), gemm(4, 4, 4, 2.0, source="numpy"), gemm(8, 8, 8, 9.0, threads=2)),
        *(gemm(8, 8, 8, 8.0, kind="chain"), multiply_add(7.0)),
        *(
            peak("bandwidth", "torch", bytes_per_second=7.0),
            read(8, 9.0, "L1"),
        ),
    ]
    assert peak_flops(SMALL, measured) == 3.0
    assert peak_bandwidth(SMALL, measured) == 7.0
    on_gpu = dataclasses.replace(SMALL, device="cuda")
    assert peak_flops(on_gpu, measured) is peak_bandwidth(on_gpu, measured) is None
