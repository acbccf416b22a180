"""What makes a campaign's times doubtful or incomplete, in sentences: missing parts, nodes not as they should be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.presentation.plain_text import count, share, times
from benchmarks.runs.alike import Unlike
from benchmarks.runs.campaign import RUNS, Campaign
from benchmarks.workload import Workload

FINISHED_FILE = "finished.json"
"""The file in a part's folder that says that the part is measured: nothing is left, or its budget is spent."""
_MOST_NAMED = 5


def finished_parts(campaign: Campaign) -> set[str]:
    """The names of the parts that are finished."""
    found = {file.parent.name for file in (campaign.folder / RUNS).glob(f"*/{FINISHED_FILE}")}
    return found & {part.name for part in campaign.parts}


def missing(campaign: Campaign, kind: str, visited: Mapping[str, set[Workload]], finished: set[str]) -> list[str]:
    """Sentences on the parts of a kind that are not measured; `visited` are {part: workloads that have trials}."""
    parts = list(campaign.of_kind(kind))
    lacking = {part.name: len(set(part.workloads) - visited[part.name]) for part in parts}
    total, missed = sum(len(part.workloads) for part in parts), sum(lacking.values())
    said = []
    if missed:
        named = [
            f"{part.name} has {len(part.workloads) - lacking[part.name]} of {len(part.workloads)}"
            for part in parts
            if lacking[part.name]
        ]
        said.append(f"on {kind}, {missed} of {count(total, 'workload')} not measured: {_named(named)}")
    unfinished = [part.name for part in parts if part.name not in finished and not lacking[part.name]]
    if unfinished:
        said.append(f"on {kind}, {_named(unfinished)} ended before the end of the budget")
    return said


def unlike_words(unlike: Unlike) -> str:
    """The sentence on a node that is not like the others of its kind."""
    return (
        f"{unlike.node} is shown as a machine of its own: its peaks ({unlike.kind}) are {times(unlike.ratio)} those of "
        f"{unlike.reference}, and {share(unlike.allowed)} of difference is allowed"
    )


def node_cautions(kind: Mapping[str, Any], runs: Sequence[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, str]]:
    """(node, sentence) for what is doubtful about nodes of a kind, by the records of their runs.

    `kind` is the kind's table in the cluster's file.
    """
    found: list[tuple[str, str]] = []
    for node, record in runs:
        for job in _jobs(record):
            if job.get("exclusive") is False:
                found.append((node, f"{node} was not exclusive to job {job.get('id')}: other jobs could run there"))
            if isinstance(job.get("other_jobs"), int) and job["other_jobs"] > 0:
                found.append(
                    (node, f"{count(job['other_jobs'], 'other job')} ran on {node} beside job {job.get('id')}")
                )
            if isinstance(job.get("scratch"), str) and job.get("scratch_is_shared") is True:
                found.append((node, f"{node} had locks and compile caches in {job['scratch']}, which is no local disk"))
        promised, usable = kind.get("cores"), _cpu(record).get("usable_cores")
        if isinstance(promised, int) and isinstance(usable, int) and usable < promised:
            found.append((node, f"{node} had {usable} of the {promised} cores promised"))
    found += _odd_ones(runs, "governor", lambda record: _cpu(record).get("governor"))
    found += _odd_ones(runs, "packages", lambda record: _text(record.get("packages")))
    found += _odd_ones(runs, "code", lambda record: _text(record.get("commit")))
    return list(dict.fromkeys(found))


def _odd_ones(runs: Sequence[tuple[str, Mapping[str, Any]]], what: str, of: Any) -> Iterable[tuple[str, str]]:
    """(node, sentence) for nodes whose value is not that of most."""
    values = {node: of(record) for node, record in runs if record}
    if len(set(values.values())) < 2:
        return
    usual, _ = Counter(values.values()).most_common(1)[0]
    for node, value in values.items():
        if value != usual:
            shown = f" {value}, the others {usual}" if what == "governor" else " other than the others'"
            yield node, f"{node} had {'the governor' if what == 'governor' else what}{shown}"


def _jobs(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    jobs = record.get("jobs")
    return [job for job in jobs if isinstance(job, dict)] if isinstance(jobs, list) else []


def _cpu(record: Mapping[str, Any]) -> Mapping[str, Any]:
    machine = record.get("machine")
    cpu = machine.get("cpu") if isinstance(machine, dict) else None
    return cpu if isinstance(cpu, dict) else {}


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{', '.join(names[:_MOST_NAMED])}{more}"
