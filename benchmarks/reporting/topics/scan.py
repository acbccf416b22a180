"""The time of a unit of work over consecutive sizes, and where it changes abruptly.

Rules:

- A line is one implementation on workloads that differ in H alone (I = H goes with it) or in B alone. It counts with at
  least `LEAST_PAIRS` pairs of neighbours: sizes that differ by 1. Other sweeps have no such lines.
- The work of a call is its operations; a unit of it costs `median_seconds / flops`.
- A cliff is a pair of neighbours that differ by more than `CLIFF` in the cost of a unit of work, either way, with the
  whole interval, each visited at least `LEAST_VISITS` times; otherwise a leap is doubtful. The two were not measured in
  turns, so the interval is as wide as theirs allow, and one disturbance can last for a whole visit.
- A pair is level with the whole interval within `CLIFF`, and open where neither its median nor its whole interval says
  that it is a leap or none. A line has no cliff where all its pairs are level.
- The tenth percentiles of the samples say what is left of a leap without noise. They have no interval, so they settle
  nothing.
- The first few sizes are left out, where one more unit or sequence is a large part of all.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Literal

import pandas as pd

from benchmarks.reporting.answers.slices import CENTRE, INPUT, OPTIONS, Panel, describe_fixed, panels
from benchmarks.statistics import Estimate

Axis = Literal["H", "B"]
FIRST: dict[Axis, int] = {"H": 8, "B": 4}
"""The least size that is compared with its neighbour: from here on one more is an eighth, or a quarter, at most."""
CLIFF = 1.5
LEAST_PAIRS = 10
LEAST_VISITS = 2


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """Two consecutive sizes on a line."""

    smaller: int
    larger: int
    ratio: Estimate
    """The cost of a unit of work at the larger size over that at the smaller."""
    fast_ratio: float
    """The cost at the larger size over that at the smaller by the tenth percentiles of the samples, with less noise."""
    visits: int
    """Visits to the one of the two that has fewer."""

    @property
    def apart(self) -> Estimate:
        """The larger cost over the smaller by the medians, 1 or more."""
        return self.ratio if self.ratio.median >= 1 else self.ratio.inverse

    @property
    def factor(self) -> float:
        """The median of `apart`."""
        return self.apart.median

    @property
    def fast_factor(self) -> float:
        """The larger cost over the smaller by the tenth percentiles, 1 or more."""
        return max(self.fast_ratio, 1 / self.fast_ratio)

    @property
    def beyond(self) -> bool:
        """Whether the two are further apart than `CLIFF`."""
        return self.factor > CLIFF

    @property
    def cliff(self) -> bool:
        """Whether they are surely further apart than `CLIFF`: by the whole interval, in several visits."""
        sure = self.ratio.low > CLIFF or self.ratio.high < 1 / CLIFF
        return sure and self.visits >= LEAST_VISITS

    @property
    def open(self) -> bool:
        """Whether they are no leap by the medians, but the interval is missing or includes a cliff."""
        level = self.ratio.low >= 1 / CLIFF and self.ratio.high <= CLIFF
        return not self.beyond and not level


@dataclasses.dataclass(frozen=True)
class Line:
    """One implementation along one axis, everything else fixed."""

    panel: Panel
    """The panel that it is drawn in, with the rows of all implementations; `detail` says what is fixed."""
    axis: Axis
    implementation: str
    pairs: tuple[Neighbours, ...]
    """Neighbours from the first that counts, in order of size."""

    @property
    def farthest(self) -> Neighbours:
        """The pair that is furthest apart."""
        return max(self.pairs, key=lambda pair: pair.factor)

    @property
    def fast_farthest(self) -> Neighbours:
        """The pair that is furthest apart by the tenth percentiles of the samples."""
        return max(self.pairs, key=lambda pair: pair.fast_factor)


def scan_lines(of_scan: Iterable[Panel]) -> list[Line]:
    """Every line of the panels of `scan_panels` that has neighbours enough."""
    lines = []
    for panel in of_scan:
        axis = axis_of(panel)
        for name, rows in panel.rows.groupby("implementation", sort=True):
            pairs = neighbours(rows, axis)
            if len(pairs) >= LEAST_PAIRS:
                lines.append(Line(panel, axis, str(name), pairs))
    return lines


def scan_panels(rows: pd.DataFrame) -> list[Panel]:
    """A panel for each axis and fixed sizes in which a line has neighbours enough; `rows` have times."""
    found: list[Panel] = []
    for panel in panels(rows):
        for axis in FIRST:
            fixed = [*(letter for letter in CENTRE if letter != axis), *OPTIONS, INPUT]
            for _, on_line in panel.rows.groupby(fixed, sort=True):
                alone = [of_one for _, of_one in on_line.groupby("implementation", sort=True)]
                if max(len(neighbours(of_one, axis)) for of_one in alone) >= LEAST_PAIRS:
                    found.append(panel._replace(rows=on_line, detail=describe_fixed(on_line.iloc[0], fixed)))
    return found


def axis_of(panel: Panel) -> Axis:
    """The axis along which the rows of a panel differ."""
    return "B" if len(set(panel.rows["B"])) > 1 else "H"


def neighbours(rows: pd.DataFrame, axis: Axis) -> tuple[Neighbours, ...]:
    """The pairs among one implementation's rows of a line, in order of size."""
    columns = [axis, "flops", "median_seconds", "low_seconds", "high_seconds", "fast_seconds", "rounds"]
    points = rows.sort_values(axis)[columns].to_dict("records")
    return tuple(
        _pair(one, other, axis)
        for one, other in itertools.pairwise(points)
        if one[axis] >= FIRST[axis] and other[axis] == one[axis] + 1
    )


def _pair(one: Mapping[Hashable, Any], other: Mapping[Hashable, Any], axis: Axis) -> Neighbours:
    scale = one["flops"] / other["flops"]
    ratio = Estimate(
        other["median_seconds"] / one["median_seconds"] * scale,
        other["low_seconds"] / one["high_seconds"] * scale,
        other["high_seconds"] / one["low_seconds"] * scale,
    )
    fast_ratio = other["fast_seconds"] / one["fast_seconds"] * scale
    return Neighbours(one[axis], other[axis], ratio, fast_ratio, min(one["rounds"], other["rounds"]))
