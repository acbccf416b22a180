"""From the words of the command line to a finished run: everything is checked before anything is measured."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from benchmarks import machine
from benchmarks.files import remove_abandoned, scratch_folder
from benchmarks.limits.peak import Settings, settings
from benchmarks.measuring.address_space import fixed_layout
from benchmarks.measuring.ending import ended_in_order
from benchmarks.measuring.environment import allocator_settings
from benchmarks.measuring.lock import measuring_alone
from benchmarks.measuring.process import Worker, WorkerLost
from benchmarks.measuring.progress import SweepProgress
from benchmarks.measuring.runner import Sweeper
from benchmarks.memory_needed import too_large
from benchmarks.quoting import quoted
from benchmarks.store import Run, StoreError, create_run, open_run
from benchmarks.sweeps import Sweep, load_sweep, parse_duration
from benchmarks.trial import SCHEMA
from benchmarks.workload import Workload, check_name
from rnnimpl.registry import default_names, listing, names
from rnnimpl.suggestions import did_you_mean

RESULTS = Path("results")
ALL = "all"
"""In place of an implementation's name: all of them, those too that otherwise run only when named."""
_SCRATCH = "sweep"
PEAK_SECONDS = 12.0
PEAK_SHARES = (0.02, 0.1)
"""Measuring the peaks of one device, dtype, precision and thread count may take so long, or the first share of the
budget where that is longer; and of all together the second share."""
PEAK_TIMEOUT_SECONDS = 120.0
"""Beyond what measuring may take: the last product is brought to its end, and a compiler is slow."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a sweep will do: its workloads on this machine and {name in the run: source} of the implementations."""

    sweep: Sweep
    workloads: tuple[Workload, ...]
    implementations: Mapping[str, str]


def plan_sweep(
    sweep: str, *, implementations: Sequence[str] = (), axes: Mapping[str, Any] | None = None, budget: str | None = None
) -> Plan:
    """Settle what to measure; among implementations `all` stands for every one in the registry.

    Raises ValueError, naming the argument and the remedy, for what cannot be meant.
    """
    chosen = load_sweep(sweep).override(**(axes or {}))
    if budget is not None:
        chosen = dataclasses.replace(chosen, budget_seconds=parse_duration(budget))
    wanted = (names() if text == ALL else (text,) for text in implementations) if implementations else [default_names()]
    named = [_named(text) for text in itertools.chain.from_iterable(wanted)]
    twice = {name for name, _ in named if [each for each, _ in named].count(name) > 1}
    if twice:
        raise ValueError(
            f"implementation {', '.join(sorted(twice))} is given twice; give one a name of its own: LABEL=NAME"
        )
    return _plan(chosen, dict(named))


def start_sweep(plan: Plan, *, out: Path | None, console: Console) -> Run:
    """Create the run's folder, measure this machine's peaks and the sweep; the run it returns may be continued.

    Raises StoreError when the folder cannot be written, KeyboardInterrupt when it was stopped; both leave a run
    that `resume_sweep` goes on with.
    """
    started = datetime.now(UTC)
    folder = out or RESULTS / f"{plan.sweep.name}-{started:%Y%m%d-%H%M%S}"
    record: dict[str, Any] = {
        "name": folder.name,
        "sweep": plan.sweep.to_json(),
        "implementations": dict(plan.implementations),
        "machine": machine.describe_machine(),
        "allocator": allocator_settings(),
        "address_space": address_space(),
        "packages": machine.packages(),
        "commit": machine.commit(),
        "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "started_at": started.isoformat(timespec="seconds"),
        "finished_at": None,
        "peaks": [],
        "activity_seconds": {},
    }
    run = create_run(folder, record)
    begun = Text.assemble((plan.sweep.name, "bold"), f": {plan.sweep.summary}; writing to {folder}")
    console.print(begun, highlight=False, soft_wrap=True)
    _measure(run, plan, console)
    return run


def address_space() -> str:
    """How workers' code comes to lie where it does, for the run's record."""
    with fixed_layout() as fixed:
        return "the same for all workers of a round" if fixed else "drawn at random for each worker"


def resume_sweep(folder: Path, *, budget: str | None, console: Console, implementations: Sequence[str] = ()) -> Run:
    """Go on with a run: what it holds is not measured again, its noisy cases are, as far as the budget lasts.

    A run's folder is data, and may be a stranger's: of its implementations only those of the registry are loaded, and
    those that are named again in `implementations`, as for `plan_sweep`.

    Raises StoreError when the folder holds no run, or one that this machine or version cannot add to, ValueError when
    an implementation is not named again or is none of the run's.
    """
    run = open_run(folder)
    run.check_writable()
    here, there = machine.describe_machine()["key"], run.known("machine", "key")
    if here != there:
        raise StoreError(
            f"{folder} was measured on {there}; this is {here}: times of two machines do not belong in one run, "
            "start a sweep of its own here"
        )
    sweep = Sweep.from_json(run.known("sweep"))
    if budget is not None:
        sweep = dataclasses.replace(sweep, budget_seconds=parse_duration(budget))
    plan = _plan(sweep, _trusted(run, implementations))
    going_on = f"going on with {folder}: {len(run.trials())} trials are there"
    console.print(going_on, highlight=False, markup=False, soft_wrap=True)
    # The trials that follow are in this version's form.
    run.update(schema=SCHEMA)
    _measure(run, plan, console)
    return run


def _trusted(run: Run, named: Sequence[str]) -> Mapping[str, str]:
    """{name: source} of a run, each from the registry or named again. Raises ValueError where one is neither.

    Until then nothing of the run is imported: `listing` would import a class that inherits its devices.
    """
    recorded = run.known_texts("implementations")
    for name in recorded:
        if "=" in name:
            raise StoreError(f"{run.folder} has an implementation named {quoted(name)}; expected a name without =")
    given = dict(_split(text) for text in named if text != ALL)
    others = {name: source for name, source in given.items() if recorded.get(name) != source}
    if others:
        raise ValueError(
            f"{' '.join(_words(others))} is not in {run.folder}; expected none, or those of the run: "
            f"{' '.join(_words(recorded))}"
        )
    strange = {name: source for name, source in recorded.items() if name not in given and source not in names()}
    if strange:
        again = shlex.join(["python", "-m", "benchmarks", "sweep", "--resume", str(run.folder), *_words(strange)])
        raise ValueError(
            f"{run.folder} was measured with {', '.join(strange.values())}, which is not in the registry: code that a "
            f"run's folder names is not run unless you name it too: {again}"
        )
    return dict(_named(f"{name}={source}") for name, source in recorded.items())


def _words(implementations: Mapping[str, str]) -> list[str]:
    """The words of a command line that name implementations."""
    return [
        word
        for name, source in implementations.items()
        for word in ("--impl", source if name == source else f"{name}={source}")
    ]


def _plan(sweep: Sweep, implementations: Mapping[str, str]) -> Plan:
    devices = machine.devices_here()
    workloads = sweep.workloads(devices, machine.usable_cores())
    missing = {workload.device for workload in workloads} - set(devices)
    if missing:
        raise ValueError(f"device is {', '.join(missing)}; this machine has {', '.join(devices)}")
    most_threads = machine.usable_cores()
    for workload in workloads:
        if workload.threads > most_threads:
            raise ValueError(
                f"threads is {workload.threads}; expected at most {most_threads}, the cores of this machine"
            )
        available = machine.available_bytes(workload.device)
        refusal = None if available is None else too_large(workload, available)
        if refusal:
            raise ValueError(refusal)
    return Plan(sweep, workloads, implementations)


def _named(text: str) -> tuple[str, str]:
    """(name in the run, source) of `torch_loop`, `package.module:Class` or `NAME=either`."""
    name, source = _split(text)
    if not name or "/" in name:
        raise ValueError(
            f"implementation is {quoted(text)}; expected NAME, module:Class, or LABEL=either, without a slash"
        )
    check_name(name)
    if ":" not in source and source not in names():
        raise ValueError(
            f"implementation is {quoted(source)}; {did_you_mean(source, names())}Known: {', '.join(names())}"
        )
    listing(source)
    return name, source


def _split(text: str) -> tuple[str, str]:
    name, equals, source = text.partition("=")
    return name, source if equals else name


def _measure(run: Run, plan: Plan, console: Console) -> None:
    """Measure what is missing from the run, alone on this machine."""

    def say(message: str) -> None:
        # On one line, however narrow the terminal is: a command in it can be copied.
        console.print(message, highlight=False, markup=False, soft_wrap=True)

    own = {name: source for name, source in plan.implementations.items() if source not in names()}
    resume = f"go on with {shlex.join(['--resume', str(run.folder), *_words(own)])}"
    try:
        with (
            ended_in_order(),
            measuring_alone(f"sweep {run.folder}", say),
            scratch_folder(_SCRATCH) as scratch,
            SweepProgress(console) as progress,
        ):
            remove_abandoned(_SCRATCH, say)
            complete = _sweep(run, plan, scratch, progress, say)
    except (KeyboardInterrupt, SystemExit):
        say(f"stopped; what was measured is kept: {resume}")
        raise
    run.update(finished_at=datetime.now(UTC).isoformat(timespec="seconds") if complete else None)
    if not complete:
        say(f"the budget ended before every workload was measured; {resume}")


def _sweep(run: Run, plan: Plan, scratch: Path, progress: SweepProgress, say: Callable[[str], None]) -> bool:
    """Measure the peaks unless the run has them, then what is missing; whether every workload was measured."""
    sweeper = Sweeper(run, plan.sweep, plan.workloads, plan.implementations, scratch=scratch, progress=progress)
    if not run.record.get("peaks"):
        with sweeper.activity("peaks"):
            budget = plan.sweep.budget_seconds
            progress.show(done=0, total=len(plan.workloads), what="measuring peaks", seconds_left=budget)
            seconds = peak_seconds(budget, len(set(map(settings, plan.workloads))))
            log = run.folder / "worker-peaks.log"
            run.update(peaks=measure_peaks(plan.workloads, seconds=seconds, log=log, say=say))
    return sweeper.measure()


def peak_seconds(budget_seconds: float, groups: int) -> float:
    """How long measuring the peaks of each of so many groups of settings may take."""
    least, most = (share * budget_seconds for share in PEAK_SHARES)
    return min(max(PEAK_SECONDS, least), most / groups)


def measure_peaks(
    workloads: Iterable[Workload], *, seconds: float, log: Path, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """What the machine reaches, for each device, dtype, precision and thread count, in a process of its own.

    Each group of settings takes about so many seconds. What could not be measured is said and left out.
    """
    groups: dict[Settings, list[Workload]] = defaultdict(list)
    for workload in workloads:
        groups[settings(workload)].append(workload)
    peaks: list[dict[str, Any]] = []
    for (device, _, precision, threads), members in groups.items():
        try:
            worker = Worker("", threads=threads, precision=precision, device=device, log=log)
        except WorkerLost as lost:
            say(f"the peaks of {device} could not be measured: {lost.reason}")
            continue
        request = {"do": "peaks", "workloads": [each.id for each in members], "seconds": seconds}
        try:
            worker.wait_ready()
            reply = worker.ask(request, seconds + PEAK_TIMEOUT_SECONDS)
            if "status" in reply:
                say(f"the peaks of {device} could not be measured: {reply['reason']}")
            for problem in reply.get("problems", []):
                say(problem)
            peaks += reply.get("peaks", [])
        except WorkerLost as lost:
            say(f"the peaks of {device} could not be measured: {lost.reason}")
        finally:
            worker.kill()
    return peaks
