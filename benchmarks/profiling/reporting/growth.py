"""How the time of a call and of each kind of work grows with a size: T, B, H or L. Pure functions of a breakdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from benchmarks.presentation.plain_text import times
from benchmarks.profiling.sampling.kinds import KIND_NAMES, KINDS
from benchmarks.workload import Case, Workload

LETTERS = ("T", "B", "H", "L")


class SizeSeries(NamedTuple):
    """The cases of one implementation that differ in one size alone."""

    implementation: str
    letter: str
    """The size: T, B, H or L."""
    fixed: str
    """The workload's ID without the size."""
    cases: dict[int, str]
    """{size: case}, ascending."""


def size_series(cases: Iterable[str]) -> list[SizeSeries]:
    """Every series of at least two sizes among the IDs of cases."""
    found: dict[tuple[str, str, str], dict[int, str]] = {}
    for text in dict.fromkeys(cases):
        case = Case.parse(text)
        for letter in LETTERS:
            size = int(getattr(case.workload, letter))
            found.setdefault((case.implementation, letter, _without(case.workload, letter)), {})[size] = text
    return [
        SizeSeries(*key, {size: sizes[size] for size in sorted(sizes)})
        for key, sizes in found.items()
        if len(sizes) > 1
    ]


def _without(workload: Workload, letter: str) -> str:
    """The workload's ID with the size replaced by its letter; with H also input features that equal it."""
    follows = letter == "H" and workload.I == workload.H
    size = getattr(workload, letter)
    text = workload.id.replace(f"-{letter}{size}-", f"-{letter}-").replace(f"/{letter}{size}-", f"/{letter}-")
    return text.replace(f"-I{workload.I}-", "-I=H-") if follows else text


def kind_seconds(frame: pd.DataFrame, one: SizeSeries) -> pd.DataFrame:
    """Seconds of a call by size (rows) and kind (columns), as medians over repeats."""
    own = frame[frame["case"].isin(one.cases.values())]
    of_call = own.groupby(["case", "repeat", "kind"], as_index=False)["seconds"].sum()
    pivot = of_call.pivot_table(index="case", columns="kind", values="seconds", aggfunc="median")
    by_case: pd.DataFrame = pivot.reindex(index=list(one.cases.values()), columns=list(KINDS)).fillna(0.0)
    return by_case.set_axis(list(one.cases), axis=0)


@dataclasses.dataclass(frozen=True)
class Growth:
    """The time at the largest size, divided by the time at the smallest."""

    total: float
    by_kind: dict[str, float]
    """The kinds with at least a hundredth of the time at the largest size, and some time at the smallest."""


def growth(seconds: pd.DataFrame) -> Growth:
    """The growth from the first to the last row of `kind_seconds`."""
    first, last = seconds.iloc[0], seconds.iloc[-1]
    shown = [kind for kind in KINDS if last[kind] >= 0.01 * last.sum() and first[kind] > 0]
    return Growth(float(last.sum() / first.sum()), {kind: float(last[kind] / first[kind]) for kind in shown})


def growth_words(one: SizeSeries, found: Growth) -> str:
    """The growth in words, as in: from B1 to B64 (64×) a call takes 12× as long: matrix products 40×, waiting 1.1×."""
    sizes = list(one.cases)
    parts = ", ".join(f"{KIND_NAMES[kind]} {times(found.by_kind[kind])}" for kind in KINDS if kind in found.by_kind)
    return (
        f"from {one.letter}{sizes[0]} to {one.letter}{sizes[-1]} ({times(sizes[-1] / sizes[0])}) "
        f"a call takes {times(found.total)} as long: {parts}"
    )
