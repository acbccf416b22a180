"""From the processes of one machine to series: the time of each revision, and the effect of each session on all.

The processes of a group are interleaved, and a group is a session. The model of a process is: log seconds = level of
its revision + effect of its session + noise. The levels are fitted over all groups. The time of a process is corrected
for its session by the other processes of its group alone, so that its own noise stays in it.
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
class RevisionTimes:
    """The times of a case on one revision."""

    revision: str
    seconds: tuple[float, ...]
    """The time in each process, corrected for its session; as it was measured where `interleaved` is false."""
    interleaved: bool
    """Whether the processes were interleaved with others. Where a revision has such processes, only they count."""


@dataclasses.dataclass(frozen=True)
class Session:
    """One group of interleaved processes: the effect that they share, and the conditions in which they ran."""

    measured_at: str
    """The beginning of the group."""
    seconds: float
    """The session effect, as the time that the first revision of the series would have had in it."""
    packages: Mapping[str, str]
    system: Mapping[str, str]
    suite_digest: str
    controls: Mapping[str, float]
    """Seconds of each control: the median over the processes of the group."""


@dataclasses.dataclass(frozen=True)
class CaseSeries:
    """The times of one case on one machine."""

    case: str
    revisions: tuple[RevisionTimes, ...]
    """The times of each revision, in the order of the commits."""
    sessions: tuple[Session, ...]
    """The sessions in the order of time."""

    @property
    def processes(self) -> list[tuple[float, ...]]:
        """The seconds of each process of each revision."""
        return [each.seconds for each in self.revisions]


def series_of(measured: Iterable[Measurement], order: Sequence[str], pattern: str | None = None) -> list[CaseSeries]:
    """A series for each case whose name has the pattern in it, over the revisions in `order`; all cases if None."""
    known = set(order)
    processes: dict[str, list[Measurement]] = {}
    for process in measured:
        if process.revision in known:
            for case in process.cases:
                if pattern is None or fnmatch.fnmatchcase(case, f"*{pattern}*"):
                    processes.setdefault(case, []).append(process)
    return [_series(case, each, order) for case, each in sorted(processes.items())]


def _series(case: str, processes: Sequence[Measurement], order: Sequence[str]) -> CaseSeries:
    measured = {process.revision for process in processes}
    revisions = [revision for revision in order if revision in measured]
    groups: dict[str, list[Measurement]] = {}
    for process in sorted(processes, key=lambda process: process.measured_at):
        groups.setdefault(process.group, []).append(process)
    level = _levels(case, revisions, list(groups.values()))
    interleaved: dict[str, list[float]] = {revision: [] for revision in revisions}
    alone: dict[str, list[float]] = {revision: [] for revision in revisions}
    for members in groups.values():
        above = [math.log(member.cases[case].low_seconds) - level[member.revision] for member in members]
        for place, member in enumerate(members):
            others = above[:place] + above[place + 1 :]
            effect = statistics.fmean(others) if others else 0.0
            kept = (interleaved if others else alone)[member.revision]
            kept.append(member.cases[case].low_seconds / math.exp(effect))
    times = [
        RevisionTimes(each, tuple(interleaved[each] or alone[each]), bool(interleaved[each])) for each in revisions
    ]
    sessions = [_session(case, members, level, level[revisions[0]]) for members in groups.values()]
    return CaseSeries(case, tuple(times), tuple(sessions))


def _levels(case: str, revisions: Sequence[str], groups: Sequence[Sequence[Measurement]]) -> dict[str, float]:
    """{revision: level in log seconds}, in a session of median effect, by least absolute residuals.

    A linear program finds it: log seconds = level + effect + above - below, with the least sum of above and below.
    Median polish would find the same in a table without gaps, but each revision is in few of the groups.
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
    level, effect = np.split(solved.x[:unknown], [len(revisions)])
    return dict(zip(revisions, (level + np.median(effect)).tolist(), strict=True))


def _session(case: str, members: Sequence[Measurement], level: Mapping[str, float], first: float) -> Session:
    above = statistics.fmean(math.log(each.cases[case].low_seconds) - level[each.revision] for each in members)
    names = dict.fromkeys(name for member in members for name in member.controls)
    controls = {
        name: statistics.median(member.controls[name] for member in members if name in member.controls)
        for name in names
    }
    one = members[0]
    return Session(
        measured_at=one.measured_at,
        seconds=math.exp(first + above),
        packages=one.packages,
        system=one.system,
        suite_digest=one.suite_digest,
        controls=controls,
    )
