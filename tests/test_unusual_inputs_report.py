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
    assert "`slow` takes up to 20.0x (20.0-20.0) as long; flushing takes that away." in text
    assert "`stubborn` takes up to 15.0x (15.0-15.0) as long; with flushing still 15.0x (15.0-15.0)." in text
    assert "`calm` and `leaky`: not slower." in text
    assert "`leaky`: leaves the process's control bits changed." in text
    assert f"changed: 0x1f80 became {FLUSHING}" in text


def with_blocks(name: str, of: Workload, *factors: float) -> Trial:
    """A trial whose blocks take these times of a millisecond."""
    return trial(name, of, [factor * 1e-3 for factor in factors], blocks=(1,) * len(factors), float_modes=UNCHANGED)


def test_what_the_intervals_leave_open_is_no_slowdown_and_no_lack_of_one(tmp_path: Path) -> None:
    """Wide intervals, and too few blocks: neither slower nor not slower, with flushing or without."""
    decaying = dataclasses.replace(PLAIN, signal="decaying")
    flushed, normal = (dataclasses.replace(each, denormals="flushed") for each in (decaying, PLAIN))
    steady = (1.0,) * 6
    trials = [with_blocks("wide", PLAIN, *steady), with_blocks("wide", decaying, 0.9, 1.0, 1.2, 1.3, 1.5, 2.0)]
    trials += [with_blocks("brief", PLAIN, 1.0), with_blocks("brief", decaying, 9.0)]
    trials += [with_blocks("helped", PLAIN, *steady), with_blocks("helped", decaying, *([9.0] * 6))]
    trials += [with_blocks("helped", normal, *steady), with_blocks("helped", flushed, 0.9, 1.0, 1.0, 1.0, 1.0, 2.0)]
    text = section(report(tmp_path / "run", trials), "Signals that decay into denormal numbers")
    assert "`wide` and `brief`: cannot tell, the intervals are too wide or missing." in text
    assert "`helped` takes up to 9.00x (9.00-9.00) as long; whether flushing takes that away cannot be told." in text
    assert "not slower" not in text


def test_the_two_signals_are_apart_in_the_answer(tmp_path: Path) -> None:
    """A mean over normal and decaying signals would mean nothing."""
    text = report(tmp_path / "run", decays("slow", 20.0, 1.0) + decays("calm", 1.0, 1.0))
    assert "1 thread, decaying signal, denormals flushed" in text


LONGER = "the first calls take 5.00x (5.00-5.00) as long as the second ones"
AS_LONG = "the first calls take as long as the second ones, or too nearly to tell (1.00x (1.00-1.00))"


@pytest.mark.parametrize(("first", "growth", "said"), [(5e-3, 64 * 2**20, LONGER), (1e-3, None, AS_LONG)])
def test_a_new_length_has_its_cost(tmp_path: Path, first: float, growth: int | None, said: str) -> None:
    """First calls against second ones, and the memory."""
    of = Workload(mode="many-lengths", T=256, B=16, I=64, H=64)
    blocks = (17, 17, 17, 17, 16, 16)
    of_name = trial("jax_scan", of, first, blocks=blocks, repeated_seconds=(1e-3,) * 100, growth_bytes=growth)
    text = section(report(tmp_path / "run", [of_name]), "A hundred lengths in one process")
    assert said in text
    assert ("64 MiB" in text) == (growth is not None)
    assert "| 100 |" in text


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        (
            (0.9, 1.0, 1.1, 1.2, 1.3, 2.0),
            "the first calls take as long as the second ones, or too nearly to tell (1.15x",
        ),
        ((5.0, 5.0), "whether first calls take longer is not yet known, of too few blocks for an interval"),
    ],
)
def test_what_a_new_length_costs_is_told_by_its_interval(tmp_path: Path, factors: tuple[float, ...], said: str) -> None:
    """Two lengths a block, whose first calls take so many times as long as the second ones."""
    of = Workload(mode="many-lengths", T=256, B=16, I=64, H=64)
    samples = [factor * 1e-3 for factor in factors for _ in range(2)]
    fields = {"blocks": (2,) * len(factors), "repeated_seconds": (1e-3,) * len(samples)}
    of_name = trial("jax_scan", of, samples, **fields)  # type: ignore[arg-type]
    assert said in section(report(tmp_path / "run", [of_name]), "A hundred lengths in one process")
