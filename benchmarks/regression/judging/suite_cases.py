"""The cases of a suite that both revisions can measure, and why the others cannot be compared."""

from __future__ import annotations

import dataclasses
import fnmatch
import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.regression.processes.outcomes import Excluded
from benchmarks.regression.processes.process_record import ProcessRecord

_NO_BENCHMARK = "Skipping non-benchmark"
"""The beginning of the reason with which pytest-benchmark skips every other test."""


@dataclasses.dataclass(frozen=True)
class SuiteCases:
    """The cases of a suite on two revisions."""

    compared: tuple[str, ...]
    """The cases that both revisions measure."""
    excluded: Mapping[str, Excluded]
    """Why each of the others cannot be compared."""
    lost: tuple[str, ...]
    """The broken cases that work on base and not on head."""


def sort_cases(base: ProcessRecord, head: ProcessRecord, kind: str = "") -> SuiteCases:
    """The cases of both revisions, by their dry runs. A case that both skip is left out.

    A revision that skips a case does not have it: the case is `new` or `gone`, and the reason says why. `kind` is the
    kind of a suite that has no benchmark, as a clause. Raises ValueError when head has no benchmark that works.
    """
    if not any(_works(head, case) for case in head.outcomes):
        known = f"; {kind}" if kind and not head.collected else ""
        raise ValueError(f"head has no benchmark that works in this suite: {why_nothing_works(head)}{known}")
    compared: list[str] = []
    excluded: dict[str, Excluded] = {}
    lost: list[str] = []
    for case in dict.fromkeys((*head.outcomes, *base.outcomes)):
        on_base, on_head = _works(base, case), _works(head, case)
        if on_base and on_head:
            compared.append(case)
            continue
        failures = {name: _failure(case, each) for name, each in (("base", base), ("head", head))}
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failures.items() if reason)
        if reasons:
            excluded[case] = Excluded("broken", reasons)
            if on_base:
                lost.append(case)
        elif on_base or on_head:
            name, other = ("base", base) if on_head else ("head", head)
            why = _why_not_measured(case, other)
            excluded[case] = Excluded("new" if on_head else "gone", f"{name}: {why}" if why else "")
    return SuiteCases(tuple(compared), excluded, tuple(lost))


def by_importance(cases: Sequence[str], first: Sequence[str]) -> tuple[str, ...]:
    """The cases, those that matter most at the beginning: `first` are parts of their names, with `*` for any text.

    The others keep their order. Raises ValueError for a part that is in no name.
    """
    ranked: dict[str, None] = {}
    for part in first:
        found = [case for case in cases if fnmatch.fnmatchcase(case, f"*{part}*")]
        if cases and not found:
            raise ValueError(
                f"--first is {part!r}, which is in the name of no case; expected part of one, such as "
                f"{cases[0].rpartition('::')[2]!r}"
            )
        ranked |= dict.fromkeys(found)
    return tuple(ranked | dict.fromkeys(cases))


def tolerance_of(case: str, extra_info: Mapping[str, Any], default: float) -> float:
    """The tolerance of a case as a share: its own where it sets one. Raises ValueError when that is not a share."""
    own = extra_info.get("tolerance", default)
    if isinstance(own, bool) or not isinstance(own, int | float) or not 0 < own < math.inf:
        raise ValueError(
            f'{case} has extra_info["tolerance"] = {own!r}; expected the share that a slowdown of it matters from: '
            "0.03 is 3 %"
        )
    return float(own)


def why_nothing_works(record: ProcessRecord) -> str:
    """Why a revision has no benchmark that works: the first reason that the user can act on."""
    failed = [f"{case}: {reason}" for case, reason in record.failures.items()]
    if record.broken or failed:
        return next(iter([*record.broken.values(), *failed]))
    skipped = [
        f"{case} is skipped: {reason}"
        for case, (status, reason) in record.outcomes.items()
        if status == "skipped" and not reason.startswith(_NO_BENCHMARK)
    ]
    unmeasured = [f"{case} does not run: {reason}" for case, reason in record.unmeasured.items()]
    idle = [f"{case} passes and measures nothing" for case in record.outcomes if record.passed(case)]
    reasons = [*unmeasured, *skipped, *idle]
    if reasons:
        return f"{reasons[0]} (--pytest hands options to pytest)"
    if record.status in (0, 5):
        return "no test of it uses pytest-benchmark's fixture `benchmark`"
    return last_line(record.output)


def last_line(output: str) -> str:
    """The line of a process's output that most likely says why it ended: the last that names an error, else the last.

    A sentence that says so where the output is empty.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("E ").strip() for line in lines if line.startswith("E ") or "rror" in line]
    return (errors or lines or ["pytest said nothing"])[-1]


def _works(record: ProcessRecord, case: str) -> bool:
    return record.passed(case) and case in record.repetitions


def _failure(case: str, record: ProcessRecord) -> str:
    """Why a case does not work; empty where nothing failed, though the revision may lack the case."""
    if case in record.outcomes:
        status, reason = record.outcomes[case]
        return f"failed, {reason}" if status == "failed" else ""
    path = case.partition("::")[0]
    for broken, why in record.broken.items():
        if path == broken or path.startswith(broken + "/") or not broken:
            return why
    # pytest gave up before it collected: a conftest that cannot be imported, or wrong options.
    return "" if record.outcomes or record.status in (0, 5) else last_line(record.output)


def _why_not_measured(case: str, record: ProcessRecord) -> str:
    """Why a case that is not broken is not measured; empty where the revision lacks it."""
    if case not in record.outcomes:
        return record.unmeasured.get(case, "")
    status, reason = record.outcomes[case]
    return f"skipped, {reason}" if status == "skipped" else "passes and measures nothing"
