"""From two revisions to a verdict: prepare both, look at what is there, measure in pairs, judge."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from benchmarks import machine
from benchmarks.files import scratch_folder
from benchmarks.measuring.lock import measuring_alone
from benchmarks.regression.budget import Budget
from benchmarks.regression.environments import Choice
from benchmarks.regression.first_run import FirstRuns, say_failures
from benchmarks.regression.fitness import judge_control, slower_by_far, unfit
from benchmarks.regression.judging import Estimate
from benchmarks.regression.measuring import Measuring, pair_limits
from benchmarks.regression.pairing import Pair
from benchmarks.regression.preparing import Preparation
from benchmarks.regression.revisions import check_out, remove_abandoned, remove_worktrees, top_of_checkout
from benchmarks.regression.session_record import Measured
from benchmarks.regression.stopping import Outcome, Rule, decide
from benchmarks.regression.suite_cases import sort_cases, tolerance_of
from benchmarks.sweeps import parse_duration

SLOWER, NOT_JUDGED, UNFIT = 1, 2, 3
"""Exit statuses: a confirmed slowdown; a case that broke, or none to judge; nothing that could be told."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked for; times in seconds, `tolerance` a share."""

    base: str
    head: str | None
    suite: str
    environment: Choice = "auto"
    budget_seconds: float = 300.0
    rule: Rule = dataclasses.field(default_factory=Rule)
    pytest_options: tuple[str, ...] = ()
    """Further words for pytest, on both sides."""
    install: tuple[str, ...] = ()
    """Further words for pip, for environments of their own."""


@dataclasses.dataclass(frozen=True)
class Result:
    """All that a run gave. `untold` is {case: (new, gone or broken, reason)}; `unfit` says why the machine was.

    `lost` are the broken cases that work on base and not on head.
    """

    base: str
    head: str
    suite: str
    outcome: Outcome | None
    untold: Mapping[str, tuple[str, str]]
    control: Mapping[str, Estimate]
    unfit: str
    floor_pairs: tuple[Pair, ...]
    pairs: tuple[Pair, ...]
    seconds: float
    machine: Mapping[str, Any]
    environment: tuple[str, ...]
    lost: tuple[str, ...] = ()

    @property
    def slower(self) -> tuple[str, ...]:
        """The confirmed slowdowns; where the machine was unfit, those that are certain by far."""
        if self.outcome is None:
            return ()
        return slower_by_far(self.outcome, self.control) if self.unfit else self.outcome.slower

    @property
    def told(self) -> int:
        """How many cases have a verdict other than that it cannot be told."""
        judged = self.outcome.final.values() if self.outcome is not None else ()
        return sum(each.verdict != "cannot tell" for each in judged)

    @property
    def exit_status(self) -> int:
        """1 for a confirmed slowdown, 2 where a case broke on head or errors left none to judge, 3 where none is told.

        The last is for want of cases to compare, of a fit machine or of certainty. Else 0.
        """
        if self.slower:
            return SLOWER
        broken = any(kind == "broken" for kind, _ in self.untold.values())
        if self.lost or (self.outcome is None and broken):
            return NOT_JUDGED
        return UNFIT if self.outcome is None or self.unfit or not self.told else 0


def plan(
    base: str,
    head: str | None,
    suite: str,
    *,
    tolerance: float,
    budget: str,
    environment: str,
    pytest_options: str = "",
    install: Sequence[str] = (),
) -> Request:
    """The request that the words of the command line make. Raises ValueError, naming the option."""
    if not 0 < tolerance < 1:
        raise ValueError(f"--tolerance is {tolerance}; expected a share above 0 and below 1: 0.03 is 3 %")
    if environment not in get_args(Choice):
        raise ValueError(f"--environment is {environment!r}; expected one of {', '.join(get_args(Choice))}")
    if install:
        if environment == "shared":
            raise ValueError(
                f"--install is {' '.join(install)} and --environment shared, in which nothing is installed; expected "
                "one of the two: install it yourself, or leave --environment out"
            )
        environment = "own"
    try:
        options = tuple(shlex.split(pytest_options))
    except ValueError as error:
        raise ValueError(
            f"--pytest is {pytest_options!r}: {error}; expected options as a shell reads them: '--slow -m fast'"
        ) from None
    return Request(
        base,
        head,
        suite,
        environment=environment,  # type: ignore[arg-type]  # checked
        budget_seconds=parse_duration(budget),
        rule=Rule(tolerance=tolerance),
        pytest_options=options,
        install=tuple(install),
    )


def regress(request: Request, say: Callable[[str], None], folder: Path | None = None) -> Result:
    """Measure and judge. Raises ValueError, in a sentence, for what cannot be meant or cannot be done."""
    start = time.monotonic()
    here = Path.cwd() if folder is None else folder
    top = top_of_checkout(here)
    suite = suite_path(here, top, request.suite)
    said: list[str] = []

    def note(text: str) -> None:
        said.append(text)
        say(text)

    remove_abandoned(say)
    with check_out(top, request.base, request.head) as (base, head), _builds() as builds:
        say(f"base: {base.label}; head: {head.label}")
        given = {"PYTEST_ADDOPTS": os.environ.get("PYTEST_ADDOPTS"), "--pytest": shlex.join(request.pytest_options)}
        for name, options in given.items():
            if options:
                note(f"pytest is given {options}, by {name}")
        with measuring_alone(f"regress in {top}", say):
            first = FirstRuns(request.budget_seconds)
            preparation = Preparation(
                top, suite, builds, look=first.look, say=note, install=request.install, options=request.pytest_options
            )
            both = preparation.pair(base, head, request.environment)
            pair_of_sides, found = (both[0].side, both[1].side), (both[0].seen, both[1].seen)
            say_failures(pair_of_sides, found, say)
            cases = sort_cases(*found)
            budget = Budget(request.budget_seconds)
            budget.spent = first.seconds
            deadline = time.monotonic() + budget.left
            measuring = Measuring(pair_of_sides, cases.judged, budget, say, pair_limits(found, deadline))
            outcome = _decide(request.rule, measuring, found[1]) if cases.judged else None
    control = judge_control([pair.log_ratios() for pair in measuring.pairs]) if outcome is not None else {}
    later = {case: ("broken", f"{name}: {reason}") for case, (name, reason) in measuring.broken.items()}
    return Result(
        base=base.label,
        head=head.label,
        suite=suite,
        outcome=outcome,
        untold={**cases.untold, **later},
        lost=(*cases.lost, *measuring.lost),
        control=control,
        unfit=unfit(control),
        floor_pairs=tuple(measuring.floor_pairs),
        pairs=tuple(measuring.pairs),
        seconds=time.monotonic() - start,
        machine=machine.describe_machine(),
        environment=tuple(said),
    )


def _decide(rule: Rule, measuring: Measuring, head: Measured) -> Outcome | None:
    """The outcome of the cases that can be measured to the end; None where none can."""
    tolerances = {case: tolerance_of(case, head.extra_info[case], rule.tolerance) for case in measuring.cases}
    floor_of = measuring.floor(rule)
    outcome = decide(rule, measuring.draw, measuring.cases, tolerances=tolerances, floor_of=floor_of)
    return outcome if outcome.final else None


def suite_path(here: Path, top: Path, suite: str) -> str:
    """The suite's path from the top of the checkout. Raises ValueError when it lies outside."""
    path = Path(suite) if Path(suite).is_absolute() else here / suite
    try:
        return str(path.resolve().relative_to(top.resolve()))
    except ValueError:
        raise ValueError(f"--suite is {suite}, which is outside of the checkout {top}; expected a path in it") from None


@contextlib.contextmanager
def _builds() -> Iterator[Path]:
    """A folder for copies and builds of revisions."""
    with scratch_folder("builds") as folder:
        try:
            yield folder
        finally:
            remove_worktrees(folder)
