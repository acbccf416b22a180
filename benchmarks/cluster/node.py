"""A job and its node, as the job sees them: what Slurm gave it, who else is there, and where its scratch folder is."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.cluster import slurm
from benchmarks.runs.campaign import NAME

_SHARED = ("nfs", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb", "afs", "panfs", "glusterfs", "9p", "fuse.sshfs")
"""File systems that several machines see; locks there are slow or have no effect."""


def job_id(environment: Mapping[str, str] = os.environ) -> str:
    """The id of this job: 12_3 of an array's task; `local-` and the number of a process without Slurm."""
    array = environment.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{environment.get('SLURM_ARRAY_TASK_ID')}"
    local = environment.get("SUBMITIT_LOCAL_JOB_ID") or str(os.getpid())
    return environment.get("SLURM_JOB_ID") or f"local-{local}"


def node_name(environment: Mapping[str, str] = os.environ) -> str:
    """The node's name as Slurm has it, else the machine's; with dashes for letters that folders do not take."""
    name = environment.get("SLURMD_NODENAME") or socket.gethostname()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:80].strip(".-_") or "node"
    assert NAME.fullmatch(plain)
    return plain


def describe_job(scratch: Path, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The job as a mapping of JSON values, for the record of its run; what cannot be read is None.

    `exclusive` says that Slurm gives its node to no other job, `other_jobs` how many had it when this one began.
    """
    described: dict[str, Any] = {
        "id": job_id(environment),
        "restarts": _number(environment.get("SLURM_RESTART_COUNT")) or 0,
        "node": node_name(environment),
        "partition": environment.get("SLURM_JOB_PARTITION"),
        "constraint": None,
        "cpus_allocated": _number(environment.get("SLURM_CPUS_ON_NODE")),
        "exclusive": None,
        "other_jobs": None,
        "cgroup": _cgroup(),
        "scratch": str(scratch),
        "scratch_filesystem": (kind := _filesystem(scratch)),
        "scratch_is_shared": None if kind is None else kind.startswith(_SHARED),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if "SLURM_JOB_ID" in environment:
        described |= _as_slurm_says(environment)
    return described


def _as_slurm_says(environment: Mapping[str, str]) -> dict[str, Any]:
    own = environment["SLURM_JOB_ID"]
    try:
        job = slurm.described_job(own)
        others = [each for each in slurm.jobs_on(node_name(environment)) if each != own]
    except slurm.SlurmError:
        return {}
    constraint = job.get("Features")
    return {
        "constraint": None if constraint in (None, "(null)") else constraint,
        # OK is what sbatch has without --exclusive: the partition's configuration decides.
        "exclusive": {"NO": True}.get(job.get("OverSubscribe", ""), False) if "OverSubscribe" in job else None,
        "other_jobs": len(others),
    }


def _filesystem(folder: Path) -> str | None:
    """The file system that holds a folder."""
    held = [
        (len(part.mountpoint), part.fstype)
        for part in psutil.disk_partitions(all=True)
        if folder.resolve().is_relative_to(part.mountpoint)
    ]
    return max(held)[1] if held else None


def _cgroup() -> str | None:
    try:
        return Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1] or None
    except (OSError, IndexError):
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
