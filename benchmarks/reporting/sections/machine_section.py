"""The answer by machine as Markdown: the fastest on each, where it changes, what a second on one costs on another."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks.presentation.plain_text import NOTHING, code, count, escape, interval, listed, significant, table
from benchmarks.reporting.answers.findings import CELL_LABELS
from benchmarks.reporting.answers.machines import Best, Exchange, Point, Table, changes, exchanges
from benchmarks.statistics import Estimate

MOST_CHANGES = 30
"""The most workloads that are listed where the fastest changes."""


def machine_section(found: Table) -> str:
    """The section on several machines; empty where no workload was measured on two."""
    if not found:
        return ""
    machines = list(dict.fromkeys(machine for bests in found.values() for machine in bests))
    return "\n\n".join([_fastest(found, machines), _changes(found, machines), _exchanges(exchanges(found))])


def _fastest(found: Table, machines: Sequence[str]) -> str:
    """A table with a row for each setting: the one that is surely the fastest on most workloads, on each machine."""
    settings: dict[tuple[str, str, str, str], list[Mapping[str, Best]]] = {}
    for point, bests in found.items():
        settings.setdefault(point.setting, []).append(bests)
    rows = []
    for (mode, cell, device, threads), of_setting in settings.items():
        cells = [_most(machine, of_setting) for machine in machines]
        rows.append([CELL_LABELS.get(cell, cell), mode, threads or device, *cells])
    return table(["cell", "mode", "threads", *map(escape, machines)], rows)


def _most(machine: str, of_setting: Sequence[Mapping[str, Best]]) -> str:
    there = [bests[machine] for bests in of_setting if machine in bests]
    if not there:
        return NOTHING
    sure = Counter(best.implementation for best in there if not best.close)
    tied = Counter(name for best in there if best.close for name in best.possible)
    name = min(sure.keys() | tied.keys(), key=lambda name: (-sure[name], -tied[name], name))
    of = f" of {len(there)}"
    if not sure[name]:
        return f"{code(name)} tied on {tied[name]}{of}"
    return f"{code(name)} on {sure[name]}{of}" + (f", tied on {tied[name]}" if tied[name] else "")


def _changes(found: Table, machines: Sequence[str]) -> str:
    """The workloads on which the fastest of one machine is surely not that of another."""
    changed = changes(found)
    if not changed:
        return f"The fastest is the same, or too close to call, on all {count(len(found), 'workload')} of both."
    rows = [[_workload(point), *(_named(bests, machine) for machine in machines)] for point, bests in changed.items()]
    more = f"\n\nand {len(rows) - MOST_CHANGES} more" if len(rows) > MOST_CHANGES else ""
    said = f"The fastest changes on {len(changed)} of {count(len(found), 'workload')}:"
    return f"{said}\n\n{table(['workload', *map(escape, machines)], rows[:MOST_CHANGES])}{more}"


def _workload(point: Point) -> str:
    mode, cell, device, threads = point.setting
    return f"{CELL_LABELS.get(cell, cell)}, {mode}, {point.sizes}, {threads or device}"


def _named(bests: Mapping[str, Best], machine: str) -> str:
    if machine not in bests:
        return NOTHING
    names = [bests[machine].implementation, *sorted(bests[machine].close)]
    return listed([code(name) for name in names], "or")


def _exchanges(found: Sequence[Exchange]) -> str:
    rows = [
        [
            escape(each.machine),
            escape(each.other),
            each.threads or NOTHING,
            _seconds(each.seconds),
            f"{significant(each.lowest)} to {significant(each.highest)} s",
            _seconds(each.core_seconds),
            f"{significant(each.joules)}" if math.isfinite(each.joules) else "energy could not be read on both",
            str(each.workloads),
        ]
        for each in found
    ]
    header = ["a second on", "is on", "threads", "seconds", "from workload to workload", "core-seconds for each"]
    header += ["watt-hours for each", "workloads"]
    return (
        "What a second costs elsewhere, each workload by its fastest on each machine (geometric mean, with the 95 % "
        f"interval):\n\n{table(header, rows)}"
    )


def _seconds(found: Estimate) -> str:
    """Seconds with their interval; a dash where there are none."""
    if not math.isfinite(found.median):
        return NOTHING
    return f"{significant(found.median)} s ({interval(found.low, found.high)})"
