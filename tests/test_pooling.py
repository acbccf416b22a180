"""The time and the status of a case over its visits."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from tests.synthetic_runs import START, blocks_of, failed, load, row, trial, workload

CENTRE = workload()


def test_the_median_is_that_of_the_blocks(tmp_path: Path) -> None:
    """Each block counts by its median; six blocks enclose the median by their least and largest."""
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE, blocks_of(1, 2, 3, 4, 5, 60))), "nn_rnn")
    assert (found["median_seconds"], found["low_seconds"], found["high_seconds"]) == (3.5, 1, 60)
    assert found["relative_half_width"] == pytest.approx((60 - 1) / 2 / 3.5)
    assert (found["rounds"], found["samples"], found["blocks"]) == (1, 18, 6)


def test_the_fast_time_is_the_tenth_percentile_of_all_samples(tmp_path: Path) -> None:
    """Of 1 to 31 over two visits it is 4: samples count, not blocks."""
    first = trial("nn_rnn", CENTRE, [float(each) for each in range(1, 16)], blocks=[15])
    second = trial("nn_rnn", CENTRE, [float(each) for each in range(31, 15, -1)], blocks=[8, 8], round_number=1)
    assert row(load(tmp_path / "run", first, second), "nn_rnn")["fast_seconds"] == pytest.approx(4.0)
    lost = row(load(tmp_path / "failed", failed("nn_rnn", CENTRE, "crashed", "SIGSEGV")), "nn_rnn")
    assert math.isnan(lost["fast_seconds"])


def test_rounds_are_pooled(tmp_path: Path) -> None:
    """The blocks of all visits make one estimate, and ok or noisy is decided anew by all of them."""
    first = trial("nn_rnn", CENTRE, blocks_of(1, 1, 1, 1, 1, 5), status="noisy", reason="too wide")
    second = trial("nn_rnn", CENTRE, blocks_of(1, 1, 1, 1, 1, 1), round_number=1, status="noisy", reason="still")
    found = row(load(tmp_path / "run", second, first), "nn_rnn")
    assert (found["rounds"], found["samples"], found["blocks"]) == (2, 36, 12)
    assert (found["status"], found["median_seconds"], found["high_seconds"]) == ("ok", 1, 1)
    assert pd.isna(found["reason"])


def test_noisy_is_judged_against_what_the_sweep_asked_for(tmp_path: Path) -> None:
    """An interval of ±10 % is noisy for a sweep that asked for 5 % and ok for one that asked for 20 %."""
    samples = blocks_of(0.9, 1, 1, 1, 1, 1.1)
    found = row(load(tmp_path / "a", trial("nn_rnn", CENTRE, samples, status="ok")), "nn_rnn")
    assert found["status"] == "noisy"
    assert found["reason"] == "the interval of the median is ±10%, wider than the ±5% asked for"
    loose = row(load(tmp_path / "b", trial("nn_rnn", CENTRE, samples), sweep={"target_interval": 0.2}), "nn_rnn")
    assert loose["status"] == "ok"


@pytest.mark.parametrize("sweep", [None, [], {}, {"target_interval": "small"}, {"target_interval": -1}])
def test_a_record_without_a_target_means_five_percent(tmp_path: Path, sweep: object) -> None:
    """A stranger's record may not say what interval was asked for."""
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE, blocks_of(0.9, 1, 1, 1, 1, 1.1)), sweep=sweep), "nn_rnn")
    assert found["status"] == "noisy"


def test_too_few_blocks_have_no_interval(tmp_path: Path) -> None:
    """With five blocks there is a median, no interval, and the status is noisy."""
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE, 1.0, blocks=(3,) * 5)), "nn_rnn")
    assert (found["status"], found["median_seconds"]) == ("noisy", 1)
    assert math.isnan(found["low_seconds"])
    assert "fewer than 6 blocks" in found["reason"]


def test_a_case_that_failed_at_last_has_no_time(tmp_path: Path) -> None:
    """A case that was measured once and then crashed is shown as crashed, with the reason and without times."""
    again = failed("nn_rnn", CENTRE, "crashed", "SIGSEGV", round_number=1)
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE), again), "nn_rnn")
    assert (found["status"], found["reason"], found["rounds"], found["samples"]) == ("crashed", "SIGSEGV", 2, 0)
    assert found[["median_seconds", "speedup", "slowdown", "flops_per_second"]].isna().all()


def test_a_visit_that_was_killed_costs_no_other_its_times(tmp_path: Path) -> None:
    """Times before and after the killed visit stay; the visit is counted."""
    killed = failed("nn_rnn", CENTRE, "crashed", "signal 9", lost="signal 9", round_number=1)
    found = row(load(tmp_path / "last", trial("nn_rnn", CENTRE), killed), "nn_rnn")
    assert (found["status"], found["rounds"], found["samples"], found["lost_visits"]) == ("ok", 2, 18, 1)
    again = trial("nn_rnn", CENTRE, round_number=2)
    found = row(load(tmp_path / "between", trial("nn_rnn", CENTRE), killed, again), "nn_rnn")
    assert (found["status"], found["samples"], found["lost_visits"]) == ("ok", 36, 1)


def test_a_case_of_which_every_visit_was_killed_says_so(tmp_path: Path) -> None:
    """There is nothing to fall back on."""
    killed = failed("nn_rnn", CENTRE, "crashed", "signal 9", lost="signal 9")
    found = row(load(tmp_path / "run", killed), "nn_rnn")
    assert (found["status"], found["reason"], found["lost_visits"]) == ("crashed", "signal 9", 1)


@pytest.mark.parametrize("round_number", [0, 2, 3])
def test_a_case_that_was_ever_wrong_has_no_time(tmp_path: Path, round_number: int) -> None:
    """One wrong visit, at any round, is enough."""
    wrong = failed("nn_rnn", CENTRE, "wrong", "y is off", round_number=round_number)
    killed = failed("nn_rnn", CENTRE, "crashed", "signal 9", lost="signal 9", round_number=4)
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE, round_number=1), wrong, killed), "nn_rnn")
    assert (found["status"], found["reason"], found["samples"]) == ("wrong", "y is off", 0)


def test_the_last_visit_is_reported_by_its_round(tmp_path: Path) -> None:
    """The order of the lines does not matter: the round says which visit was the last."""
    again = failed("nn_rnn", CENTRE, "crashed", "SIGSEGV", round_number=1)
    found = row(load(tmp_path / "run", again, trial("nn_rnn", CENTRE)), "nn_rnn")
    assert found["status"] == "crashed"


def test_a_measured_status_without_samples_is_a_failure(tmp_path: Path) -> None:
    """A stranger's trial may call itself ok and have no samples."""
    found = row(load(tmp_path / "run", failed("nn_rnn", CENTRE, "ok", "")), "nn_rnn")
    assert (found["status"], found["reason"]) == ("failed", "it has no samples")


def test_what_slowed_all_in_turn_is_in_no_time(tmp_path: Path) -> None:
    """Two cases whose blocks took turns had the same disturbances: their medians are as far apart as their blocks."""
    effects = [1.0, 1.0, 1.0, 1.5, 1.5, 1.5]
    noise = [1.0, 1.0, 1.01, 0.99, 1.0, 1.0]
    base = trial("nn_rnn", CENTRE, blocks_of(*(2 * effect for effect in effects)))
    other = trial("torch_loop", CENTRE, blocks_of(*(2 * m * n for m, n in zip(effects, noise, strict=True))))
    frame = load(tmp_path / "run", base, other)
    times = [row(frame, name)["median_seconds"] for name in ("nn_rnn", "torch_loop")]
    assert times[0] == pytest.approx(times[1], rel=1e-9)
    assert 2 < times[0] < 3


def test_a_case_measured_alone_keeps_its_median(tmp_path: Path) -> None:
    """No disturbance is shared without another case in turns, and another's visit changes nothing."""
    later = (START + timedelta(hours=1)).isoformat(timespec="milliseconds")
    alone = trial("nn_rnn", CENTRE, blocks_of(1, 2, 3, 4, 5, 9))
    apart = trial("torch_loop", CENTRE, blocks_of(*[7.0] * 6), started_at=later, finished_at=later + "x")
    assert row(load(tmp_path / "a", alone), "nn_rnn")["median_seconds"] == 3.5
    assert row(load(tmp_path / "b", alone, apart), "torch_loop")["median_seconds"] == pytest.approx(7)
