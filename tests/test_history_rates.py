"""How often `history` is wrong: simulated noise, recorded noise, and the counts of steps."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks.history import folder as histories
from benchmarks.history import rates as rates_module
from benchmarks.history.rates import RecordedNoise, SyntheticNoise, rates, recorded
from benchmarks.history.record import CaseTimes, Measurement
from benchmarks.store import StoreError

QUIET = SyntheticNoise(0.002, 0.001, cases=2, processes=3)


def test_large_steps_in_little_noise_are_all_found_at_their_place() -> None:
    """Histories without a step have none."""
    found = rates(QUIET, revisions=10, trials=5, sizes=(0.1,))
    assert found.false == 0
    assert [(one.steps, one.within, one.off) for one in found.injected[0.1]] == [(1, True, 0)] * 5


def test_steps_that_are_too_small_to_matter_are_not_found() -> None:
    """They count as not found, and have no place."""
    found = rates(QUIET, revisions=10, trials=5, sizes=(0.005,))
    assert [(one.steps, one.off, one.width) for one in found.injected[0.005]] == [(0, None, None)] * 5


def test_an_injected_step_is_judged_by_the_step_next_to_it() -> None:
    """The machine doubles the time after the second of twenty revisions, whatever is injected."""

    def doubled(_: np.random.Generator, revisions: int) -> list[list[list[float]]]:
        return [[[level * 0.999, level * 1.001] for level in (1.0, 1.0, *[2.0] * (revisions - 2))]]

    found = rates(doubled, revisions=20, trials=10, sizes=(0.1,))
    assert found.false == 10
    # Injected just after the machine's, it is found one place off.
    assert {one.off for one in found.injected[0.1]} <= {0, 1}
    assert 2 in {one.steps for one in found.injected[0.1]}


def test_simulated_noise_has_the_given_deviations() -> None:
    """A process has its noise and that of the anchor, a revision its own, and neither that of the sessions."""
    drawn = SyntheticNoise(0.01, 0.03, session=0.5, cases=30, pushed=True)(np.random.default_rng(0), 20)
    logs = np.log([list(case[1:]) for case in drawn])  # (case, revision, process)
    revision = np.median(logs, axis=2)
    assert logs.std(axis=2, ddof=1).mean() == pytest.approx(0.01 * math.sqrt(2), rel=0.1)
    assert revision.std(axis=1, ddof=1).mean() == pytest.approx(0.03, rel=0.1)


def test_without_an_anchor_session_effects_remain() -> None:
    """Each process has its own effect, near the one before."""
    drawn = SyntheticNoise(0.0, session=0.5, correlation=0.9, pushed=True, anchor=False, cases=1, processes=5)
    (case,) = drawn(np.random.default_rng(0), 200)
    effects = np.log(case).ravel()
    assert effects.std() == pytest.approx(0.5, rel=0.25)
    assert np.corrcoef(effects[:-1], effects[1:])[0, 1] == pytest.approx(0.9, abs=0.05)


def test_heavy_tails_have_the_given_deviation() -> None:
    """They have more far values than the normal distribution."""
    drawn = SyntheticNoise(0.01, session=0.0, tails=5.0, pushed=True, anchor=False, cases=10)
    logs = np.log(drawn(np.random.default_rng(0), 80))
    assert logs.std() == pytest.approx(0.01, rel=0.08)
    assert (abs(logs) > 0.04).mean() > 0.001


def test_recorded_noise_draws_whole_revisions() -> None:
    """Every drawn revision is a recorded one, with all its cases."""
    residuals = np.arange(2 * 5 * 3, dtype=float).reshape(2, 5, 3) / 30
    drawn = np.array(RecordedNoise(residuals)(np.random.default_rng(0), 50))
    whole = {np.exp(residuals[:, place]).tobytes() for place in range(5)}
    assert {drawn[:, place].tobytes() for place in range(50)} == whole


def git(*words: str) -> str:
    """Run git in the current folder, with an identity for commits."""
    command = ["git", "-c", "user.name=somebody", "-c", "user.email=somebody@example.com", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The twelve commits of a project, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    for number in range(12):
        git("commit", "--quiet", "--allow-empty", "-m", f"{number}")
    return git("rev-list", "--reverse", "HEAD").split()


def keep(revisions: list[str], processes: int, folder: Path) -> None:
    """Record a history of a call of 1 s that becomes 1.5 s in the middle, with noise of a percent a process."""
    draw = np.random.default_rng(0)
    for number in range(processes):
        for place, revision in enumerate(revisions):
            seconds = float((1.5 if place >= 6 else 1.0) * np.exp(0.01 * draw.standard_normal()))
            times = CaseTimes(seconds, seconds, seconds, 5)
            when = f"2026-01-01T{number:02}:{place:02}:00+00:00"
            one = Measurement(revision, "speed", "one", f"{number}", when, {"torch": "2.13"}, {}, {"a": times})
            histories.append(folder, "machine", one)


def test_the_noise_of_a_history_is_without_its_steps(revisions: list[str], tmp_path: Path) -> None:
    """A step of 50 % in noise of 1 % leaves noise of 1 %."""
    keep(revisions, 5, tmp_path / "kept")
    noise = recorded(tmp_path, tmp_path / "kept")["machine"].residuals
    assert noise.shape == (1, 12, 5)
    assert noise.std() == pytest.approx(0.01, rel=0.3)


def test_a_history_of_single_processes_has_no_rates(revisions: list[str], tmp_path: Path) -> None:
    """The refusal says what to measure."""
    keep(revisions, 1, tmp_path / "kept")
    with pytest.raises(StoreError, match="4 revisions of 2 processes or more; measure them"):
        recorded(tmp_path, tmp_path / "kept")


@pytest.mark.usefixtures("revisions")
def test_both_tables_are_printed_and_wrong_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables have a row for each noise, and for each size that is injected in it."""
    app = typer.Typer()
    app.command()(rates_module.main)
    monkeypatch.setattr(rates_module, "KINDS", {"quiet": QUIET})
    said = CliRunner().invoke(app, ["--trials", "2", "--revisions", "8"], catch_exceptions=False)
    assert said.exit_code == 0
    assert "| quiet | 0 of 2 | 0 % to 84 % |" in said.output
    assert "| quiet | 10 % | 100 % | 100 % | 100 % | 1.0 | 0 |" in said.output
    assert CliRunner().invoke(app, ["--trials", "1", "--revisions", "4"]).exit_code == 0
    for words in (["--trials", "0"], ["--revisions", "3"], ["--history", "nowhere"]):
        assert CliRunner().invoke(app, words).exit_code == 2
