"""Which implementation is the fastest where, by how much, and how surely: every rule with numbers made for it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.reporting.answers.findings import Setting, Winner, find_winner, members, settings
from benchmarks.reporting.answers.workload_winners import winners_by_workload
from benchmarks.reporting.topics.same_code import two_names
from benchmarks.runs.frames import runs_frame
from benchmarks.runs.loading import LoadedRun, load_runs
from benchmarks.statistics import Estimate
from benchmarks.trial import Trial
from tests.synthetic_runs import failed, measured, run_of, trial, workload

CENTRE = workload()


def loaded(folder: Path, *trials: Trial) -> LoadedRun:
    """A run of these trials."""
    run_of(folder, trials)
    return load_runs(folder)[0]


def winner(folder: Path, *trials: Trial) -> Winner:
    """The winner over all workloads of a run."""
    run = loaded(folder, *trials)
    _, found = find_winner(run, list(run.workloads))
    assert found is not None
    return found


def bounds(estimate: Estimate | None) -> list[float]:
    assert estimate is not None
    return [estimate.low, estimate.median, estimate.high]


def test_a_clear_winner_leads_the_baseline_and_the_second(tmp_path: Path) -> None:
    """The leads over the baseline and the second have intervals by blocks that took turns."""
    found = winner(tmp_path / "run", *measured(CENTRE, {"nn_rnn": 4.0, "torch_loop": 2.0, "mine": 1.0}, mine=0.1))
    assert (found.fastest, found.second, found.baseline, found.close) == ("mine", "torch_loop", "nn_rnn", ())
    assert bounds(found.speedup) == pytest.approx([4 / 1.1, 4, 4 / 0.9], rel=1e-3)
    assert bounds(found.lead) == pytest.approx([2 / 1.1, 2, 2 / 0.9], rel=1e-3)


def test_the_baseline_may_be_the_second_or_win(tmp_path: Path) -> None:
    second = winner(tmp_path / "second", *measured(CENTRE, {"nn_rnn": 2.0, "mine": 1.0}))
    assert (second.fastest, second.second, second.baseline) == ("mine", "nn_rnn", "nn_rnn")
    first = winner(tmp_path / "first", *measured(CENTRE, {"nn_rnn": 1.0, "mine": 1.5}))
    assert (first.fastest, first.second, bounds(first.speedup)) == ("nn_rnn", "mine", [1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("times", "width", "close"),
    [
        ({"nn_rnn": 2.0, "one": 1.0, "two": 1.01}, 0.05, ("two",)),
        ({"one": 1.0, "two": 1.0}, 0.0, ("two",)),
        ({"nn_rnn": 1.02, "one": 1.0, "two": 1.01, "far": 9.0}, 0.05, ("two", "nn_rnn")),
    ],
)
def test_an_interval_that_includes_one_is_too_close_to_call(
    tmp_path: Path, times: dict[str, float], width: float, close: tuple[str, ...]
) -> None:
    """A bound of exactly 1 is not above 1; the nearest comes first."""
    found = winner(tmp_path / "run", *measured(CENTRE, times, one=width))
    assert (found.fastest, found.close) == ("one", close)


def test_without_an_interval_nothing_is_called(tmp_path: Path) -> None:
    """Five blocks give no interval, and so no winner, however far the medians are apart."""
    trials = [trial("nn_rnn", CENTRE, 9.0, blocks=(3,) * 5), trial("mine", CENTRE, 1.0, blocks=(3,) * 5)]
    found = winner(tmp_path / "run", *trials)
    assert (found.fastest, found.close) == ("mine", ("nn_rnn",))
    assert found.lead is not None
    assert found.lead.median == pytest.approx(9.0)
    assert math.isnan(found.lead.low)


def test_one_implementation_leads_nothing(tmp_path: Path) -> None:
    found = winner(tmp_path / "run", trial("nn_rnn", CENTRE))
    assert (found.fastest, found.second, found.lead, found.close) == ("nn_rnn", None, None, ())


def test_a_baseline_that_failed_has_no_speedup(tmp_path: Path) -> None:
    """The fastest is compared with the second alone."""
    trials = [*measured(CENTRE, {"one": 1.0, "two": 2.0}), failed("nn_rnn", CENTRE, "crashed", "SIGSEGV")]
    found = winner(tmp_path / "run", *trials)
    assert (found.fastest, found.second, found.baseline, found.speedup) == ("one", "two", None, None)


def test_a_copy_is_no_second(tmp_path: Path) -> None:
    """Two names for one source are one contender, under the source's own name."""
    trials = [trial("again", CENTRE, 1.0, source="mine"), trial("mine", CENTRE, 1.1), trial("nn_rnn", CENTRE, 2.2)]
    found = winner(tmp_path / "run", *trials)
    assert (found.fastest, found.second) == ("mine", "nn_rnn")


def test_several_workloads_are_won_by_geometric_mean(tmp_path: Path) -> None:
    """8x on one workload and 1/2 on another are 2x over both, and the mean of the bounds is its interval."""
    short, long = workload(T=16), workload(T=64)
    trials = [*measured(short, {"nn_rnn": 8.0, "mine": 1.0}), *measured(long, {"nn_rnn": 5.0, "mine": 10.0})]
    found = winner(tmp_path / "run", *trials)
    assert found.fastest == "mine"
    assert found.lead is not None
    assert found.lead.median == pytest.approx(2)
    assert found.lead.low == pytest.approx(2)


def test_what_failed_somewhere_is_not_judged_on_the_rest(tmp_path: Path) -> None:
    """An implementation that ran only the workload it is good at does not win."""
    trials = [
        *measured(workload(T=16), {"nn_rnn": 8.0, "other": 9.0, "mine": 1.0}),
        *measured(workload(T=64), {"nn_rnn": 8.0, "other": 9.0}),
        failed("mine", workload(T=64), "out_of_memory", "8 GiB"),
    ]
    run = loaded(tmp_path / "run", *trials)
    shared, winner = find_winner(run, list(run.workloads))
    assert winner is not None
    assert (winner.fastest, winner.second, len(shared)) == ("nn_rnn", "other", 2)


def test_workloads_without_times_do_not_count(tmp_path: Path) -> None:
    """Workloads are compared where something was measured; where nothing was there is no winner."""
    trials = [*measured(CENTRE, {"nn_rnn": 1.0, "mine": 2.0}), failed("nn_rnn", workload(T=65), "timeout", "slow")]
    run = loaded(tmp_path / "run", *trials)
    assert find_winner(run, list(run.workloads))[0] == (CENTRE,)
    assert find_winner(run, [workload(T=65)]) == ((), None)


def test_settings_and_modes_are_kept_apart(tmp_path: Path) -> None:
    """Inference and training, devices and thread counts each have an answer of their own."""
    workloads = [CENTRE, workload("training"), workload(threads=1), workload(device="cuda", threads=1)]
    run = loaded(tmp_path / "run", *(trial("nn_rnn", each) for each in workloads))
    assert [(str(setting), mode) for setting, mode in settings(run)] == [
        ("tanh RNN, cpu, float32, 2 threads", "inference"),
        ("tanh RNN, cpu, float32, 2 threads", "training"),
        ("tanh RNN, cpu, float32, 1 thread", "inference"),
        ("tanh RNN, cuda, float32", "inference"),
    ]
    assert str(Setting("lstm", "cuda", "float32", "tf32", 1)) == "LSTM, cuda, float32 (tf32)"


def test_no_winner_is_over_two_cells(tmp_path: Path) -> None:
    """An LSTM costs four times a plain RNN: a mean over both would be of neither."""
    trials = [
        *measured(CENTRE, {"nn_rnn": 2.0, "mine": 1.0}),
        *measured(workload(cell="lstm"), {"nn_rnn": 1.0, "mine": 8.0}),
        *measured(workload(cell="gru"), {"nn_rnn": 2.0, "mine": 1.0}),
    ]
    run = loaded(tmp_path / "run", *trials)
    found = {str(setting): find_winner(run, members(run, setting, mode)) for setting, mode in settings(run)}
    assert {setting: winner.fastest for setting, (_, winner) in found.items() if winner} == {
        "tanh RNN, cpu, float32, 2 threads": "mine",
        "LSTM, cpu, float32, 2 threads": "nn_rnn",
        "GRU, cpu, float32, 2 threads": "mine",
    }
    assert all(len({workload.cell for workload in workloads}) == 1 for workloads, _ in found.values())


def test_winners_by_workload(tmp_path: Path) -> None:
    """A row a workload in measured order, with the second, its lead and who is too close."""
    trials = [
        *measured(workload(T=65), {"nn_rnn": 3.0, "one": 1.0, "two": 2.0}),
        *measured(CENTRE, {"nn_rnn": 1.0, "one": 1.0, "two": 1.0}),
        failed("one", workload(T=99), "failed", "no"),
        trial("copy", CENTRE, 0.5, source="one"),
    ]
    rows = winners_by_workload(runs_frame([loaded(tmp_path / "run", *trials)]))
    assert list(rows["workload"]) == [workload(T=65).id, CENTRE.id]
    first, second = rows.to_dict("records")
    assert (first["fastest"], first["second"], first["lead"], first["speedup"], first["close"]) == (
        "one",
        "two",
        2,
        3,
        "",
    )
    assert (second["fastest"], second["close"]) == ("nn_rnn", "one, two")


def test_two_names_for_one_source_are_compared(tmp_path: Path) -> None:
    """The share of workloads on which the two medians are within 3 %, and the worst."""
    trials = []
    for T, ratio in ((16, 1.0), (17, 1.03), (18, 1 / 1.029), (19, 1.05)):
        trials += [trial("a", workload(T=T), 1.0, source="mine"), trial("b", workload(T=T), ratio, source="mine")]
    trials += [trial("nn_rnn", workload(T=16)), trial("a", workload(T=20), source="mine")]
    (found,) = two_names(runs_frame([loaded(tmp_path / "run", *trials)])).to_dict("records")
    assert (found["one"], found["other"], found["source"], found["workloads"]) == ("a", "b", "mine", 4)
    assert found["within"] == 0.75
    assert found["apart"] == pytest.approx(0.05)
    assert found["workload"] == workload(T=19).id


def test_one_name_a_source_has_nothing_to_compare(tmp_path: Path) -> None:
    """A source with one name has no row."""
    assert two_names(runs_frame([loaded(tmp_path / "run", trial("nn_rnn", CENTRE))])).empty


def test_no_trials_no_winners(tmp_path: Path) -> None:
    """An empty run says nothing, without an error."""
    run = loaded(tmp_path / "run")
    assert settings(run) == []
    assert winners_by_workload(runs_frame([run])).empty
