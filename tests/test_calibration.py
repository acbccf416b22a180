"""`calibrate`: what is planted, and what rules make of groups whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.regression.calibration import planting
from benchmarks.regression.calibration.measuring import Group, read_groups, read_record
from benchmarks.regression.calibration.replaying import COMPARE, Rate, compare_rates, whole_suite_verdicts
from rnnimpl import RnnConfig, Weights, load

CASES = ("a", "b")


def group(number: int, again: float = 1.0, planted: float = 1.2) -> Group:
    """Two cases of about a second; the second process takes `again` times as long, the third `planted` times."""
    wobble = 1 + 0.002 * (number % 3)
    factors = (1.0, again * wobble, planted * wobble)
    sides = tuple(dict.fromkeys(CASES, (factor, factor)) for factor in factors)
    summaries = tuple({case: {"mean": each, "min": each, "median": each} for case in CASES} for each in factors)
    return Group(sides, summaries, ((), (), ()), dict.fromkeys(CASES, "0.2"), 1.0)


def test_equal_code_raises_no_alarm_and_a_slower_twin_does() -> None:
    """In every trial, each on groups of its own."""
    equal, used = whole_suite_verdicts([group(number) for number in range(40)], CASES)
    assert equal
    assert not any(equal)
    assert used <= 40
    slower, _ = whole_suite_verdicts([group(number, again=1 + 0.3 * (number >= 2)) for number in range(15)], CASES)
    assert slower == [CASES]


def test_compare_calls_what_is_beyond_its_limit() -> None:
    """A single process against another."""
    rates = compare_rates([group(number) for number in range(6)], CASES, *COMPARE["mean > 5 %"])
    assert rates[0].startswith("0 of 6")
    assert rates[-1].startswith("12 of 12")


def test_a_rate_has_its_exact_interval() -> None:
    """None of 20: at most 17 % (Clopper and Pearson)."""
    assert str(Rate(0, 20)) == "0 of 20 (0 % to 17 %)"


def test_what_is_planted_changes_the_work_and_not_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the planted case alone."""
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(planting, "work", lambda H, amount: done.append((H, amount)))
    case = "numpy_loop/cpu/inference/T4-B1-I8-H8-L1-tanh-float32"
    config = RnnConfig(input_size=8, hidden_size=8)
    weights = Weights.init(config, seed=0)
    x = np.ones((4, 1, 8), dtype=np.float32)
    planted = planting.planting(load, {case: 7})("numpy_loop")(config, weights, "cpu")
    plain = load("numpy_loop")(config, weights, "cpu")
    np.testing.assert_array_equal(planted.forward(x)[0], plain.forward(x)[0])
    planted.vjp(x)
    assert done == [(8, 7), (8, 0)]


def test_amounts_lie_between_the_probes() -> None:
    """Work that costs a thousandth of the call a unit is found again."""
    assert planting._amounts(lambda amount: amount / 1000) == {"0.02": 20, "0.05": 50, "0.1": 100, "0.2": 200}


def test_a_torn_last_line_is_no_group(tmp_path: Path) -> None:
    """A calibration that was killed goes on."""
    line = json.dumps({"sides": [], "summaries": [], "controls": [], "sizes": {}, "seconds": 1.0})
    (tmp_path / "groups.jsonl").write_text(f"{line}\n{line[:20]}")
    assert len(list(read_groups(tmp_path))) == 1


def test_a_folder_without_a_calibration_is_refused(tmp_path: Path) -> None:
    """In a sentence."""
    with pytest.raises(ValueError, match="holds no calibration"):
        read_record(tmp_path)
