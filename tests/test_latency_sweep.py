"""Sweeps of streams, of processes at once, of flushed denormals and of many lengths, in real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.latencies import Latencies
from benchmarks.measuring.conditions.floating_point import control_bits
from benchmarks.sweeps.grid import Grid, Sweep
from benchmarks.trial import Trial
from tests.small_sweeps import measure, new_run


@pytest.fixture(autouse=True)
def one_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each workload is visited once, and a silence is short."""
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.LEAST_VISITS", 1)
    monkeypatch.setattr("benchmarks.measuring.visits.latency_visit.SILENCE_SECONDS", 0.05)


def trials(tmp_path: Path, *grids: Grid) -> dict[str, Trial]:
    """{workload: trial} of `numpy_loop`."""
    sweep = Sweep(name="s", summary="", grids=grids, budget_seconds=120.0, target_interval=0.99, stop_interval=0.99)
    run = new_run(tmp_path, sweep, {"numpy_loop": "numpy_loop"})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    measure(run, sweep, {"numpy_loop": "numpy_loop"}, tmp_path)
    found = {trial.case.workload.id: trial for trial in run.trials()}
    assert all(trial.status == "measured" for trial in found.values()), [trial.reason for trial in found.values()]
    return found


def grid(**axes: object) -> Grid:
    """One small network."""
    small = {"T": (1,), "B": (1,), "I": (4,), "H": (5,), "threads": (1,), "device": ("cpu",)}
    return Grid(**(small | axes))  # type: ignore[arg-type]


def test_a_stream_keeps_the_time_of_every_call(tmp_path: Path) -> None:
    """Each block has a histogram, whose typical call is the block's sample; a silence has a call of its own."""
    (trial,) = trials(tmp_path, grid(mode=("streaming",), cell=("lstm",))).values()
    assert len(trial.seconds) == len(trial.blocks) == len(trial.latencies)
    for sample, text in zip(trial.seconds, trial.latencies, strict=True):
        of_block = Latencies.decode([text])
        typical = of_block.percentile(50.0)
        assert typical is not None
        # With few calls, the middle two may be apart.
        assert typical.median == pytest.approx(sample, rel=0.1)
        assert of_block.calls > 50
    assert trial.after_silence_seconds is not None
    assert trial.after_silence_seconds > 0
    assert sum(map(len, trial.latencies)) < 20_000


def test_two_processes_call_at_once(tmp_path: Path) -> None:
    """One process and two at once serve calls; how many more two serve depends on who else has the cores."""
    found = trials(tmp_path, grid(mode=("serving",), T=(3,), processes=(1, 2)))
    calls = [Latencies.decode(trial.latencies).calls for trial in found.values()]
    assert len(calls) == 2
    assert min(calls) > 50


@pytest.mark.skipif(control_bits() is None, reason="the control bits of this system are not known")
def test_a_process_flushes_where_it_is_asked_to(tmp_path: Path) -> None:
    """The trial says what the process did with denormal numbers, from its start on."""
    found = trials(
        tmp_path,
        grid(mode=("inference",), T=(32,), bias=(False,), signal=("decaying",), denormals=("kept", "flushed")),
    )
    modes = {trial.case.workload.denormals: trial.float_modes for trial in found.values()}
    assert ["flushes" in modes[each]["start"] for each in ("kept", "flushed")] == [False, True]
    assert all(set(of_one) == {"start", "loaded", "called"} for of_one in modes.values())
    assert len(set(modes["kept"].values())) == 1


def test_many_lengths_have_a_first_and_a_second_call_each(tmp_path: Path) -> None:
    """Both are kept, with the memory."""
    (trial,) = trials(tmp_path, grid(mode=("many-lengths",), T=(30,))).values()
    assert len(trial.seconds) == len(trial.repeated_seconds) == 29 == sum(trial.blocks)
    assert trial.growth_bytes is not None
