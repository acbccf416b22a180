"""Who wins where, by how much, how surely, and in which words: every rule with numbers made for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reporting.findings import Finding, Setting, find_winner, findings, two_names, winners_by_workload
from benchmarks.reporting.words import answer, cautions, region_name, verdict
from benchmarks.runs.frames import runs_frame
from benchmarks.runs.loading import LoadedRun, load_runs
from benchmarks.trial import Trial
from benchmarks.workload import Workload
from tests.synthetic_runs import failed, run_of, trial, workload

CENTRE = workload()
JITTER = (0.98, 0.99, 1.0, 1.0, 1.01, 1.02)


def loaded(folder: Path, *trials: Trial) -> LoadedRun:
    """A run of these trials."""
    run_of(folder, trials)
    return load_runs(folder)[0]


def measured(of: Workload, times: Mapping[str, float], **factors: float) -> list[Trial]:
    """Trials of one visit, 18 samples each; `factors` multiply the blocks of an implementation up and down."""
    found = []
    for name, seconds in times.items():
        width = factors.get(name, 0.0)
        blocks = [seconds * (1 + width * (2 * at / 5 - 1)) for at in range(6)]
        found.append(trial(name, of, [sample for block in blocks for sample in (block,) * 3]))
    return found


def typed(text: str) -> str:
    """The text with the signs that a keyboard has."""
    return text.replace("\N{MULTIPLICATION SIGN}", "x").replace("\N{EN DASH}", "-")


def winner_text(folder: Path, *trials: Trial) -> str:
    """The verdict over all workloads of a run."""
    run = loaded(folder, *trials)
    return typed(verdict(findings(run)[0].winner))


def test_a_clear_winner_is_recommended(tmp_path: Path) -> None:
    """The fastest, against nn_rnn and against the second, each with its interval."""
    times = {"nn_rnn": 4.0, "torch_loop": 2.0, "mine": 1.0}
    assert winner_text(tmp_path / "run", *measured(CENTRE, times, mine=0.1)) == (
        "use `mine`: 4.00x as fast as `nn_rnn` (3.64-4.44) and 2.00x as fast as the second, `torch_loop` (1.82-2.22)"
    )


def test_the_baseline_as_second_is_named_once(tmp_path: Path) -> None:
    """Where nn_rnn itself is the second, there is one ratio."""
    assert winner_text(tmp_path / "run", *measured(CENTRE, {"nn_rnn": 2.0, "mine": 1.0})) == (
        "use `mine`: 2.00x as fast as the second, `nn_rnn` (2.00-2.00)"
    )


def test_the_baseline_may_win(tmp_path: Path) -> None:
    """nn_rnn is no faster than itself: only the second is compared."""
    assert winner_text(tmp_path / "run", *measured(CENTRE, {"nn_rnn": 1.0, "mine": 1.5})) == (
        "use `nn_rnn`: 1.50x as fast as the second, `mine` (1.50-1.50)"
    )


def test_an_interval_that_includes_one_is_too_close_to_call(tmp_path: Path) -> None:
    """When the paired ratio may be 1, nobody is recommended; the lead against nn_rnn is still told."""
    times = {"nn_rnn": 2.0, "one": 1.0, "two": 1.01}
    assert winner_text(tmp_path / "run", *measured(CENTRE, times, one=0.05)) == (
        "too close to call between `one` and `two` (`two` takes 1.01x the time, 0.962-1.06); "
        "`one` is 2.00x as fast as `nn_rnn` (1.90-2.11)"
    )


def test_an_interval_that_begins_at_one_is_too_close_to_call(tmp_path: Path) -> None:
    """A bound of exactly 1 is not above 1."""
    run = loaded(tmp_path / "run", *measured(CENTRE, {"one": 1.0, "two": 1.0}))
    assert findings(run)[0].winner.close == ("two",)


def test_more_than_two_may_be_too_close(tmp_path: Path) -> None:
    """All that cannot be told from the fastest are named; nn_rnn among them needs no ratio of its own."""
    times = {"nn_rnn": 1.02, "one": 1.0, "two": 1.01, "far": 9.0}
    assert winner_text(tmp_path / "run", *measured(CENTRE, times, one=0.05)) == (
        "too close to call between `one`, `two` and `nn_rnn`"
    )


def test_without_an_interval_nothing_is_called(tmp_path: Path) -> None:
    """Five blocks give no interval, and so no winner, however far the medians are apart."""
    trials = [trial("nn_rnn", CENTRE, 9.0, blocks=(3,) * 5), trial("mine", CENTRE, 1.0, blocks=(3,) * 5)]
    said = winner_text(tmp_path / "run", *trials)
    assert said.startswith("measured too briefly to call between `mine` and `nn_rnn` (")
    assert said.endswith("(`nn_rnn` takes 9.00x the time, no interval)")


def test_what_is_alone_is_not_recommended(tmp_path: Path) -> None:
    """One implementation is no comparison."""
    assert winner_text(tmp_path / "run", trial("nn_rnn", CENTRE)) == "only `nn_rnn` was measured throughout"


def test_without_the_baseline_the_second_is_compared(tmp_path: Path) -> None:
    """Where nn_rnn failed, the fastest is compared with the second alone."""
    trials = [*measured(CENTRE, {"one": 1.0, "two": 2.0}), failed("nn_rnn", CENTRE, "crashed", "SIGSEGV")]
    assert winner_text(tmp_path / "run", *trials) == "use `one`: 2.00x as fast as the second, `two` (2.00-2.00)"


def test_a_copy_is_no_second(tmp_path: Path) -> None:
    """Two names for one source are one contender, under the source's own name."""
    trials = [
        trial("again", CENTRE, 1.0, source="mine"),
        trial("mine", CENTRE, 1.1),
        trial("nn_rnn", CENTRE, 2.2),
    ]
    assert winner_text(tmp_path / "run", *trials) == "use `mine`: 2.00x as fast as the second, `nn_rnn` (2.00-2.00)"


def test_a_region_is_won_by_geometric_mean(tmp_path: Path) -> None:
    """8x on one workload and 1/2 on another are 2x over both, and the mean of the bounds is its interval."""
    short, long = workload(T=16), workload(T=64)
    trials = [*measured(short, {"nn_rnn": 8.0, "mine": 1.0}), *measured(long, {"nn_rnn": 5.0, "mine": 10.0})]
    (overall,) = (each for each in findings(loaded(tmp_path / "run", *trials)) if each.region is None)
    assert overall.winner.fastest == "mine"
    assert overall.winner.lead is not None
    assert overall.winner.lead.median == pytest.approx(2)
    assert overall.winner.lead.low == pytest.approx(2)


def test_what_failed_somewhere_is_not_judged_on_the_rest(tmp_path: Path) -> None:
    """An implementation that ran only the workload it is good at does not win the region."""
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
    """A region is compared on what was measured; one where nothing was has no winner."""
    trials = [*measured(CENTRE, {"nn_rnn": 1.0, "mine": 2.0}), failed("nn_rnn", workload(T=65), "timeout", "slow")]
    run = loaded(tmp_path / "run", *trials)
    assert find_winner(run, list(run.workloads))[0] == (CENTRE,)
    assert find_winner(run, [workload(T=65)]) == ((), None)


@pytest.mark.parametrize(
    ("B", "H", "name"),
    [
        (1, 128, "one sequence (B 1), a small hidden size (H 128)"),
        (2, 129, "a small batch (B 2), a medium hidden size (H 129)"),
        (31, 512, "a small batch (B 31), a medium hidden size (H 512)"),
        (32, 513, "a large batch (B 32), a large hidden size (H 513)"),
    ],
)
def test_regions_have_their_borders(tmp_path: Path, B: int, H: int, name: str) -> None:
    """Bands of batch and hidden size begin and end where they say."""
    found = findings(loaded(tmp_path / "run", trial("nn_rnn", workload(B=B, H=H))))
    assert [region_name(finding) for finding in found] == ["the only workload", name]


def test_settings_and_modes_are_kept_apart(tmp_path: Path) -> None:
    """Inference and training, devices and thread counts each have an answer of their own."""
    workloads = [CENTRE, workload("training"), workload(threads=1), workload(device="cuda", threads=1)]
    found = findings(loaded(tmp_path / "run", *(trial("nn_rnn", each) for each in workloads)))
    assert [(str(each.setting), each.mode) for each in found if each.region is None] == [
        ("tanh RNN, cpu, float32, 2 threads", "inference"),
        ("tanh RNN, cpu, float32, 2 threads", "training"),
        ("tanh RNN, cpu, float32, 1 thread", "inference"),
        ("tanh RNN, cuda, float32", "inference"),
    ]
    assert str(Setting("lstm", "cuda", "float32", "tf32", 1)) == "LSTM, cuda, float32 (tf32)"


def said(run: LoadedRun, *, several_runs: bool = False) -> str:
    """The answer of a run."""
    found: list[Finding] = findings(run)
    return typed(answer(found, winners_by_workload(runs_frame([run])), several_runs=several_runs))


def test_the_answer_speaks_of_all_then_of_each_region(tmp_path: Path) -> None:
    """A paragraph over all workloads, then a sentence for each region, with the sizes that were measured."""
    trials = [
        *measured(workload(B=1, H=64), {"nn_rnn": 2.0, "mine": 1.0}),
        *measured(workload(B=16, H=64), {"nn_rnn": 1.0, "mine": 1.5}),
        *measured(workload(B=8, H=32), {"nn_rnn": 1.0, "mine": 1.5}),
    ]
    assert said(loaded(tmp_path / "run", *trials)) == (
        "**Inference (tanh RNN, cpu, float32, 2 threads).** Over all 3 workloads, use `nn_rnn`: 1.04x as fast as the "
        "second, `mine` (1.04-1.04). `nn_rnn` is the fastest on 2 of 3.\n\n"
        "- One sequence (B 1), a small hidden size (H 64): use `mine`: 2.00x as fast as the second, `nn_rnn` "
        "(2.00-2.00).\n"
        "- A small batch (B 8, 16), a small hidden size (H 32, 64): use `nn_rnn`: 1.50x as fast as the second, "
        "`mine` (1.50-1.50)."
    )


def test_the_answer_does_not_repeat_itself(tmp_path: Path) -> None:
    """Where one region holds all workloads, all is said with the first sentence."""
    text = said(loaded(tmp_path / "run", *measured(CENTRE, {"nn_rnn": 2.0, "mine": 1.0})))
    assert "\n" not in text


def test_the_answer_says_who_wins_more_often(tmp_path: Path) -> None:
    """Fastest on the whole and fastest most often may be two."""
    trials = [
        *measured(workload(T=16), {"nn_rnn": 9.0, "mine": 1.0}),
        *measured(workload(T=64), {"nn_rnn": 1.0, "mine": 1.1}),
        *measured(workload(T=128), {"nn_rnn": 1.0, "mine": 1.1}),
    ]
    assert said(loaded(tmp_path / "run", *trials)).endswith("`mine` is the fastest on 1 of 3; `nn_rnn` is on 2.")


@pytest.mark.parametrize("seconds", [0.999, 1.001])
def test_a_workload_that_is_too_close_to_call_is_nobodys(tmp_path: Path, seconds: float) -> None:
    """Neither the least median of it nor the next counts as the fastest there."""
    trials = [
        *measured(workload(T=16), {"nn_rnn": 9.0, "mine": 1.0}),
        *measured(workload(T=64), {"nn_rnn": 1.0, "mine": seconds}, mine=0.05),
    ]
    text = said(loaded(tmp_path / "run", *trials))
    assert text.endswith("`mine` is the fastest on 1 of 2, and too close to call on 1 more.")


def test_no_finding_is_over_two_cells(tmp_path: Path) -> None:
    """An LSTM costs four times a plain RNN: a mean over both would be of neither."""
    trials = [
        *measured(CENTRE, {"nn_rnn": 2.0, "mine": 1.0}),
        *measured(workload(cell="lstm"), {"nn_rnn": 1.0, "mine": 8.0}),
        *measured(workload(cell="gru"), {"nn_rnn": 2.0, "mine": 1.0}),
    ]
    found = [each for each in findings(loaded(tmp_path / "run", *trials)) if each.region is None]
    assert [(str(each.setting), each.winner.fastest) for each in found] == [
        ("tanh RNN, cpu, float32, 2 threads", "mine"),
        ("LSTM, cpu, float32, 2 threads", "nn_rnn"),
        ("GRU, cpu, float32, 2 threads", "mine"),
    ]
    assert all(len({workload.cell for workload in each.workloads}) == 1 for each in found)


def test_the_answer_names_the_run_where_there_are_several(tmp_path: Path) -> None:
    """With several runs, each paragraph says of which it speaks."""
    assert said(loaded(tmp_path / "old", trial("nn_rnn", CENTRE)), several_runs=True).startswith("**`old`: Inference")


@pytest.mark.parametrize(
    ("disturbed", "noisy", "said"),
    [
        (0, 0, ""),
        (1, 1, ""),
        (2, 0, "Other programs took 10 % or more of the cores' time while 2 of 8 cases were measured"),
        (0, 2, "The intervals of 2 of 8 cases are wider than the sweep asked for"),
    ],
)
def test_a_quarter_of_the_cases_calls_for_caution(tmp_path: Path, disturbed: int, noisy: int, said: str) -> None:
    """Disturbed and noisy cases are told at the top from a quarter of what was measured on."""
    trials = [failed("nn_rnn", CENTRE, "crashed", "SIGSEGV")]
    for at in range(8):
        samples = [sample for block in ((0.5, 1, 1, 1, 1, 2) if at < noisy else (1,) * 6) for sample in (block,) * 3]
        trials.append(trial("mine", workload(T=at + 1), samples, elsewhere_share=0.1 if at < disturbed else 0.09))
    found = cautions(runs_frame([loaded(tmp_path / "run", *trials)]))
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"helper_processes": 0, "unsuspended_seconds": 0.09}, ""),
        ({"helper_processes": 3}, "`mine` has processes of its own, up to 3 at a time"),
        ({"unsuspended_seconds": 0.1}, "Processes of `mine` used up to 0.1 s of the cores in others' turns"),
        ({"lost": "died of signal 9"}, "Visits to 1 case were lost to a kill from outside"),
    ],
)
def test_processes_and_kills_call_for_caution(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    """A single case with processes of its own, or a visit that was killed, is told."""
    trials = trial("nn_rnn", CENTRE, 1.0), trial("mine", CENTRE, 1.0, **fields)
    found = cautions(runs_frame([loaded(tmp_path / "run", *trials)]))
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(("share", "said"), [(1.09, False), (1.11, True), (2507.77, True)])
def test_a_time_below_the_limit_calls_for_caution(tmp_path: Path, share: float, said: bool) -> None:
    """One case is enough: either the limit or the time is not what it seems."""
    frame = runs_frame([loaded(tmp_path / "run", *(trial("mine", workload(T=at + 1)) for at in range(8)))])
    frame["share_of_attainable"] = [share, *[0.5] * 7]
    found = cautions(frame)
    assert ("1 case is faster than the hardware limit" in found) is said
    assert (f"`mine` on `{workload(T=1).id}`" in found) is said


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
    """Without a second name there is no row."""
    assert two_names(runs_frame([loaded(tmp_path / "run", trial("nn_rnn", CENTRE))])).empty


def test_no_trials_no_findings(tmp_path: Path) -> None:
    """An empty run says nothing, without an error."""
    run = loaded(tmp_path / "run")
    assert findings(run) == []
    assert winners_by_workload(runs_frame([run])).empty
    assert said(run) == ""
