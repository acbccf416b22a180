"""The fastest implementation over some workloads of a run, by how much, and how surely.

Rules:

- Workloads of one setting (cell, device, dtype, precision, threads) and mode are compared, those that implementations
  share.
- The fastest of several workloads has the least geometric mean of times. Its ratio to another is the geometric
  mean of their paired ratios, its interval that of the bounds, which is wider than it need be.
- Where the interval of another against the fastest includes 1, or there is none, the two are too close to call.
- Two names for one source are one contender.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import PooledCase, baseline, contenders, time_ratio
from benchmarks.statistics import Estimate
from benchmarks.workload import MODES, Mode, Workload


class Setting(NamedTuple):
    """The fields that workloads of one table share: the cell, and how, where and in what conditions it runs."""

    cell: str
    device: str
    dtype: str
    precision: str
    threads: int
    conditions: str = ""

    @classmethod
    def of(cls, workload: Workload) -> Setting:
        """The setting of a workload."""
        return cls(*(getattr(workload, name) for name in cls._fields))

    def __str__(self) -> str:
        computed = describe_conditions(self.device, self.dtype, self.precision, self.threads)
        further = f", {self.conditions}" if self.conditions else ""
        return f"{CELL_LABELS.get(self.cell, self.cell)}, {computed}{further}"


CELL_LABELS: Mapping[str, str] = MappingProxyType(
    {"tanh": "tanh RNN", "relu": "relu RNN", "lstm": "LSTM", "gru": "GRU"}
)
"""A cell as people write it."""


def describe_conditions(device: str, dtype: str, precision: str, threads: int) -> str:
    """Device, dtype, precision and threads in words: cpu, float32, 2 threads."""
    said = "" if precision == "ieee" else f" ({precision})"
    on = f", {threads} thread{'s' if threads > 1 else ''}" if device == "cpu" else ""
    return f"{device}, {dtype}{said}{on}"


@dataclasses.dataclass(frozen=True)
class Winner:
    """The fastest implementation over some workloads, and how far ahead it is."""

    fastest: str
    second: str | None
    """The next by time; None when nothing else was measured on all these workloads."""
    lead: Estimate | None
    """The second's time over the winner's."""
    close: tuple[str, ...]
    """The implementations too close to the fastest to call, the nearest first."""
    baseline: str | None
    """The baseline of the speed-up; None when it was not measured on all these workloads."""
    speedup: Estimate | None
    """The baseline's time over the winner's."""


def members(run: LoadedRun, setting: Setting, mode: Mode) -> list[Workload]:
    """The workloads of one mode of one setting, in the order of the run."""
    return [each for each in run.workloads if Setting.of(each) == setting and each.mode == mode]


def settings(run: LoadedRun) -> list[tuple[Setting, Mode]]:
    """The settings and modes of a run's workloads: the settings in the order of the run, inference before training."""
    there = {(Setting.of(each), each.mode) for each in run.workloads}
    pairs = ((setting, mode) for setting in dict.fromkeys(map(Setting.of, run.workloads)) for mode in MODES)
    return [pair for pair in pairs if pair in there]


def contenders_without(
    run: LoadedRun, workload: Workload, without: Collection[str] = frozenset()
) -> dict[str, PooledCase]:
    """The contenders of a workload among the implementations that are not named in `without`."""
    return contenders({name: case for name, case in run.workloads[workload].items() if name not in without})


def find_winner(
    run: LoadedRun, workloads: Sequence[Workload], without: Collection[str] = frozenset()
) -> tuple[tuple[Workload, ...], Winner | None]:
    """The compared workloads, and the winner over them; None when nothing was measured.

    The workloads are those that most implementations have in common: one that fails on some would otherwise be judged
    on the easier ones. Implementations named in `without` do not count; the baseline of the speed-up does.
    """
    cases = {workload: contenders_without(run, workload, without) for workload in workloads}
    cases = {workload: of_workload for workload, of_workload in cases.items() if of_workload}
    coverage: dict[str, int] = {}
    for of_workload in cases.values():
        for name in of_workload:
            coverage[name] = coverage.get(name, 0) + 1
    if not coverage:
        return (), None
    most = max(coverage.values())
    widest = min(
        (name for name, covered in coverage.items() if covered == most), key=lambda name: _mean_seconds(cases, name)
    )
    shared = tuple(workload for workload in cases if widest in cases[workload])
    columns = {name: [cases[each][name] for each in shared if name in cases[each]] for name in coverage}
    complete = {name: column for name, column in columns.items() if len(column) == len(shared)}
    return shared, _winner(complete, [baseline(run.workloads[each]) for each in shared])


def _winner(columns: dict[str, list[PooledCase]], baselines: Sequence[PooledCase | None]) -> Winner:
    """The winner among implementations that were measured on the same workloads, a column of cases each."""
    fastest, *others = sorted(columns, key=lambda name: _log_mean(columns[name]))
    ratios = {name: mean_ratio(columns[name], columns[fastest]) for name in others}
    second = others[0] if others else None
    compared = [case for case in baselines if case is not None and case.measured]
    complete = len(compared) == len(baselines)
    return Winner(
        fastest=fastest,
        second=second,
        lead=ratios[second] if second else None,
        close=tuple(name for name in others if too_close(ratios[name].low)),
        baseline=compared[0].case.implementation if complete else None,
        speedup=mean_ratio(compared, columns[fastest]) if complete else None,
    )


def too_close(low: float) -> bool:
    """Whether the lower bound of a time over the fastest's leaves it too close to call; NaN is no bound."""
    return not low > 1


def against_fastest(cases: Mapping[str, PooledCase]) -> tuple[str, dict[str, Estimate]]:
    """The fastest of some contenders of one workload by its median, and the times of the others over its time.

    The others are in the order of their medians. It is surely the fastest where none of them is `too_close`.
    """
    fastest, *others = sorted(cases, key=lambda name: _log_mean([cases[name]]))
    return fastest, {name: time_ratio(cases[name], cases[fastest]) for name in others}


def mean_ratio(above: Sequence[PooledCase], below: Sequence[PooledCase]) -> Estimate:
    """The geometric mean over workloads of the ratio of times, and of its bounds; NaN bounds when one is missing."""
    return mean_of([time_ratio(one, other) for one, other in zip(above, below, strict=True)])


def mean_of(ratios: Sequence[Estimate]) -> Estimate:
    """The geometric mean of ratios, and of their bounds; NaN bounds when one is missing."""
    return Estimate(
        geometric_mean([ratio.median for ratio in ratios]),
        geometric_mean([ratio.low for ratio in ratios]),
        geometric_mean([ratio.high for ratio in ratios]),
    )


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of positive numbers; NaN when one of them is."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def mean_of_known(ratios: Sequence[float | None]) -> float | None:
    """The geometric mean; None where a ratio is unknown or there is none."""
    known = [ratio for ratio in ratios if ratio is not None]
    return geometric_mean(known) if known and len(known) == len(ratios) else None


def _log_mean(column: Sequence[PooledCase]) -> float:
    return math.fsum(math.log(case.estimate.median) for case in column if case.estimate) / len(column)


def _mean_seconds(cases: dict[Workload, dict[str, PooledCase]], name: str) -> float:
    return _log_mean([of_workload[name] for of_workload in cases.values() if name in of_workload])
