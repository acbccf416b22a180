"""A campaign as it is read: the run folders of its jobs merged into one run for each kind of machine.

Nodes of a kind whose peaks are not alike are machines of their own. What is missing, and what makes a node's times
doubtful, is said in sentences.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.limits.peak import Peak
from benchmarks.presentation.plain_text import clean
from benchmarks.runs.alike import best_peaks, find_unlike
from benchmarks.runs.campaign import Campaign, Part, open_campaign
from benchmarks.runs.node_cautions import finished_parts, missing, node_cautions, unlike_words
from benchmarks.runs.peaks_in_records import read_peaks
from benchmarks.store import StoreError, open_run
from benchmarks.trial import Trial
from benchmarks.workload import Workload


@dataclasses.dataclass(frozen=True, eq=False)
class NodeRun:
    """The run of one node in one part."""

    part: Part
    node: str
    record: Mapping[str, Any]
    trials: Sequence[Trial]
    problems: Sequence[str]
    peaks: Sequence[Peak]


@dataclasses.dataclass(frozen=True, eq=False)
class MergedRun:
    """What the alike nodes of a kind measured, as one run of one machine."""

    machine: str
    record: Mapping[str, Any]
    trials: Sequence[Trial]
    problems: Sequence[str]
    cautions: Sequence[str]


def merged(folder: Path) -> list[MergedRun]:
    """The machines of a campaign, in the order of the kinds in its file; a kind that has not begun has no trials.

    Raises StoreError where the folder holds no campaign.
    """
    campaign = open_campaign(folder)
    finished = finished_parts(campaign)
    return [run for kind in campaign.kinds for run in _machines(campaign, kind, finished)]


def _machines(campaign: Campaign, kind: str, finished: set[str]) -> list[MergedRun]:
    runs = [run for part in campaign.of_kind(kind) for run in _of_part(campaign, part)]
    unlike = find_unlike({node: [run.peaks for run in runs if run.node == node] for node in _nodes(runs)})
    groups = {kind: [run for run in runs if run.node not in unlike]}
    groups |= {f"{kind} ({node})": [run for run in runs if run.node == node] for node in unlike}
    doubts = node_cautions(campaign.kinds[kind], [(run.node, run.record) for run in runs])
    found = []
    for name, members in groups.items():
        nodes = _nodes(members)
        cautions = [sentence for node, sentence in doubts if node in nodes]
        if name == kind:
            visited = {part.name: _visited(runs, part) for part in campaign.of_kind(kind)}
            cautions = [*missing(campaign, kind, visited, finished), *map(unlike_words, unlike.values()), *cautions]
        found.append(
            MergedRun(
                machine=name,
                record=_record(campaign, name, members, complete=_is_complete(campaign, kind, finished)),
                trials=[trial for run in members for trial in run.trials],
                problems=[problem for run in members for problem in run.problems],
                cautions=[clean(caution) for caution in cautions],
            )
        )
    return found


def _nodes(runs: Iterable[NodeRun]) -> list[str]:
    return list(dict.fromkeys(run.node for run in runs))


def _visited(runs: Iterable[NodeRun], part: Part) -> set[Workload]:
    return {trial.case.workload for run in runs if run.part == part for trial in run.trials}


def _is_complete(campaign: Campaign, kind: str, finished: set[str]) -> bool:
    return all(part.name in finished for part in campaign.of_kind(kind))


def _of_part(campaign: Campaign, part: Part) -> list[NodeRun]:
    """The runs of a part's nodes, each workload with the trials of one node alone.

    A node that was lost may have measured a workload, or some implementations on it, that the next node measured again:
    the node with the most cases of the workload counts, the earlier one where they are equal.
    """
    opened = []
    for folder in campaign.run_folders(part.name):
        try:
            run = open_run(folder)
            stored = run.read()
        except StoreError as error:
            opened.append(NodeRun(part, folder.name, {}, (), (str(error),), ()))
            continue
        trials = [trial for trial in stored.trials if trial.case.workload in part.workloads]
        opened.append(NodeRun(part, folder.name, run.record, trials, stored.problems, read_peaks(run.record)))
    owner = _owners(opened)
    kept = []
    for each in opened:
        own = [trial for trial in each.trials if owner[trial.case.workload] == each.node]
        again = Counter(owner[trial.case.workload] for trial in each.trials if owner[trial.case.workload] != each.node)
        passed = [
            f"{part.name}: {number} trials of {each.node} are passed over, of workloads that {other} measured as well"
            for other, number in again.items()
        ]
        kept.append(dataclasses.replace(each, trials=own, problems=(*each.problems, *passed)))
    return kept


def _owners(runs: Sequence[NodeRun]) -> dict[Workload, str]:
    """{workload: the node whose trials of it count}."""
    found: dict[Workload, tuple[int, str, str]] = {}
    for run in runs:
        of_run: dict[Workload, list[Trial]] = {}
        for trial in run.trials:
            of_run.setdefault(trial.case.workload, []).append(trial)
        for workload, trials in of_run.items():
            cases = len({trial.case.implementation for trial in trials})
            rank = (-cases, min(trial.started_at for trial in trials), run.node)
            found[workload] = min(found.get(workload, rank), rank)
    return {workload: node for workload, (_, _, node) in found.items()}


def _record(campaign: Campaign, machine: str, runs: Sequence[NodeRun], *, complete: bool) -> dict[str, Any]:
    """The record of a merged run: what its first run says, with the peaks, times and nodes of all."""
    records = [run.record for run in runs if run.record]
    first = dict(records[0]) if records else {}
    starts = [text for record in records if isinstance(text := record.get("started_at"), str)]
    ends = [text for record in records if isinstance(text := record.get("finished_at"), str)]
    seconds: Counter[str] = Counter()
    for record in records:
        found = record.get("activity_seconds")
        for name, value in found.items() if isinstance(found, dict) else ():
            if type(value) in (int, float) and 0 <= value < 2**53:
                seconds[str(name)] += value
    return first | {
        "name": campaign.name,
        "kind": machine,
        "sweep": campaign.sweep,
        "implementations": campaign.implementations,
        "command": campaign.record.get("command"),
        "peaks": [peak.to_json() for peak in best_peaks(run.peaks for run in runs)],
        "activity_seconds": dict(seconds),
        "started_at": min(starts, default=None),
        "finished_at": max(ends, default=None) if complete else None,
        "nodes": {node: sum(run.node == node for run in runs) for node in _nodes(runs)},
    }
