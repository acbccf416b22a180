"""Advise on a model: find its recurrent layers, measure the implementations on them, and judge."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import machine
from benchmarks.advice.question import Input, Question, Share, as_grid, check_fits, count_workloads
from benchmarks.advice.verdict import Verdict, judge
from benchmarks.files import scratch_folder
from benchmarks.measuring.conditions.lock import measuring_alone
from benchmarks.measuring.processes.ending import ended_in_order
from benchmarks.measuring.sweeping.implementations import ALL, parse_implementation
from benchmarks.measuring.sweeping.launch import start_sweep
from benchmarks.measuring.sweeping.sweep_plan import SweepPlan, check_plan, check_threads
from benchmarks.models.held import HeldModel
from benchmarks.models.layers import Found
from benchmarks.models.source import Source
from benchmarks.presentation.clock import doing
from benchmarks.reporting.words.unmeasured import check_measured
from benchmarks.runs.loading import load_runs
from benchmarks.runs.pooling import BASELINE
from benchmarks.statistics import estimate_ratio
from benchmarks.store import Run
from benchmarks.sweeps import Sweep
from benchmarks.workload import Mode
from rnnimpl.registry import default_names, listing, names

BUDGET_SECONDS = 45.0
"""The sweep's budget for one question. With finding the layers, timing the model and writing the report it is a
minute."""
SHARE_SECONDS = 3.0
"""The time for a model's calls and those of its layers."""
LOOPS = ("numpy_loop", "torch_loop", "torchscript_loop")
"""Implementations that are measured only where they are named: others compute the same with fewer calls a step."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be advised on."""

    source: Source
    inputs: Sequence[Input]
    modes: Sequence[Mode]
    threads: Sequence[int]
    may_use: Sequence[str] = ()
    """Names of implementations as on the command line of a sweep; those that come into question if empty."""
    budget_seconds: float | None = None
    """None: `BUDGET_SECONDS` for each question."""

    @property
    def present(self) -> str:
        """The implementation that computes the layers now."""
        return "onnxruntime_rnn" if self.source.kind == "onnx" else BASELINE


@dataclasses.dataclass(frozen=True, eq=False)
class Advice:
    """The verdicts on a request, the layers that were found, and the run that was measured."""

    found: Found
    verdicts: Sequence[Verdict]
    run: Run


def advise(request: Request, *, out: Path | None, console: Console, say: Callable[[str], None]) -> Advice:
    """Measure and judge; `out` is the run's folder, by default one in `results`.

    Raises ValueError, with a sentence, where the source is no model, has no layer that can be measured, or the input
    does not fit; NothingMeasured where no implementation could be measured.
    """
    # Before the model is loaded, which takes seconds.
    implementations(request.may_use, request.present, {"cpu"})
    check_threads(request.threads)
    with ended_in_order(), scratch_folder("advise") as scratch, doing(console, "asking the model"):
        found, questions = _ask_model(request, scratch / "model.log", say)
    plan = _plan(request, questions)
    run = start_sweep(plan, out=out, console=console)
    layers = [layer.to_json() for layer in found.layers]
    run.update(model={"source": request.source.text, "layers": layers, "asked": [each.to_json() for each in questions]})
    (loaded,) = load_runs([run.folder])
    check_measured([loaded])
    return Advice(found, [judge(question, loaded) for question in questions], run)


def _ask_model(request: Request, log: Path, say: Callable[[str], None]) -> tuple[Found, list[Question]]:
    """The layers of the model and a question for each input, mode and number of threads."""
    questions: list[Question] = []
    found = Found(())
    for threads in request.threads:
        with (
            measuring_alone(f"advise {request.source.text}", say),
            HeldModel(request.source, threads=threads, log=log) as model,
        ):
            found = model.find()
            if not found.layers:
                reasons = "; ".join(map(str, found.left_out))
                raise ValueError(f"{request.source.text} has no recurrent layer that can be measured: {reasons}")
            for given in request.inputs:
                for mode in request.modes:
                    questions.append(_question(request, model, found, given, mode, threads))
    return found, questions


def _question(request: Request, model: HeldModel, found: Found, given: Input, mode: Mode, threads: int) -> Question:
    unknown = "its code is not known, only its weights"
    calls: list[tuple[str, int, int]] = []
    is_packed = False
    if request.source.kind != "module":
        check_fits(given, found.layers)
    if model.runs:
        calls, is_packed, problem = model.run(given.T, given.B, given.I)
        unknown = problem or ""
        if request.source.kind == "onnx" and mode == "training":
            unknown = "ONNX Runtime does not train"
    if not calls:
        check_fits(given, found.layers)
        calls = [(layer.name, given.T, given.B) for layer in found.layers]
    share = None
    if not unknown:
        whole, layers = model.time(trains=mode == "training", seconds=SHARE_SECONDS)
        share = Share(statistics.median(whole), estimate_ratio(layers, whole))
    workloads = count_workloads(calls, found.layers, mode, threads)
    return Question(given, mode, threads, workloads, request.present, share, unknown, is_packed)


def _plan(request: Request, questions: Sequence[Question]) -> SweepPlan:
    workloads = dict.fromkeys(workload for question in questions for workload in question.workloads)
    sweep = Sweep(
        name="advise",
        summary=f"the recurrent layers of {request.source.text}",
        grids=tuple(map(as_grid, workloads)),
        budget_seconds=request.budget_seconds or BUDGET_SECONDS * len(questions),
    )
    return check_plan(
        sweep, implementations(request.may_use, request.present, {workload.device for workload in workloads})
    )


def implementations(may_use: Sequence[str], present: str, devices: set[str]) -> dict[str, str]:
    """{name: source} of the implementations to measure, the present one among them.

    Without names they are those that can run here on one of the devices, but for plain loops and those that compile for
    long. Raises ValueError for a name that is not known.
    """
    if not may_use:
        chosen = [name for name in default_names() if name not in LOOPS and _runs_here(name, devices)]
        return {name: name for name in dict.fromkeys([present, *chosen])}
    wanted = [name for text in may_use for name in (names() if text == ALL else [text])]
    return dict(map(parse_implementation, dict.fromkeys([present, *wanted])))


def _runs_here(name: str, devices: set[str]) -> bool:
    unavailable = listing(name).unavailable
    return any(device in unavailable and unavailable[device] is None for device in devices)


def default_threads() -> int:
    """The physical cores that this process may use."""
    return machine.usable_cores()
