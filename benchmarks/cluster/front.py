"""The front of a campaign, on the machine that submits: which parts are where, submitting the rest, waiting."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal

import psutil

from benchmarks.cluster import parts, slurm, submitting
from benchmarks.cluster.campaigns import cluster_of, record_submission, submissions
from benchmarks.cluster.file import Cluster, MachineKind
from benchmarks.cluster.planning import arrays, time_minutes
from benchmarks.files import explained, write
from benchmarks.presentation.plain_text import clean, count
from benchmarks.runs.campaign import Campaign, Part
from benchmarks.runs.node_cautions import finished_parts
from benchmarks.store import StoreError, open_run
from benchmarks.sweeps import Sweep

State = Literal["finished", "queued", "failed", "not submitted"]
_LOCAL_POLL_SECONDS = 0.2
_SETTLED = 3
"""Times in a row that a part has to be found failed: a shared file system may show a job's last file late."""
_LOG_BYTES = 4096
_NOTICE = re.compile(
    r"srun: (cluster configuration lacks support for cpu binding|error: \S+: task \d+: Exited with exit code)"
)
"""Lines of srun that say nothing on a job: that a cluster binds no processes to cores, and that the job failed."""


@dataclasses.dataclass(frozen=True)
class PartStatus:
    """Where a part stands."""

    part: Part
    state: State
    detail: str = ""
    """Slurm's word and the node of a queued part, the last line that the job of a failed one wrote."""
    is_running: bool = False


def status(campaign: Campaign) -> list[PartStatus]:
    """Where each part stands. Raises SlurmError when Slurm does not answer."""
    jobs = submissions(campaign)
    queue = _queue(cluster_of(campaign), tuple(jobs.values()))
    # After the queue: a job that has just left it has written this before.
    finished = finished_parts(campaign)
    found = []
    for part in campaign.parts:
        job = jobs.get(part.name) or str(parts.owner(campaign, part).get("job") or "")
        if part.name in finished:
            found.append(PartStatus(part, "finished"))
        elif job in queue:
            queued = queue[job]
            found.append(PartStatus(part, "queued", f"{queued.state}, {queued.where}", queued.state != "pending"))
        elif job:
            found.append(PartStatus(part, "failed", _last_words(campaign, job)))
        else:
            found.append(PartStatus(part, "not submitted"))
    return found


def measured_workloads(campaign: Campaign) -> dict[str, int]:
    """{part: its workloads that have trials}; what cannot be read counts as none."""
    found = {}
    for part in campaign.parts:
        workloads = set()
        for folder in campaign.run_folders(part.name):
            with contextlib.suppress(StoreError):
                workloads |= {trial.case.workload for trial in open_run(folder).trials()}
        found[part.name] = len(workloads & set(part.workloads))
    return found


def submit_missing(campaign: Campaign, states: Sequence[PartStatus], again: Collection[str]) -> list[str]:
    """Submit the parts that have no job, and those named in `again`, as many as limits allow; the names of these.

    Raises SlurmError where Slurm refuses.
    """
    cluster = cluster_of(campaign)
    wanted = [
        each.part
        for each in states
        if each.state == "not submitted" or (each.state == "failed" and each.part.name in again)
    ]
    queued = sum(each.state == "queued" for each in states)
    room = (1 if cluster.scheduler == "local" else cluster.max_jobs) - queued
    if not wanted or room <= 0:
        return []
    most = 1 if cluster.scheduler == "local" else slurm.most_array_tasks()
    done: list[str] = []
    for array in arrays(wanted[:room], most):
        submitted = _submit(campaign, cluster, array, must=len(done) + queued == 0)
        done += [part.name for part in array[:submitted]]
        if submitted < len(array):
            break
    return done


def _submit(campaign: Campaign, cluster: Cluster, array: Sequence[Part], *, must: bool) -> int:
    """Submit parts of one kind, fewer of them where Slurm's limits refuse so many; the number submitted."""
    kind = next(kind for kind in cluster.kinds if kind.name == array[0].kind)
    minutes = _minutes(campaign, kind)
    number = len(array)
    while number:
        chosen = array[:number]
        words = [submitting.job_command(campaign.folder, part, cluster) for part in chosen]
        try:
            ids = submitting.submit(campaign.folder, campaign.name, kind, cluster, minutes, words)
        except slurm.SlurmError as error:
            if not slurm.limit_reached(str(error)) or (must and number == 1):
                raise
            number //= 2
            continue
        for part, job in zip(chosen, ids, strict=True):
            record_submission(campaign, part, job)
        return number
    return 0


def _minutes(campaign: Campaign, kind: MachineKind) -> int:
    return time_minutes(kind, Sweep.from_json(campaign.sweep) if campaign.sweep else None)


def wait(campaign: Campaign, say: Callable[[str], None]) -> list[PartStatus]:
    """Submit what is left as the queue has room, and wait until no part is queued; where each stands then.

    Parts whose jobs failed before are submitted again, once. Raises KeyboardInterrupt, which leaves the jobs alone,
    SlurmError where Slurm refuses a job.
    """
    cluster = cluster_of(campaign)
    poll = _LOCAL_POLL_SECONDS if cluster.scheduler == "local" else cluster.poll_seconds
    failed_before = {each.part.name for each in status(campaign) if each.state == "failed"}
    said, settled = "", 0
    while settled < _SETTLED:
        try:
            states = status(campaign)
            submitted = submit_missing(campaign, states, failed_before)
        except slurm.SlurmError as error:
            if submitting.REFUSED in str(error):
                raise
            if str(error) != said:
                said = str(error)
                say(f"{said}; jobs go on, and this goes on asking")
            time.sleep(poll)
            continue
        failed_before -= set(submitted)
        if submitted:
            continue
        if summary(states) != said:
            said = summary(states)
            say(said)
        is_over = not any(each.state in ("queued", "not submitted") for each in states)
        if is_over and all(each.state == "finished" for each in states):
            break
        settled = settled + 1 if is_over else 0
        time.sleep(poll)
    submitting.wait_for_local()
    return states


def summary(states: Sequence[PartStatus]) -> str:
    """A line on all parts: how many are where."""
    running = sum(each.is_running for each in states)
    counts = Counter(each.state for each in states)
    named = {
        "finished": counts["finished"],
        "running": running,
        "pending": counts["queued"] - running,
        "failed": counts["failed"],
        "not submitted": counts["not submitted"],
    }
    return f"{count(len(states), 'part')}: {', '.join(f'{number} {name}' for name, number in named.items() if number)}"


def cancel(campaign: Campaign) -> int:
    """Cancel the jobs of a campaign that are queued; their number. Raises SlurmError when Slurm does not answer."""
    jobs = submissions(campaign)
    queued = [jobs[each.part.name] for each in status(campaign) if each.state == "queued" and each.part.name in jobs]
    if cluster_of(campaign).scheduler == "slurm":
        slurm.cancel(queued)
        return len(queued)
    for job in queued:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(int(job)).children(recursive=True):
                if "benchmarks.cluster.job" in " ".join(child.cmdline()):
                    os.kill(child.pid, signal.SIGTERM)
    return len(queued)


def _queue(cluster: Cluster, jobs: Sequence[str]) -> dict[str, slurm.QueuedJob]:
    """{id: job} of the queue; of the local scheduler, the jobs whose process is there."""
    if cluster.scheduler == "slurm":
        return slurm.queued()
    return {job: slurm.QueuedJob(job, "running", "here") for job in jobs if submitting.runs_locally(job)}


def _last_words(campaign: Campaign, job: str) -> str:
    """The last line that a job wrote, of its errors or else of its output."""
    folder = campaign.folder / submitting.JOBS
    for name in (f"{job}_0_log.err", f"{job}.log", f"{job}_0_log.out"):
        lines = _tail(folder / name)
        if lines:
            return f"{clean(lines[-1], 300)} ({folder / name})"
    return "it left no output, as a job that is cancelled before it runs"


def _tail(path: Path) -> list[str]:
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LOG_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
        return [line for line in lines if line.strip() and not _NOTICE.match(line)]
    return []


def write_scripts(campaign: Campaign) -> list[Path]:
    """Write scripts for sbatch that submit the parts that are not finished; their paths.

    Raises SlurmError when Slurm does not say how long an array may be, StoreError where they cannot be written.
    """
    cluster, finished = cluster_of(campaign), finished_parts(campaign)
    left = [part for part in campaign.parts if part.name not in finished]
    paths = []
    for array in arrays(left, min(cluster.max_jobs, slurm.most_array_tasks())):
        kind = next(kind for kind in cluster.kinds if kind.name == array[0].kind)
        words = [submitting.job_command(campaign.folder, part, cluster) for part in array]
        text = submitting.script(campaign.folder, campaign.name, kind, _minutes(campaign, kind), words)
        name = f"{submitting.JOBS}/{array[0].name}.sbatch"
        with explained(campaign.folder / name, "write"):
            write(campaign.folder, name, text)
        paths.append(campaign.folder / name)
    return paths
