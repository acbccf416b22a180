"""Signals that decay into denormal numbers, in words: how much slower each is, with and without flushing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from benchmarks.presentation.plain_text import NOTHING, code, listed
from benchmarks.reporting.answers.findings import CELL_LABELS
from benchmarks.reporting.sections.limited_table import cut
from benchmarks.reporting.words.answer_words import with_interval
from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import PooledCase
from benchmarks.statistics import Estimate, widest_ratio
from benchmarks.workload import Denormals, Signal, Workload

SLOWER = 1.1
"""A decaying signal that takes this many times as long as a normal one is slower, with the whole interval above it, and
not slower with the whole interval below."""


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
        return widest_ratio(decaying.estimate, normal.estimate)

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
    """Who is surely slower and what flushing does to it, who is surely not, of whom it cannot be told, by name."""
    kept, flushed = _slowdowns(found, "kept"), _slowdowns(found, "flushed")
    slow = {name: max(slower, key=lambda each: each.median) for name in kept if (slower := _slower(kept[name]))}
    level = [code(name) for name in kept if all(map(_is_level, kept[name]))]
    unknown = [code(name) for name in kept if name not in slow and code(name) not in level]
    changing = sorted({code(decay.implementation) for decay in found if decay.changed_modes})
    said = [
        f"- {code(name)} takes up to {with_interval(most)} as long; {_with_flushing(flushed.get(name, []))}."
        for name, most in slow.items()
    ]
    said += [f"- {listed(level)}: not slower."] if level else []
    said += [f"- {listed(unknown)}: cannot tell, the intervals are too wide or missing."] if unknown else []
    said += [f"- {listed(changing)}: leaves the process's control bits changed."] if changing else []
    return "\n".join(said)


def _slowdowns(found: Sequence[Decay], denormals: Denormals) -> dict[str, list[Estimate]]:
    """The slow-downs of each implementation over its networks."""
    ratios: dict[str, list[Estimate]] = {}
    for decay in found:
        slowdown = decay.slowdown(denormals)
        if slowdown is not None:
            ratios.setdefault(decay.implementation, []).append(slowdown)
    return ratios


def _with_flushing(ratios: Sequence[Estimate]) -> str:
    """What flushing does to an implementation that is slower without it."""
    if not ratios:
        return "not measured with flushing"
    if all(map(_is_level, ratios)):
        return "flushing takes that away"
    slower = _slower(ratios)
    if not slower:
        return "whether flushing takes that away cannot be told"
    return f"with flushing still {with_interval(max(slower, key=lambda each: each.median))}"


def _slower(ratios: Sequence[Estimate]) -> list[Estimate]:
    """The ratios that are surely above `SLOWER`."""
    return [each for each in ratios if each.low > SLOWER]


def _is_level(slowdown: Estimate) -> bool:
    """Whether it is surely not above `SLOWER`; not without an interval."""
    return slowdown.high <= SLOWER


def _ratio(slowdown: Estimate | None) -> str:
    return NOTHING if slowdown is None else with_interval(slowdown)


def _network(workload: Workload) -> str:
    cell = CELL_LABELS.get(workload.cell, workload.cell)
    return f"{cell}, T {workload.T}, B {workload.B}, H {workload.H}, {workload.mode}"
