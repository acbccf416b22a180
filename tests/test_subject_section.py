"""The section on an implementation that was asked for."""

from __future__ import annotations

from pathlib import Path

from benchmarks.reporting.answers.ranking import rankings
from benchmarks.reporting.sections.subject_section import subject_section
from tests.synthetic_runs import failed, loaded, measured, typed, workload

SHORT, CENTRE, LONG = (workload(T=T) for T in (16, 64, 256))


def test_a_row_has_the_mean_the_counts_and_the_least(tmp_path: Path) -> None:
    """The fastest, tied and slower than the best of the others, and where it has no time."""
    trials = [
        *measured(SHORT, {"mine": 1.0, "one": 4.0, "two": 2.0}),
        *measured(CENTRE, {"mine": 1.0, "one": 8.0, "two": 9.0}),
        *measured(LONG, {"mine": 1.0, "one": 0.5, "two": 3.0}),
        *measured(workload(T=512), {"one": 1.0}),
        failed("mine", workload(T=512), "out_of_memory", "9 GiB"),
    ]
    text = typed(subject_section(rankings([loaded(tmp_path / "run", trials, peaks=[])], "mine")))
    assert text.splitlines()[-1] == (
        "| inference | 3 | 2.00x (2.00-2.00) | - | 2 | 0 | 1 | 0.500x (0.500-0.500) T256 B16 H256 | "
        "`one` on 2 and `two` on 1 | out of memory on 1 |"
    )


def test_nothing_to_compare_has_no_section() -> None:
    assert subject_section([]) == ""
