"""Runs with known numbers: trials as a sweep writes them, from formulas instead of measurements."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.counts import flops, products
from benchmarks.limits.peak import Peak, PeakKind, chain_shapes, measured_shape
from benchmarks.runs.frames import load_run
from benchmarks.runs.loading import LoadedRun, load_runs
from benchmarks.store import Run, create_run
from benchmarks.trial import Trial
from benchmarks.workload import Case, Mode, Workload

START = datetime(2026, 1, 1, tzinfo=UTC)
BLOCKS = (3, 3, 3, 3, 3, 3)

# Seconds a step costs each, and the operations a second it reaches, about as they are on two cores.
COSTS: dict[str, tuple[float, float]] = {
    "nn_rnn": (5e-6, 90e9),
    "numpy_hoisted": (4e-6, 60e9),
    "numpy_loop": (7e-6, 35e9),
    "torch_hoisted": (9e-6, 110e9),
    "torch_loop": (14e-6, 80e9),
    "torchscript_loop": (10e-6, 80e9),
}
SETUP_SECONDS = {"torchscript_loop": 0.4, "torch_compile": 14.0}


def workload(mode: str = "inference", T: int = 64, B: int = 16, H: int = 256, L: int = 1, **more: Any) -> Workload:
    """The centre of the default sweep, or what differs from it; as many input features as hidden units."""
    return Workload(**{"mode": mode, "T": T, "B": B, "I": H, "H": H, "L": L, "threads": 2, **more})


def trial(
    implementation: str,
    of: Workload,
    seconds: float | Sequence[float] = 1e-3,
    *,
    round_number: int = 0,
    blocks: Sequence[int] = BLOCKS,
    **fields: Any,
) -> Trial:
    """A measured trial: every sample takes `seconds`, or the samples are given one by one.

    Trials of one round overlap in time, as those of one visit do, unless times of day are given.
    """
    samples = (float(seconds),) * sum(blocks) if isinstance(seconds, int | float) else tuple(seconds)
    start = START + timedelta(minutes=round_number)
    measured: dict[str, Any] = {
        "source": implementation,
        "status": "measured",
        "started_at": start.isoformat(timespec="milliseconds"),
        "finished_at": (start + timedelta(seconds=30)).isoformat(timespec="milliseconds"),
        "seconds": samples,
        "blocks": tuple(blocks),
        "setup_seconds": 1e-3,
        "first_call_seconds": 2e-3,
        "error_output": 1e-7,
    }
    if of.mode == "training":
        measured |= {"backward_seconds": tuple(0.6 * sample for sample in samples), "error_gradient": 2e-7}
    return Trial(case=Case(implementation, of), round=round_number, **(measured | fields))


def failed(implementation: str, of: Workload, status: str, reason: str, **fields: Any) -> Trial:
    """A trial without times."""
    nothing: dict[str, Any] = {"blocks": (), "backward_seconds": ()}
    nothing |= {"setup_seconds": None, "first_call_seconds": None, "error_output": None, "error_gradient": None}
    return trial(implementation, of, (), **(nothing | {"status": status, "reason": reason} | fields))


def run_of(folder: Path, trials: Sequence[Trial], **fields: Any) -> Run:
    """A run folder that holds these trials."""
    run = create_run(folder, record(trials) | fields)
    for each in trials:
        run.append(each)
    return run


def record(trials: Sequence[Trial]) -> dict[str, Any]:
    """A `run.json` that fits the trials."""
    return {
        "name": "synthetic",
        "sweep": {"name": "synthetic", "summary": "Made up", "target_interval": 0.05, "budget_seconds": 390.0},
        "implementations": {each.case.implementation: each.source for each in trials},
        "machine": {
            "key": "synthetic-2cores-8GiB",
            "cpu": {"model": "Synthetic CPU @ 2.00GHz", "physical_cores": 2, "logical_cores": 4},
            "memory_bytes": 8 * 2**30,
            "gpus": [],
        },
        "packages": {"python": "3.11.7", "numpy": "2.4.6", "torch": "2.13.0"},
        "commit": {"revision": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "command": "python -m benchmarks sweep",
        "started_at": START.isoformat(timespec="seconds"),
        "finished_at": (START + timedelta(seconds=400)).isoformat(timespec="seconds"),
        "peaks": peaks({each.case.workload for each in trials}),
        "activity_seconds": {
            "starting workers": 12.0,
            "peaks": 15.0,
            "reference": 20.0,
            "building and checking": 33.0,
            "warm-up": 120.0,
            "sampling": 195.0,
            "finishing": 5.0,
        },
    }


def peaks(workloads: set[Workload], rate: float = 200e9) -> list[dict[str, Any]]:
    """Peaks of one rate for every product of the workloads, as `run.json` holds them."""
    found: dict[tuple[Any, ...], Peak] = {}
    for of in workloads:
        common: dict[str, Any] = {name: getattr(of, name) for name in ("device", "dtype", "precision", "threads")}
        bandwidth = Peak(kind="bandwidth", source="torch", seconds=0.01, bytes_per_second=20e9, **common)
        found[("bandwidth", *common.values())] = bandwidth
        for edge in (1024, 2048):
            large = Peak(
                kind="gemm",
                source="torch",
                M=edge,
                N=edge,
                K=edge,
                seconds=2 * edge**3 / rate,
                flops_per_second=rate,
                **common,
            )
            found[("large", edge, *common.values())] = large
        call = Peak(kind="call", source="torch", seconds=8e-7, **common)
        found[("call", *common.values())] = call
        for product in products(of):
            M, N, K = measured_shape(product.shape, of)
            seconds = 2 * M * N * K / rate
            key = ("gemm", M, N, K, *common.values())
            kind: PeakKind = "chain" if (M, N, K) in chain_shapes(of) else "gemm"
            found[key] = Peak(
                kind=kind, source="torch", M=M, N=N, K=K, seconds=seconds, flops_per_second=rate, **common
            )
    return [peak.to_json() for key, peak in sorted(found.items(), key=lambda item: str(item[0]))]


def modelled_seconds(implementation: str, of: Workload) -> float:
    """Time of a call: what its steps cost, and its operations at the rate the implementation reaches.

    Implementations that `COSTS` does not know are given costs by their name.
    """
    drawn = zlib.crc32(implementation.encode())
    step, rate = COSTS.get(implementation, (3e-6 + drawn % 97 * 2e-7, 30e9 + drawn % 89 * 1e9))
    steps = of.T * of.L * (2 if of.mode == "inference" else 9)
    return steps * step / 2 + flops(of) / rate


def realistic_trials(
    workloads: Sequence[Workload],
    implementations: Mapping[str, str] | Sequence[str] = tuple(COSTS),
    *,
    noise: float = 0.02,
    blocks: Sequence[int] = BLOCKS,
    seed: int = 0,
    round_number: int = 0,
) -> list[Trial]:
    """Trials of every implementation on every workload: blocks move together, and so do those of one turn."""
    sources = implementations if isinstance(implementations, Mapping) else {name: name for name in implementations}
    generator = np.random.default_rng(seed)
    found = []
    for of, weather in zip(workloads, generator.normal(0, noise, (len(workloads), len(blocks))), strict=True):
        for name, source in sources.items():
            own = weather + generator.normal(0, noise / 3, len(blocks))
            samples = np.repeat(np.exp(own), blocks) * np.exp(generator.normal(0, noise / 3, sum(blocks)))
            seconds = modelled_seconds(source, of) * samples
            setup = SETUP_SECONDS.get(source, 2e-4 + of.H**2 * 1e-9)
            errors = {"error_output": 6e-8 * of.H**0.25 * (1 + len(source) % 5 / 3)}
            errors |= {"error_gradient": 4 * errors["error_output"]} if of.mode == "training" else {}
            found.append(
                trial(
                    name,
                    of,
                    seconds.tolist(),
                    blocks=blocks,
                    round_number=round_number,
                    source=source,
                    setup_seconds=setup,
                    first_call_seconds=1.5 * float(seconds[0]),
                    peak_bytes=300 * 2**20,
                    checked_steps=of.T,
                    describe={"library": f"{source} 1.0"},
                    **errors,
                )
            )
    return found


def default_workloads(**more: Any) -> list[Workload]:
    """About the default sweep: T, B, H and L through a centre, and a map over batch and hidden size."""
    modes: tuple[Mode, ...] = ("inference", "training")
    grid = [{"B": B, "H": H} for B, H in itertools.product((1, 16, 64), (64, 256, 1024))]
    lines: list[dict[str, int]] = [
        *({"T": T} for T in (16, 256, 1024)),
        *({"H": H} for H in (128, 512)),
        {"B": 4},
        *({"L": L} for L in (2, 4)),
    ]
    return [workload(mode, **{**point, **more}) for mode in modes for point in (*grid, *lines)]


def loaded(folder: Path, trials: Sequence[Trial], **fields: Any) -> LoadedRun:
    """A run of these trials."""
    run_of(folder, trials, **fields)
    return load_runs(folder)[0]


def measured(of: Workload, times: Mapping[str, float], **factors: float) -> list[Trial]:
    """Trials of one visit; `factors` move the blocks of an implementation up and down."""
    found = []
    for name, seconds in times.items():
        width = factors.get(name, 0.0)
        blocks = [seconds * (1 + width * (2 * at / 5 - 1)) for at in range(6)]
        found.append(trial(name, of, [sample for block in blocks for sample in (block,) * 3]))
    return found


SHORT, CENTRE, LONG = (workload(T=T) for T in (16, 64, 256))
THREE = [
    *measured(SHORT, {"mine": 1.0, "one": 4.0, "two": 2.0}),
    *measured(CENTRE, {"mine": 1.0, "one": 8.0, "two": 9.0}),
    *measured(LONG, {"mine": 1.0, "one": 0.5, "two": 3.0}),
]
"""Trials of three implementations on three workloads: `mine` is the fastest on the first two."""


def typed(text: str) -> str:
    """The text with the signs that a keyboard has."""
    return text.replace("\N{MULTIPLICATION SIGN}", "x").replace("\N{EN DASH}", "-")


def load(folder: Path, *trials: Trial, **fields: Any) -> pd.DataFrame:
    """The frame of a run of these trials."""
    run_of(folder, trials, **fields)
    return load_run(folder)


def row(frame: pd.DataFrame, implementation: str) -> pd.Series:
    """The only row of an implementation."""
    rows = frame[frame["implementation"] == implementation]
    assert len(rows) == 1
    return rows.iloc[0]


def blocks_of(*medians: float) -> list[float]:
    """Samples of blocks of three with these medians."""
    return [sample for median in medians for sample in (median * 0.9, median, median * 1.5)]
