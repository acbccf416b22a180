"""Whether nodes that should be of one kind are alike, by the peaks that each of them reached.

Times of alike nodes may be shown in one table and enter one mean; those of others are those of another machine.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.limits.peak import Peak, PeakKind

ALIKE = 0.05
"""The difference of rates that is allowed where no node measured its peaks twice: half the interval of an `ok` case."""
COMPARED: tuple[PeakKind, ...] = ("gemm", "chain", "multiply_add", "bandwidth", "read", "shared_read")
"""The kinds of peak that are compared: rates. Latencies vary more than nodes do."""

_IDENTITY = (
    *("kind", "source", "device", "dtype", "precision", "threads", "M", "N", "K", "working_set_bytes", "level"),
)


@dataclasses.dataclass(frozen=True)
class Unlike:
    """A node whose peaks differ from the reference's: by how much, of which kind, and how much is allowed."""

    node: str
    reference: str
    kind: PeakKind
    ratio: float
    """The node's rate over the reference's."""
    allowed: float


def find_unlike(peaks: Mapping[str, Sequence[Sequence[Peak]]]) -> dict[str, Unlike]:
    """{node: how it differs} for the nodes that are not alike; `peaks` are {node: the peaks of each of its runs}.

    The reference is the node that is nearest to all others. What is allowed for a kind of peak is `ALIKE`, or the
    largest difference between two runs on one node where that is more: no node is told from another by what it does
    not repeat itself. Nodes without a peak in common with the reference are not compared.
    """
    rates = {node: [_rates(run) for run in runs] for node, runs in peaks.items()}
    centres = {node: _centre(runs) for node, runs in rates.items()}
    if len(centres) < 2:
        return {}
    reference = min(centres, key=lambda node: (_distance(centres, node), node))
    allowed = {kind: max(ALIKE, _repeated(rates.values(), kind)) for kind in COMPARED}
    found: dict[str, Unlike] = {}
    for node, centre in centres.items():
        ratios = {kind: _log_ratio(centre, centres[reference], kind) for kind in COMPARED}
        beyond = {
            kind: math.exp(log_ratio)
            for kind, log_ratio in ratios.items()
            if log_ratio is not None and abs(log_ratio) > math.log1p(allowed[kind])
        }
        if node != reference and beyond:
            kind = max(beyond, key=lambda each: abs(math.log(beyond[each])))
            found[node] = Unlike(node, reference, kind, beyond[kind], allowed[kind])
    return found


def best_peaks(runs: Iterable[Sequence[Peak]]) -> list[Peak]:
    """One peak of each identity: the fastest that any run reached."""
    best: dict[tuple[Any, ...], Peak] = {}
    for peak in (peak for run in runs for peak in run):
        known = best.get(_identity(peak))
        if known is None or _rate(peak) > _rate(known):
            best[_identity(peak)] = peak
    return list(best.values())


_Rates = Mapping[tuple[Any, ...], float]


def _identity(peak: Peak) -> tuple[Any, ...]:
    return tuple(getattr(peak, name) for name in _IDENTITY)


def _rate(peak: Peak) -> float:
    return peak.flops_per_second or peak.bytes_per_second or 1 / peak.seconds


def _rates(run: Sequence[Peak]) -> _Rates:
    return {_identity(peak): math.log(_rate(peak)) for peak in run}


def _centre(runs: Sequence[_Rates]) -> _Rates:
    """The median of a node's runs."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: statistics.median(run[name] for run in runs if name in run) for name in names}


def _log_ratio(one: _Rates, other: _Rates, kind: PeakKind) -> float | None:
    """The median log ratio of the rates of a kind that both have; None without one."""
    shared = [one[name] - other[name] for name in one if name in other and name[0] == kind]
    return statistics.median(shared) if shared else None


def _distance(centres: Mapping[str, _Rates], node: str) -> float:
    """The sum of a node's differences from all others."""
    ratios = (
        _log_ratio(centres[node], other, kind) for other in centres.values() for kind in COMPARED if other is not None
    )
    return sum(abs(ratio) for ratio in ratios if ratio is not None)


def _repeated(nodes: Iterable[Sequence[_Rates]], kind: PeakKind) -> float:
    """The largest difference between two runs on one node, as a share; 0 where no node has two."""
    largest = 0.0
    for runs in nodes:
        centre = _centre(runs)
        logs = [log_ratio for run in runs if (log_ratio := _log_ratio(run, centre, kind)) is not None]
        if len(logs) > 1:
            largest = max(largest, max(logs) - min(logs))
    return math.expm1(largest)
