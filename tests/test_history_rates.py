"""How often `history` is wrong: simulated noise, recorded noise, and the counts of steps."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks.history import folder as histories
from benchmarks.history import rates as rates_module
from benchmarks.history.rates import (
    SIZES,
    InjectedStep,
    Rates,
    RecordedNoise,
    SyntheticNoise,
    false_table,
    injected_table,
    rates,
    recorded,
)
from benchmarks.history.record import CaseTimes, Measurement
from benchmarks.history.steps import SHORTEST, StepChange
from benchmarks.presentation.plain_text import NOTHING
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


@pytest.mark.parametrize("tails", [math.inf, 5.0])
def test_a_simulated_time_is_the_sum_of_session_revision_and_process(tails: float) -> None:
    """A seed gives the same history again. A process alone keeps its session effect, which follows the one before."""
    alone = SyntheticNoise(0.01, 0.02, pushed=True, anchor=False, processes=3)
    noise = dataclasses.replace(alone, session=0.3, correlation=0.8, tails=tails)
    draw = np.random.default_rng(7)
    revision = 0.02 * draw.standard_normal((6, 16))
    effect = draw.standard_normal()
    expected = np.empty((16, 6, 3))
    for number in range(6):
        for place in range(3):
            effect = 0.8 * effect + 0.6 * draw.standard_normal()
            drawn = draw.standard_normal(16) if math.isinf(tails) else draw.standard_t(5.0, 16) / math.sqrt(5 / 3)
            expected[:, number, place] = np.exp(0.3 * effect + revision[number] + 0.01 * drawn)
    np.testing.assert_allclose(np.array(noise(np.random.default_rng(7), 6)), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("pushed", "of_anchor"), [(False, 3 * 3), (True, 3 * 7)], ids=["three groups a round", "one beside each other"]
)
def test_the_anchor_of_a_simulated_history_is_its_first_revision(pushed: bool, of_anchor: int) -> None:
    """It is in every group; the others have as many processes as asked for, and their own deviations exactly."""
    noise = SyntheticNoise(0.0, 0.02, session=0.3, pushed=pushed, cases=4, processes=3)
    revision = 0.02 * np.random.default_rng(7).standard_normal((8, 4))
    history = noise(np.random.default_rng(7), 8)
    assert len(history) == 4
    for case, deviations in zip(history, revision.T, strict=True):
        assert [len(seconds) for seconds in case] == [of_anchor, *[3] * 7]
        for place, seconds in enumerate(case):
            assert np.log(seconds) - np.log(case[0][0]) == pytest.approx(deviations[place] - deviations[0], abs=1e-6)


def test_recorded_noise_draws_whole_revisions() -> None:
    """Every drawn revision is a recorded one, with all its cases."""
    residuals = np.arange(2 * 5 * 3, dtype=float).reshape(2, 5, 3) / 30
    drawn = np.array(RecordedNoise(residuals)(np.random.default_rng(0), 50))
    whole = {np.exp(residuals[:, place]).tobytes() for place in range(5)}
    assert {drawn[:, place].tobytes() for place in range(50)} == whole


def step(at: int, last_before: int, first_after: int | None = None) -> StepChange:
    """A step at a place, with the ends of its range."""
    return StepChange(0, at, 0, last_before, at if first_after is None else first_after, 2.0, 2.0, 2.0)


def place_of(processes: list[list[float]]) -> int | None:
    """The first revision that is slower than the first; None where there is none."""
    return next((at for at, seconds in enumerate(processes) if seconds[0] > processes[0][0]), None)


class Search:
    """A stand-in for the search: it finds the steps `found`, whose places count from the injected one.

    In a series without a step it finds one where `false`, taken in turn, says so. `searched` are the series.
    """

    def __init__(self) -> None:
        self.found: list[StepChange] = []
        self.false: list[bool] = [False]
        self.searched: list[tuple[list[list[float]], int]] = []

    def __call__(self, processes: list[list[float]], cases: int = 1) -> list[StepChange]:
        self.searched.append((processes, cases))
        place = place_of(processes)
        if place is not None:
            return [step(one.at + place, one.last_before + place, one.first_after + place) for one in self.found]
        self.false.append(self.false.pop(0))
        return [step(0, 0)] if self.false[-1] else []


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Search:
    """A search in place of the real one."""
    found = Search()
    monkeypatch.setattr(rates_module, "find_steps", found)
    return found


def constant(_: np.random.Generator, revisions: int) -> list[list[list[float]]]:
    """A history of three cases of 1 s, 2 s and 3 s, in two processes a revision."""
    return [[[level, 2 * level] for _ in range(revisions)] for level in (1.0, 2.0, 3.0)]


def test_a_step_of_each_size_is_injected_in_a_case_of_each_history(search: Search) -> None:
    """Places and cases are drawn: each place has two revisions before and after it, and all are met."""
    found = rates(constant, revisions=6, trials=200)
    assert (found.histories, found.false, list(found.injected)) == (200, 0, list(SIZES))
    assert {len(results) for results in found.injected.values()} == {200}
    assert {cases for _, cases in search.searched} == {3}
    assert len(search.searched) == 200 * (3 + len(SIZES))
    injected = [one for one, _ in search.searched if place_of(one) is not None]
    assert {one[0][0] for one in injected} == {1.0, 2.0, 3.0}
    assert {place_of(one) for one in injected} == {SHORTEST, 3, 6 - SHORTEST}
    for at in range(0, len(injected), len(SIZES)):
        of_trial = injected[at : at + len(SIZES)]
        assert len({one[0][0] for one in of_trial}) == 1
        for one, size in zip(of_trial, SIZES, strict=True):
            slower = [[seconds * (1 + size) for seconds in one[0]]] * (6 - (place_of(one) or 0))
            assert one == [one[0]] * (6 - len(slower)) + slower


def test_a_history_is_false_where_a_step_is_found_in_any_case(search: Search) -> None:
    """It counts once; a search that found one ends."""
    search.false = [False, True, False, False, False]
    # Two cases of the first history are searched, all of the second, two of the third, all of the fourth.
    assert rates(constant, revisions=6, trials=4, sizes=()) == Rates(4, 2, {})
    search.false = [True]
    assert rates(constant, revisions=6, trials=4, sizes=()).false == 4


def test_the_draws_follow_the_seed() -> None:
    """It is 0 where none is given; noise and places are drawn from one generator, which goes on from trial to trial."""
    drawn: list[float] = []

    def noise(draw: np.random.Generator, revisions: int) -> list[list[list[float]]]:
        drawn.append(draw.random())
        return [[[1.0, 1.0]] * revisions]

    rates(noise, revisions=8, trials=3, sizes=(0.1,))
    for seed in (0, 1):
        rates(noise, revisions=8, trials=3, sizes=(0.1,), seed=seed)
    draw = np.random.default_rng(0)
    expected = []
    for _ in range(3):
        expected.append(draw.random())
        draw.integers(1)
        draw.integers(SHORTEST, 8 - SHORTEST + 1)
    assert drawn[:3] == drawn[3:6] == expected
    assert not set(drawn[6:]) & set(expected)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], InjectedStep(0, False, None, None)),
        ([step(0, -1)], InjectedStep(1, True, 0, 1)),
        ([step(-2, -4, 0)], InjectedStep(1, True, 2, 4)),
        ([step(1, 0, 3)], InjectedStep(1, False, 1, 3)),
        ([step(-1, -3, -1)], InjectedStep(1, False, 1, 2)),
        ([step(-3, -5, 0), step(1, 0, 1)], InjectedStep(2, True, 1, 1)),
        ([step(-1, -2, -1), step(3, 1, 4)], InjectedStep(2, False, 1, 1)),
    ],
)
def test_an_injected_step_is_in_the_range_of_those_found_or_not(
    search: Search, found: list[StepChange], expected: InjectedStep
) -> None:
    """A range begins after its last revision before the step and ends with the first after; the nearest step counts."""
    search.found = found
    assert rates(constant, revisions=20, trials=2, sizes=(0.1,)).injected == {0.1: (expected, expected)}


FOUND, MISSED = InjectedStep(1, True, 0, 1), InjectedStep(0, False, None, None)


def test_the_tables_count_histories_and_steps() -> None:
    """Intervals are Clopper and Pearson's of 95 %; shares of place and range are of the steps that were found."""
    one = (FOUND, InjectedStep(2, True, 1, 2), InjectedStep(3, False, 2, 4), MISSED)
    both = {"quiet": Rates(20, 0, {0.03: (MISSED, MISSED), 0.1: one}), "loud": Rates(20, 5, {0.03: (FOUND,)})}
    assert false_table(both) == (
        "| noise | histories with a false step | 95 % interval |\n"
        "| :-- | --: | --: |\n"
        "| quiet | 0 of 20 | 0 % to 17 % |\n"
        "| loud | 5 of 20 | 8.7 % to 49 % |"
    )
    assert injected_table(both) == (
        "| noise | injected | found | of these, in the range named | exactly placed | commits named | with a second |\n"
        "| :-- | --: | --: | --: | --: | --: | --: |\n"
        f"| quiet | 3.0 % | 0 % | {NOTHING} | {NOTHING} | {NOTHING} | 0 |\n"
        "| quiet | 10 % | 75 % | 67 % | 33 % | 2.3 | 2 |\n"
        "| loud | 3.0 % | 100 % | 100 % | 100 % | 1.0 | 0 |"
    )


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


def add(folder: Path, machine: str, revision: str, number: int, **seconds: float) -> None:
    """Record one process that ran alone, with these seconds of its cases."""
    cases = {case: CaseTimes(one, one, one, 5) for case, one in seconds.items()}
    when = f"2026-01-01T00:00:{number:02}+00:00"
    histories.append(folder, machine, Measurement(revision, "speed", "one", f"{number}", when, {}, {}, cases))


def test_the_noise_is_what_the_levels_leave(
    revisions: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The revisions' is scaled by the degrees of freedom that two levels take from six; the processes' is as it is."""
    asked: list[tuple[int, int]] = []

    def found(processes: list[list[float]], cases: int) -> list[StepChange]:
        asked.append((len(processes), cases))
        return [step(4, 3)]

    monkeypatch.setattr(rates_module, "find_steps", found)
    logs = [[0.01, 0.03], [0.0, 0.02], [-0.03, 0.05], [0.02, 0.04, 0.06], [1.0, 1.02], [1.04, 1.06]]
    for place, of_revision in enumerate(logs):
        for number, one in enumerate(of_revision):
            few = {"few": 1.0} if place < 5 else {}
            add(tmp_path / "kept", "zen", revisions[place], 10 * place + number, a=math.exp(one), b=3.0, **few)
    noise = recorded(tmp_path, tmp_path / "kept")["zen"].residuals
    # Values by all processes: 0.02, 0.01, 0.01, 0.04 with a mean of 0.02; 1.01 and 1.05 with a mean of 1.03.
    scale = math.sqrt(6 / 4)
    of_values = [0.0, -0.01, -0.01, 0.03 - 0.02, -0.02, 0.02]
    of_processes = [0.01, 0.01, 0.04, 0.01, 0.01, 0.01]
    expected = [[one * scale - far, one * scale + far] for one, far in zip(of_values, of_processes, strict=True)]
    assert noise.shape == (2, 6, 2)
    assert noise[0] == pytest.approx(np.array(expected))
    assert noise[1] == pytest.approx(0.0)
    assert asked == [(6, 3)] * 2


@pytest.mark.parametrize(("number", "processes"), [(3, 2), (4, 1), (0, 0)])
def test_a_machine_with_too_little_has_no_noise(
    revisions: list[str], tmp_path: Path, number: int, processes: int
) -> None:
    """Four revisions of two processes are enough, whatever machine comes before; the refusal says what to measure."""
    kept = tmp_path / histories.HISTORY
    for place in range(max(1, number)):
        for one in range(processes):
            add(kept, "a little", revisions[place], 10 * place + one, a=1.0)
    if not number:
        failed = Measurement(revisions[0], "speed", "one", "1", "2026-01-01T00:00:00+00:00", {}, {}, {}, failure="why")
        histories.append(kept, "a little", failed)
    expected = (
        f"{kept.resolve()} holds no machine with 4 revisions of 2 processes or more; "
        "measure them by `python -m benchmarks track --range A..B`"
    )
    (tmp_path / "below").mkdir()
    with pytest.raises(StoreError, match=f"^{re.escape(expected)}$"):
        recorded(tmp_path / "below")
    for place in range(4):
        for one in range(2):
            add(kept, "enough", revisions[place], 10 * place + one, a=1.0)
    assert list(recorded(tmp_path / "below")) == ["enough"]
    assert recorded(tmp_path)["enough"].residuals.shape == (1, 4, 2)


def invoke(*words: str) -> tuple[int, str, str]:
    """The exit status of the command, its output and its errors."""
    app = typer.Typer()
    app.command()(rates_module.main)
    said = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return said.exit_code, said.stdout, said.stderr


def test_each_noise_is_named_before_it_is_searched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without options 100 histories of 20 revisions are searched in each of the kinds."""
    asked: list[tuple[object, int, int]] = []

    def count(noise: object, *, revisions: int, trials: int) -> Rates:
        asked.append((noise, revisions, trials))
        return Rates(trials, 0, {0.1: (FOUND,)})

    monkeypatch.setattr(rates_module, "rates", count)
    monkeypatch.setattr(rates_module, "KINDS", {"quiet": "a", "loud": "b"})
    found = {name: Rates(100, 0, {0.1: (FOUND,)}) for name in ("quiet", "loud")}
    tables = f"{false_table(found)}\n\n{injected_table(found)}\n"
    rates_module.main()
    assert capsys.readouterr() == (tables, "1 of 2: quiet\n2 of 2: loud\n")
    assert asked == [("a", 20, 100), ("b", 20, 100)]
    monkeypatch.setattr(rates_module, "recorded", lambda here, folder: {"zen": (here, folder)})
    assert invoke("--history", "kept", "--trials", "1", "--revisions", "4")[2] == "1 of 1: zen\n"
    assert asked[2:] == [((Path.cwd(), Path("kept")), 4, 1)]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--trials", "0"], "--trials is 0, --revisions is 20; expected 1 or more, 4 or more"),
        (["--revisions", "3"], "--trials is 100, --revisions is 3; expected 1 or more, 4 or more"),
        (["--history", "nowhere"], "nowhere holds no history yet: measure a revision by `python -m benchmarks track"),
    ],
)
@pytest.mark.usefixtures("revisions")
def test_wrong_use_of_the_rates_is_exit_status_2(words: list[str], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence goes to the errors, and nothing is printed."""
    monkeypatch.setattr(rates_module, "KINDS", {"quiet": QUIET})
    status, said, errors = invoke(*words)
    assert (status, said) == (2, "")
    assert errors.startswith(f"error: {why}")
    assert errors.count("\n") == 1


@pytest.mark.usefixtures("revisions")
def test_both_tables_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables have a row for each noise, and for each size that is injected in it."""
    monkeypatch.setattr(rates_module, "KINDS", {"quiet": QUIET})
    status, said, _ = invoke("--trials", "2", "--revisions", "8")
    assert status == 0
    assert "| quiet | 0 of 2 | 0 % to 84 % |" in said
    assert "| quiet | 10 % | 100 % | 100 % | 100 % | 1.0 | 0 |" in said
    assert invoke("--trials", "1", "--revisions", "4")[0] == 0
