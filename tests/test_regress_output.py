"""What `regress` writes: the table, the summary and the plot of a verdict, whatever the cases are called."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from rich.console import Console

from benchmarks.regression.judging import estimate_each, judge
from benchmarks.regression.output import draw, markdown, prepare, rows, summary, terminal_table, write, write_plot
from benchmarks.regression.regress import Result
from benchmarks.regression.stopping import Outcome
from benchmarks.store import StoreError

SPREAD = (0.004, -0.006, 0.001, 0.003, -0.002)
STRANGE = "speed/test_a.py::test_a[$x$|`y`<b>*z*-" + "long" * 30 + "]"


def result(shifts: dict[str, float], tolerances: dict[str, float] | None = None, **changes: Any) -> Result:
    """A run in which each case came out exp(shift) times as slow; what is slower was confirmed."""
    log_ratios = {case: tuple(shift + each for each in SPREAD) for case, shift in shifts.items()}
    given = {case: (tolerances or {}).get(case, 0.03) for case in shifts}
    judged = judge(estimate_each(log_ratios, 0.01), error=0.05, tolerances=given, floor_of=lambda _: 0.0)
    slower = tuple(case for case, each in judged.items() if each.verdict == "slower")
    outcome = Outcome(judged, judged, slower, log_ratios, {case: log_ratios[case] for case in slower})
    run = Result(
        base="main (1)",
        head="the checkout (2)",
        suite="speed",
        outcome=outcome,
        untold={},
        control={},
        unfit="",
        floor_pairs=(),
        pairs=(),
        seconds=1.0,
        machine={"key": "machine"},
        environment=(),
    )
    return dataclasses.replace(run, **changes)


def test_a_row_says_from_what_on_a_slowdown_of_its_case_matters() -> None:
    """Which is not the same for all; and how small a one could have been seen: 4.7 deviations of the mean here."""
    found = {row[0]: row for row in rows(result({"a": 0.1, "b": 0.1}, {"b": 0.5}))}
    assert found["a"] == ("a", "slower", "1.105", "1.10\N{EN DASH}1.11", "5", "3.0 %", "0.86 %")
    assert (found["b"][1], found["b"][5]) == ("same", "50 %")


def test_the_verdict_is_said_in_a_sentence() -> None:
    """What is slower, that nothing is, that nothing could be measured, or that the machine was unfit."""
    assert summary(result({"a": 0.1, "b": 0.0})) == "1 of 2 cases slower, confirmed in fresh processes."
    assert summary(result({"a": 0.0})) == "No confirmed slowdown in 1 case."
    assert summary(result({"a": 0.0}, outcome=None)) == "Nothing was judged: base and head have no case in common."
    control = estimate_each({"loop": [0.4 + each for each in SPREAD]}, 0.01)
    unfit = result({"a": 0.1}, unfit="it drifts", control=control)
    assert summary(unfit) == "The machine was unfit to judge on: it drifts."
    assert summary(result({"a": 0.1, "b": 0.7}, unfit="it drifts", control=control)).startswith(
        "1 of 2 cases slower by far, confirmed in fresh processes"
    )


def test_the_exit_status_is_that_of_the_verdict() -> None:
    """1 for a slowdown, 2 for a case that broke, 3 where nothing can be told, else 0; the first of these that holds."""
    lost: dict[str, Any] = {"untold": {"b": ("broken", "head: failed, why")}, "lost": ("b",)}
    control = estimate_each({"loop": [0.4 + each for each in SPREAD]}, 0.01)
    unfit: dict[str, Any] = {"unfit": "it drifts", "control": control}
    assert result({"a": 0.1}, **lost).exit_status == 1
    assert result({"a": 0.0}, **lost, **unfit).exit_status == 2
    assert result({"a": 0.1}, **unfit).exit_status == 3
    assert result({"a": 0.0}).exit_status == 0


def test_a_run_in_which_nothing_is_told_never_ends_with_0() -> None:
    """2 where something broke, 3 where nothing did: all is new, or no interval is narrow enough."""
    broken, new = {"a": ("broken", "base: why")}, {"a": ("new", "")}
    assert result({"a": 0.0}, outcome=None, untold=broken).exit_status == 2
    assert result({"a": 0.0}, outcome=None, untold=new).exit_status == 3
    assert result({"a": 0.0}, outcome=None).exit_status == 3
    wide = result({"a": 0.029})
    assert wide.outcome is not None
    assert wide.outcome.final["a"].verdict == "cannot tell"
    assert wide.exit_status == 3
    assert summary(wide).startswith("None of 1 case can be told: ")


def test_a_name_is_no_markup() -> None:
    """Nor a reason, nor what a revision or a package is called; each row of the table keeps its seven cells."""
    run = result(
        {STRANGE: 0.0},
        untold={"a|b": ("broken", "head: failed, a | b\n<script>")},
        base="`x|y` (1)",
        environment=("<script> 1 and 2",),
        machine={"key": "<script>"},
        unfit="<script>",
        control=estimate_each({"<script>": SPREAD}, 0.01),
    )
    said = markdown(run)
    table = [line for line in said.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in table} == {8}
    assert "<script>" not in said
    assert said.splitlines()[0].count("`") == 4


def test_the_second_measurement_is_told_where_there_was_one() -> None:
    """And only there."""
    assert "1 case looked slower and was measured again" in markdown(result({"a": 0.1, "b": 0.0}))
    assert "2 cases looked slower and were measured again" in markdown(result({"a": 0.1, "b": 0.1}))
    assert "measured again" not in markdown(result({"b": 0.0}))


def test_the_summary_says_what_the_verdict_rests_on() -> None:
    """Pairs, time, machine, what differs between the environments, and the control with its interval."""
    control = estimate_each({"control: loop": SPREAD}, 0.01)
    said = markdown(result({"a": 0.0}, seconds=61.4, environment=("torch 1 and 2",), control=control))
    assert said.splitlines()[0] == "## Is `the checkout (2)` slower than `main (1)`?"
    assert "0 pairs of fresh processes in 61 s on machine." in said
    assert "torch 1 and 2" in said.splitlines()
    assert "control: loop: 1.000 (0.995\N{EN DASH}1.005)" in said.splitlines()


def test_a_narrow_terminal_shows_all_of_a_name() -> None:
    """Folded, not cut."""
    console = Console(width=90, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115  # closed with the test
    console.print(terminal_table(result({STRANGE: 0.0})))
    console.file.close()
    first = "".join(line.split("│")[1].strip() for line in console.export_text().splitlines() if line.startswith("│"))
    assert first == STRANGE


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are written."""
    written: list[Figure] = []
    save = Figure.savefig

    def note(self: Figure, *words: Any, **how: Any) -> None:
        written.append(self)
        save(self, *words, **how)

    monkeypatch.setattr(Figure, "savefig", note)
    return written


def test_a_plot_has_a_band_a_case(tmp_path: Path, figures: list[Figure]) -> None:
    """As wide as what does not matter in that case."""
    draw(result({STRANGE: 0.0, "b": 0.1}, {"b": 0.5}), tmp_path / "ratios.png")
    labels = [label.get_text() for label in figures[0].axes[0].get_yticklabels()]
    assert labels == [f"…{STRANGE[-59:]}  same", "b  same"]
    bands = [patch for patch in figures[0].axes[0].patches if isinstance(patch, Rectangle)]
    assert [(band.get_x(), band.get_x() + band.get_width()) for band in bands] == [
        pytest.approx((1 / 1.03, 1.03)),
        pytest.approx((1 / 1.5, 1.5)),
    ]
    assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_of_many_cases_shows_those_that_changed_most(
    tmp_path: Path, figures: list[Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says how many are left out: a picture has a largest size."""
    monkeypatch.setattr("benchmarks.regression.output._MOST_DRAWN", 2)
    draw(result({"a": 0.0, "b": 0.1, "c": 0.01, "d": -0.2}), tmp_path / "ratios.png")
    assert [label.get_text() for label in figures[0].axes[0].get_yticklabels()] == ["b  slower", "d  faster"]
    assert figures[0].get_suptitle() == "the checkout (2) against main (1); 2 cases that changed less are left out"


def test_a_run_without_verdicts_leaves_no_plot_of_an_earlier_one(tmp_path: Path) -> None:
    """Its own files and nothing else."""
    write(result({"a": 0.0}), tmp_path, None)
    assert write_plot(result({"a": 0.0}), tmp_path) == ""
    assert (tmp_path / "ratios.png").exists()
    write(result({"a": 0.0}, outcome=None, untold={"a": ("new", "")}), tmp_path, str(tmp_path / "job.md"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".rnnbench-files.json",
        "job.md",
        "regress.json",
        "summary.md",
    ]
    assert json.loads((tmp_path / "regress.json").read_text())["untold"] == {"a": ["new", ""]}


def test_the_file_holds_the_verdict_and_the_jobs_summary_is_added_to(tmp_path: Path) -> None:
    """Status and sentence for whoever reads no numbers; what other steps of a job have said stays."""
    (tmp_path / "job.md").write_text("of another step\n")
    run = result({"a": 0.1})
    write(run, tmp_path, str(tmp_path / "job.md"))
    written = json.loads((tmp_path / "regress.json").read_text())
    assert (written["schema"], written["exit_status"], written["summary"]) == (1, 1, summary(run))
    assert written["outcome"]["log_ratios"]["a"] == [0.1 + each for each in SPREAD]
    assert (tmp_path / "summary.md").read_text() == markdown(run)
    assert (tmp_path / "job.md").read_text() == f"of another step\n{markdown(run)}"


@pytest.mark.parametrize("name", ["out", "job.md"])
def test_what_cannot_be_written_is_refused_before_anything_is_measured(name: str, tmp_path: Path) -> None:
    """Naming the option or the variable, the path and the reason."""
    (tmp_path / "file").touch()
    paths = {"out": tmp_path / "out", "job.md": tmp_path / "job.md", name: tmp_path / "file" / name}
    with pytest.raises((ValueError, StoreError), match=f"{name}, w.*: Not a directory; expected a f"):
        prepare(paths["out"], str(paths["job.md"]))
