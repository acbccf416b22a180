"""Every time in one table: a row a workload, a column an implementation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.reporting.answers.workload_winners import winners_by_workload
from benchmarks.reporting.sections.all_times import all_times
from benchmarks.runs.frames import runs_frame
from benchmarks.trial import Trial
from tests.synthetic_runs import CENTRE, LONG, THREE, failed, loaded, measured, trial, typed, workload


def table_of(folder: Path, trials: Sequence[Trial]) -> str:
    frame = runs_frame([loaded(folder, trials)])
    return typed(all_times(frame, winners_by_workload(frame)))


def row_of(text: str, name: str) -> list[str]:
    """The cells of the row of a workload."""
    (line,) = (line for line in text.split("\n") if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_time_stands_in_one_table(tmp_path: Path) -> None:
    """A row a workload, a column an implementation, the fastest on the whole first."""
    text = table_of(tmp_path / "run", [*THREE, trial("one", workload(T=65), 4.0)])
    assert row_of(text, "workload")[1:] == ["`mine`", "`one`", "`two`"]
    assert row_of(text, "T256 B16 H256")[1:] == ["1.00 s", "**500 ms**", "3.00 s"]
    assert row_of(text, "T65 B16 H256")[1:] == ["-", "**4.00 s**", "-"]
    assert "### Inference, tanh RNN, cpu, float32, 2 threads" in text


def test_one_implementation_is_not_the_fastest_of_anything(tmp_path: Path) -> None:
    text = table_of(tmp_path / "run", measured(CENTRE, {"mine": 1.0}))
    assert row_of(text, "T64 B16 H256")[1:] == ["1.00 s"]


def test_too_close_to_the_fastest_is_marked(tmp_path: Path) -> None:
    """An implementation whose interval includes the fastest's time is marked ≈, not called slower."""
    text = table_of(tmp_path / "run", measured(CENTRE, {"mine": 1.0, "one": 1.01, "two": 1.5}, one=0.05))
    assert row_of(text, "T64 B16 H256")[1:] == ["**1.00 s**", "≈ 1.01 s", "1.50 s"]


def test_what_is_wrong_has_no_time(tmp_path: Path) -> None:
    """A wrong case shows its status, whatever its samples, and so does a timeout."""
    trials = [
        *measured(CENTRE, {"mine": 1.0}),
        trial("fast", CENTRE, 0.1, status="wrong", reason="off", error_output=3.8e-6),
        failed("slow", CENTRE, "timeout", "120 s"),
    ]
    assert row_of(table_of(tmp_path / "run", trials), "T64 B16 H256")[1:] == [
        *("**1.00 s**", "wrong", "timeout"),
    ]


def test_what_could_nowhere_run_has_no_column(tmp_path: Path) -> None:
    """An implementation that ran nowhere is below the table with its status; one that ran somewhere has a column."""
    trials = [
        *measured(CENTRE, {"mine": 1.0, "some": 2.0}),
        failed("some", LONG, "unsupported", "too long"),
        *(failed("none", of, "unavailable", "not installed") for of in (CENTRE, LONG)),
        trial("mine", LONG, 1.0),
    ]
    text = table_of(tmp_path / "run", trials)
    assert row_of(text, "workload")[1:] == ["`mine`", "`some`"]
    assert row_of(text, "T256 B16 H256")[2] == "unsupported"
    assert text.endswith("Without a column, as none of its cases could run: `none` (unavailable).")


def test_what_a_row_does_not_say_is_the_default(tmp_path: Path) -> None:
    """Sizes beyond T, B and H and options are named where they differ from the defaults."""
    of = workload(I=3, H=8, L=2, bidirectional=True, cell="relu", bias=False)
    text = table_of(tmp_path / "run", [trial("mine", of)])
    assert row_of(text, "T64 B16 H8 I3 L2 two directions no bias")[1] == "1.00 ms"


def test_a_run_without_times_has_no_table(tmp_path: Path) -> None:
    assert table_of(tmp_path / "run", [failed("mine", CENTRE, "crashed", "no")]) == ""
    assert table_of(tmp_path / "empty", []) == ""


def test_many_times_are_in_the_summary_alone(tmp_path: Path) -> None:
    """With 151 cases the report would be long."""
    trials = [trial("mine", workload(T=T)) for T in range(1, 152)]
    assert table_of(tmp_path / "many", trials) == ""
    assert table_of(tmp_path / "few", trials[:150]).count("1.00 ms") == 30
