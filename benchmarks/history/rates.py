"""How often `history` is wrong: false steps where nothing changed, planted steps found, and how well they are placed.

`python -m benchmarks.history.rates` prints both tables. Histories are made up from noise of several kinds, group by
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
from benchmarks.history.record import CaseTimes, Measurement
from benchmarks.history.series import series_of
from benchmarks.history.steps import CONFIDENCE, SHORTEST, Step, find_steps, levels_end, values
from benchmarks.history.track import groups
from benchmarks.regression.revisions import top_of_checkout
from benchmarks.reporting.plain_text import NOTHING, share, table
from benchmarks.store import StoreError

SIZES = (0.03, 0.05, 0.10)
_LEAST_PROCESSES = 2
_LEAST_REVISIONS = 4

History = Sequence[Sequence[Sequence[float]]]
"""Seconds of each process, by case and revision, freed of their moments as a series has them."""
Draw = Callable[[np.random.Generator, int], History]
"""A history of so many revisions in which nothing changed."""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A history of made-up noise, measured as `track` does; standard deviations are shares.

    `process` is that of a process, `revision` that of a revision, which all of its processes share; `moment` that of a
    group's moment, and `memory` the correlation of a moment with the one before. `tails` are the degrees of freedom of
    Student's t in place of the normal distribution for processes. Revisions are measured in one range, or each by
    itself as it is `pushed`; without the `anchor` its processes are alone.
    """

    process: float
    revision: float = 0.0
    moment: float = 0.09
    memory: float = 0.9
    tails: float = math.inf
    pushed: bool = False
    anchor: bool = True
    cases: int = 16
    processes: int = 5

    def __call__(self, draw: np.random.Generator, revisions: int) -> History:
        """As `Draw` says."""
        names = [f"{number:04}" for number in range(revisions)]
        of_revision = self.revision * draw.standard_normal((revisions, self.cases))
        moment = draw.standard_normal()
        measured = []
        for number, members in enumerate(self._groups(names)):
            moment = self.memory * moment + math.sqrt(1 - self.memory**2) * draw.standard_normal()
            for name in members:
                logs = self.moment * moment + of_revision[int(name)] + self.process * self._noise(draw)
                seconds = np.exp(logs).tolist()
                times = {f"{case:02}": CaseTimes(one, one, one, 1) for case, one in enumerate(seconds)}
                measured.append(Measurement(name, "", "", f"{number}", f"{number:06}", {}, {}, times))
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
class Recorded:
    """Histories drawn from a machine's own: whole revisions, with replacement, all cases of one together."""

    seen: np.ndarray
    """Log seconds less the level at which they were, (case, revision, process)."""

    def __call__(self, draw: np.random.Generator, revisions: int) -> History:
        """As `Draw` says."""
        history: History = np.exp(self.seen[:, draw.integers(self.seen.shape[1], size=revisions)]).tolist()
        return history


KINDS: dict[str, Draw] = {
    "a range, processes 0.5 %": Drawn(0.005),
    "a range, processes 1 %": Drawn(0.01),
    "a range, processes 3 %": Drawn(0.03),
    "pushes, processes 1 %": Drawn(0.01, pushed=True),
    "pushes, processes 1 %, revisions 0.5 %": Drawn(0.01, 0.005, pushed=True),
    "pushes, processes 1 %, Student's t of 3 degrees": Drawn(0.01, pushed=True, tails=3.0),
    "pushes, processes 1 %, without an anchor": Drawn(0.01, pushed=True, anchor=False),
}
"""Moments come apart by 9 % on the shared machine of docs/history.md, and processes that take turns by 0.5 to 1 %."""


@dataclasses.dataclass(frozen=True)
class Rates:
    """Histories with a false step of so many; and, by size, what became of a planted one."""

    histories: int
    false: int
    planted: dict[float, tuple[Placed, ...]]


@dataclasses.dataclass(frozen=True)
class Placed:
    """A planted step: how many steps were found, whether one was named with the place within its range, and where.

    `off` is by how many revisions the likeliest place is off, and `width` how many intervals between revisions the
    range holds; both None when no step was found.
    """

    steps: int
    within: bool
    off: int | None
    width: int | None


def rates(noise: Draw, *, revisions: int, trials: int, seed: int = 0, sizes: Sequence[float] = SIZES) -> Rates:
    """Look through so many histories where nothing changed, then plant a step of each size in a case of each.

    It is planted at a random place that leaves `SHORTEST` revisions on both sides.
    """
    draw = np.random.default_rng(seed)
    false = 0
    planted: dict[float, list[Placed]] = {size: [] for size in sizes}
    for _ in range(trials):
        history = noise(draw, revisions)
        false += any(find_steps(case, cases=len(history)) for case in history)
        case = history[int(draw.integers(len(history)))]
        for size, placed in planted.items():
            place = int(draw.integers(SHORTEST, revisions - SHORTEST + 1))
            slower = [[one * (1 + size) for one in seconds] for seconds in case[place:]]
            placed.append(_placed(find_steps([*case[:place], *slower], cases=len(history)), place))
    return Rates(trials, false, {size: tuple(placed) for size, placed in planted.items()})


def recorded(here: Path, folder: Path | None = None) -> dict[str, Recorded]:
    """The noise of each machine's history, by its cases in all of whose revisions enough processes are.

    Raises ValueError outside of a checkout, StoreError when no machine has enough of a history.
    """
    top = top_of_checkout(here)
    folder = top / histories.HISTORY if folder is None else folder
    found = {}
    for machine in histories.machines(folder):
        measured = histories.read(folder, machine)[0]
        series = series_of(measured, in_order(top, (process.revision for process in measured)))
        most = max((len(each.points) for each in series), default=0)
        whole = [each.processes for each in series if len(each.points) == most]
        least = min((len(seconds) for case in whole for seconds in case), default=0)
        if most >= _LEAST_REVISIONS and least >= _LEAST_PROCESSES:
            found[machine] = Recorded(np.array([_residuals(case, least, len(series)) for case in whole]))
    if not found:
        raise StoreError(
            f"{folder} holds no machine with {_LEAST_REVISIONS} revisions of {_LEAST_PROCESSES} processes or more; "
            "measure them by `python -m benchmarks track --range A..B`"
        )
    return found


def _residuals(processes: Sequence[Sequence[float]], least: int, cases: int) -> np.ndarray:
    """Log seconds less the level, (revision, process); levels have taken some of the noise, which is given back."""
    ends = levels_end(find_steps(processes, cases))
    level = values(processes)
    for part in np.split(np.arange(len(level)), ends):
        level[part] = level[part].mean()
    given_back = math.sqrt(len(level) / (len(level) - len(ends) - 1))
    logs = np.log([seconds[:least] for seconds in processes])
    value = np.median(logs, axis=1)
    return np.asarray((value - level)[:, None] * given_back + logs - value[:, None])


def _placed(steps: Sequence[Step], place: int) -> Placed:
    if not steps:
        return Placed(0, False, None, None)
    nearest = min(steps, key=lambda step: abs(step.at - place))
    return Placed(
        len(steps),
        any(step.last_before < place <= step.first_after for step in steps),
        abs(nearest.at - place),
        nearest.first_after - nearest.last_before,
    )


def false_table(found: dict[str, Rates]) -> str:
    """Markdown: how many histories had a step, and the 95 % interval of their share."""
    rows = []
    for name, each in found.items():
        interval = stats.binomtest(each.false, each.histories).proportion_ci(CONFIDENCE)
        rows.append((name, f"{each.false} of {each.histories}", f"{share(interval.low)} to {share(interval.high)}"))
    return table(("noise", "histories with a false step", "95 % interval"), rows)


def planted_table(found: dict[str, Rates]) -> str:
    """Markdown: what became of planted steps."""
    rows = []
    for name, each in found.items():
        for size, placed in each.planted.items():
            seen = [one for one in placed if one.steps]
            cells = [NOTHING] * 3
            if seen:
                cells = [
                    share(sum(one.within for one in seen) / len(seen)),
                    share(sum(one.off == 0 for one in seen) / len(seen)),
                    f"{np.mean([one.width for one in seen]):.1f}",
                ]
            more = sum(one.steps > 1 for one in placed)
            rows.append((name, share(size), share(len(seen) / len(placed)), *cells, f"{more}"))
    return table(
        (
            "noise",
            "planted",
            "found",
            "of these, in the range named",
            "exactly placed",
            "commits named",
            "with a second",
        ),
        rows,
    )


def main(
    trials: Annotated[int, typer.Option(metavar="N", help="Histories, and planted steps of each size.")] = 100,
    revisions: Annotated[int, typer.Option(metavar="N", help="Revisions in each.")] = 20,
    history: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw from the machines' histories here, not from made-up noise.")
    ] = None,
) -> None:
    """Print how often steps are found that are not there, and those that are.

    Example: python -m benchmarks.history.rates --trials 50
    """
    try:
        if trials < 1 or revisions < _LEAST_REVISIONS:
            raise ValueError(
                f"--trials is {trials}, --revisions is {revisions}; expected 1 or more, {_LEAST_REVISIONS} or more"
            )
        kinds: dict[str, Draw] = dict(KINDS) if history is None else {**recorded(Path.cwd(), history)}
    except (ValueError, StoreError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    found = {}
    for number, (name, noise) in enumerate(kinds.items(), start=1):
        typer.echo(f"{number} of {len(kinds)}: {name}", err=True)
        found[name] = rates(noise, revisions=revisions, trials=trials)
    typer.echo(f"{false_table(found)}\n\n{planted_table(found)}")


if __name__ == "__main__":
    typer.run(main)
