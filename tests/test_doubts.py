"""Which numbers of a run call for caution, and from which share of its cases on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.reporting.answers.doubts import Doubts, OwnProcesses, TooFast, find_doubts
from benchmarks.runs.frames import runs_frame
from benchmarks.runs.loading import load_runs
from benchmarks.trial import Trial
from tests.synthetic_runs import failed, run_of, trial, workload

CENTRE = workload()


def doubts(folder: Path, *trials: Trial) -> Doubts:
    """The doubts about a run of these trials."""
    run_of(folder, trials)
    runs = load_runs(folder)
    return find_doubts(runs_frame(runs), runs[0].record)


@pytest.mark.parametrize(
    ("disturbed", "noisy", "found"), [(0, 0, (0, 0)), (1, 1, (0, 0)), (2, 0, (2, 0)), (0, 2, (0, 2))]
)
def test_a_quarter_of_the_cases_calls_for_caution(
    tmp_path: Path, disturbed: int, noisy: int, found: tuple[int, int]
) -> None:
    """Disturbed cases (from 10 % of the cores) and noisy ones are doubts from a quarter of the measured cases on."""
    trials = [failed("nn_rnn", CENTRE, "crashed", "SIGSEGV")]
    for at in range(8):
        samples = [sample for block in ((0.5, 1, 1, 1, 1, 2) if at < noisy else (1,) * 6) for sample in (block,) * 3]
        trials.append(trial("mine", workload(T=at + 1), samples, elsewhere_share=0.1 if at < disturbed else 0.09))
    of_run = doubts(tmp_path / "run", *trials)
    assert (of_run.measured, of_run.disturbed, of_run.noisy) == (8, *found)


@pytest.mark.parametrize(
    ("fields", "processes", "lost"),
    [
        ({"helper_processes": 0, "unsuspended_seconds": 0.09}, {}, 0),
        ({"helper_processes": 3}, {"mine": OwnProcesses(3, 0.0)}, 0),
        ({"unsuspended_seconds": 0.1}, {"mine": OwnProcesses(0, 0.1)}, 0),
        ({"lost": "died of signal 9"}, {}, 1),
    ],
)
def test_one_case_with_processes_or_a_lost_visit_calls_for_caution(
    tmp_path: Path, fields: dict[str, Any], processes: dict[str, OwnProcesses], lost: int
) -> None:
    of_run = doubts(tmp_path / "run", trial("nn_rnn", CENTRE, 1.0), trial("mine", CENTRE, 1.0, **fields))
    assert (of_run.processes, of_run.lost) == (processes, lost)


@pytest.mark.parametrize(("finished", "workloads"), [({"finished_at": None}, 2), ({"finished_at": "now"}, 0), ({}, 0)])
def test_a_sweep_that_was_not_finished_calls_for_caution(
    tmp_path: Path, finished: dict[str, Any], workloads: int
) -> None:
    """Its workloads are counted once each; a record that does not say when it ended is of an early version."""
    run_of(tmp_path / "run", [trial(name, each) for each in (CENTRE, workload(T=9)) for name in ("nn_rnn", "mine")])
    assert find_doubts(runs_frame(load_runs(tmp_path / "run")), finished).unfinished == workloads


@pytest.mark.parametrize(("share", "cases"), [(1.09, 0), (1.11, 1), (2507.77, 1)])
def test_a_time_below_the_limit_calls_for_caution(tmp_path: Path, share: float, cases: int) -> None:
    """A single impossible time is a doubt: either the limit or the time is wrong."""
    run_of(tmp_path / "run", [trial("mine", workload(T=at + 1)) for at in range(8)])
    frame = runs_frame(load_runs(tmp_path / "run"))
    frame["share_of_attainable"] = [share, *[0.5] * 7]
    expected = TooFast(cases, "mine", workload(T=1).id, share) if cases else None
    assert find_doubts(frame, {}).too_fast == expected


def test_cases_without_an_interval_call_for_caution(tmp_path: Path) -> None:
    few = trial("nn_rnn", CENTRE, blocks=(3,) * 5)
    assert doubts(tmp_path / "run", few, trial("mine", CENTRE)).without_interval == 1


@pytest.mark.parametrize(
    ("machine", "found"),
    [
        (
            {"thread_environment": {"OPENBLAS_CORETYPE": "Haswell", "OMP_PROC_BIND": "true"}},
            ("OPENBLAS_CORETYPE=Haswell",),
        ),
        (
            {"thread_environment": {"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": 7}},
            ("MKL_CBWR=7", "ONEDNN_MAX_CPU_ISA=AVX2"),
        ),
        ({"thread_environment": ["OPENBLAS_CORETYPE"]}, ()),
        (None, ()),
    ],
)
def test_a_library_that_was_held_back_calls_for_caution(machine: object, found: tuple[str, ...]) -> None:
    """Variables that choose a library's code are doubts, others are not, and a stranger's record breaks nothing."""
    assert find_doubts(runs_frame([]), {"machine": machine}).held_back == found
