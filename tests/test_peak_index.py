"""The bounds of a workload are the same from the peaks that are found for it as from all peaks of a run."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.limits.bounds import blas_seconds, bound, peak_flops
from benchmarks.limits.peak import Peak
from benchmarks.limits.peak_index import PeakIndex
from benchmarks.workload import Workload
from tests.synthetic_peaks import gemm, multiply_add, read
from tests.synthetic_runs import peaks, workload

WORKLOADS = [
    workload(mode, H=H, B=B, cell=cell, threads=threads)
    for mode, H, B, cell, threads in itertools.product(
        ("inference", "training"), (64, 3000), (1, 16), ("tanh", "lstm"), (1, 2)
    )
]
OF_ALL = [Peak.from_json(each) for each in peaks({*WORKLOADS})]


@pytest.mark.parametrize("further", [[], [multiply_add(3e11), read(2**15, 1e11, "L1"), gemm(7, 7, 7, 5e11)]])
@pytest.mark.parametrize("of", WORKLOADS, ids=lambda of: of.id)
def test_the_bounds_of_a_workload_follow_from_its_own_peaks(of: Workload, further: list[Peak]) -> None:
    """A product of another shape counts where it is the fastest."""
    everything = [*further, *OF_ALL]
    found = PeakIndex(everything).of(of)
    assert bound(of, found) == bound(of, everything)
    assert peak_flops(of, found) == peak_flops(of, everything)
    assert blas_seconds(of, found) == blas_seconds(of, everything)
    assert len(found) < len(everything) / 2
