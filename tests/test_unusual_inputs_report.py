"""The report on denormal numbers and on many lengths: who is slower, whom flushing helps, what a new length costs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks.trial import Trial
from benchmarks.workload import Workload
from tests.reports_of_trials import report, section
from tests.synthetic_runs import trial, workload

PLAIN = workload("inference", T=512, B=1, H=64, threads=1, bias=False)
UNCHANGED = {"start": "0x1f80", "loaded": "0x1f80", "called": "0x1f80"}
FLUSHING = "0x9fc0, flushes denormals"


def decays(name: str, decaying: float, flushed: float, modes: dict[str, str] = UNCHANGED) -> list[Trial]:
    """Trials of an implementation that takes 1 ms with a normal signal."""
    times = {("normal", "kept"): 1.0, ("normal", "flushed"): 1.0}
    times |= {("decaying", "kept"): decaying, ("decaying", "flushed"): flushed}
    return [
        trial(name, dataclasses.replace(PLAIN, signal=signal, denormals=kept), ms * 1e-3, float_modes=modes)  # type: ignore[arg-type]
        for (signal, kept), ms in times.items()
    ]


def test_slow_ones_and_those_that_change_the_process_are_named(tmp_path: Path) -> None:
    """A slow-down, what flushing does to it, and a changed control register each have their words."""
    trials = decays("slow", 20.0, 1.0) + decays("stubborn", 15.0, 15.0) + decays("calm", 1.02, 1.0)
    trials += decays("leaky", 1.0, 1.0, UNCHANGED | {"called": FLUSHING})
    text = section(report(tmp_path / "run", trials), "Signals that decay into denormal numbers")
    assert "`slow` takes up to 20.0x as long; flushing takes that away." in text
    assert "`stubborn` takes up to 15.0x as long; with flushing still 15.0x." in text
    assert "`calm` and `leaky`: not slower." in text
    assert "`leaky`: leaves the process's control bits changed." in text
    assert f"changed: 0x1f80 became {FLUSHING}" in text


def test_the_two_signals_are_apart_in_the_answer(tmp_path: Path) -> None:
    """A mean over normal and decaying signals would mean nothing."""
    text = report(tmp_path / "run", decays("slow", 20.0, 1.0) + decays("calm", 1.0, 1.0))
    assert "1 thread, decaying signal, denormals flushed" in text


@pytest.mark.parametrize(("first", "growth", "said"), [(5e-3, 64 * 2**20, "5.00x"), (1e-3, None, "1.00x")])
def test_a_new_length_has_its_cost(tmp_path: Path, first: float, growth: int | None, said: str) -> None:
    """First calls against second ones, and the memory."""
    of = Workload(mode="many-lengths", T=256, B=16, I=64, H=64)
    blocks = (17, 17, 17, 17, 16, 16)
    of_name = trial("jax_scan", of, first, blocks=blocks, repeated_seconds=(1e-3,) * 100, growth_bytes=growth)
    text = section(report(tmp_path / "run", [of_name]), "A hundred lengths in one process")
    assert f"the first calls take {said} as long as the second ones" in text
    assert ("64 MiB" in text) == (growth is not None)
    assert "| 100 |" in text
