"""One pair of processes, base and head, that take turns within each test: one log ratio a case.

On a shared machine a core's speed changes by a fifth, for some tenths of a second at a time, as whatever else the host
runs on it comes and goes; its cores differ by as much. Two processes one after the other see different machines, and so
do two that alternate test by test. Two that alternate on one core every few milliseconds see the same one. So each
case is measured in many short stretches, those of the two sides next to each other. The pair's log ratio of a case is
the median over stretches: what changed between two of them does not move it. Stretches of one process share its memory
and are not independent: the pair is the unit of replication.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.regression.control import Control, measure_control
from benchmarks.regression.session import UNLIMITED, WARM_UP_PASSES, WITHIN, Limits, Side, SuiteProcess
from benchmarks.regression.session_record import Measured

CONTROLS = ("control: matrix product", "control: Python loop")
"""The control's names among the cases."""
LOWEST_PART = 10
LEAST_CONTROLS = 30
"""Controls beside the turns of a side, at least: with few cases there are few turns."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """{case: seconds of a call by stretch} of both sides, and the control beside each test's turns."""

    base: Mapping[str, tuple[float, ...]]
    head: Mapping[str, tuple[float, ...]]
    base_control: tuple[Control, ...]
    head_control: tuple[Control, ...]

    def log_ratios(self) -> dict[str, float]:
        """log(head / base) of each case that both have, the control's two among them where it was measured."""
        found = log_ratios(self.base, self.head)
        if not self.base_control:
            return found
        for name, base, head in zip(
            CONTROLS, zip(*self.base_control, strict=True), zip(*self.head_control, strict=True), strict=True
        ):
            found[name] = log_ratio(base, head)
        return found

    def joined(self, other: Pair) -> Pair:
        """With the cases and controls of another pair of the same sides, which measured what this one could not."""
        return Pair(
            {**self.base, **other.base},
            {**self.head, **other.head},
            self.base_control + other.base_control,
            self.head_control + other.head_control,
        )

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Pair:
        """What `to_json` gave."""
        sides = {
            name: {case: tuple(stretches) for case, stretches in content[name].items()} for name in ("base", "head")
        }
        controls = {name: tuple(Control(*each) for each in content[name]) for name in ("base_control", "head_control")}
        return cls(sides["base"], sides["head"], controls["base_control"], controls["head_control"])


def log_ratios(base: Mapping[str, Sequence[float]], head: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """log(head / base) of each case that both have."""
    return {case: log_ratio(base[case], head[case]) for case in base if case in head}


def log_ratio(base: Sequence[float], head: Sequence[float]) -> float:
    """The median over stretches of log(head / base), stretch by stretch."""
    return statistics.median(math.log(above / below) for below, above in zip(base, head, strict=True))


def measure_pair(
    base: Side,
    head: Side,
    cases: Sequence[str],
    *,
    number: int,
    passes: int,
    seconds_a_case: float,
    limits: Limits = UNLIMITED,
) -> tuple[Pair, Measured, Measured]:
    """The pair of two sides, and what each measured; see `measure_together`."""
    measured, controls = measure_together(
        (base, head), cases, number=number, passes=passes, seconds_a_case=seconds_a_case, limits=limits
    )
    base_times, head_times = times(measured)
    # Where a process ended early, the controls of the other one go on alone.
    both = min(map(len, controls))
    return Pair(base_times, head_times, controls[0][:both], controls[1][:both]), measured[0], measured[1]


def measure_together(
    sides: Sequence[Side],
    cases: Sequence[str],
    *,
    number: int,
    passes: int,
    seconds_a_case: float,
    limits: Limits = UNLIMITED,
    control: Callable[[], Control] = measure_control,
) -> tuple[list[Measured], list[tuple[Control, ...]]]:
    """Start a process a side, let them take turns, and give what each measured and the control beside its tests.

    `number` counts what was measured in a run and settles which side is first in the first pass; `seconds_a_case` is
    how long each case is measured in each pass, by pytest-benchmark's `--benchmark-max-time`. A process that ends early
    has measured what came before; raises BudgetOver where the `limits` have a deadline and it is over.
    """
    options = (f"--benchmark-max-time={seconds_a_case}", "--benchmark-min-rounds=3")
    controls: list[list[Control]] = [[] for _ in sides]
    controls_a_turn = math.ceil(LEAST_CONTROLS / passes / len(cases))
    with contextlib.ExitStack() as stack:
        # A product on two threads, of which the other waits for a core, takes a hundred times as long.
        stack.enter_context(threadpool_limits(limits=1))
        # All start at once, on a core each: nothing is measured yet.
        processes = [
            stack.enter_context(
                SuiteProcess(
                    side,
                    only=cases,
                    passes=WARM_UP_PASSES + passes,
                    options=options,
                    layout=number + 1,
                    limits=limits,
                )
            )
            for side in sides
        ]
        waiting = [process.next_turn() for process in processes]
        if hasattr(os, "sched_setaffinity"):
            stack.enter_context(_on_one_core(processes))
        step = 0
        while any(waiting):
            first = number + step // len(cases)
            order = [(first + place) % len(sides) for place in range(len(sides))]
            order = [side for side in order if waiting[side]]
            for side in order:
                waiting[side] = processes[side].turn()
                controls[side] += [control() for _ in range(controls_a_turn)]
            while any(waiting[side] == WITHIN for side in order):
                for side in order:
                    if waiting[side] == WITHIN:
                        waiting[side] = processes[side].turn()
            step += 1
        return [process.finish() for process in processes], [tuple(each) for each in controls]


@contextlib.contextmanager
def _on_one_core(processes: Sequence[SuiteProcess]) -> Iterator[None]:
    """Keep the processes, and this one with its controls, on the same core: two cores differ by more than revisions.

    The last one: interrupts tend to the first.
    """
    cores = os.sched_getaffinity(0)
    for process in processes:
        process.bind(max(cores))
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def undisturbed(rounds: Sequence[float]) -> float:
    """The time of a call when nothing comes between: the lowest tenth of the rounds ends there.

    Interruptions only ever add. Unlike the minimum, it does not hang on one round where there are many.
    """
    ordered = sorted(rounds)
    return ordered[len(ordered) // LOWEST_PART]


def times(measured: Sequence[Measured]) -> list[dict[str, tuple[float, ...]]]:
    """A {case: the time of a call in each stretch} a side, of what passed on all sides: the same stretches on each.

    Stretches of the same number are next to each other in time. What a side did while another had ended its test, or
    before it had begun, has no counterpart and does not count.
    """
    found: list[dict[str, tuple[float, ...]]] = [{} for _ in measured]
    for case in measured[0].seconds:
        if any(each.outcomes.get(case, ("missing", ""))[0] != "passed" for each in measured):
            continue
        by_pass = zip(*(_stretches(each, case)[WARM_UP_PASSES:] for each in measured), strict=False)
        aligned = [
            tuple(each[number] for each in sides)
            for sides in by_pass
            for number in sorted(set.intersection(*(set(each) for each in sides)))
        ]
        if aligned:
            for times_of_side, stretches in zip(found, zip(*aligned, strict=True), strict=True):
                times_of_side[case] = stretches
    return found


def _stretches(measured: Measured, case: str) -> list[dict[int, float]]:
    """The {number of the stretch: time of a call} of each pass."""
    found = []
    for rounds, numbers in zip(measured.seconds.get(case, ()), measured.stretches.get(case, ()), strict=True):
        grouped: dict[int, list[float]] = {}
        for seconds, number in zip(rounds, numbers, strict=True):
            grouped.setdefault(number, []).append(seconds)
        found.append({number: undisturbed(each) for number, each in grouped.items()})
    return found
