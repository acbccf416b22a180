"""How often `history` is wrong: false steps where nothing changed, injected steps that are found, and their places.

`python -m benchmarks.history.rates` prints both tables. Histories are simulated with noise of several kinds, group by
group as `track` measures, or drawn from a machine's own (`--history DIR`), revision by revision.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy import stats

from benchmarks.history import folder as histories
from benchmarks.history.commits import in_order
from benchmarks.history.grouping import groups
from benchmarks.history.record import CaseTimes, Measurement
from benchmarks.history.series import series_of
from benchmarks.history.steps import CONFIDENCE, SHORTEST, StepChange, find_steps, levels_end, values
from benchmarks.presentation.plain_text import NOTHING, share, table
from benchmarks.regression.environments.revisions import top_of_checkout
from benchmarks.store import StoreError

SIZES = (0.03, 0.05, 0.10)
_LEAST_PROCESSES = 2
_LEAST_REVISIONS = 4

History = Sequence[Sequence[Sequence[float]]]
"""Seconds of each process, by case and revision, corrected for their sessions."""
NoiseSource = Callable[[np.random.Generator, int], History]
"""Draws a history of this many revisions in which the code did not change."""


@dataclasses.dataclass(frozen=True)
class SyntheticNoise:
    """Simulated noise, measured as `track` measures; standard deviations are shares."""

    process: float
    """The standard deviation of a process."""
    revision: float = 0.0
    """The standard deviation of a revision, which all of its processes share."""
    session: float = 0.09
    """The standard deviation of a session effect, which the processes of a group share."""
    correlation: float = 0.9
    """The correlation of a session effect with the one before."""
    tails: float = math.inf
    """The degrees of freedom of Student's t for processes; infinite for the normal distribution."""
    pushed: bool = False
    """Whether each revision is measured by itself, when it is pushed; otherwise all are measured in one range."""
    anchor: bool = True
    """Whether an anchor is in every group; without it a pushed revision is measured alone."""
    cases: int = 16
    processes: int = 5

    def __call__(self, draw: np.random.Generator, revisions: int) -> History:
        """A history of this many revisions."""
        names = [f"{number:04}" for number in range(revisions)]
        of_revision = self.revision * draw.standard_normal((revisions, self.cases))
        effect = draw.standard_normal()
        measured = []
        for number, members in enumerate(self._groups(names)):
            effect = self.correlation * effect + math.sqrt(1 - self.correlation**2) * draw.standard_normal()
            for name in members:
                logs = self.session * effect + of_revision[int(name)] + self.process * self._noise(draw)
                seconds = np.exp(logs).tolist()
                times = {f"{case:02}": CaseTimes(one, one, one, 1) for case, one in enumerate(seconds)}
                measured.append(
                    Measurement(
                        revision=name,
                        suite="",
                        suite_digest="",
                        group=f"{number}",
                        measured_at=f"{number:06}",
                        packages={},
                        system={},
                        cases=times,
                    )
                )
        return [series.processes for series in series_of(measured, names)]

    def _groups(self, names: Sequence[str]) -> Iterator[list[str]]:
        plans = [[name] for name in names] if self.pushed else [names]
        for plan in plans:
            for _, members in groups(dict.fromkeys(plan, self.processes), names[0]):
                yield members if self.anchor else members[-1:]

    def _noise(self, draw: np.random.Generator) -> np.ndarray:
        """Random noise of standard deviation 1, one value for each case."""
        if math.isinf(self.tails):
            return draw.standard_normal(self.cases)
        return draw.standard_t(self.tails, self.cases) / math.sqrt(self.tails / (self.tails - 2))


@dataclasses.dataclass(frozen=True)
class RecordedNoise:
    """The noise of a machine's own history: whole revisions are drawn with replacement, all cases together."""

    residuals: np.ndarray
    """Log seconds less their level, (case, revision, process)."""

    def __call__(self, draw: np.random.Generator, revisions: int) -> History:
        """A history of this many revisions."""
        drawn = draw.integers(self.residuals.shape[1], size=revisions)
        history: History = np.exp(self.residuals[:, drawn]).tolist()
        return history


KINDS: dict[str, NoiseSource] = {
    "a range, processes 0.5 %": SyntheticNoise(0.005),
    "a range, processes 1 %": SyntheticNoise(0.01),
    "a range, processes 3 %": SyntheticNoise(0.03),
    "pushes, processes 1 %": SyntheticNoise(0.01, pushed=True),
    "pushes, processes 1 %, revisions 0.5 %": SyntheticNoise(0.01, 0.005, pushed=True),
    "pushes, processes 1 %, Student's t of 3 degrees": SyntheticNoise(0.01, pushed=True, tails=3.0),
    "pushes, processes 1 %, without an anchor": SyntheticNoise(0.01, pushed=True, anchor=False),
}
"""The noise of the shared machine in docs/history.md: 9 % between sessions, 0.5 to 1 % between processes of a group."""


@dataclasses.dataclass(frozen=True)
class Rates:
    """The errors of `history` with one kind of noise."""

    histories: int
    """The number of histories in which nothing changed."""
    false: int
    """The number of these histories in which a step was found."""
    injected: dict[float, tuple[InjectedStep, ...]]
    """The results of all injected steps, by size."""


@dataclasses.dataclass(frozen=True)
class InjectedStep:
    """The steps that were found in a history with an injected step."""

    steps: int
    """The number of steps that were found."""
    within: bool
    """Whether the range of a step that was found has the place of the injected one."""
    off: int | None
    """The distance, in revisions, of the injected step from the most likely place; None when no step was found."""
    width: int | None
    """The number of revisions in the range of the nearest step; None when no step was found."""


def rates(noise: NoiseSource, *, revisions: int, trials: int, seed: int = 0, sizes: Sequence[float] = SIZES) -> Rates:
    """Search this many histories in which nothing changed, then inject a step of each size into a case of each.

    The step lies at a random place that leaves `SHORTEST` revisions on both sides.
    """
    draw = np.random.default_rng(seed)
    false = 0
    injected: dict[float, list[InjectedStep]] = {size: [] for size in sizes}
    for _ in range(trials):
        history = noise(draw, revisions)
        false += any(find_steps(case, cases=len(history)) for case in history)
        case = history[int(draw.integers(len(history)))]
        for size, results in injected.items():
            place = int(draw.integers(SHORTEST, revisions - SHORTEST + 1))
            slower = [[one * (1 + size) for one in seconds] for seconds in case[place:]]
            results.append(_result(find_steps([*case[:place], *slower], cases=len(history)), place))
    return Rates(trials, false, {size: tuple(results) for size, results in injected.items()})


def recorded(here: Path, folder: Path | None = None) -> dict[str, RecordedNoise]:
    """The noise of each machine's history, from the cases that are measured on the most of its revisions.

    Raises ValueError outside of a checkout, StoreError when no machine has enough revisions and processes.
    """
    top = top_of_checkout(here)
    folder = top / histories.HISTORY if folder is None else folder
    found = {}
    for machine in histories.machines(folder):
        measured = histories.read(folder, machine)[0]
        series = series_of(measured, in_order(top, (process.revision for process in measured)))
        most = max((len(each.revisions) for each in series), default=0)
        if most < _LEAST_REVISIONS:
            continue
        whole = [each.processes for each in series if len(each.revisions) == most]
        least = min(len(seconds) for case in whole for seconds in case)
        if least >= _LEAST_PROCESSES:
            found[machine] = RecordedNoise(np.array([_residuals(case, least, len(series)) for case in whole]))
    if not found:
        raise StoreError(
            f"{folder} holds no machine with {_LEAST_REVISIONS} revisions of {_LEAST_PROCESSES} processes or more; "
            "measure them by `python -m benchmarks track --range A..B`"
        )
    return found


def _residuals(processes: Sequence[Sequence[float]], least: int, cases: int) -> np.ndarray:
    """Log seconds less the level, (revision, process), scaled by the degrees of freedom that the levels take."""
    ends = levels_end(find_steps(processes, cases))
    level = values(processes)
    for part in np.split(np.arange(len(level)), ends):
        level[part] = level[part].mean()
    scale = math.sqrt(len(level) / (len(level) - len(ends) - 1))
    logs = np.log([seconds[:least] for seconds in processes])
    value = np.median(logs, axis=1)
    return np.asarray((value - level)[:, None] * scale + logs - value[:, None])


def _result(steps: Sequence[StepChange], place: int) -> InjectedStep:
    if not steps:
        return InjectedStep(steps=0, within=False, off=None, width=None)
    nearest = min(steps, key=lambda step: abs(step.at - place))
    return InjectedStep(
        steps=len(steps),
        within=any(step.last_before < place <= step.first_after for step in steps),
        off=abs(nearest.at - place),
        width=nearest.first_after - nearest.last_before,
    )


def false_table(found: dict[str, Rates]) -> str:
    """The histories with a step of each kind of noise, and the 95 % interval of their share, as Markdown."""
    rows = []
    for name, each in found.items():
        interval = stats.binomtest(each.false, each.histories).proportion_ci(CONFIDENCE)
        rows.append((name, f"{each.false} of {each.histories}", f"{share(interval.low)} to {share(interval.high)}"))
    return table(("noise", "histories with a false step", "95 % interval"), rows)


def injected_table(found: dict[str, Rates]) -> str:
    """The results of the injected steps as Markdown: how many were found, and how near their place."""
    rows = []
    for name, each in found.items():
        for size, results in each.injected.items():
            with_step = [one for one in results if one.steps]
            cells = [NOTHING] * 3
            if with_step:
                cells = [
                    share(sum(one.within for one in with_step) / len(with_step)),
                    share(sum(one.off == 0 for one in with_step) / len(with_step)),
                    f"{np.mean([one.width for one in with_step]):.1f}",
                ]
            more = sum(one.steps > 1 for one in results)
            rows.append((name, share(size), share(len(with_step) / len(results)), *cells, f"{more}"))
    return table(
        (
            "noise",
            "injected",
            "found",
            "of these, in the range named",
            "exactly placed",
            "commits named",
            "with a second",
        ),
        rows,
    )


def main(
    trials: Annotated[int, typer.Option(metavar="N", help="Histories, and injected steps of each size.")] = 100,
    revisions: Annotated[int, typer.Option(metavar="N", help="Revisions in each.")] = 20,
    history: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw from the histories of machines in this folder.")
    ] = None,
) -> None:
    """Print the rates of false steps and of injected steps that are found.

    Example: python -m benchmarks.history.rates --trials 50
    """
    try:
        if trials < 1 or revisions < _LEAST_REVISIONS:
            raise ValueError(
                f"--trials is {trials}, --revisions is {revisions}; expected 1 or more, {_LEAST_REVISIONS} or more"
            )
        kinds: dict[str, NoiseSource] = dict(KINDS) if history is None else {**recorded(Path.cwd(), history)}
    except (ValueError, StoreError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    found = {}
    for number, (name, noise) in enumerate(kinds.items(), start=1):
        typer.echo(f"{number} of {len(kinds)}: {name}", err=True)
        found[name] = rates(noise, revisions=revisions, trials=trials)
    typer.echo(f"{false_table(found)}\n\n{injected_table(found)}")


if __name__ == "__main__":
    typer.run(main)
