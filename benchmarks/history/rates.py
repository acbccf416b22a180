"""How often `history` is wrong: false steps where nothing changed, planted steps found, and how well they are placed.

`python -m benchmarks.history.rates` prints both tables. Histories are drawn from noise of several kinds, or from a
machine's own history (`--history DIR`), of which whole revisions are drawn again, all cases of a revision together.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy import stats

from benchmarks.history import folder as histories
from benchmarks.history.commits import in_order
from benchmarks.history.series import series_of
from benchmarks.history.steps import CONFIDENCE, SHORTEST, Step, find_steps, levels_end, values
from benchmarks.regression.revisions import top_of_checkout
from benchmarks.reporting.plain_text import NOTHING, share, table
from benchmarks.store import StoreError

SIZES = (0.03, 0.05, 0.10)
_LEAST_PROCESSES = 2
_LEAST_REVISIONS = 4

Draw = Callable[[np.random.Generator, int], np.ndarray]
"""The noise of so many revisions: log seconds less their level, (case, revision, process)."""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Noise that is made up, standard deviations as shares: of a process, and of a revision, which all processes share.

    `memory` is the correlation of a revision's value with the one before; `tails` the degrees of freedom of Student's
    t in place of the normal distribution.
    """

    within: float
    between: float
    memory: float = 0.0
    tails: float = math.inf
    cases: int = 16
    processes: int = 5

    def __call__(self, draw: np.random.Generator, revisions: int) -> np.ndarray:
        """As `Draw` says."""
        moved = self._noise(draw, (self.cases, revisions, 1))
        for place in range(1, revisions):
            fresh = math.sqrt(1 - self.memory**2) * moved[:, place]
            moved[:, place] = self.memory * moved[:, place - 1] + fresh
        processes = self._noise(draw, (self.cases, revisions, self.processes))
        return self.between * moved + self.within * processes

    def _noise(self, draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Of deviation 1."""
        if math.isinf(self.tails):
            return draw.standard_normal(shape)
        return draw.standard_t(self.tails, shape) / math.sqrt(self.tails / (self.tails - 2))


@dataclasses.dataclass(frozen=True)
class Recorded:
    """The noise of a machine's history: log seconds less the level at which they were, (case, revision, process)."""

    seen: np.ndarray

    def __call__(self, draw: np.random.Generator, revisions: int) -> np.ndarray:
        """As `Draw` says: revisions drawn with replacement, all cases of one together."""
        return self.seen[:, draw.integers(self.seen.shape[1], size=revisions)]


KINDS: dict[str, Draw] = {
    "processes 1 %": Drawn(0.01, 0.0),
    "processes 1 %, revisions 0.5 %": Drawn(0.01, 0.005),
    "processes 1 %, revisions 1 %": Drawn(0.01, 0.01),
    "the same, Student's t of 3 degrees": Drawn(0.01, 0.01, tails=3.0),
    "the same, one revision like the last (0.5)": Drawn(0.01, 0.01, memory=0.5),
}


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
    """Look through so many histories where nothing changed, and plant so many steps of each size in one case of one.

    A step is planted at a random place that leaves `SHORTEST` revisions on both sides.
    """
    draw = np.random.default_rng(seed)
    false = 0
    for _ in range(trials):
        history = np.exp(noise(draw, revisions))
        false += any(find_steps(case.tolist(), cases=len(history)) for case in history)
    planted = {size: tuple(_plant(noise, draw, revisions, size) for _ in range(trials)) for size in sizes}
    return Rates(trials, false, planted)


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


def _plant(noise: Draw, draw: np.random.Generator, revisions: int, size: float) -> Placed:
    history = noise(draw, revisions)
    place = int(draw.integers(SHORTEST, revisions - SHORTEST + 1))
    case = history[int(draw.integers(len(history)))]
    case[place:] += math.log1p(size)
    return _placed(find_steps(np.exp(case).tolist(), cases=len(history)), place)


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
    trials: Annotated[int, typer.Option(metavar="N", help="Histories, and planted steps of each size.")] = 200,
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
        kinds = dict(KINDS) if history is None else dict(recorded(Path.cwd(), history))
    except (ValueError, StoreError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    found = {name: rates(noise, revisions=revisions, trials=trials) for name, noise in kinds.items()}
    typer.echo(f"{false_table(found)}\n\n{planted_table(found)}")


if __name__ == "__main__":
    typer.run(main)
