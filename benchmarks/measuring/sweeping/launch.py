"""A sweep from its plan to a finished run, new or resumed, alone on this machine."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import machine, program
from benchmarks.files import remove_abandoned, scratch_folder
from benchmarks.limits.peak import settings
from benchmarks.measuring.conditions.address_space import fixed_layout
from benchmarks.measuring.conditions.lock import measuring_alone
from benchmarks.measuring.environment import allocator_settings
from benchmarks.measuring.processes.ending import ended_in_order
from benchmarks.measuring.sweeping.first_use import first_uses
from benchmarks.measuring.sweeping.peak_processes import measure_peaks, peak_seconds
from benchmarks.measuring.sweeping.progress import SweepProgress
from benchmarks.measuring.sweeping.runner import Progress, Sweeper
from benchmarks.measuring.sweeping.sweep_plan import SweepPlan, check_plan, trusted_implementations
from benchmarks.presentation.clock import doing
from benchmarks.presentation.lines import message_lines
from benchmarks.store import Run, StoreError, create_run, open_run, resume_command
from benchmarks.sweeps import Sweep, parse_duration
from benchmarks.trial import SCHEMA

RESULTS = Path("results")
_SCRATCH = "sweep"


def start_sweep(plan: SweepPlan, *, out: Path | None, console: Console) -> Run:
    """Create the run's folder, measure this machine's peaks and the sweep, and return the run.

    `out` is the folder, by default one in `results`. Raises StoreError when it cannot be written, KeyboardInterrupt
    when the sweep was stopped; `resume_sweep` goes on with what both leave.
    """
    folder = out or RESULTS / f"{plan.sweep.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    run = begin_run(plan, folder)
    for line in message_lines(console, f"{plan.sweep.name}: {plan.sweep.summary}; writing to {folder}"):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    measure_alone(run, plan, console)
    return run


def begin_run(plan: SweepPlan, folder: Path, **fields: Any) -> Run:
    """Create the run of a plan on this machine in a new folder; `fields` are added to its record.

    Raises StoreError when the folder cannot be written or holds a run.
    """
    started = datetime.now(UTC)
    record: dict[str, Any] = {
        "name": folder.name,
        "sweep": plan.sweep.to_json(),
        "implementations": dict(plan.implementations),
        "machine": machine.describe_machine(),
        "allocator": allocator_settings(),
        "address_space": address_space(),
        "packages": machine.packages(),
        "commit": machine.commit(),
        "command": program.command(*sys.argv[1:]),
        "started_at": started.isoformat(timespec="seconds"),
        "finished_at": None,
        "peaks": [],
        "activity_seconds": {},
        **fields,
    }
    return create_run(folder, record)


def address_space() -> str:
    """The choice of the addresses of workers' code, for the run's record."""
    with fixed_layout() as fixed:
        return "the same for all workers of a round" if fixed else "drawn at random for each worker"


def resume_sweep(folder: Path, *, budget: str | None, console: Console, implementations: Sequence[str] = ()) -> Run:
    """Go on with a run: measure what it lacks, then its noisy cases, as far as the budget lasts.

    A run's folder is data, and may be a stranger's. Its implementations are loaded where the registry has them, or
    where `implementations` names them again, as for `plan_sweep`.

    Raises StoreError when the folder holds no run, or one that this machine or version cannot add to, ValueError when
    an implementation is not named again or is not the run's.
    """
    run = open_run(folder)
    run.check_writable()
    check_same_machine(run)
    sweep = Sweep.from_json(run.known("sweep"))
    if budget is not None:
        sweep = dataclasses.replace(sweep, budget_seconds=parse_duration(budget))
    plan = check_plan(sweep, trusted_implementations(run, implementations))
    going_on = f"going on with {folder}: {len(run.trials())} trials are there"
    console.print(going_on, highlight=False, markup=False, soft_wrap=True)
    # The trials that follow are in this version's form.
    run.update(schema=SCHEMA)
    measure_alone(run, plan, console)
    return run


def check_same_machine(run: Run) -> None:
    """Raise StoreError where a run was measured on a machine other than this one."""
    here, there = machine.describe_machine()["key"], run.known("machine", "key")
    if here != there:
        raise StoreError(
            f"{run.folder} was measured on {there}; this is {here}: times of two machines do not belong in one run, "
            "start a sweep of its own here"
        )


class _Watched:
    """Progress that calls a function, which may raise to end the sweep, before each step is shown."""

    def __init__(self, progress: Progress, watch: Callable[[], None]) -> None:
        self._progress, self._watch = progress, watch

    def show(self, **shown: Any) -> None:
        """Call the function, then show the step."""
        self._watch()
        self._progress.show(**shown)

    def show_ahead(self, ahead: str) -> None:
        """Say what is ahead so far."""
        self._progress.show_ahead(ahead)

    def tick(self, *, timed: bool = False, note: str = "") -> None:
        """Let the clock advance."""
        self._progress.tick(timed=timed, note=note)


def measure_alone(run: Run, plan: SweepPlan, console: Console, watch: Callable[[], None] = lambda: None) -> None:
    """Measure what the run lacks while no other sweep measures here, and note whether it is complete.

    `watch` is called between measurements; the sweep ends with what it raises.
    """

    def say(message: str, command: str = "") -> None:
        for line in message_lines(console, message, command):
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    resume = resume_command(run.folder, plan.implementations)
    try:
        with (
            ended_in_order(),
            measuring_alone(f"sweep {run.folder}", say, waiting=lambda: doing(console, "")),
            scratch_folder(_SCRATCH) as scratch,
            SweepProgress(console) as progress,
        ):
            remove_abandoned(_SCRATCH, say)
            complete = measure_missing(run, plan, scratch, _Watched(progress, watch), say)
    except (KeyboardInterrupt, SystemExit):
        say("what it says so far:", program.command("report", str(run.folder)))
        say("stopped; what was measured is kept: go on with", resume)
        raise
    run.update(finished_at=datetime.now(UTC).isoformat(timespec="seconds") if complete else None)
    if not complete:
        say("the budget ended before every workload was measured; go on with", resume)


def measure_missing(run: Run, plan: SweepPlan, scratch: Path, progress: Progress, say: Callable[[str], None]) -> bool:
    """Measure the peaks unless the run has them, then what it lacks; whether every workload was measured."""
    sweeper = Sweeper(run, plan.sweep, plan.workloads, plan.implementations, scratch=scratch, progress=progress)
    if not run.record.get("peaks"):
        with sweeper.activity("peaks"):
            budget = plan.sweep.budget_seconds

            def begin(number: int, of: int) -> None:
                what = f"measuring what the machine can do at most: {number} of {of}"
                left = budget - seconds * (number - 1)
                progress.show(done=0, total=len(plan.workloads), what=what, seconds_left=left)

            seconds = peak_seconds(budget, len(set(map(settings, plan.workloads))))
            log = run.folder / "worker-peaks.log"
            peaks = measure_peaks(
                plan.workloads, seconds=seconds, log=log, say=say, begin=begin, meanwhile=progress.tick
            )
            run.update(peaks=peaks)
    if "once_per_machine" not in run.record:
        with sweeper.activity("first uses"):
            budget = plan.sweep.budget_seconds

            def begin_first(name: str) -> None:
                what = f"compiling {name} as at its first use on a machine"
                progress.show(done=0, total=len(plan.workloads), what=what, seconds_left=sweeper.seconds_left())

            once = first_uses(
                plan.implementations, plan.workloads, scratch, budget, begin=begin_first, meanwhile=progress.tick
            )
            run.update(once_per_machine=once)
    return sweeper.measure()
