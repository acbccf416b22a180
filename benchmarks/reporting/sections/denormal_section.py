"""Signals that decay into denormal numbers, in words: how much slower each is, with and without flushing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from benchmarks.presentation.plain_text import NOTHING, code, interval, listed, times
from benchmarks.reporting.answers.findings import CELL_LABELS
from benchmarks.reporting.sections.limited_table import cut
from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import PooledCase
from benchmarks.statistics import Estimate
from benchmarks.workload import Denormals, Signal, Workload

SLOWER = 1.1
"""A decaying signal that takes this many times as long as a normal one, with the whole interval, is slower."""


@dataclasses.dataclass(frozen=True, eq=False)
class Decay:
    """One network in one implementation: its cases by signal and by what becomes of denormal numbers."""

    run: str
    workload: Workload
    implementation: str
    cases: dict[tuple[Signal, Denormals], PooledCase]

    def slowdown(self, denormals: Denormals) -> Estimate | None:
        """The time with a decaying signal over that with a normal one; None where one of them has no time."""
        decaying, normal = self.cases.get(("decaying", denormals)), self.cases.get(("normal", denormals))
        if decaying is None or normal is None or decaying.estimate is None or normal.estimate is None:
            return None
        above, below = decaying.estimate, normal.estimate
        return Estimate(above.median / below.median, above.low / below.high, above.high / below.low)

    @property
    def changed_modes(self) -> str | None:
        """How the control bits of floating point changed from the process's start on, or None where they did not."""
        trials = [trial for case in self.cases.values() for trial in case.trials if trial.float_modes]
        changes = [
            f"{trial.float_modes.get('start')} became {after}"
            for trial in trials
            for after in (trial.float_modes.get("loaded"), trial.float_modes.get("called"))
            if after != trial.float_modes.get("start")
        ]
        return changes[0] if changes else None

    @property
    def knows_modes(self) -> bool:
        """Whether the control bits were read."""
        return any(trial.float_modes.get("called") for case in self.cases.values() for trial in case.trials)


def decays(runs: Sequence[LoadedRun]) -> list[Decay]:
    """The networks that were measured with a decaying signal, by implementation."""
    found: dict[tuple[str, Workload, str], Decay] = {}
    for run in runs:
        for workload, cases in run.workloads.items():
            plain = dataclasses.replace(workload, signal="normal", denormals="kept")
            for name, case in cases.items():
                decay = found.setdefault((run.label, plain, name), Decay(run.label, plain, name, {}))
                decay.cases[workload.signal, workload.denormals] = case
    return [each for each in found.values() if any(signal == "decaying" for signal, _ in each.cases)]


def denormal_section(runs: Sequence[LoadedRun]) -> str:
    """Who is slower when states decay, whom flushing helps, and who changes the process; empty without such signals."""
    found = decays(runs)
    if not found:
        return ""
    rule = (
        "A decaying signal falls from 1 to 1e-38 over half of the steps and on through the denormal numbers of float32 "
        "over the rest; without biases the states follow. “Flushed”: the process takes denormal numbers for zero, as "
        "its owner asks before anything is loaded; threads that an engine starts begin with that. The last column says "
        "whether the calling thread's control bits were others once the implementation was loaded or had been called."
    )
    header = ["run", "network", "implementation", "decaying over normal", "the same, flushed", "control bits"]
    rows = []
    for decay in found:
        modes = (
            "changed: " + decay.changed_modes if decay.changed_modes else "unchanged" if decay.knows_modes else NOTHING
        )
        row = [code(decay.run), _network(decay.workload), code(decay.implementation)]
        rows.append([*row, _ratio(decay.slowdown("kept")), _ratio(decay.slowdown("flushed")), modes])
    return "\n\n".join((_answer(found), rule, cut((decay.run for decay in found), header, rows)))


def _answer(found: Sequence[Decay]) -> str:
    ratios: dict[str, list[Estimate]] = {}
    flushed: dict[str, list[Estimate]] = {}
    for decay in found:
        for into, ratio in ((ratios, decay.slowdown("kept")), (flushed, decay.slowdown("flushed"))):
            if ratio is not None:
                into.setdefault(decay.implementation, []).append(ratio)
    slow = {name: [each for each in of_name if _is_slower(each)] for name, of_name in ratios.items()}
    said = []
    for name, of_name in slow.items():
        if of_name:
            most = max(of_name, key=lambda ratio: ratio.median)
            helped = name in flushed and not any(map(_is_slower, flushed[name]))
            still = max(flushed.get(name, []), key=lambda ratio: ratio.median, default=None)
            rest = (
                "flushing takes that away" if helped else f"with flushing still {times(still.median)}" if still else ""
            )
            said.append(f"- {code(name)} takes up to {times(most.median)} as long{f'; {rest}' if rest else ''}.")
    unmoved = [code(name) for name, of_name in slow.items() if not of_name]
    if unmoved:
        said.append(f"- {listed(unmoved)}: not slower.")
    changing = sorted({code(decay.implementation) for decay in found if decay.changed_modes})
    said.append(f"- {listed(changing)}: leaves the process's control bits changed." if changing else "")
    return "\n".join(each for each in said if each)


def _is_slower(ratio: Estimate) -> bool:
    return (ratio.low if ratio.low == ratio.low else ratio.median) > SLOWER


def _ratio(ratio: Estimate | None) -> str:
    return NOTHING if ratio is None else f"{times(ratio.median)} ({interval(ratio.low, ratio.high)})"


def _network(workload: Workload) -> str:
    cell = CELL_LABELS.get(workload.cell, workload.cell)
    return f"{cell}, T {workload.T}, B {workload.B}, H {workload.H}, {workload.mode}"
