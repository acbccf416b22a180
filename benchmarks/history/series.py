"""From the processes of one machine to series: what each revision took, beside others; and what each moment did to all.

The processes of a group took turns. A process's log seconds are taken as its revision's level plus its group's moment
plus noise. The levels are fitted over all groups. A process is freed of its moment by the others of its group alone: so
its noise stays its own, and that of those it is set beside is in it.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import optimize, sparse

from benchmarks.history.record import Measurement


@dataclasses.dataclass(frozen=True)
class Point:
    """One revision."""

    revision: str
    seconds: tuple[float, ...]
    """The case's time in each process, in the usual moment; as it was where `beside` is false."""
    beside: bool
    """Whether the processes took turns with others; of a revision that has such, only those count."""


@dataclasses.dataclass(frozen=True)
class Moment:
    """One group: what it did to all of its revisions, and under what it was measured."""

    measured_at: str
    seconds: float
    """What the first revision of the series would have taken in it."""
    packages: Mapping[str, str]
    system: Mapping[str, str]
    suite_digest: str
    controls: Mapping[str, float]
    """Seconds of each control: the median over the group's processes."""


@dataclasses.dataclass(frozen=True)
class Series:
    """One case on one machine: a point a revision, in order, and a moment a group, in time."""

    case: str
    points: tuple[Point, ...]
    moments: tuple[Moment, ...]

    @property
    def processes(self) -> list[tuple[float, ...]]:
        """The seconds of each point's processes."""
        return [point.seconds for point in self.points]


def series_of(measured: Iterable[Measurement], order: Sequence[str], pattern: str | None = None) -> list[Series]:
    """A series for each case whose name the pattern matches, over the revisions in `order`."""
    known = set(order)
    processes: dict[str, list[Measurement]] = {}
    for process in measured:
        if process.revision in known:
            for case in process.cases:
                if pattern is None or fnmatch.fnmatchcase(case, f"*{pattern}*"):
                    processes.setdefault(case, []).append(process)
    return [_series(case, each, order) for case, each in sorted(processes.items())]


def _series(case: str, processes: Sequence[Measurement], order: Sequence[str]) -> Series:
    measured = {process.revision for process in processes}
    revisions = [revision for revision in order if revision in measured]
    groups: dict[str, list[Measurement]] = {}
    for process in sorted(processes, key=lambda process: process.measured_at):
        groups.setdefault(process.group, []).append(process)
    level = _levels(case, revisions, list(groups.values()))
    beside: dict[str, list[float]] = {revision: [] for revision in revisions}
    alone: dict[str, list[float]] = {revision: [] for revision in revisions}
    for members in groups.values():
        above = [math.log(member.cases[case].low_seconds) - level[member.revision] for member in members]
        for place, member in enumerate(members):
            others = above[:place] + above[place + 1 :]
            moment = statistics.fmean(others) if others else 0.0
            kept = (beside if others else alone)[member.revision]
            kept.append(member.cases[case].low_seconds / math.exp(moment))
    points = [Point(each, tuple(beside[each] or alone[each]), bool(beside[each])) for each in revisions]
    moments = [_moment(case, members, level, level[revisions[0]]) for members in groups.values()]
    return Series(case, tuple(points), tuple(moments))


def _levels(case: str, revisions: Sequence[str], groups: Sequence[Sequence[Measurement]]) -> dict[str, float]:
    """Log seconds of each revision in the usual moment: those by which the residuals are least, by absolute value.

    In a table without gaps that is what median polish comes to; revisions are in few of the groups, and there it stays
    far off. So it is solved as a linear program: log seconds = level + moment + above - below.
    """
    row = {revision: number for number, revision in enumerate(revisions)}
    members = [(row[each.revision], column, each) for column, group in enumerate(groups) for each in group]
    logs = np.array([math.log(each.cases[case].low_seconds) for _, _, each in members])
    count, unknown = len(members), len(revisions) + len(groups)
    revision_of = sparse.csr_array((np.ones(count), (range(count), [at for at, _, _ in members])))
    group_of = sparse.csr_array((np.ones(count), (range(count), [column for _, column, _ in members])))
    one = sparse.eye_array(count)
    terms: Any = sparse.hstack([revision_of, group_of, one, -one])  # SciPy's types know dense arrays only.
    solved = optimize.linprog(
        np.repeat([0.0, 1.0], [unknown, 2 * count]),
        A_eq=terms,
        b_eq=logs,
        bounds=[(None, None)] * unknown + [(0, None)] * (2 * count),
    )
    assert solved.success, solved.message
    assert solved.x is not None
    level, moment = np.split(solved.x[:unknown], [len(revisions)])
    return dict(zip(revisions, (level + np.median(moment)).tolist(), strict=True))


def _moment(case: str, members: Sequence[Measurement], level: Mapping[str, float], first: float) -> Moment:
    above = statistics.fmean(math.log(each.cases[case].low_seconds) - level[each.revision] for each in members)
    names = dict.fromkeys(name for member in members for name in member.controls)
    controls = {
        name: statistics.median(member.controls[name] for member in members if name in member.controls)
        for name in names
    }
    one = members[0]
    return Moment(one.measured_at, math.exp(first + above), one.packages, one.system, one.suite_digest, controls)
