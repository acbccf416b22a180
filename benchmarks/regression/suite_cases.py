"""Which cases of a suite both revisions can measure, and why the others cannot be compared."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from benchmarks.regression.session_record import Measured

Kind = Literal["new", "gone", "broken"]
_NO_BENCHMARK = "Skipping non-benchmark"
"""How pytest-benchmark begins the reason with which it skips every other test."""


@dataclasses.dataclass(frozen=True)
class Cases:
    """The cases that both revisions measure, and {case: (new, gone or broken, reason)} of the others."""

    judged: tuple[str, ...]
    untold: Mapping[str, tuple[Kind, str]]
    lost: tuple[str, ...]
    """What works on base and fails on head, or cannot be collected there for an error."""


def sort_cases(base: Measured, head: Measured) -> Cases:
    """Both revisions' cases, by what one unmeasured run of the suite gave. What both skip is not there.

    What a revision skips it does not have: `new` and `gone` then say the reason. Raises ValueError when head has no
    benchmark that works.
    """
    if not any(_works(head, case) for case in head.outcomes):
        raise ValueError(f"head has no benchmark that works in this suite: {why_nothing_works(head)}")
    judged: list[str] = []
    untold: dict[str, tuple[Kind, str]] = {}
    lost: list[str] = []
    for case in dict.fromkeys((*head.outcomes, *base.outcomes)):
        on_base, on_head = _works(base, case), _works(head, case)
        if on_base and on_head:
            judged.append(case)
            continue
        failures = {name: _failure(case, each) for name, each in (("base", base), ("head", head))}
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failures.items() if reason)
        if reasons:
            untold[case] = ("broken", reasons)
            if on_base:
                lost.append(case)
        elif on_base or on_head:
            name, other = ("base", base) if on_head else ("head", head)
            why = _why_not_measured(case, other)
            untold[case] = ("new" if on_head else "gone", f"{name}: {why}" if why else "")
    return Cases(tuple(judged), untold, tuple(lost))


def tolerance_of(case: str, extra_info: Mapping[str, Any], default: float) -> float:
    """The tolerance of a case, its own where it sets one. Raises ValueError when that is none."""
    own = extra_info.get("tolerance", default)
    if isinstance(own, bool) or not isinstance(own, int | float) or not 0 < own < math.inf:
        raise ValueError(
            f'{case} has extra_info["tolerance"] = {own!r}; expected the share that a slowdown of it matters from: '
            "0.03 is 3 %"
        )
    return float(own)


def why_nothing_works(measured: Measured) -> str:
    """Why a revision has no benchmark that works: the first reason that somebody can do something about."""
    failed = [f"{case}: {reason}" for case, (outcome, reason) in measured.outcomes.items() if outcome == "failed"]
    if measured.broken or failed:
        return next(iter([*measured.broken.values(), *failed]))
    skipped = [
        f"{case} is skipped: {reason}"
        for case, (outcome, reason) in measured.outcomes.items()
        if outcome == "skipped" and not reason.startswith(_NO_BENCHMARK)
    ]
    unmeasured = [f"{case} does not run: {reason}" for case, reason in measured.unmeasured.items()]
    idle = [
        f"{case} passes and measures nothing" for case, (outcome, _) in measured.outcomes.items() if outcome == "passed"
    ]
    reasons = [*unmeasured, *skipped, *idle]
    if reasons:
        return f"{reasons[0]} (--pytest hands options to pytest)"
    if measured.status in (0, 5):
        return "no test of it uses pytest-benchmark's fixture `benchmark`"
    return last_line(measured.output)


def last_line(output: str) -> str:
    """The line of a process's output that says most likely why it ended."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("E ").strip() for line in lines if line.startswith("E ") or "rror" in line]
    return (errors or lines or ["pytest said nothing"])[-1]


def _works(measured: Measured, case: str) -> bool:
    return measured.outcomes.get(case, ("missing", ""))[0] == "passed" and case in measured.seconds


def _failure(case: str, measured: Measured) -> str:
    """What went wrong with a case; empty where nothing did, though the revision may not have it."""
    outcome, reason = measured.outcomes.get(case, ("missing", ""))
    if outcome != "missing":
        return f"failed, {reason}" if outcome == "failed" else ""
    path = case.partition("::")[0]
    for broken, why in measured.broken.items():
        if path == broken or path.startswith(broken + "/") or not broken:
            return why
    # pytest gave up before it could collect anything: a conftest that does not import, wrong options.
    return "" if measured.outcomes or measured.status in (0, 5) else last_line(measured.output)


def _why_not_measured(case: str, measured: Measured) -> str:
    """Why a case that is not broken is not measured; empty where the revision does not have it."""
    outcome, reason = measured.outcomes.get(case, ("missing", ""))
    if outcome == "skipped":
        return f"skipped, {reason}"
    return "passes and measures nothing" if outcome == "passed" else measured.unmeasured.get(case, "")
