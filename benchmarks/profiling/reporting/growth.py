"""What grows: one implementation over T, B, H or L, kind by kind. Pure functions of a breakdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from benchmarks.profiling.sampling.kinds import KIND_NAMES, KINDS
from benchmarks.reporting.plain_text import times
from benchmarks.workload import Case, Workload

LETTERS = ("T", "B", "H", "L")


class Series(NamedTuple):
    """One implementation over one size, all else alike."""

    implementation: str
    letter: str
    fixed: str
    """The workload's ID without that size."""
    cases: dict[int, str]
    """{size: case}, ascending."""


def series(cases: Iterable[str]) -> list[Series]:
    """Every series of two sizes or more among cases."""
    found: dict[tuple[str, str, str], dict[int, str]] = {}
    for text in dict.fromkeys(cases):
        case = Case.parse(text)
        for letter in LETTERS:
            size = int(getattr(case.workload, letter))
            found.setdefault((case.implementation, letter, _without(case.workload, letter)), {})[size] = text
    return [
        Series(*key, {size: sizes[size] for size in sorted(sizes)}) for key, sizes in found.items() if len(sizes) > 1
    ]


def _without(workload: Workload, letter: str) -> str:
    """The workload's ID with the size written as its letter; input features that follow H as well."""
    follows = letter == "H" and workload.I == workload.H
    size = getattr(workload, letter)
    text = workload.id.replace(f"-{letter}{size}-", f"-{letter}-").replace(f"/{letter}{size}-", f"/{letter}-")
    return text.replace(f"-I{workload.I}-", "-I=H-") if follows else text


def kind_seconds(frame: pd.DataFrame, one: Series) -> pd.DataFrame:
    """Seconds of a call by size (rows) and kind (columns): medians over the repeats."""
    own = frame[frame["case"].isin(one.cases.values())]
    of_call = own.groupby(["case", "repeat", "kind"], as_index=False)["seconds"].sum()
    pivot = of_call.pivot_table(index="case", columns="kind", values="seconds", aggfunc="median")
    by_case: pd.DataFrame = pivot.reindex(index=list(one.cases.values()), columns=list(KINDS)).fillna(0.0)
    return by_case.set_axis(list(one.cases), axis=0)


@dataclasses.dataclass(frozen=True)
class Growth:
    """How many times as long the largest size takes as the smallest."""

    total: float
    by_kind: dict[str, float]
    """Of the kinds that have a hundredth of the larger time or more, and any at the smaller."""


def growth(seconds: pd.DataFrame) -> Growth:
    """From the first to the last row of `kind_seconds`."""
    first, last = seconds.iloc[0], seconds.iloc[-1]
    told = [kind for kind in KINDS if last[kind] >= 0.01 * last.sum() and first[kind] > 0]
    return Growth(float(last.sum() / first.sum()), {kind: float(last[kind] / first[kind]) for kind in told})


def growth_words(one: Series, found: Growth) -> str:
    """From B1 to B64 a call takes 12 times as long: matrix products 40 times, framework 1.1 times."""
    sizes = list(one.cases)
    parts = ", ".join(f"{KIND_NAMES[kind]} {times(found.by_kind[kind])}" for kind in KINDS if kind in found.by_kind)
    return (
        f"from {one.letter}{sizes[0]} to {one.letter}{sizes[-1]} ({times(sizes[-1] / sizes[0])}) "
        f"a call takes {times(found.total)} as long: {parts}"
    )
