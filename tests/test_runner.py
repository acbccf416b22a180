"""The schedule of a sweep, with real workers on small workloads, and the faults that it survives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.measuring.sweeping.runner import Sweeper, rotated
from benchmarks.runs.loading import load_runs
from benchmarks.statistics import Estimate, estimate
from benchmarks.store import open_run
from benchmarks.trial import Trial
from tests import synthetic_runs
from tests.small_sweeps import Said, measure, new_run, small_sweep

FAULTY = "tests.faulty_implementations"


@pytest.fixture(autouse=True)
def one_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Visit each workload once, however noisy the machine is that the tests run on."""
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.MAX_VISITS", 1)


def by_case(trials: list[Trial]) -> dict[str, Trial]:
    """The trials by case; each case has one."""
    assert max(Counter(trial.case.id for trial in trials).values()) == 1
    return {trial.case.id: trial for trial in trials}


def test_every_case_becomes_a_trial_with_its_samples(tmp_path: Path) -> None:
    """Six blocks each, forward and backward apart in training, errors and memory beside the times."""
    sweep = small_sweep()
    implementations = {"numpy_loop": "numpy_loop", "mine": f"{FAULTY}:Sound"}
    run = new_run(tmp_path, sweep, implementations)
    complete, _ = measure(run, sweep, implementations, tmp_path)
    assert complete
    trials = by_case(open_run(run.folder).trials())
    assert set(trials) == {
        f"{name}/cpu/{mode}/T3-B2-I4-H5-L1-tanh-float32"
        for name in implementations
        for mode in ("inference", "training")
    }
    for trial in trials.values():
        assert (trial.status, trial.reason) == ("measured", None)
        assert len(trial.blocks) == 6
        assert sum(trial.blocks) == len(trial.seconds)
        assert trial.setup_seconds is not None
        assert trial.first_call_seconds is not None
        assert trial.error_output is not None
        assert trial.error_output < 1e-5
        assert trial.checked_steps == 3
        training = trial.case.workload.mode == "training"
        assert len(trial.backward_seconds) == (len(trial.seconds) if training else 0)
        assert (trial.error_gradient is not None) == training
        assert all(part < whole for part, whole in zip(trial.backward_seconds, trial.seconds, strict=False))


def test_implementations_take_turns_to_be_first(tmp_path: Path) -> None:
    """Block by block, another one begins."""
    sweep = small_sweep().override(mode="inference")
    implementations = {"a": "numpy_loop", "b": "numpy_hoisted"}
    _, said = measure(new_run(tmp_path, sweep, implementations), sweep, implementations, tmp_path)
    order = [line[0] for line in said.lines if "sampling" in line]
    assert "".join(order) == "abba" * 3


def test_a_faulty_implementation_is_a_trial_and_the_sweep_goes_on(tmp_path: Path) -> None:
    """Raising, refusing, wrong, dying, hanging: each has its status and reason, and the sound one its times."""
    sweep = small_sweep(timeout_seconds=5.0).override(mode="inference")
    expected = {
        "RaisesAtBuild": "failed",
        "Missing": "unavailable",
        "Picky": "unsupported",
        "WrongByOnePercent": "wrong",
        "Dies": "crashed",
        "DiesLater": "crashed",
        "Exits": "crashed",
        "ExhaustsMemory": "out_of_memory",
        "Hangs": "timeout",
        "WritesStrayLine": "crashed",
        "DescribesItselfByAList": "failed",
    }
    implementations = {name: f"{FAULTY}:{name}" for name in expected} | {"numpy_loop": "numpy_loop"}
    run = new_run(tmp_path, sweep, implementations)
    complete, _ = measure(run, sweep, implementations, tmp_path)
    assert complete
    trials = {trial.case.implementation: trial for trial in open_run(run.folder).trials()}
    assert {name: trials[name].status for name in expected} == expected
    assert all(trials[name].reason for name in expected)
    assert not any(trials[name].seconds for name in expected)
    assert trials["WrongByOnePercent"].error_output == pytest.approx(0.01, rel=0.1)
    assert trials["numpy_loop"].status == "measured"
    assert trials["numpy_loop"].seconds


def test_a_noisy_case_is_visited_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later rounds add samples; every workload had its first visit before any had a second."""
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.MAX_VISITS", 3)
    sweep = small_sweep(target_interval=1e-9)
    implementations = {"numpy_loop": "numpy_loop", "numpy_hoisted": "numpy_hoisted"}
    run = new_run(tmp_path, sweep, implementations)
    _, said = measure(run, sweep, implementations, tmp_path)
    trials = open_run(run.folder).trials()
    rounds = [trial.round for trial in trials]
    assert rounds == [number for number in range(3) for _ in range(4)]
    assert said.counts == [(0, 2), (1, 2)] * 3
    assert {trial.status for trial in trials} == {"measured"}
    cases = load_runs(run.folder)[0].cases.values()
    assert {case.status for case in cases} == {"noisy"}
    assert all("wider than the ±0% asked for" in str(case.reason) for case in cases)
    assert max(Counter((trial.case.id, trial.round) for trial in trials).values()) == 1


def test_a_case_without_an_interval_is_visited_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Visits that the budget ended after a block leave a row of the report open, however many they were."""
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.MAX_VISITS", 9)
    sweep = small_sweep(target_interval=1e-9)
    implementations = {"numpy_loop": "numpy_loop"}
    run = new_run(tmp_path, sweep, implementations)
    wide, cut = sweep.workloads(("cpu",), 1)
    run.append(synthetic_runs.trial("numpy_loop", wide))
    for number in range(2):
        run.append(synthetic_runs.trial("numpy_loop", cut, blocks=(1,), round_number=number))
    sweeper = Sweeper(run, sweep, [wide, cut], implementations, scratch=tmp_path, progress=Said())
    assert sweeper.wide() == [cut, wide]
    for number in range(2, 5):
        run.append(synthetic_runs.trial("numpy_loop", cut, round_number=number))
    sweeper = Sweeper(run, sweep, [wide, cut], implementations, scratch=tmp_path, progress=Said())
    assert sweeper.wide()[0] == wide


def test_each_workload_is_built_three_times_however_narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three builds are measured while the budget lasts; a failed case is left alone."""
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.MAX_VISITS", 30)
    sweep = small_sweep().override(mode="inference")
    implementations = {"numpy_loop": "numpy_loop", "raises": f"{FAULTY}:RaisesAtBuild"}
    run = new_run(tmp_path, sweep, implementations)
    measure(run, sweep, implementations, tmp_path)
    blocks = [len(trial.blocks) for trial in open_run(run.folder).trials() if trial.case.implementation == "numpy_loop"]
    assert blocks == [6, 6, 6]
    assert [trial.status for trial in open_run(run.folder).trials() if trial.case.implementation == "raises"] == [
        "failed"
    ]


@pytest.mark.parametrize(("share", "processes"), [(1e9, 3), (0.0, 1)])
def test_a_round_has_new_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, processes: int
) -> None:
    """A new round has new processes, unless starting takes too large a share of the time."""
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.MAX_VISITS", 3)
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.RENEWAL_SHARE", share)
    sweep = small_sweep()
    implementations = {"mine": f"{FAULTY}:Sound"}
    run = new_run(tmp_path, sweep, implementations)
    measure(run, sweep, implementations, tmp_path)
    process_of = {(trial.round, trial.describe["process"]) for trial in open_run(run.folder).trials()}
    assert len(process_of) == 3
    assert len({process for _, process in process_of}) == processes


def test_a_run_is_continued_without_measuring_again_what_is_done(tmp_path: Path) -> None:
    """A trial that is there stays the only one of its case; the missing ones are added."""
    sweep = small_sweep()
    implementations = {"numpy_loop": "numpy_loop", "numpy_hoisted": "numpy_hoisted"}
    run = new_run(tmp_path, sweep, implementations)
    measure(run, sweep, implementations, tmp_path)
    path = run.folder / "trials.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    # As a kill leaves it: the last line torn, one trial gone altogether.
    path.write_text("".join(lines[:2]) + lines[2][:40])
    complete, _ = measure(open_run(run.folder), sweep, implementations, tmp_path)
    assert complete
    after = path.read_text().splitlines(keepends=True)
    assert after[:2] == lines[:2]
    assert len(by_case(open_run(run.folder).trials())) == 4


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    """Continuing it measures nothing."""
    sweep = small_sweep().override(mode="inference")
    implementations = {"numpy_loop": "numpy_loop"}
    run = new_run(tmp_path, sweep, implementations)
    measure(run, sweep, implementations, tmp_path)
    content = (run.folder / "trials.jsonl").read_bytes()
    complete, said = measure(open_run(run.folder), sweep, implementations, tmp_path)
    assert complete
    assert said.lines == []
    assert (run.folder / "trials.jsonl").read_bytes() == content


def test_a_spent_budget_leaves_a_run_that_says_it_is_not_complete(tmp_path: Path) -> None:
    """Nothing is measured after the budget's end."""
    sweep = small_sweep(budget_seconds=1e-6)
    implementations = {"numpy_loop": "numpy_loop"}
    run = new_run(tmp_path, sweep, implementations)
    complete, _ = measure(run, sweep, implementations, tmp_path)
    assert not complete
    assert open_run(run.folder).trials() == []


def test_intervals_are_computed_anew_only_where_something_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of estimates does not grow with the number of other workloads."""
    computed = []

    def counted(seconds: Sequence[float], blocks: Sequence[int]) -> Estimate:
        computed.append(len(blocks))
        return estimate(seconds, blocks)

    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.estimate", counted)
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.MAX_VISITS", 3)
    sweep = small_sweep()
    run = new_run(tmp_path, sweep, {"mine": f"{FAULTY}:Sound"})
    measure(run, sweep, {"mine": f"{FAULTY}:Sound"}, tmp_path)
    assert 0 < len(computed) <= 2 * len(open_run(run.folder).trials())


def test_the_time_of_a_sweep_is_accounted_for(tmp_path: Path) -> None:
    """run.json has seconds by activity."""
    sweep = small_sweep()
    implementations = {"numpy_loop": "numpy_loop"}
    run = new_run(tmp_path, sweep, implementations)
    measure(run, sweep, implementations, tmp_path)
    spent = open_run(run.folder).record["activity_seconds"]
    assert set(spent) >= {"starting workers", "reference", "building and checking", "warm-up", "sampling", "finishing"}
    assert all(seconds >= 0 for seconds in spent.values())
    assert spent["sampling"] > 0


def test_rotated_begins_with_another_each_time() -> None:
    """Rotation keeps the order."""
    assert [rotated("abc", by) for by in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]
    assert rotated([], 3) == []
