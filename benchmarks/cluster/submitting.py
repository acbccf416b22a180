"""Submission of parts as jobs, through `submitit`; the script for those who want no submitit."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from benchmarks.cluster import slurm
from benchmarks.cluster.code_copy import CODE
from benchmarks.cluster.file import MOST_TIMEOUTS, Cluster, MachineKind
from benchmarks.runs.campaign import Part
from benchmarks.store import StoreError

JOBS = "jobs"
"""The folder of scripts, pickles and output of jobs, within the campaign's."""
REFUSED = "sbatch refused"
_SIGNAL_SECONDS = 90
_local_processes: dict[str, subprocess.Popen[bytes]] = {}
"""{id: process} of the local jobs that this process has started."""


@dataclasses.dataclass(frozen=True)
class Measure:
    """The function that a job runs: a program in the copy of the code. A job that is queued again runs it again."""

    command: tuple[str, ...]
    folder: str

    def __call__(self) -> None:
        """Run the program. Raises SystemExit with its status where it fails, which marks the job as failed.

        An exception would have submitit write a traceback after what the program said.
        """
        status = subprocess.run(self.command, cwd=self.folder, check=False).returncode  # noqa: S603  # our own program
        if status < 0:
            print(f"the job's program was ended by signal {-status}", file=sys.stderr)
        if status:
            raise SystemExit(status if status > 0 else 128 - status)

    def checkpoint(self) -> Any:
        """The same once more: what is measured is in the run's folder."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def job_command(campaign: Path, part: Part, cluster: Cluster) -> tuple[str, ...]:
    """The program that measures a part."""
    words = ("-m", "benchmarks.cluster.job", str(campaign), part.name, "--scratch", cluster.scratch)
    return (sys.executable, *words)


def check_can_submit(cluster: Cluster) -> None:
    """Raise StoreError without submitit, SlurmError when Slurm does not answer: before a campaign's folder is made."""
    _check_submitit()
    if cluster.scheduler == "slurm":
        slurm.queued()


def _check_submitit() -> None:
    if find_spec("submitit") is None:
        raise StoreError(
            "submitit is not installed; expected it for --cluster: pip install 'rnnbench[cluster]', or have scripts "
            "written by --print-sbatch and submit them yourself"
        )


def submit(
    campaign: Path,
    name: str,
    kind: MachineKind,
    cluster: Cluster,
    minutes: int,
    commands: Sequence[Sequence[str]],
) -> list[str]:
    """Submit programs for nodes of one kind, as an array where they are several; the ids of their jobs.

    Raises SlurmError where Slurm refuses, StoreError without submitit.
    """
    _check_submitit()
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    code = str(campaign / CODE)
    ids: list[str] = []
    functions = [Measure(tuple(command), code) for command in commands]
    with _environment(PYTHONPATH=code):
        if cluster.scheduler == "local":
            local = submitit.LocalExecutor(campaign / JOBS)
            local.update_parameters(timeout_min=minutes, signal_delay_s=_SIGNAL_SECONDS)
            for function in functions:
                job = local.submit(function)
                # Kept, so that it can be waited for: Python warns of a forgotten process that still runs.
                _local_processes[str(job.job_id)] = job._process  # type: ignore[attr-defined]  # LocalJob has it
                ids.append(str(job.job_id))
            return ids
        executor = submitit.SlurmExecutor(campaign / JOBS, max_num_timeout=MOST_TIMEOUTS)
        options = {option: True if value is None else value for option, value in slurm.sbatch_options(kind)}
        executor.update_parameters(
            job_name=job_name(name),
            time=minutes,
            array_parallelism=kind.parallel,
            signal_delay_s=min(_SIGNAL_SECONDS, 30 * minutes),
            setup=[f"export PYTHONPATH={shlex.quote(code)}"],
            # The step has all cores of the node; binding it to some would hide the others.
            srun_args=["--cpu-bind=none"],
            additional_parameters=options,
        )
        try:
            return [str(job.job_id) for job in executor.submit_array(functions)]
        except (FailedJobError, FailedSubmissionError) as error:
            cause = getattr(error.__cause__, "stderr", None)
            raise slurm.SlurmError(f"{REFUSED}: {str(cause or error).strip()[:400]}") from error


def runs_locally(job: str) -> bool:
    """Whether a local job runs, of this process or of an earlier one."""
    if job in _local_processes:
        return _local_processes[job].poll() is None
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, ValueError):
        return "submitit" in " ".join(psutil.Process(int(job)).cmdline())
    return False


def wait_for_local() -> None:
    """Wait until the local jobs that this process has started have ended."""
    for process in _local_processes.values():
        process.wait()


def job_name(campaign: str) -> str:
    """The name that all jobs of a campaign have in the queue."""
    return f"rnnbench-{campaign}"


def script(campaign: Path, name: str, kind: MachineKind, minutes: int, commands: Sequence[Sequence[str]]) -> str:
    """A script for sbatch that submits programs for nodes of one kind as an array."""
    options: dict[str, str | None] = {
        "job-name": job_name(name),
        "array": f"0-{len(commands) - 1}%{kind.parallel}",
        "time": str(minutes),
        "signal": f"USR2@{min(_SIGNAL_SECONDS, 30 * minutes)}",
        "open-mode": "append",
        "output": str(campaign / JOBS / "%A_%a.log"),
        **dict(slurm.sbatch_options(kind)),
    }
    code = shlex.quote(str(campaign / CODE))
    return "\n".join(
        [
            "#!/bin/bash",
            *(
                f"#SBATCH --{name}" + ("" if value is None else f"={shlex.quote(value)}")
                for name, value in options.items()
            ),
            "commands=(",
            *(f"  {shlex.quote(shlex.join(command))}" for command in commands),
            ")",
            f"export PYTHONPATH={code}",
            f'cd {code} && eval "exec srun --cpu-bind=none ${{commands[$SLURM_ARRAY_TASK_ID]}}"',
            "",
        ]
    )


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Variables of this process, which jobs inherit, within the block."""
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
