"""Findings in words: each kind of sentence once, from findings made by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.reporting.answer import answer, cautions, verdict
from benchmarks.reporting.doubts import Doubts, OwnProcesses, TooFast
from benchmarks.reporting.findings import Winner, findings
from benchmarks.reporting.workload_winners import winners_by_workload
from benchmarks.runs.frames import runs_frame
from benchmarks.runs.loading import load_runs
from benchmarks.statistics import Estimate
from benchmarks.trial import Trial
from benchmarks.workload import Workload
from tests.synthetic_runs import run_of, trial, typed, workload

LEAD, SPEEDUP = Estimate(2.0, 1.82, 2.22), Estimate(4.0, 3.64, 4.44)
ALIKE, BRIEF = Estimate(1.01, 0.962, 1.06), Estimate(9.0, math.nan, math.nan)


@pytest.mark.parametrize(
    ("winner", "said"),
    [
        (
            Winner("mine", "torch_loop", LEAD, (), "nn_rnn", SPEEDUP),
            "use `mine`: 4.00x as fast as `nn_rnn` (3.64-4.44) and 2.00x as fast as the second, `torch_loop` "
            "(1.82-2.22)",
        ),
        (
            Winner("mine", "nn_rnn", LEAD, (), "nn_rnn", LEAD),
            "use `mine`: 2.00x as fast as the second, `nn_rnn` (1.82-2.22)",
        ),
        (Winner("one", "two", LEAD, (), None, None), "use `one`: 2.00x as fast as the second, `two` (1.82-2.22)"),
        (Winner("mine", None, None, (), None, None), "only `mine` was measured throughout"),
        (
            Winner("one", "two", ALIKE, ("two",), "nn_rnn", LEAD),
            "too close to call between `one` and `two` (`two` takes 1.01x the time, 0.962-1.06); "
            "`one` is 2.00x as fast as `nn_rnn` (1.82-2.22)",
        ),
        (
            Winner("one", "two", ALIKE, ("two", "nn_rnn"), "nn_rnn", ALIKE),
            "too close to call between `one`, `two` and `nn_rnn`",
        ),
        (
            Winner("mine", "nn_rnn", BRIEF, ("nn_rnn",), "nn_rnn", BRIEF),
            "measured too briefly to call between `mine` and `nn_rnn` (`nn_rnn` takes 9.00x the time, no interval)",
        ),
    ],
    ids=["clear", "baseline second", "no baseline", "alone", "close", "several close", "brief"],
)
def test_a_verdict_in_words(winner: Winner, said: str) -> None:
    assert typed(verdict(winner)) == said


def measured(of: Workload, times: Mapping[str, float]) -> list[Trial]:
    return [trial(name, of, seconds) for name, seconds in times.items()]


def said(folder: Path, *trials: Trial, several_runs: bool = False) -> str:
    """The answer of a run of these trials."""
    run_of(folder, trials)
    (run,) = load_runs(folder)
    return typed(answer(findings(run), winners_by_workload(runs_frame([run])), several_runs=several_runs))


def test_the_answer_speaks_of_all_then_of_each_region(tmp_path: Path) -> None:
    """A paragraph over all workloads, then a sentence for each region, with the sizes that were measured."""
    trials = [
        *measured(workload(B=1, H=64), {"nn_rnn": 2.0, "mine": 1.0}),
        *measured(workload(B=16, H=64), {"nn_rnn": 1.0, "mine": 1.5}),
        *measured(workload(B=8, H=32), {"nn_rnn": 1.0, "mine": 1.5}),
    ]
    assert said(tmp_path / "run", *trials) == (
        "**Inference (tanh RNN, cpu, float32, 2 threads).** Over all 3 workloads, use `nn_rnn`: 1.04x as fast as the "
        "second, `mine` (1.04-1.04). `nn_rnn` is the fastest on 2 of 3.\n\n"
        "- One sequence (B 1), a small hidden size (H 64): use `mine`: 2.00x as fast as the second, `nn_rnn` "
        "(2.00-2.00).\n"
        "- A small batch (B 8, 16), a small hidden size (H 32, 64): use `nn_rnn`: 1.50x as fast as the second, "
        "`mine` (1.50-1.50)."
    )


def test_the_answer_names_who_is_fastest_more_often(tmp_path: Path) -> None:
    trials = [
        *measured(workload(T=16), {"nn_rnn": 9.0, "mine": 1.0}),
        *measured(workload(T=32), {"nn_rnn": 1.0, "mine": 1.0}),
        *(each for T in (64, 128) for each in measured(workload(T=T), {"nn_rnn": 1.0, "mine": 1.1})),
    ]
    assert said(tmp_path / "run", *trials).endswith(
        "`mine` is the fastest on 1 of 4, and too close to call on 1 more; `nn_rnn` is on 2."
    )


def test_a_region_with_all_workloads_is_not_repeated(tmp_path: Path) -> None:
    text = said(tmp_path / "run", *measured(workload(), {"nn_rnn": 2.0, "mine": 1.0}), several_runs=True)
    assert text.startswith("**`run`: Inference")
    assert "\n" not in text


def test_nothing_measured_has_no_answer(tmp_path: Path) -> None:
    assert said(tmp_path / "run") == ""


def test_cautions_in_words() -> None:
    too_fast = TooFast(1, "mine", "cpu/inference/T1", 1.5)
    found = Doubts(8, 2, 3, too_fast, {"mine": OwnProcesses(3, 0.1)}, 1)
    assert (
        cautions(found).split(": ", 1)[0].startswith("Other programs took 10 % or more of the cores' time while 2 of 8")
    )
    assert "The intervals of 3 of 8 cases are wider than the sweep asked for" in cautions(found)
    assert "1 case is faster than the hardware limit that was measured here, at most `mine` on" in cautions(found)
    assert "`mine` has processes of its own, up to 3 at a time" in cautions(found)
    assert "Processes of `mine` used up to 0.1 s of the cores in others' turns" in cautions(found)
    assert "Visits to 1 case were lost to a kill from outside" in cautions(found)
    assert cautions(Doubts(8, 0, 0, None, {}, 0)) == ""
