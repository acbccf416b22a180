"""What is ahead while a sweep measures: a line of progress, without the intervals that the report judges by."""

from __future__ import annotations

import math
from collections.abc import Mapping

from benchmarks.presentation.plain_text import TIMES, significant
from benchmarks.workload import Workload


class Leaders:
    """The median times so far of each workload, {implementation: seconds}, one implementation for each source.

    `implementations` are {name in the run: source}; as in a report, a copy under a second name competes with nothing.
    """

    def __init__(self, implementations: Mapping[str, str]) -> None:
        kept: dict[str, str] = {}
        for name in sorted(implementations, key=lambda name: (name != implementations[name], name)):
            kept.setdefault(implementations[name], name)
        self._names = set(kept.values())
        self._seconds: dict[Workload, Mapping[str, float]] = {}

    def update(self, workload: Workload, seconds: Mapping[str, float]) -> None:
        """Put the times of a workload in place of earlier ones; without any it does not count."""
        known = {name: value for name, value in seconds.items() if name in self._names}
        if known:
            self._seconds[workload] = known

    def words(self) -> str:
        """Who has the least time on most workloads, and its mean lead over the next there; empty before two compete."""
        contested = {workload: times for workload, times in self._seconds.items() if len(times) > 1}
        if not contested:
            return ""
        firsts = [min(times, key=lambda name: times[name]) for times in contested.values()]
        leader = max(dict.fromkeys(firsts), key=firsts.count)
        won = [
            sorted(times.values()) for times, first in zip(contested.values(), firsts, strict=True) if first == leader
        ]
        lead = math.exp(math.fsum(math.log(second / first) for first, second, *_ in won) / len(won))
        times_as_fast = f"about {significant(float(f'{lead:.1e}'), 2)}{TIMES} as fast as the next"
        return f"ahead so far: {leader} on {len(won)} of {len(firsts)}, {times_as_fast}"
