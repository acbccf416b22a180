"""Two runs compared: the verdict on an interval, the order of changes, their summary, and the text of all."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.reporting.answers.compare import compare_runs, summary, verdict
from benchmarks.reporting.words.compare_words import comparison_lines, comparison_markdown
from tests.synthetic_runs import run_of, trial, workload


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.5, 0.9, "faster"),
        (1.1, 1.5, "slower"),
        (0.97, 1.04, "same"),
        (0.9, 1.2, "cannot tell"),
        (1.0, 1.2, "cannot tell"),
        (0.8, 1.0, "cannot tell"),
        (1.051, 1.052, "slower"),
    ],
)
def test_a_verdict_needs_the_whole_interval_on_one_side_of_the_floor(low: float, high: float, expected: str) -> None:
    """`faster` and `slower` need the whole interval beyond the floor, `same` needs it within."""
    assert verdict(low, high, floor=0.05) == expected


OF = [workload(), workload("training")]
OLD = {"steady": 1e-3, "better": 4e-3, "worse": 1e-3, "brief": 1e-3}
NEW = {"steady": 1.01e-3, "better": 1e-3, "worse": 2e-3, "brief": 1.2e-3}


@pytest.fixture
def compared(tmp_path: Path) -> pd.DataFrame:
    """Two runs: one implementation that is the same, one faster, one slower, and one without intervals."""
    for name, times in (("old", OLD), ("new", NEW)):
        trials = [
            trial(each, of, seconds, blocks=(3,) * (3 if each == "brief" else 6))
            for of in OF
            for each, seconds in times.items()
        ]
        run_of(tmp_path / name, trials)
    return compare_runs(tmp_path / "old", tmp_path / "new")


def test_the_largest_changes_come_first(compared: pd.DataFrame) -> None:
    """A change to a quarter is larger than one to the double; what cannot be told comes after what can."""
    assert compared["implementation"].tolist() == ["better"] * 2 + ["worse"] * 2 + ["brief"] * 2 + ["steady"] * 2
    assert compared["ratio"].tolist() == pytest.approx([0.25, 0.25, 2.0, 2.0, 1.2, 1.2, 1.01, 1.01])


def test_a_summary_has_counts_and_means(compared: pd.DataFrame) -> None:
    """Of a case without an interval the mean has none."""
    found = summary(compared)
    assert found.counts == {"faster": 2, "same": 2, "slower": 2, "cannot tell": 2}
    means: Any = {name: (mean.median, cases) for name, (mean, cases) in found.by_implementation.items()}
    assert means == {
        "better": (pytest.approx(0.25), 2),
        "steady": (pytest.approx(1.01), 2),
        "brief": (pytest.approx(1.2), 2),
        "worse": (pytest.approx(2.0), 2),
    }
    assert list(found.by_implementation) == ["better", "steady", "brief", "worse"]
    assert found.overall.median == pytest.approx((0.25 * 1.01 * 1.2 * 2.0) ** 0.25)
    assert math.isnan(found.by_implementation["brief"][0].low)
    assert found.by_implementation["worse"][0].low == pytest.approx(2.0)


@pytest.mark.parametrize("width", [60, 100, 160])
def test_lines_have_every_name_at_any_width(compared: pd.DataFrame, width: int) -> None:
    lines = comparison_lines(compared, width)
    assert max(map(len, lines)) <= width
    assert " ".join(lines).endswith("Of 8 cases: 2 faster, 2 same, 2 slower, 2 cannot tell.")
    text = "\n".join(lines)
    assert all(name in text for name in OLD)
    assert text.count("better") == 3  # in two cases and in the means
    assert text.count("steady") == 1


def test_all_cases_are_shown_when_asked_for(compared: pd.DataFrame) -> None:
    lines = comparison_lines(compared, 160, every=True)
    assert sum("T64 B16 H256" in line for line in lines) == len(compared)


def test_markdown_has_the_same_rows(compared: pd.DataFrame) -> None:
    """Names are code, so that underscores stay; a stranger's name ends no cell."""
    text = comparison_markdown(compared)
    assert text.startswith("**Of 8 cases: 2 faster, 2 same, 2 slower, 2 cannot tell.**")
    assert sum(line.startswith("| `better`") for line in text.splitlines()) == 3
    renamed = comparison_markdown(compared.replace({"implementation": {"better": "a|b`c"}}))
    assert sum(line.startswith("| `a¦b'c` |") for line in renamed.splitlines()) == 3


def test_no_change_is_said(tmp_path: Path) -> None:
    for name in ("old", "new"):
        run_of(tmp_path / name, [trial("nn_rnn", OF[0])])
    lines = comparison_lines(compare_runs(tmp_path / "old", tmp_path / "new"), 80)
    assert lines[0] == "No case is surely faster or slower by more than 5%."
