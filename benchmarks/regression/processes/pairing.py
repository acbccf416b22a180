"""One pair of processes, base and head, interleaved within each test: one log ratio a case.

On a shared machine the speed of a core changes within tenths of a second, and its cores differ. Only processes that
alternate on one core every few milliseconds meet the same speed (docs/regression.md has the figures). So each case is
measured in many short time slices, in which the two sides alternate. The log ratio of a case in a pair is the median
over time slices; a change of speed between two of them does not move it. The time slices of a process share its memory
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

from benchmarks.regression.processes.control import ControlTimes, measure_control
from benchmarks.regression.processes.process_record import ProcessRecord, Round
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.processes.suite_process import (
    UNLIMITED,
    WARM_UP_REPETITIONS,
    WITHIN_A_TEST,
    SuiteProcess,
    TimeLimits,
)

CONTROLS = ("control: matrix product", "control: Python loop")
"""The names of the control's two parts among the cases."""
_TENTHS = 10
LEAST_CONTROLS = 30
"""The least number of controls beside the turns of a side: with few cases there are few turns."""


@dataclasses.dataclass(frozen=True)
class ProcessPair:
    """The measured times of a pair: {case: seconds of a call by time slice} a side, and the control beside the turns.

    A case has as many time slices on both sides, those of the same place next to each other in time.
    """

    base: Mapping[str, tuple[float, ...]]
    head: Mapping[str, tuple[float, ...]]
    base_control: tuple[ControlTimes, ...]
    head_control: tuple[ControlTimes, ...]

    def log_ratios(self) -> dict[str, float]:
        """log(head / base) of each case that both sides have, and of the control's two parts where it was measured."""
        found = log_ratios(self.base, self.head)
        if not self.base_control:
            return found
        for name, base, head in zip(
            CONTROLS, zip(*self.base_control, strict=True), zip(*self.head_control, strict=True), strict=True
        ):
            found[name] = log_ratio(base, head)
        return found

    def joined(self, other: ProcessPair) -> ProcessPair:
        """This pair and another one of the same sides, which measured other cases, as one."""
        return ProcessPair(
            {**self.base, **other.base},
            {**self.head, **other.head},
            self.base_control + other.base_control,
            self.head_control + other.head_control,
        )

    def to_json(self) -> dict[str, Any]:
        """The pair as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ProcessPair:
        """The inverse of `to_json`."""
        sides = {name: {case: tuple(slices) for case, slices in content[name].items()} for name in ("base", "head")}
        controls = {
            name: tuple(ControlTimes(*each) for each in content[name]) for name in ("base_control", "head_control")
        }
        return cls(sides["base"], sides["head"], controls["base_control"], controls["head_control"])


def log_ratios(base: Mapping[str, Sequence[float]], head: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """log(head / base) of each case that both sides have."""
    return {case: log_ratio(base[case], head[case]) for case in base if case in head}


def log_ratio(base: Sequence[float], head: Sequence[float]) -> float:
    """The median over time slices of log(head / base)."""
    return statistics.median(math.log(above / below) for below, above in zip(base, head, strict=True))


def measure_pair(
    base: Side,
    head: Side,
    cases: Sequence[str],
    *,
    number: int,
    repetitions: int,
    seconds_a_case: float,
    limits: TimeLimits = UNLIMITED,
) -> tuple[ProcessPair, ProcessRecord, ProcessRecord]:
    """The pair of two sides, and the record of each process; the arguments are those of `measure_together`."""
    records, controls = measure_together(
        (base, head), cases, number=number, repetitions=repetitions, seconds_a_case=seconds_a_case, limits=limits
    )
    base_times, head_times = slice_times(records)
    # Where one process ended early, the other one's turns went on, with their controls.
    both = min(map(len, controls))
    return ProcessPair(base_times, head_times, controls[0][:both], controls[1][:both]), records[0], records[1]


def measure_together(
    sides: Sequence[Side],
    cases: Sequence[str],
    *,
    number: int,
    repetitions: int,
    seconds_a_case: float,
    limits: TimeLimits = UNLIMITED,
    control: Callable[[], ControlTimes] = measure_control,
) -> tuple[list[ProcessRecord], list[tuple[ControlTimes, ...]]]:
    """Measure the cases in one process a side, interleaved; the record of each process, and the control beside it.

    Args:
        sides: What is measured.
        cases: The tests to run, in this order.
        number: How many pairs or groups the run measured before; it settles the layout and which side goes first.
        repetitions: How often each case is measured, after the repetitions that warm up.
        seconds_a_case: How long each case is measured in a repetition: pytest-benchmark's `--benchmark-max-time`.
        limits: How long a process may take.
        control: Times the control once.

    A process that ends early has recorded what came before. Raises BudgetOver at the deadline of the limits.
    """
    options = (f"--benchmark-max-time={seconds_a_case}", "--benchmark-min-rounds=3")
    controls: list[list[ControlTimes]] = [[] for _ in sides]
    controls_a_turn = math.ceil(LEAST_CONTROLS / repetitions / len(cases))
    with contextlib.ExitStack() as stack:
        # The control is to use one core: with two threads, one of which waits for a core, it takes a hundred times as
        # long.
        stack.enter_context(threadpool_limits(limits=1))
        # All processes start at once, on a core each: nothing is measured yet.
        processes = [
            stack.enter_context(
                SuiteProcess(
                    side,
                    only=cases,
                    repetitions=WARM_UP_REPETITIONS + repetitions,
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
        tests = 0
        while any(waiting):
            first = number + tests // len(cases)
            order = [(first + place) % len(sides) for place in range(len(sides))]
            order = [side for side in order if waiting[side]]
            for side in order:
                waiting[side] = processes[side].turn()
                controls[side] += [control() for _ in range(controls_a_turn)]
            while any(waiting[side] == WITHIN_A_TEST for side in order):
                for side in order:
                    if waiting[side] == WITHIN_A_TEST:
                        waiting[side] = processes[side].turn()
            tests += 1
        return [process.finish() for process in processes], [tuple(each) for each in controls]


@contextlib.contextmanager
def _on_one_core(processes: Sequence[SuiteProcess]) -> Iterator[None]:
    """Keep the processes, and this one with its controls, on the last core: interrupts tend to the first."""
    cores = os.sched_getaffinity(0)
    for process in processes:
        process.bind(max(cores))
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def first_decile(rounds: Sequence[float]) -> float:
    """The seconds at which the lowest tenth of the rounds ends: a call that nothing interrupts.

    Interruptions only add. Where there are many rounds it does not depend on a single one, as the minimum does.
    """
    ordered = sorted(rounds)
    return ordered[len(ordered) // _TENTHS]


def slice_times(records: Sequence[ProcessRecord]) -> list[dict[str, tuple[float, ...]]]:
    """{case: seconds of a call in each time slice} of each process, for the cases that passed in all of them.

    Time slices of the same number are next to each other in time, and only those that all processes have are kept: a
    slice that one process had alone, before or after the test of the others, has no counterpart.
    """
    found: list[dict[str, tuple[float, ...]]] = [{} for _ in records]
    for case in records[0].repetitions:
        if not all(record.passed(case) for record in records):
            continue
        aligned: list[tuple[float, ...]] = []
        repetitions = [record.repetitions.get(case, ())[WARM_UP_REPETITIONS:] for record in records]
        for rounds_of_sides in zip(*repetitions, strict=False):
            slices = [_by_slice(rounds) for rounds in rounds_of_sides]
            shared = sorted(set.intersection(*(set(each) for each in slices)))
            aligned += [tuple(each[number] for each in slices) for number in shared]
        if aligned:
            for times, of_side in zip(found, zip(*aligned, strict=True), strict=True):
                times[case] = of_side
    return found


def _by_slice(rounds: Sequence[Round]) -> dict[int, float]:
    """{number of the time slice: seconds of a call in it} of one repetition."""
    grouped: dict[int, list[float]] = {}
    for each in rounds:
        grouped.setdefault(each.time_slice, []).append(each.seconds)
    return {number: first_decile(seconds) for number, seconds in grouped.items()}
