"""The loss of a worker: its status and reason, and whether something outside ended it."""

from __future__ import annotations

from benchmarks.trial import Status

BUDGET_GRACE_SECONDS = 60.0
"""A request that began within a sweep's budget may end this much after it."""


class WorkerLost(Exception):
    """The worker has ended: `status` and `reason` as a trial has them.

    `from_outside` says that something other than the worker ended it, as far as can be known. Trying again may succeed.
    """

    def __init__(self, status: Status, reason: str, *, from_outside: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.from_outside = from_outside


def ended_by_budget(lost: WorkerLost) -> WorkerLost:
    """The loss with the end of the budget as its reason: with more time the worker may succeed."""
    reason = f"the budget had ended {BUDGET_GRACE_SECONDS:.0f} s before: {lost.reason}"
    return WorkerLost(lost.status, reason, from_outside=True)
