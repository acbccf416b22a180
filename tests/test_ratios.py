"""Ratios of cases: speed-up, slowdown and payback, by pairs of blocks that took turns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.runs.frames import load_run
from benchmarks.trial import Trial
from tests.synthetic_runs import START, blocks_of, failed, load, row, run_of, trial, workload

CENTRE = workload()


def test_speedup_pairs_the_blocks_of_a_visit(tmp_path: Path) -> None:
    """Blocks that took turns are paired: what slows both by any factor leaves the ratio exact."""
    weather = [1, 3, 0.5, 10, 2, 7]
    base = trial("nn_rnn", CENTRE, blocks_of(*(2 * factor for factor in weather)))
    other = trial("torch_loop", CENTRE, blocks_of(*(4 * factor for factor in weather)))
    frame = load(tmp_path / "run", base, other)
    found = row(frame, "torch_loop")
    assert (found["speedup"], found["speedup_low"], found["speedup_high"]) == (0.5, 0.5, 0.5)
    assert (found["slowdown"], found["slowdown_low"], found["slowdown_high"]) == (2, 2, 2)
    own = row(frame, "nn_rnn")
    assert (own["speedup"], own["slowdown"]) == (1, 1)


def test_speedup_pairs_each_round_on_its_own(tmp_path: Path) -> None:
    """The first blocks of two rounds are not each other's neighbours, whatever the order of the lines."""
    trials = []
    for number, factor in ((0, 1.0), (1, 100.0)):
        trials.append(trial("nn_rnn", CENTRE, blocks_of(*[2 * factor] * 6), round_number=number))
        trials.insert(0, trial("torch_loop", CENTRE, blocks_of(*[factor] * 6), round_number=number))
    found = row(load(tmp_path / "run", *trials), "torch_loop")
    assert (found["speedup"], found["speedup_low"], found["speedup_high"]) == (2, 2, 2)


def unpaired(tmp_path: Path, *trials: Trial) -> Sequence[float]:
    found = row(load(tmp_path / "run", *trials), "torch_loop")
    return [found["speedup"], found["speedup_low"], found["speedup_high"]]


WIDEST = (4 / 3.0, 3 / 6.0, 5 / 1.0)


def test_a_block_more_has_no_pair(tmp_path: Path) -> None:
    """A block that only one case has, where the budget ended in a turn, is in no ratio."""
    base = trial("nn_rnn", CENTRE, blocks_of(*[2.0] * 6))
    other = trial("torch_loop", CENTRE, blocks_of(*[1.0] * 6, 50.0), blocks=(3,) * 7)
    assert unpaired(tmp_path, base, other) == [2, 2, 2]


def test_too_few_pairs_give_the_widest_bounds(tmp_path: Path) -> None:
    """With fewer pairs than an interval needs, bounds come from the intervals of the two medians."""
    base = trial("nn_rnn", CENTRE, blocks_of(*[2.0] * 6))
    other = trial("torch_loop", CENTRE, blocks_of(*[1.0] * 3), blocks=(3,) * 3)
    ratio, low, high = unpaired(tmp_path, base, other)
    assert ratio == 2
    assert math.isnan(low)
    assert math.isnan(high)


def test_visits_apart_in_time_do_not_pair(tmp_path: Path) -> None:
    """A resumed sweep may measure two cases in the same round at different times: they did not take turns."""
    later = (START + timedelta(hours=1)).isoformat(timespec="milliseconds")
    base = trial("nn_rnn", CENTRE, blocks_of(3, 3, 4, 4, 5, 5))
    other = trial("torch_loop", CENTRE, blocks_of(1, 3, 3, 3, 3, 6), started_at=later, finished_at=later + "x")
    assert unpaired(tmp_path, base, other) == pytest.approx(WIDEST)


def test_without_a_baseline_there_is_no_speedup(tmp_path: Path) -> None:
    """Without nn_rnn, speed-up and payback are missing; the slowdown is not."""
    frame = load(tmp_path / "run", failed("nn_rnn", CENTRE, "timeout", "120 s"), trial("torch_loop", CENTRE))
    found = row(frame, "torch_loop")
    assert found[["speedup", "speedup_low", "speedup_high", "payback_calls"]].isna().all()
    assert found["slowdown"] == 1


def test_the_baseline_is_of_the_same_workload_and_run(tmp_path: Path) -> None:
    """nn_rnn of another run or another workload is no baseline."""
    run_of(tmp_path / "a", [trial("nn_rnn", CENTRE), trial("torch_loop", workload(T=65))])
    run_of(tmp_path / "b", [trial("torch_loop", CENTRE)])
    frame = load_run(tmp_path / "a", tmp_path / "b")
    assert frame.loc[frame["implementation"] == "torch_loop", "speedup"].isna().all()


def test_the_baseline_may_have_another_name(tmp_path: Path) -> None:
    """Under a label, nn_rnn is still what others are compared with."""
    frame = load(tmp_path / "run", trial("base", CENTRE, 2.0, source="nn_rnn"), trial("torch_loop", CENTRE, 1.0))
    assert row(frame, "torch_loop")["speedup"] == 2


def test_a_copy_does_not_take_the_lead(tmp_path: Path) -> None:
    """Slowdowns are relative to the fastest under its source's own name, not to a second name for it."""
    frame = load(
        tmp_path / "run", trial("again", CENTRE, 1.0, source="nn_rnn"), trial("nn_rnn", CENTRE, 1.25, source="nn_rnn")
    )
    assert row(frame, "nn_rnn")["slowdown"] == 1
    assert row(frame, "again")["slowdown"] == 0.8


@pytest.mark.parametrize(
    ("call", "setup", "expected"),
    [
        (1.0, 11.0, 10.0),
        (1.5, 11.0, 20.0),
        (2.0, 11.0, math.inf),
        (3.0, 11.0, math.inf),
        (3.0, 0.5, 0.0),
        (1.0, 1.0, 0.0),
    ],
)
def test_payback_is_extra_cost_over_saving(tmp_path: Path, call: float, setup: float, expected: float) -> None:
    """Against 1 s + 2 s before and 2 s a call: 10 s more are earned back by 1 s a call in 10 calls, by 0 s never."""
    base = trial("nn_rnn", CENTRE, 2.0, setup_seconds=1.0, first_call_seconds=2.0)
    other = trial("torch_loop", CENTRE, call, setup_seconds=setup, first_call_seconds=2.0)
    frame = load(tmp_path / "run", base, other)
    assert row(frame, "torch_loop")["payback_calls"] == pytest.approx(expected)
    assert row(frame, "nn_rnn")["payback_calls"] == 0


def test_payback_is_missing_where_a_cost_is(tmp_path: Path) -> None:
    """An unknown cost of set-up has no payback."""
    frame = load(tmp_path / "run", trial("nn_rnn", CENTRE, 2.0), trial("torch_loop", CENTRE, 1.0, setup_seconds=None))
    assert math.isnan(row(frame, "torch_loop")["payback_calls"])


@pytest.mark.parametrize("back", [timedelta(seconds=31), timedelta(hours=3)], ids=str)
def test_a_clock_that_was_set_back_within_a_visit_costs_nothing(tmp_path: Path, back: timedelta) -> None:
    """A trial that ends before it began is read, and its blocks stand beside those that took turns with it."""
    ended = (START + timedelta(seconds=30) - back).isoformat(timespec="milliseconds")
    slow, fast = (
        [1e-3 * (1 + 0.1 * (at // 3 % 2)) for at in range(18)],
        [5e-4 * (1 + 0.1 * (at // 3 % 2)) for at in range(18)],
    )
    one = trial("nn_rnn", workload(), slow, finished_at=ended)
    other = trial("torch_loop", workload(), fast, finished_at=ended)
    later = [trial(name, workload(), times, round_number=1) for name, times in (("nn_rnn", slow), ("torch_loop", fast))]
    run_of(tmp_path / "run", [one, other, *later])
    frame = load_run(tmp_path / "run").set_index("implementation")
    assert list(frame["blocks"]) == [12, 12]
    # Both saw the same machine: by blocks that took turns, the ratio has no width.
    ratio = frame.loc["torch_loop"]
    assert [ratio[name] for name in ("speedup_low", "speedup", "speedup_high")] == pytest.approx([2, 2, 2])


def test_one_trial_that_ends_before_it_began_is_no_hindrance(tmp_path: Path) -> None:
    """A trial with exchanged times pairs with the others of its visit."""
    ended = (START - timedelta(seconds=2)).isoformat(timespec="milliseconds")
    trials = [trial("nn_rnn", workload(), 1e-3, finished_at=ended), trial("torch_loop", workload(), 5e-4)]
    run_of(tmp_path / "run", trials)
    assert load_run(tmp_path / "run").set_index("implementation").loc["torch_loop", "speedup"] == pytest.approx(2)
