"""Campaigns as they are made and found again: folder, copy of the code, parts; the jobs that were submitted."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine, program
from benchmarks.cluster import slurm
from benchmarks.cluster.code_copy import (
    CODE,
    check_own_code,
    checked_commit,
    copy_code,
    said_of_uncommitted,
    uncommitted,
)
from benchmarks.cluster.file import Cluster, MachineKind
from benchmarks.files import explained, make_folder, make_named
from benchmarks.json_lines import append_line, read_lines
from benchmarks.machine.software import PROJECT
from benchmarks.runs.campaign import CAMPAIGN_FILE, Campaign, Part, open_campaign
from benchmarks.store import StoreError

RESULTS = Path("results")
SUBMISSIONS_FILE = "submissions.jsonl"
MEASURED = "project"
"""The folder of the copy of a project whose revisions are measured, where that is another than this tool's."""


def make_campaign(
    folder: Path | None,
    cluster: Cluster,
    cluster_file: Path,
    parts: Sequence[Part],
    implementations: Mapping[str, str],
    say: Callable[[str], None],
    *,
    name: str,
    project: Path = PROJECT,
    history: bool = False,
    **record: Any,
) -> Campaign:
    """Make the folder of a campaign, with a copy of the code at the commit that is checked out.

    Args:
        folder: A new folder on storage that all nodes see; one in `results` if None.
        cluster: The cluster.
        cluster_file: The file that describes it, by which the campaign is found again.
        parts: What each job measures.
        implementations: {name: argument of `rnnimpl.load`}.
        say: Is handed a sentence on what the copy lacks.
        name: What the campaign is called after, beside the time.
        project: The checkout that is measured; a copy of its own is made of one other than this tool's.
        history: Whether its copy has all earlier commits.
        record: Further entries of the campaign's record; `sweep` is the sweep as it is stored.

    Raises StoreError where the folder is not new or cannot be written, or the code is in no checkout.
    """
    revision = checked_commit()
    lines = uncommitted(project)
    if lines:
        say(said_of_uncommitted(lines))
    started = datetime.now(UTC)
    place = (folder or RESULTS / f"{name}-{cluster_file.stem}-{started:%Y%m%d-%H%M%S}").absolute()
    with explained(place, "create"):
        make_named(place)
    if any(place.iterdir()):
        raise StoreError(f"{place} is not empty; expected a new folder: nothing was changed, choose another --out")
    own = project.resolve() == PROJECT.resolve()
    copy = copy_code(place / CODE, revision, history=history and own)
    if not own:
        copy_code(place / MEASURED, checked_commit(project), history=history, project=project)
    check_own_code(implementations, copy, Path.cwd())
    sweep = record.pop("sweep", {})
    campaign = Campaign(
        folder=place,
        name=place.name,
        sweep=sweep,
        implementations=implementations,
        kinds={kind.name: kind.to_json() for kind in cluster.kinds},
        parts=tuple(parts),
        record={
            "commit": {"revision": revision, "dirty": False},
            "command": program.command(*sys.argv[1:]),
            "started_at": started.isoformat(timespec="seconds"),
            "cluster_file": str(cluster_file.absolute()),
            "scheduler": cluster.scheduler,
            "scratch": cluster.scratch,
            "max_jobs": cluster.max_jobs,
            "poll_seconds": cluster.poll_seconds,
            "project": CODE if own else MEASURED,
            **record,
        },
    )
    make_folder(place, "jobs")
    campaign.write()
    return campaign


def with_cores(cluster: Cluster) -> Cluster:
    """The cluster with the cores of each kind: as its file says, else as Slurm or this machine has them.

    Raises SlurmError where Slurm cannot say.
    """

    def cores(kind: MachineKind) -> int:
        return slurm.cores_of(kind) if cluster.scheduler == "slurm" else machine.usable_cores()

    kinds = (dataclasses.replace(kind, cores=kind.cores or cores(kind)) for kind in cluster.kinds)
    return dataclasses.replace(cluster, kinds=tuple(kinds))


def cluster_of(campaign: Campaign) -> Cluster:
    """The cluster that a campaign was made for. Raises StoreError where its record does not say."""
    record = campaign.record
    try:
        return Cluster(
            kinds=tuple(MachineKind.from_json(name, table) for name, table in campaign.kinds.items()),
            scheduler=record["scheduler"],
            scratch=record["scratch"],
            max_jobs=record["max_jobs"],
            poll_seconds=record["poll_seconds"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{campaign.folder / CAMPAIGN_FILE} does not describe its cluster: {error}") from error


def find_campaign(cluster_file: Path, folder: Path | None, *, tracks: bool = False) -> Campaign:
    """The campaign in a folder; without one, the newest in `results` that was begun with a cluster's file.

    It is one that sweeps, or with `tracks` one that tracks. Raises StoreError where there is none.
    """
    verb = "track" if tracks else "sweep"
    if folder is not None:
        if folder.exists() and folder.stat().st_uid != os.getuid():
            raise StoreError(f"{folder} is another user's; expected a campaign of your own: its code would be run")
        campaign = open_campaign(folder.absolute())
        if bool(campaign.sweep) is tracks:
            raise StoreError(f"{folder} is no campaign of `{verb}`; expected one that `{verb} --cluster` began")
        return campaign
    begun = [open_campaign(file.parent.absolute()) for file in sorted(RESULTS.glob(f"*/{CAMPAIGN_FILE}"))]
    place = str(cluster_file.absolute())
    found = [each for each in begun if each.record.get("cluster_file") == place and bool(each.sweep) is not tracks]
    if not found:
        raise StoreError(
            f"no campaign of `{verb}` in {RESULTS} was begun with {cluster_file}; expected one: name its folder by "
            "--resume"
        )
    return max(found, key=lambda each: str(each.record.get("started_at")))


def submissions(campaign: Campaign) -> dict[str, str]:
    """{part: the id of the job that was last submitted for it}."""
    lines, _ = read_lines(campaign.folder / SUBMISSIONS_FILE, lambda line: (line["part"], line["job"]), "a submission")
    return {str(part): str(job) for part, job in lines}


def record_submission(campaign: Campaign, part: Part, job: str) -> None:
    """Note the job of a part; it is on disk on return. Raises StoreError where it cannot be written."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    append_line(campaign.folder / SUBMISSIONS_FILE, {"part": part.name, "job": job, "at": at}, "a submission")
