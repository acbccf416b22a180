"""The ratios of every two implementations, which `ratios.csv` holds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.reporting.answers.ratios import RATIO_COLUMNS, ratios, ratios_frame
from benchmarks.runs.frames import runs_frame
from benchmarks.statistics import Estimate, estimate_ratio
from tests.synthetic_runs import failed, loaded, measured, realistic_trials, trial, workload

CENTRE, LONG = workload(), workload(T=256)


def test_every_two_measured_cases_have_a_ratio(tmp_path: Path) -> None:
    """The faster stands first; what failed is in no ratio."""
    trials = measured(CENTRE, {"nn_rnn": 4.0, "mine": 1.0, "other": 2.0}, mine=0.1)
    trials += [failed("broken", CENTRE, "crashed", "SIGSEGV"), *measured(LONG, {"nn_rnn": 1.0, "mine": 3.0})]
    found = ratios(loaded(tmp_path / "run", trials))
    assert {key: ratio.median for key, ratio in found.items()} == pytest.approx(
        {
            (CENTRE, "mine", "other"): 2.0,
            (CENTRE, "mine", "nn_rnn"): 4.0,
            (CENTRE, "other", "nn_rnn"): 2.0,
            (LONG, "nn_rnn", "mine"): 3.0,
        },
        rel=1e-2,
    )
    against = found[CENTRE, "mine", "nn_rnn"]
    assert [against.low, against.high] == pytest.approx([4 / 1.1, 4 / 0.9])


def test_the_frame_has_a_row_a_pair(tmp_path: Path) -> None:
    trials = [*measured(CENTRE, {"nn_rnn": 4.0, "mine": 1.0}), trial("mine", LONG, 1.0)]
    frame = ratios_frame([loaded(tmp_path / "run", trials)])
    assert list(frame.columns) == list(RATIO_COLUMNS)
    assert frame.to_numpy().tolist() == [["run", CENTRE.id, "mine", "nn_rnn", 4.0, 4.0, 4.0]]


def test_too_few_blocks_have_no_interval(tmp_path: Path) -> None:
    trials = [trial("nn_rnn", CENTRE, 2.0, blocks=(3,) * 5), trial("mine", CENTRE, 1.0, blocks=(3,) * 5)]
    (ratio,) = ratios(loaded(tmp_path / "run", trials)).values()
    assert ratio.median == pytest.approx(2.0)
    assert math.isnan(ratio.low)
    assert math.isnan(ratio.high)


def test_ratios_are_those_of_the_summary(tmp_path: Path) -> None:
    """The speed-ups and slowdowns of `load_run` are ratios of the table or their inverses."""
    run = loaded(tmp_path / "run", realistic_trials([CENTRE, LONG], noise=0.1))
    found = {(workload.id, *names): ratio for (workload, *names), ratio in ratios(run).items()}
    both = found | {(on, slower, faster): ratio.inverse for (on, faster, slower), ratio in found.items()}
    for row in runs_frame([run]).to_dict("records"):
        if row["implementation"] != "nn_rnn":
            expected = both[row["workload"], row["implementation"], "nn_rnn"]
            said = [row["speedup"], row["speedup_low"], row["speedup_high"]]
            assert said == pytest.approx([expected.median, expected.low, expected.high], rel=1e-12)


def test_the_other_way_round_is_the_inverse() -> None:
    """Also where the two middle ratios differ."""
    above, below = [1.0, 2.0, 3.0, 4.0, 5.0, 9.0], [1.0, 1.5, 1.0, 3.0, 1.0, 1.0]
    ratio, other = estimate_ratio(above, below), estimate_ratio(below, above).inverse
    assert [ratio.median, ratio.low, ratio.high] == pytest.approx([other.median, other.low, other.high])
    assert Estimate(2.0, 1.0, 4.0).inverse == Estimate(0.5, 0.25, 1.0)
