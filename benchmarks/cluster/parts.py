"""Where a part stands, by what its jobs have written: measured workloads, time spent, owner, end.

A part belongs to the job that claimed it last. A job whose node was lost may still run there, so each looks between
measurements whether the part is still its own.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.files import explained, make_folder, open_to_read, write
from benchmarks.json_lines import to_json
from benchmarks.reading import parse_json
from benchmarks.runs.campaign import RUNS, Campaign, Part
from benchmarks.runs.node_cautions import FINISHED_FILE
from benchmarks.store import StoreError, open_run
from benchmarks.workload import Workload

OWNER_FILE = "owner.json"
_LARGEST = 65536
_WRITING_SECONDS = 1.0


class PartTaken(Exception):
    """Another job has claimed the part; this one ends."""


class Claim:
    """The claim of a job on a part, until another job makes one."""

    def __init__(self, campaign: Campaign, part: Part, job: Mapping[str, Any]) -> None:
        """Claim the part for a job, whoever had it before. Raises StoreError where that cannot be written."""
        self._campaign, self._part = campaign, part
        self._earlier = owner(campaign, part)
        self._token = secrets.token_hex(8)
        content = {"token": self._token, "job": job["id"], "node": job["node"], "since": job["started_at"]}
        _write(campaign, part, OWNER_FILE, content)

    def wait_for_earlier(self) -> None:
        """Give a job that had the part, and may still run, the time to add what it has begun to add."""
        if self._earlier:
            time.sleep(_WRITING_SECONDS)

    def check(self) -> None:
        """Raise PartTaken where another job has claimed the part since."""
        found = owner(self._campaign, self._part)
        if found and found.get("token") != self._token:
            raise PartTaken(
                f"job {found.get('job')} on {found.get('node')} has taken over {self._part.name}: this job ends"
            )


def owner(campaign: Campaign, part: Part) -> Mapping[str, Any]:
    """The last claim on a part; empty where it has none that can be read."""
    with contextlib.suppress(OSError, ValueError, StoreError):
        with open_to_read(campaign.folder, f"{RUNS}/{part.name}/{OWNER_FILE}") as file:
            found = parse_json(file.read(_LARGEST))
        return found if isinstance(found, dict) else {}
    return {}


def finish(campaign: Campaign, part: Part, job: Mapping[str, Any]) -> None:
    """Say that a part is measured. Raises StoreError where that cannot be written."""
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    _write(campaign, part, FINISHED_FILE, {"job": job["id"], "node": job["node"], "at": ended})


def _write(campaign: Campaign, part: Part, name: str, content: Mapping[str, Any]) -> None:
    with explained(campaign.run_folder(part.name, name), "write"):
        folder = make_folder(campaign.folder, f"{RUNS}/{part.name}")
        write(folder, name, to_json(content) + "\n", durable=True)


def measured(campaign: Campaign, part: Part, devices: Mapping[str, Collection[str]]) -> dict[Workload, frozenset[str]]:
    """{workload: nodes} of a part that have visited it with every implementation.

    `devices` are {implementation: the kinds of device that it is written for}.
    """
    found: dict[Workload, frozenset[str]] = {}
    for folder in campaign.run_folders(part.name):
        of_workload: dict[Workload, set[str]] = {}
        for trial in open_run(folder).trials():
            of_workload.setdefault(trial.case.workload, set()).add(trial.case.implementation)
        for workload, names in of_workload.items():
            if {name for name in devices if workload.device in devices[name]} <= names:
                found[workload] = found.get(workload, frozenset()) | {folder.name}
    return found


def spent_seconds(campaign: Campaign, part: Part, job: str) -> tuple[float, float]:
    """(seconds that the part has been measured for, by all jobs and nodes; of these, since a job first began)."""
    total, began = 0.0, []
    for folder in campaign.run_folders(part.name):
        run = open_run(folder)
        total += sum(run.activity_seconds().values())
        began += [
            float(each["spent_before"])
            for each in run.record.get("jobs", ())
            if isinstance(each, dict) and each.get("id") == job and type(each.get("spent_before")) in (int, float)
        ]
    return total, total - min(began, default=total)


def histories(campaign: Campaign) -> list[Path]:
    """The history of each part of a campaign that tracks: of the node that has most of it."""
    found = []
    for part in campaign.parts:
        of_part = [folder for folder in sorted((campaign.folder / RUNS / part.name).glob("*")) if folder.is_dir()]
        sizes = {folder: sum(file.stat().st_size for file in folder.glob("*/*.jsonl")) for folder in of_part}
        if any(sizes.values()):
            found.append(max(sizes, key=lambda folder: (sizes[folder], folder.name)))
    return found
