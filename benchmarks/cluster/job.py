"""The program of a job: `python -m benchmarks.cluster.job CAMPAIGN PART` measures a part on the node it runs on.

What the part's earlier jobs have measured is not measured again: on the same node it goes on with their run, on another
one it begins a run with what is missing. Locks, temporary files and compiled code are in a folder on the node's own
disk; results are in the campaign's.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from benchmarks.cluster import parts
from benchmarks.cluster.file import MOST_TIMEOUTS, SCRATCH
from benchmarks.cluster.node import describe_job
from benchmarks.cluster.planning import sweep_of
from benchmarks.measuring.sweeping.implementations import parse_implementation
from benchmarks.measuring.sweeping.launch import begin_run, check_same_machine, measure_alone
from benchmarks.measuring.sweeping.sweep_plan import SweepPlan, check_plan
from benchmarks.runs.campaign import Campaign, Part, open_campaign
from benchmarks.store import RUN_FILE, Run, StoreError, open_run
from benchmarks.sweeps import Sweep
from benchmarks.trial import SCHEMA, Trial
from rnnimpl import Unavailable
from rnnimpl.cache import VARIABLE, check_private, private_folder
from rnnimpl.registry import listing

MEASURED = 0
NOT_MEASURED = 2
TAKEN = 4
"""Exit status of a job whose part another job has taken over."""
OUT_OF_BUDGET = 5
"""Exit status of a job whose budget ended before each workload was measured."""
_LEAST_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a part; the job's exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster.job", description=__doc__.split("\n")[0])
    parser.add_argument("campaign", type=Path, help="the campaign's folder")
    parser.add_argument("part", help="the name of a part")
    parser.add_argument("--scratch", type=Path, default=Path(SCRATCH), help="a folder on the node's own disk")
    chosen = parser.parse_args(arguments)
    _requeue_on_signal()
    try:
        use_scratch(chosen.scratch)
        campaign = open_campaign(chosen.campaign)
        return measure_part(campaign, campaign.part(chosen.part), describe_job(chosen.scratch), Console())
    except (StoreError, Unavailable, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return NOT_MEASURED
    except parts.PartTaken as taken:
        print(taken, file=sys.stderr)
        return TAKEN


def use_scratch(scratch: Path) -> None:
    """Have temporary files, locks and compiled code of this process and its children in a folder.

    Raises StoreError where the folder cannot be used, Unavailable where others can write to what is in it.
    """
    if not (scratch.is_dir() and os.access(scratch, os.W_OK)):
        raise StoreError(f"scratch is {scratch}; expected a folder on the node's own disk that can be written")
    cache = scratch / f"rnnbench-cache-{os.getuid()}"
    os.environ["TMPDIR"] = str(scratch)
    os.environ[VARIABLE] = str(cache)
    tempfile.tempdir = None
    private_folder("rnnbench")
    check_private(cache)


def measure_part(campaign: Campaign, part: Part, job: Mapping[str, Any], console: Console) -> int:
    """Measure what a part lacks, on this machine and for this job; the job's exit status.

    Raises StoreError, ValueError and Unavailable where it cannot be measured here, PartTaken where another job has
    taken it over.
    """
    claim = parts.Claim(campaign, part, job)
    claim.wait_for_earlier()
    if part.revisions:
        return _track(campaign, part, job)
    implementations = dict(
        parse_implementation(f"{name}={source}") for name, source in campaign.implementations.items()
    )
    devices = {name: tuple(listing(source).unavailable) for name, source in implementations.items()}
    nodes = parts.measured(campaign, part, devices)
    own = [each for each in part.workloads if nodes.get(each, frozenset()) <= {job["node"]}]
    total, spent = parts.spent_seconds(campaign, part, job["id"])
    left = Sweep.from_json(campaign.sweep).budget_seconds - spent
    if own and left >= _LEAST_SECONDS:
        plan = check_plan(sweep_of(campaign.sweep, own, left), implementations)
        run = _GuardedRun(_run(campaign, part, plan, {**job, "spent_before": total}, console), claim)
        measure_alone(run, plan, console, watch=claim.check)
        complete = run.record.get("finished_at") is not None
    else:
        complete = set(part.workloads) <= nodes.keys()
    claim.check()
    if not complete:
        print(f"the budget ended before every workload of {part.name} was measured", file=sys.stderr)
        return OUT_OF_BUDGET
    parts.finish(campaign, part, job)
    return MEASURED


class _GuardedRun(Run):
    """A run to which nothing is added once another job has claimed the part."""

    def __init__(self, run: Run, claim: parts.Claim) -> None:
        super().__init__(run.folder, run.record)
        self._claim = claim

    def append(self, trial: Trial) -> None:
        """Add one trial; raises PartTaken where the part is another job's."""
        self._claim.check()
        super().append(trial)


def _run(campaign: Campaign, part: Part, plan: SweepPlan, job: Mapping[str, Any], console: Console) -> Run:
    """The run of this node in a part, begun or gone on with, with the job in its record."""
    folder = campaign.run_folder(part.name, job["node"])
    if not (folder / RUN_FILE).exists():
        whole = dataclasses.replace(plan.sweep, budget_seconds=Sweep.from_json(campaign.sweep).budget_seconds)
        return begin_run(dataclasses.replace(plan, sweep=whole), folder, jobs=[dict(job)])
    run = open_run(folder)
    run.check_writable()
    check_same_machine(run)
    console.print(f"going on with {folder}", highlight=False, markup=False, soft_wrap=True)
    earlier = run.record.get("jobs")
    run.update(schema=SCHEMA, jobs=[*(earlier if isinstance(earlier, list) else ()), dict(job)])
    return run


def _track(campaign: Campaign, part: Part, job: Mapping[str, Any]) -> int:
    """Have `track` measure the commits of a part in a history of this node's own; the job's exit status.

    What the history holds is not measured again.
    """
    words = [word for revision in part.revisions for word in ("--rev", revision)]
    words += ["--suite", str(campaign.record["suite"]), "--processes", str(campaign.record["processes"])]
    words += ["--history", str(campaign.run_folder(part.name, job["node"]))]
    project = campaign.folder / str(campaign.record["project"])
    done = subprocess.run([sys.executable, "-m", "benchmarks", "track", *words], cwd=project, check=False)  # noqa: S603
    if done.returncode == MEASURED:
        parts.finish(campaign, part, job)
    return done.returncode


def _requeue_on_signal() -> None:
    """Have Slurm queue this job again when its time is over: SIGUSR2 comes shortly before.

    Under submitit that is its own doing, and the signal, which reaches all processes of the job, is ignored here.
    """
    if "SUBMITIT_EXECUTOR" in os.environ or "SLURM_JOB_ID" not in os.environ:
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        return

    def requeue(_signal: int, _frame: FrameType | None) -> None:
        if int(os.environ.get("SLURM_RESTART_COUNT", "0")) < MOST_TIMEOUTS:
            subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=False)  # noqa: S603, S607
        raise SystemExit(128 + signal.SIGUSR2)

    signal.signal(signal.SIGUSR2, requeue)


if __name__ == "__main__":
    sys.exit(main())
