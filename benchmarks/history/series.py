"""From the processes of one machine to a series for each case: what each revision took, in the order of the commits."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.history.record import Measurement


@dataclasses.dataclass(frozen=True)
class Point:
    """One revision under one ruler: all processes of it with the same packages and the same suite."""

    revision: str
    packages: Mapping[str, str]
    system: Mapping[str, str]
    suite_digest: str
    first_measured_at: str
    """When its first process was, and `measured_at` when its last."""
    measured_at: str
    seconds: tuple[float, ...]
    """The case's median of each process."""
    controls: Mapping[str, tuple[float, ...]]
    """Seconds of each control, by process."""


@dataclasses.dataclass(frozen=True)
class Series:
    """One case on one machine: a point a revision, in order; and the older points of revisions measured again."""

    case: str
    points: tuple[Point, ...]
    older: tuple[Point, ...] = ()
    """Revisions measured before with other packages: they tell what the packages do."""

    @property
    def processes(self) -> list[tuple[float, ...]]:
        """The seconds of each point's processes."""
        return [point.seconds for point in self.points]


def series_of(measured: Iterable[Measurement], order: Sequence[str], pattern: str | None = None) -> list[Series]:
    """A series for each case whose name the pattern matches, over the revisions in `order`.

    Where a revision was measured under several packages or suites, the latest is its point.
    """
    place = {revision: number for number, revision in enumerate(order)}
    groups: dict[str, dict[tuple[int, str, str], list[Measurement]]] = {}
    for process in measured:
        if process.revision not in place:
            continue
        ruler = (place[process.revision], repr(sorted(process.packages.items())), process.suite_digest)
        for case in process.cases:
            if pattern is None or fnmatch.fnmatchcase(case, f"*{pattern}*"):
                groups.setdefault(case, {}).setdefault(ruler, []).append(process)
    return [_series(case, list(rulers.values()), place) for case, rulers in sorted(groups.items())]


def _series(case: str, groups: Sequence[Sequence[Measurement]], place: Mapping[str, int]) -> Series:
    points = [_point(case, group) for group in groups]
    latest: dict[str, Point] = {}
    for point in sorted(points, key=lambda point: point.measured_at):
        latest[point.revision] = point
    ordered = sorted(latest.values(), key=lambda point: place[point.revision])
    return Series(case, tuple(ordered), tuple(point for point in points if latest[point.revision] is not point))


def _point(case: str, group: Sequence[Measurement]) -> Point:
    last = max(group, key=lambda process: process.measured_at)
    names = dict.fromkeys(name for process in group for name in process.controls)
    return Point(
        revision=last.revision,
        packages=last.packages,
        system=last.system,
        suite_digest=last.suite_digest,
        first_measured_at=min(process.measured_at for process in group),
        measured_at=last.measured_at,
        seconds=tuple(process.cases[case].median_seconds for process in group),
        controls={
            name: tuple(process.controls[name] for process in group if name in process.controls) for name in names
        },
    )
