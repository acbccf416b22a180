"""The roof of a roofline plot (Williams, Waterman and Patterson 2009): the ceilings that one setting's peaks make."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from benchmarks.limits.peak import LEVELS, Level, Peak, Settings, settings


@dataclasses.dataclass(frozen=True)
class Roof:
    """Rates that nothing exceeds under one device, dtype, precision and thread count."""

    flops_per_second: float
    """The multiply-adds' rate; where they were not measured, or a product was faster, the fastest product's."""
    gemm_flops_per_second: float | None
    """The fastest product of a library."""
    bytes_per_second: Mapping[Level, float]
    """{level: bandwidth of all threads}, the nearest first; no level is slower than one beyond it."""

    def at(self, intensity: float, level: Level) -> float:
        """The largest rate, in operations a second, at `intensity` operations for each byte from `level`."""
        return min(self.flops_per_second, intensity * self.bytes_per_second[level])


def roof(of: Settings, peaks: Iterable[Peak]) -> Roof | None:
    """The roof of a setting; None when no rate was measured under it."""
    own = [peak for peak in peaks if settings(peak) == of]
    rates = [peak.flops_per_second for peak in own if peak.flops_per_second is not None]
    if not rates:
        return None
    products = [peak.flops_per_second or 0.0 for peak in own if peak.kind == "gemm"]
    bandwidths: dict[Level, float] = {}
    beyond = 0.0
    for level in reversed(LEVELS):
        measured = [peak.bytes_per_second or 0.0 for peak in own if peak.kind == "read" and peak.level == level]
        if measured:
            beyond = max(beyond, *measured)
            bandwidths[level] = beyond
    nearest_first = {level: bandwidths[level] for level in LEVELS if level in bandwidths}
    return Roof(max(rates), max(products, default=None), nearest_first)
