"""A ranking in words and tables: each kind of sentence and row once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.reporting.ranking import Ranking, rankings
from benchmarks.reporting.ranking_words import comparisons, conclusion, large_products
from benchmarks.runs.loading import load_runs
from benchmarks.trial import Trial
from benchmarks.workload import Workload
from tests.synthetic_runs import failed, run_of, trial, typed, workload

SHORT, CENTRE, LONG = (workload(T=T) for T in (16, 64, 256))
LARGE = workload(B=32, H=512)


def ranked(folder: Path, trials: Sequence[Trial], subject: str | None = None, **fields: Any) -> list[Ranking]:
    run_of(folder, trials, **fields)
    return rankings(load_runs(folder), subject)


def measured(of: Workload, **seconds: float) -> list[Trial]:
    return [trial(name, of, each) for name, each in seconds.items()]


def test_a_leader_in_words(tmp_path: Path) -> None:
    """The mean with its interval, the least with its peer and workload, and who the others are."""
    trials = [
        *measured(SHORT, mine=1.0, one=2.0, two=3.0),
        *measured(CENTRE, mine=1.0, one=9.0, two=8.0),
        *measured(LONG, mine=1.0, one=4.0, two=8.0),
    ]
    (ranking,) = ranked(tmp_path / "run", trials, peaks=[])
    assert typed(conclusion(ranking)) == (
        "`mine` is faster than the best of the others on all 3 workloads: 4.00x (4.00-4.00) in the geometric mean. "
        f"The least is 2.00x (2.00-2.00), against `one` on `{SHORT.id}`. "
        "The best of the others is `one` on 2 and `two` on 1."
    )


def test_what_is_lost_missing_and_wrong_in_words(tmp_path: Path) -> None:
    trials = [
        *measured(SHORT, mine=1.0, one=8.0),
        *measured(CENTRE, mine=1.0, one=1.0),
        *measured(LONG, mine=1.0, one=0.5),
        trial("fast", LONG, 0.1, status="wrong", reason="y is off", error_output=3.8e-6),
        *measured(workload(T=65), one=2.0),
        failed("mine", workload(T=65), "out_of_memory", "8 GiB"),
    ]
    (ranking,) = ranked(tmp_path / "run", trials, "mine", peaks=[])
    said = typed(conclusion(ranking))
    assert said.startswith(
        "`mine` is faster than the best of the others on 1 of 3 workloads, slower on 1 and too close to call on 1: "
    )
    assert said.endswith(
        "The best of the others is `one` throughout. "
        "It has no time on 1 workload that others have: out of memory on 1. "
        "Wrong results, and so no time among the others: `fast` on 1 (error up to 3.8e-6)."
    )


def test_the_limit_and_large_products_in_words(tmp_path: Path) -> None:
    """All peaks of the run are at 200 GFLOP/s."""
    operations = 2 * LARGE.T * LARGE.B * LARGE.H * (LARGE.I + LARGE.H)
    trials = [*measured(LARGE, mine=operations / 160e9, one=1.0), *measured(CENTRE, mine=1.0, one=2.0)]
    found = ranked(tmp_path / "run", trials)
    said = typed(conclusion(found[0]))
    assert "At the machine's limit it would be " in said
    assert "With H ≥ 512 and B ≥ 32 it reaches 80 % of the rate of matrix products of the same shapes" in said
    table = large_products(found)
    assert "| T64 B32 H512 | `mine` | 160 GFLOP/s | 80 % | 80 % |" in table
    assert "T64 B16 H256" not in table


def test_without_peaks_no_rate_is_in_words(tmp_path: Path) -> None:
    found = ranked(tmp_path / "run", measured(LARGE, mine=1.0, one=2.0), peaks=[])
    assert large_products(found) == ""
    assert "matrix products" not in conclusion(found[0])
    assert "limit" not in conclusion(found[0])


def test_errors_stand_beside_times(tmp_path: Path) -> None:
    trials = [trial("mine", CENTRE, 1.0, error_output=6.4e-7), trial("one", CENTRE, 2.0, error_output=3e-7)]
    table = typed(comparisons(ranked(tmp_path / "run", trials)))
    assert "| T64 B16 H256 | `mine` | 1.00 s | 6.4e-7 | `one` | 2.00 s | 3.0e-7 | 2.00x (" in table
