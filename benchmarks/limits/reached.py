"""The peaks that were reached under a workload's settings: rates and bandwidths looked up in a run's peaks."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from benchmarks.limits.peak import Level, Peak, PeakKind, Shape, settings
from benchmarks.workload import Workload


class Bandwidth(NamedTuple):
    """Bytes a second of all threads together, and the level they come from."""

    bytes_per_second: float
    level: Level


class Reached:
    """The peaks of a workload's device, dtype and precision, on its threads and on one."""

    def __init__(self, workload: Workload, peaks: Iterable[Peak]) -> None:
        self.workload = workload
        *own, threads = settings(workload)
        self.peaks = [peak for peak in peaks if [*settings(peak)[:3]] == own and peak.threads in (1, threads)]

    def of(self, kind: PeakKind, threads: int) -> list[Peak]:
        """The peaks of a kind on `threads` threads."""
        return [peak for peak in self.peaks if peak.kind == kind and peak.threads == threads]

    @property
    def multiply_adds_measured(self) -> bool:
        """Whether multiply-adds in registers were measured on the workload's threads."""
        return bool(self.of("multiply_add", self.workload.threads))

    def rate(self, threads: int) -> float | None:
        """The largest rate of `threads` of the workload's threads, in operations a second; None when none was measured.

        A product that was faster than the multiply-adds shows that these were disturbed, and counts.
        """
        together = self._fastest(self.workload.threads)
        alone = self._fastest(1) if self.of("multiply_add", 1) else None
        if threads == self.workload.threads or alone is None or together is None:
            return together
        return min(together, threads * alone)

    def bandwidth(self, kind: PeakKind, threads: int, working_set_bytes: float) -> Bandwidth | None:
        """The largest bandwidth of `threads` threads, each reading an array of this size; None when none was measured.

        It is the highest bandwidth among the arrays that are as large or larger, and the next smaller one, so that it
        is not too low for a size between two that were measured.
        """
        # Sorted by size alone, since the same array may have been measured twice.
        measured = sorted(((peak.working_set_bytes or 0, peak) for peak in self.of(kind, threads)), key=itemgetter(0))
        if not measured:
            return None
        sizes = [size for size, _ in measured]
        floor = max((size for size in sizes if size <= working_set_bytes), default=sizes[0])
        rates = [peak.bytes_per_second or 0.0 for size, peak in measured if size >= floor]
        level = next((peak.level for size, peak in measured if size >= working_set_bytes), measured[-1][1].level)
        return Bandwidth(max(rates), level or "memory")

    def seconds(self, kind: PeakKind, threads: int) -> float | None:
        """The least time of a kind on `threads` threads; None when it was not measured."""
        return min((peak.seconds for peak in self.of(kind, threads)), default=None)

    def chain(self, shape: Shape) -> Peak | None:
        """The fastest chain of a shape, of any source, on the workload's threads or on one."""
        chains = [peak for peak in self.peaks if peak.kind == "chain" and shape == (peak.M, peak.N, peak.K)]
        return min(chains, key=lambda peak: peak.seconds, default=None)

    def _fastest(self, threads: int) -> float | None:
        kinds: tuple[PeakKind, ...] = ("multiply_add", "gemm", "chain")
        rates = [peak.flops_per_second or 0.0 for kind in kinds for peak in self.of(kind, threads)]
        return max(rates, default=None)
