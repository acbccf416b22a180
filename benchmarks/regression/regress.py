"""From two revisions to a verdict: both are prepared and run dry, measured in pairs, and judged."""

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
from benchmarks.measuring.conditions.lock import measuring_alone
from benchmarks.regression.dry_run import DryRuns, say_failures
from benchmarks.regression.environments.kept_environments import Choice
from benchmarks.regression.environments.preparing import Preparation
from benchmarks.regression.environments.requirements import NOTHING_ELSE, Needs
from benchmarks.regression.environments.revisions import check_out, remove_abandoned, remove_worktrees, top_of_checkout
from benchmarks.regression.environments.variants import AS_IT_IS, Variant
from benchmarks.regression.judging.budget import Budget
from benchmarks.regression.judging.fitness import judge_control, slower_by_far, unfit
from benchmarks.regression.judging.stopping import Decision, Rule, decide
from benchmarks.regression.judging.suite_cases import by_importance, sort_cases, tolerance_of
from benchmarks.regression.judging.verdicts import RatioEstimate, Thresholds
from benchmarks.regression.measuring import PairMeasuring, pair_limits
from benchmarks.regression.processes.outcomes import Excluded
from benchmarks.regression.processes.pairing import ProcessPair
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.suite_kinds import other_kind
from benchmarks.sweeps import parse_duration

SLOWER, NOT_JUDGED, UNFIT = 1, 2, 3
"""Exit statuses: a confirmed slowdown; a case that broke, or none to judge; nothing that could be told."""


@dataclasses.dataclass(frozen=True)
class Request:
    """The comparison that the user asks for."""

    base: str | None
    """A revision, as git names it, or None for that of head: sides that differ by their variants alone."""
    head: str | None
    """A revision, or None for the checkout as it stands."""
    suite: str
    """The path of the suite, from the folder in which it was named."""
    environment: Choice = "auto"
    budget_seconds: float = 300.0
    rule: Rule = dataclasses.field(default_factory=Rule)
    needs: Needs = NOTHING_ELSE
    """The needs of the suite beside the project, on both sides."""
    variants: tuple[Variant, Variant] = (AS_IT_IS, AS_IT_IS)
    """What base and head have beside their revision."""
    first: tuple[str, ...] = ()
    """Parts of names of the cases that matter most, in order, with `*` for any text."""


@dataclasses.dataclass(frozen=True)
class Result:
    """All that a comparison gave."""

    base: str
    head: str
    suite: str
    decision: Decision | None
    """The judgement on each case that both sides measured to the end; None where there is no such case."""
    excluded: Mapping[str, Excluded]
    """Why each of the other cases has no verdict."""
    control: Mapping[str, RatioEstimate]
    unfit: str
    """Why the machine was unfit to judge on; empty where it was fit."""
    floor_pairs: tuple[ProcessPair, ...]
    """The pairs of base against itself."""
    pairs: tuple[ProcessPair, ...]
    seconds: float
    """How long the whole comparison took."""
    machine: Mapping[str, Any]
    environment: tuple[str, ...]
    """Sentences on the environments and options in which both sides ran."""
    installed: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    """{"base" or "head": {package: version}} of Python and of all that is installed, also as a dependency."""
    variants: Mapping[str, Variant] = dataclasses.field(default_factory=dict)
    """{"base" or "head": what the side has beside its revision}."""
    lost: tuple[str, ...] = ()
    """The broken cases that work on base and not on head."""

    @property
    def slower(self) -> tuple[str, ...]:
        """The confirmed slowdowns; on an unfit machine those that it does not explain."""
        if self.decision is None:
            return ()
        return slower_by_far(self.decision, self.control) if self.unfit else self.decision.slower

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """The cases that seem slower, and that the budget was too short to confirm; none on an unfit machine."""
        return () if self.decision is None or self.unfit else self.decision.unconfirmed

    @property
    def decided(self) -> int:
        """The number of cases with a verdict other than "cannot tell"."""
        judged = self.decision.final.values() if self.decision is not None else ()
        return sum(each.verdict != "cannot tell" for each in judged)

    @property
    def exit_status(self) -> int:
        """The first that holds: `SLOWER` for a confirmed slowdown, `NOT_JUDGED`, `UNFIT`, or 0.

        `NOT_JUDGED` stands for a case that broke on head, or errors that left none to judge. `UNFIT` stands for want of
        cases to compare, of a fit machine or of certainty, also on a single case that seems slower.
        """
        if self.slower:
            return SLOWER
        broken = any(each.kind == "broken" for each in self.excluded.values())
        if self.lost or (self.decision is None and broken):
            return NOT_JUDGED
        unknown = self.decision is None or self.unfit or not self.decided or self.unconfirmed
        return UNFIT if unknown else 0


def plan(
    base: str | None,
    head: str | None,
    suite: str,
    *,
    tolerance: float,
    budget: str,
    environment: str,
    needs: Needs = NOTHING_ELSE,
    variants: tuple[Variant, Variant] = (AS_IT_IS, AS_IT_IS),
    first: Sequence[str] = (),
) -> Request:
    """The request that the options of the command line make. Raises ValueError, which names the option."""
    if base is None and variants == (AS_IT_IS, AS_IT_IS):
        raise ValueError(
            "--base is missing, and nothing else sets the sides apart; expected a revision to compare with (--base "
            "main), or what one side has and the other has not (--base-with and --head-with, --base-python, --base-env)"
        )
    if not 0 < tolerance < 1:
        raise ValueError(f"--tolerance is {tolerance}; expected a share above 0 and below 1: 0.03 is 3 %")
    choice: Choice | None = next((each for each in get_args(Choice) if each == environment), None)
    if choice is None:
        raise ValueError(f"--environment is {environment!r}; expected one of {', '.join(get_args(Choice))}")
    own = _needs_environment(needs, variants)
    if own:
        if choice == "shared":
            raise ValueError(
                f"{own} and --environment shared, in which nothing is installed; expected one of the two: install it "
                "yourself, or leave --environment out"
            )
        choice = "own"
    return Request(
        base,
        head,
        suite,
        environment=choice,
        budget_seconds=parse_duration(budget),
        rule=Rule(tolerance=tolerance),
        needs=needs,
        variants=variants,
        first=tuple(first),
    )


def _needs_environment(needs: Needs, variants: Sequence[Variant]) -> str:
    """The option that asks for environments of their own, with its value as a clause; empty where none does."""
    asked: list[tuple[str, str]] = [
        ("--install", " ".join(needs.install)),
        ("extras", " ".join(needs.extras or ())),
        ("groups", " ".join(needs.groups or ())),
    ]
    for side, each in zip(("base", "head"), variants, strict=True):
        asked += [(f"--{side}-with", " ".join(each.requirements)), (f"--{side}-python", each.python)]
    return next((f"{option} is {value}" for option, value in asked if value), "")


def regress(request: Request, say: Callable[[str], None], folder: Path | None = None) -> Result:
    """Measure and judge; `folder` is in the checkout, and the current folder if None.

    Raises ValueError, in a sentence, for a request that cannot be meant or cannot be done.
    """
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
        labels = [side.label + variant.label for side, variant in zip((base, head), request.variants, strict=True)]
        say(f"base: {labels[0]}; head: {labels[1]}")
        given = {"PYTEST_ADDOPTS": os.environ.get("PYTEST_ADDOPTS"), "--pytest": shlex.join(request.needs.options)}
        for name, options in given.items():
            if options:
                note(f"pytest is given {options}, by {name}")
        for side in (base, head):
            if side.empty_submodules:
                note(
                    f"{', '.join(side.empty_submodules)} of {side.label} stays empty, since the checkout lacks the "
                    "commits of this submodule: run git submodule update --init --recursive first if the suite needs it"
                )
        with measuring_alone(f"regress in {top}", say):
            dry_runs = DryRuns(request.budget_seconds)
            variants = dict(zip(("base", "head"), request.variants, strict=True))
            preparation = Preparation(
                top,
                suite,
                builds,
                dry_run=dry_runs.run,
                say=note,
                needs=request.needs,
                variants=variants,
            )
            both = preparation.pair(base, head, request.environment)
            sides, found = (both[0].side, both[1].side), (both[0].dry_run, both[1].dry_run)
            say_failures(sides, found, say)
            cases = sort_cases(*found, kind=other_kind(head.folder / suite))
            budget = Budget(request.budget_seconds, spent=dry_runs.seconds)
            limits = pair_limits(found, time.monotonic() + budget.left)
            measuring = PairMeasuring(
                both=sides,
                cases=by_importance(cases.compared, request.first),
                budget=budget,
                say=say,
                limits=limits,
                rule=request.rule,
                start_seconds=max(each.start_seconds for each in found),
            )
            decision = _decide(request.rule, measuring, found[1]) if cases.compared else None
    control = judge_control([pair.log_ratios() for pair in measuring.pairs]) if decision is not None else {}
    later = {case: Excluded("broken", f"{each.side}: {each.reason}") for case, each in measuring.broken.items()}
    later |= {case: Excluded("not judged", measuring.why_not_judged) for case in measuring.not_judged}
    return Result(
        base=labels[0],
        head=labels[1],
        suite=suite,
        decision=decision,
        excluded={**cases.excluded, **later},
        lost=(*cases.lost, *measuring.lost),
        control=control,
        unfit=unfit(control),
        floor_pairs=tuple(measuring.floor_pairs),
        pairs=tuple(measuring.pairs),
        seconds=time.monotonic() - start,
        machine=machine.describe_machine(),
        environment=tuple(said),
        installed=dict(preparation.installed),
        variants=variants,
    )


def _decide(rule: Rule, measuring: PairMeasuring, head: ProcessRecord) -> Decision | None:
    """The decision on the cases that can be measured to the end; None where none can."""
    tolerances = {case: tolerance_of(case, head.extra_info[case], rule.tolerance) for case in measuring.cases}
    thresholds = Thresholds(tolerances, measuring.noise_floor())
    decision = decide(rule, measuring.draw, measuring.cases, thresholds=thresholds)
    return decision if decision.final else None


def suite_path(here: Path, top: Path, suite: str) -> str:
    """The suite's path from the top of the checkout. Raises ValueError when it lies outside."""
    path = here / suite
    try:
        return str(path.resolve().relative_to(top.resolve()))
    except ValueError:
        raise ValueError(f"--suite is {suite}, which is outside of the checkout {top}; expected a path in it") from None


@contextlib.contextmanager
def _builds() -> Iterator[Path]:
    """A temporary folder for copies and builds of revisions; their worktrees are removed with it."""
    with scratch_folder("builds") as folder:
        try:
            yield folder
        finally:
            remove_worktrees(folder)
