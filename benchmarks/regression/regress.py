"""From two revisions to a verdict: prepare both, look at what is there, measure in pairs, judge."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from benchmarks import machine
from benchmarks.measuring.lock import measuring_alone
from benchmarks.regression.budget import Budget
from benchmarks.regression.environments import Choice, sides
from benchmarks.regression.judging import Estimate, estimate_each, noise_floor
from benchmarks.regression.pairing import CONTROLS, Pair, measure_pair
from benchmarks.regression.revisions import check_out, remove_abandoned, top_of_checkout
from benchmarks.regression.session import Measured, Side, look
from benchmarks.regression.stopping import Outcome, Rule, decide
from benchmarks.reporting.plain_text import count
from benchmarks.sweeps import parse_duration

FLOOR_LOG_RATIOS = 8
"""The noise floor rests on so many log ratios of base against itself: one pair, or two where there are few cases."""
PASSES = 1
SECONDS_A_CASE = 0.3
"""Some thirty turns of a hundredth of a second. In ten, how far the turns of a process come apart made up all of how
far equal pairs did (1 to 3 %), and two thirds of a pair's time goes into starting its processes."""
CONTROL_ERROR = 0.01
CONTROL_SHIFT = 0.01
CONTROL_WIDTH = 0.05
"""The machine is unfit when the control surely differs by more, or its interval reaches farther: shares."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked for; times in seconds, `tolerance` a share."""

    base: str
    head: str | None
    suite: str
    environment: Choice = "auto"
    budget_seconds: float = 300.0
    rule: Rule = dataclasses.field(default_factory=Rule)


@dataclasses.dataclass(frozen=True)
class Result:
    """All that a run gave. `untold` is {case: (new, gone or broken, reason)}; `unfit` says why the machine was."""

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

    @property
    def exit_status(self) -> int:
        """1 for a confirmed slowdown, 3 where the machine was unfit to tell, else 0."""
        if self.unfit:
            return 3
        return 1 if self.outcome is not None and self.outcome.slower else 0


def plan(base: str, head: str | None, suite: str, *, tolerance: float, budget: str, environment: str) -> Request:
    """The request that the words of the command line make. Raises ValueError, naming the option."""
    if not 0 < tolerance < 1:
        raise ValueError(f"--tolerance is {tolerance}; expected a share above 0 and below 1: 0.03 is 3 %")
    if environment not in get_args(Choice):
        raise ValueError(f"--environment is {environment!r}; expected one of {', '.join(get_args(Choice))}")
    rule = Rule(tolerance=tolerance)
    return Request(base, head, suite, environment, parse_duration(budget), rule)  # type: ignore[arg-type]  # checked


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
    with check_out(top, request.base, request.head) as (base, head):
        say(f"base: {base.label}; head: {head.label}")
        pair_of_sides = sides(base, head, suite, request.environment, note)
        with measuring_alone(f"regress in {top}", say):
            began = time.monotonic()
            found = _look_at_both(pair_of_sides)
            judged, untold = sort_cases(*found)
            looked_seconds = time.monotonic() - began
            measuring = _Measuring(pair_of_sides, judged, request.budget_seconds, looked_seconds, say)
            outcome = None
            if judged:
                tolerances = {
                    case: _tolerance(case, found[1].extra_info[case], request.rule.tolerance) for case in judged
                }
                floor_of = measuring.floor(request.rule)
                outcome = decide(request.rule, measuring.draw, judged, tolerances=tolerances, floor_of=floor_of)
    control = judge_control([pair.log_ratios() for pair in measuring.pairs]) if judged else {}
    return Result(
        base=base.label,
        head=head.label,
        suite=suite,
        outcome=outcome,
        untold=untold,
        control=control,
        unfit=unfit(control),
        floor_pairs=tuple(measuring.floor_pairs),
        pairs=tuple(measuring.pairs),
        seconds=time.monotonic() - start,
        machine=machine.describe_machine(),
        environment=tuple(said),
    )


def suite_path(here: Path, top: Path, suite: str) -> str:
    """The suite's path from the top of the checkout. Raises ValueError when it lies outside."""
    path = Path(suite) if Path(suite).is_absolute() else here / suite
    try:
        return str(path.resolve().relative_to(top.resolve()))
    except ValueError:
        raise ValueError(f"--suite is {suite}, which is outside of the checkout {top}; expected a path in it") from None


def sort_cases(base: Measured, head: Measured) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """The cases that both revisions measure, and {case: (new, gone or broken, reason)} of the others.

    What both skip is not there. Raises ValueError when head has no benchmark that works.
    """
    judged = []
    untold: dict[str, tuple[str, str]] = {}
    for case in dict.fromkeys((*head.outcomes, *base.outcomes)):
        outcomes = {name: each.outcomes.get(case, ("missing", "")) for name, each in (("base", base), ("head", head))}
        kinds = {name: kind for name, (kind, _) in outcomes.items()}
        if set(kinds.values()) == {"passed"}:
            if case in base.seconds and case in head.seconds:
                judged.append(case)
            continue
        if set(kinds.values()) <= {"skipped", "missing"}:
            continue
        missing = next((name for name, kind in kinds.items() if kind == "missing"), None)
        present = outcomes["base" if missing == "head" else "head"]
        if missing is not None and present[0] == "passed":
            reason = _why_not_collected(case, base if missing == "base" else head)
            kind = "broken" if reason else ("new" if missing == "base" else "gone")
            untold[case] = (kind, f"{missing}: {reason}" if reason else "")
        else:
            reasons = [f"{name}: {kind}, {said}" for name, (kind, said) in outcomes.items() if kind != "passed"]
            untold[case] = ("broken", "; ".join(reasons))
    if not any(outcome == "passed" for outcome, _ in head.outcomes.values()):
        failed = [reason for outcome, reason in head.outcomes.values() if outcome == "failed"]
        reasons = [*head.broken.values(), *failed] or [_last_line(head.output)]
        raise ValueError(f"head has no benchmark that works in this suite: {reasons[0]}")
    return judged, untold


def _tolerance(case: str, extra_info: Mapping[str, Any], default: float) -> float:
    """The tolerance of a case, its own where it sets one. Raises ValueError when that is none."""
    own = extra_info.get("tolerance", default)
    if not isinstance(own, int | float) or not 0 < own < math.inf:
        raise ValueError(
            f'{case} has extra_info["tolerance"] = {own!r}; expected the share that a slowdown of it matters from: '
            "0.03 is 3 %"
        )
    return float(own)


def judge_control(ratios: Sequence[Mapping[str, float]]) -> dict[str, Estimate]:
    """The control over pairs, by the log ratios of each, as if it were a case."""
    return estimate_each({name: [each[name] for each in ratios] for name in CONTROLS}, CONTROL_ERROR)


def unfit(control: Mapping[str, Estimate]) -> str:
    """Why the machine was unfit, in a sentence; empty when it was not."""
    for name, found in control.items():
        certain = min(found.p_slower, found.p_faster) < CONTROL_ERROR / 2 / len(control)
        if certain and not 1 / (1 + CONTROL_SHIFT) <= found.ratio <= 1 + CONTROL_SHIFT:
            return f"{name} came out {found.ratio:.3f} times as slow beside head, with the same code on both sides"
        if found.high / found.ratio > 1 + CONTROL_WIDTH:
            return f"{name} is known to {found.low:.3f}-{found.high:.3f} only: the machine is too noisy to judge on"
    return ""


def floor_pairs(cases: int) -> int:
    """Pairs of base against itself that tell the noise floor."""
    return 1 if cases >= FLOOR_LOG_RATIOS else 2


class _Measuring:
    """Measures pairs as they are asked for, and keeps them."""

    def __init__(
        self,
        both: tuple[Side, Side],
        cases: Sequence[str],
        budget: float,
        looked_seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self.both = both
        self.cases = cases
        self.say = say
        self.pairs: list[Pair] = []
        self.floor_pairs: list[Pair] = []
        self._looked_seconds = looked_seconds
        self._budget = Budget(budget)
        self._budget.spent = looked_seconds
        self._number = 0

    def floor(self, rule: Rule) -> Callable[[int], float]:
        """The noise floor of so many pairs, from pairs of base against itself."""
        self.say(f"{count(len(self.cases), 'case')}; the noise floor: base against itself")
        again = dataclasses.replace(self.both[0], name="base again")
        for _ in range(floor_pairs(len(self.cases))):
            pair = self._measure((self.both[0], again), self.cases)
            self.floor_pairs.append(pair)
            self._refuse_too_small(rule)
        same = [ratio for pair in self.floor_pairs for case, ratio in pair.log_ratios().items() if case in self.cases]
        return noise_floor(same)

    def draw(self, cases: Sequence[str]) -> Mapping[str, float] | None:
        """A fresh pair; None when it would not end within the budget."""
        if not self._budget.allows(len(cases)):
            return None
        pair = self._measure(self.both, cases)
        self.pairs.append(pair)
        self.say(f"pair {len(self.pairs)}: {count(len(cases), 'case')}, at most {self._budget.left:.0f} s left")
        return pair.log_ratios()

    def _measure(self, both: tuple[Side, Side], cases: Sequence[str]) -> Pair:
        start = time.monotonic()
        pair, *measured = measure_pair(*both, cases, number=self._number, passes=PASSES, seconds_a_case=SECONDS_A_CASE)
        self._number += 1
        missing = [case for case in cases if case not in pair.base or case not in pair.head]
        if missing:
            reasons = [f"{each.outcomes.get(missing[0], ('', each.output[-200:]))}" for each in measured]
            raise ValueError(f"{missing[0]} worked at first and then did not: {'; '.join(reasons)}")
        self._budget.spend(len(cases), time.monotonic() - start)
        return pair

    def _refuse_too_small(self, rule: Rule) -> None:
        longest = self._budget.expected(len(self.cases))
        needed = self._looked_seconds + longest * (floor_pairs(len(self.cases)) + rule.looks[0])
        if needed > self._budget.seconds:
            raise ValueError(
                f"--budget is {self._budget.seconds:.0f}s; to look at both takes {self._looked_seconds:.0f} s and a "
                f"pair of processes {longest:.0f} s, so a verdict needs {math.ceil(needed)}s at least: give more, or a "
                "smaller --suite"
            )


def _look_at_both(both: tuple[Side, Side]) -> tuple[Measured, Measured]:
    """What each revision's suite holds and what of it works; a suite that is not there holds nothing."""
    base, head = (_look(side) for side in both)
    return base, head


def _look(side: Side) -> Measured:
    if not (side.folder / side.suite).exists():
        if side.name == "head":
            raise ValueError(f"--suite is {side.suite}, which head does not have; expected a folder or file of tests")
        return Measured({}, {}, {}, {}, {}, 0, "")
    return look(side)


def _why_not_collected(case: str, measured: Measured) -> str:
    """Why a side does not have the case although it may have its file; empty when it simply has not."""
    path = case.partition("::")[0]
    for broken, reason in measured.broken.items():
        if path == broken or path.startswith(broken + "/") or not broken:
            return reason
    # pytest gave up before it could collect anything: a conftest that does not import, wrong options.
    return "" if measured.outcomes or measured.status in (0, 5) else _last_line(measured.output)


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("E ").strip() for line in lines if line.startswith("E ") or "rror" in line]
    return (errors or lines or ["pytest said nothing"])[-1]
