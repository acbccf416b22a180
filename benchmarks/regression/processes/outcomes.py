"""The words for how a test ended in a process, and for what a comparison of two revisions says of a case."""

from __future__ import annotations

from typing import Literal, NamedTuple

TestStatus = Literal["passed", "skipped", "failed"]
"""How a test ended, in pytest's words."""
Verdict = Literal["faster", "same", "slower", "cannot tell"]
"""What the times of a case say of head beside base."""
Exclusion = Literal["new", "gone", "broken", "not judged"]
"""Why a case has no verdict: base does not measure it, head does not, it fails, or the budget is too short for it."""


class Outcome(NamedTuple):
    """How a test ended in one process, and why; a test that passed has no reason."""

    status: TestStatus
    reason: str = ""


PASSED = Outcome("passed")


class Excluded(NamedTuple):
    """Why a case has no verdict. The reason is empty where a revision has no such test."""

    kind: Exclusion
    reason: str = ""
