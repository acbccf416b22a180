"""One pair of processes, base and head, that take turns test by test: one log ratio a case.

On a shared machine the speed of a core changes by some ten percent within seconds, and its cores differ by as much. Two
processes one after the other see different machines; two that alternate on one core, test by test, see the same one, a
fraction of a second apart. So each case is
measured in several passes, the two sides next to each other in each, and taking turns to be first. The pair's log ratio
of a case is the median over passes: what changed within a single pass does not move it. Passes of one process share its
memory layout and are not independent: the pair is the unit of replication.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.regression.control import Control, measure_control
from benchmarks.regression.session import Measured, Side, SuiteProcess

CONTROLS = ("control: matrix product", "control: Python loop")
"""The control's names among the cases."""
WARM_UP_PASSES = 1
"""A process's first passes, which do not count. On a virtual machine whose host takes back memory that lies idle, one
that had waited for its first turn ran the same loop 18 % slower from then on than one that had not."""
LOWEST_PART = 10
LEAST_CONTROLS = 30
"""Controls beside the turns of a side, at least: with few cases there are few turns."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """{case: seconds of a call by pass} of both sides, and the control beside each turn."""

    base: Mapping[str, tuple[float, ...]]
    head: Mapping[str, tuple[float, ...]]
    base_control: tuple[Control, ...]
    head_control: tuple[Control, ...]

    def log_ratios(self) -> dict[str, float]:
        """log(head / base) of each case that both have, the control's two among them."""
        found = log_ratios(self.base, self.head)
        for name, base, head in zip(
            CONTROLS, zip(*self.base_control, strict=True), zip(*self.head_control, strict=True), strict=True
        ):
            found[name] = log_ratio(base, head)
        return found

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Pair:
        """What `to_json` gave."""
        sides = {name: {case: tuple(passes) for case, passes in content[name].items()} for name in ("base", "head")}
        controls = {name: tuple(Control(*each) for each in content[name]) for name in ("base_control", "head_control")}
        return cls(sides["base"], sides["head"], controls["base_control"], controls["head_control"])


def log_ratios(base: Mapping[str, Sequence[float]], head: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """log(head / base) of each case that both have."""
    return {case: log_ratio(base[case], head[case]) for case in base if case in head}


def log_ratio(base: Sequence[float], head: Sequence[float]) -> float:
    """The median over passes of log(head / base), pass by pass."""
    return statistics.median(math.log(above / below) for below, above in zip(base, head, strict=False))


def measure_pair(
    base: Side, head: Side, cases: Sequence[str], *, number: int, passes: int, seconds_a_case: float
) -> tuple[Pair, Measured, Measured]:
    """The pair of two sides, and what each measured; see `measure_together`."""
    measured, controls = measure_together(
        (base, head), cases, number=number, passes=passes, seconds_a_case=seconds_a_case
    )
    return Pair(times(measured[0]), times(measured[1]), *controls), measured[0], measured[1]


def measure_together(
    sides: Sequence[Side],
    cases: Sequence[str],
    *,
    number: int,
    passes: int,
    seconds_a_case: float,
    control: Callable[[], Control] = measure_control,
) -> tuple[list[Measured], list[tuple[Control, ...]]]:
    """Start a process a side, let them take turns, and give what each measured and the control beside its turns.

    `number` counts what was measured in a run and settles which side is first in the first pass; `seconds_a_case` is
    how long each case is measured in each pass, by pytest-benchmark's `--benchmark-max-time`.
    """
    options = (f"--benchmark-max-time={seconds_a_case}", "--benchmark-min-rounds=3")
    controls: list[list[Control]] = [[] for _ in sides]
    controls_a_turn = math.ceil(LEAST_CONTROLS / passes / len(cases))
    with contextlib.ExitStack() as stack:
        # All start at once, on a core each: nothing is measured yet.
        processes = [
            stack.enter_context(
                SuiteProcess(side, only=cases, passes=WARM_UP_PASSES + passes, options=options, layout=number + 1)
            )
            for side in sides
        ]
        waiting = [process.next_test() for process in processes]
        if hasattr(os, "sched_setaffinity"):
            stack.enter_context(_on_one_core(processes))
        step = 0
        while any(waiting):
            first = number + step // len(cases)
            for place in range(len(sides)):
                side = (first + place) % len(sides)
                if waiting[side]:
                    waiting[side] = processes[side].turn()
                    controls[side] += [control() for _ in range(controls_a_turn)]
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

    Interruptions only ever add. On a shared machine this is three times as steady as the median of a pass, and unlike
    the minimum it does not hang on one round.
    """
    ordered = sorted(rounds)
    return ordered[len(ordered) // LOWEST_PART]


def times(measured: Measured) -> dict[str, tuple[float, ...]]:
    """{case: the time of a call in each pass after the warm-up} of what passed."""
    return {
        case: tuple(undisturbed(rounds) for rounds in passes[WARM_UP_PASSES:])
        for case, passes in measured.seconds.items()
        if measured.outcomes.get(case, ("failed", ""))[0] == "passed"
    }
