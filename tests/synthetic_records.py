"""Records of pytest processes, as `regress` and `track` read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.regression.processes.outcomes import Outcome, TestStatus
from benchmarks.regression.processes.process_record import ProcessRecord, Round

FAILED = Outcome("failed", "why")


def rounds(seconds: Sequence[float], time_slices: Sequence[int] | None = None) -> list[Round]:
    """The rounds of one repetition; all in the first time slice where none are given."""
    return [Round(*each) for each in zip(seconds, time_slices or [0] * len(seconds), strict=True)]


def record(outcomes: Mapping[str, Outcome | TestStatus], **fields: Any) -> ProcessRecord:
    """A process with these outcomes, in which each case that passed has one round of a second.

    An outcome that is only a word has the reason `why`, unless it passed.
    """
    given = {
        case: each if isinstance(each, Outcome) else Outcome(each, "" if each == "passed" else "why")
        for case, each in outcomes.items()
    }
    repetitions = {case: [rounds([1.0])] for case, each in given.items() if each.status == "passed"}
    return ProcessRecord(**{"repetitions": repetitions, "outcomes": given, **fields})
