"""Slurm's own commands: which of our jobs are queued, limits, cores of a kind's nodes, cancelling."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence

from benchmarks.cluster.file import PLACES, MachineKind
from benchmarks.presentation.plain_text import listed
from benchmarks.quoting import quoted

_SECONDS = 60.0
_MOST_IDS = 200
"""Job ids of one command line."""


class SlurmError(ValueError):
    """A command of Slurm failed, or is not there; the message has what it said."""


@dataclasses.dataclass(frozen=True)
class QueuedJob:
    """A job of ours in the queue, by the id that `sbatch` and arrays give: 12, or 12_3."""

    id: str
    state: str
    """Slurm's word in lower case: pending, running, completing, suspended."""
    where: str
    """The node, or why it is pending."""


def queued() -> dict[str, QueuedJob]:
    """{id: job} of this user's jobs in the queue. Raises SlurmError when Slurm does not answer."""
    form = "%A|%F|%K|%T|%N|%r"
    said = command("squeue", "--noheader", "--array", f"--user={os.getuid()}", f"--format={form}")
    found = {}
    for line in filter(str.strip, said.splitlines()):
        job, array, index, state, node, reason = line.split("|", 5)
        name = f"{array}_{index}" if index.isdigit() else job
        found[name] = QueuedJob(name, state.lower(), node or reason)
    return found


def cancel(ids: Sequence[str]) -> None:
    """Cancel jobs; those that have ended are no error. Raises SlurmError when Slurm does not answer."""
    for start in range(0, len(ids), _MOST_IDS):
        command("scancel", "--quiet", *ids[start : start + _MOST_IDS])


def most_array_tasks() -> int:
    """The most tasks of one array: MaxArraySize of the cluster. Raises SlurmError when Slurm does not answer."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", command("scontrol", "show", "config"), re.MULTILINE)
    return max(1, int(found[1])) if found else 1


def cores_of(kind: MachineKind) -> int:
    """The physical cores of a node of a kind, as Slurm says.

    Raises SlurmError where its nodes differ, or cannot be told apart by their features alone.
    """
    chosen = [f"--partition={kind.partition}"] if kind.partition else []
    chosen += [f"--nodes={kind.nodelist}"] if kind.nodelist else []
    wanted = set((kind.constraint or "").split("&")) - {""}
    remedy = f"expected `cores = N` in [kind.{kind.name}]"
    if any(not re.fullmatch(r"[A-Za-z0-9_.-]+", each) for each in wanted):
        raise SlurmError(f"constraint {quoted(kind.constraint)} is more than features joined by &; {remedy}")
    cores, known = set(), set()
    for line in command("sinfo", "--noheader", "--Node", "--format=%X|%Y|%f", *chosen).splitlines():
        sockets, each, features = line.split("|", 2)
        known |= set(features.split(",")) - {"(null)"}
        if wanted <= set(features.split(",")):
            cores.add(int(sockets.rstrip("+")) * int(each.rstrip("+")))
    if not cores:
        chosen = [f"{name} {quoted(value)}" for name in PLACES if (value := getattr(kind, name))]
        others = f"; features that nodes have: {listed(sorted(known))}" if known else ""
        raise SlurmError(f"Slurm has no node of kind {kind.name}, with {listed(chosen)}{others}")
    if len(cores) > 1:
        raise SlurmError(
            f"Slurm has nodes of {listed([str(each) for each in sorted(cores)])} cores of kind {kind.name}; {remedy}"
        )
    return cores.pop()


def described_job(job: str) -> dict[str, str]:
    """{field: value} of a job as `scontrol show job` has it. Raises SlurmError when Slurm does not answer."""
    said = command("scontrol", "--oneliner", "show", "job", job)
    return dict(pair.split("=", 1) for pair in said.split() if "=" in pair)


def jobs_on(node: str) -> list[str]:
    """The ids of the jobs of any user that have the node now. Raises SlurmError when Slurm does not answer."""
    return command("squeue", "--noheader", f"--nodelist={node}", "--states=running", "--format=%A").split()


def command(*words: str) -> str:
    """The output of a command of Slurm. Raises SlurmError."""
    if shutil.which(words[0]) is None:
        raise SlurmError(
            f"{words[0]} is not on the path; expected a machine with Slurm, such as a cluster's front node"
        )
    try:
        done = subprocess.run(  # noqa: S603  # Slurm's commands, with arguments that the file's reader has checked
            words, capture_output=True, encoding="utf-8", errors="replace", timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip()
        raise SlurmError(f"{words[0]} failed: {said[:400]}") from error
    return done.stdout


def limit_reached(said: str) -> bool:
    """Whether sbatch refused for the number of jobs, by what it said: fewer jobs, or the same later, may pass."""
    return any(
        each in said
        for each in (
            *("MaxSubmitJob", "MaxJobCount", "MaxArraySize", "job submit limit", "Slurm temporarily unable"),
            *("Resource temporarily unavailable", "maximum number of jobs", "Invalid job array specification"),
        )
    )


def sbatch_options(kind: MachineKind) -> Iterable[tuple[str, str | None]]:
    """(option, value) for a job on a whole node of a kind; None for a switch."""
    yield from (("nodes", "1"), ("ntasks-per-node", "1"), ("exclusive", None), ("requeue", None))
    yield from ((name, value) for name in ("constraint", "partition", "nodelist") if (value := getattr(kind, name)))
    if kind.gpus:
        yield "gpus-per-node", str(kind.gpus)
    options = {"mem": "0", **kind.sbatch}
    yield from ((name, value or None) for name, value in options.items())
