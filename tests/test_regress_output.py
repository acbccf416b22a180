"""The output of `regress`: table, summary, files and plot, whatever the cases are called."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmarks.regression.environments.variants import Variant
from benchmarks.regression.judging.stopping import Decision
from benchmarks.regression.judging.verdicts import Thresholds, estimate_each, judge
from benchmarks.regression.output import draw, prepare, terminal_lines, write, write_plot
from benchmarks.regression.processes.outcomes import Excluded
from benchmarks.regression.regress import Result
from benchmarks.regression.verdict_text import comment, markdown, rows, summary
from benchmarks.store import StoreError

SPREAD = (0.004, -0.006, 0.001, 0.003, -0.002)
STRANGE = "speed/test_a.py::test_a[$x$|`y`<b>*z*-" + "long" * 30 + "]"


def result(shifts: dict[str, float], tolerances: dict[str, float] | None = None, **changes: Any) -> Result:
    """A result in which the time of each case was multiplied by exp(shift), and all slowdowns were confirmed."""
    log_ratios = {case: tuple(shift + each for each in SPREAD) for case, shift in shifts.items()}
    given = {case: (tolerances or {}).get(case, 0.03) for case in shifts}
    judged = judge(estimate_each(log_ratios, 0.01), error=0.05, thresholds=Thresholds(given, lambda _: 0.0))
    slower = tuple(case for case, each in judged.items() if each.verdict == "slower")
    decision = Decision(judged, judged, slower, log_ratios, {case: log_ratios[case] for case in slower})
    run = Result(
        base="main (1)",
        head="the checkout (2)",
        suite="speed",
        decision=decision,
        excluded={},
        control={},
        unfit="",
        floor_pairs=(),
        pairs=(),
        seconds=1.0,
        machine={"key": "machine"},
        environment=(),
    )
    return dataclasses.replace(run, **changes)


def test_a_row_has_the_slowdown_that_matters_and_the_smallest_that_could_be_found() -> None:
    """Cases have tolerances of their own; the smallest slowdown is 4.7 deviations of the mean here."""
    found = {row[0]: row for row in rows(result({"a": 0.1, "b": 0.1}, {"b": 0.5}))}
    assert found["a"] == ("a", "slower", "1.105", "1.10\N{EN DASH}1.11", "5", "3.0 %", "0.86 %")
    assert (found["b"][1], found["b"][5]) == ("same", "50 %")


def test_the_summary_is_a_sentence_on_the_verdict() -> None:
    """It counts slowdowns, or says that there is none, that no case was judged, or that the machine was unfit."""
    assert summary(result({"a": 0.1, "b": 0.0})) == "1 of 2 cases slower, confirmed in fresh processes."
    assert summary(result({"a": 0.0})) == "No confirmed slowdown in 1 case."
    assert summary(result({"a": 0.0}, decision=None)) == "Nothing was judged: base and head have no case in common."
    control = estimate_each({"loop": [0.4 + each for each in SPREAD]}, 0.01)
    unfit = result({"a": 0.1}, unfit="it drifts", control=control)
    assert summary(unfit) == "The machine was unfit to judge on: it drifts."
    assert summary(result({"a": 0.1, "b": 0.7}, unfit="it drifts", control=control)).startswith(
        "1 of 2 cases slower by far, confirmed in fresh processes"
    )


def seeming(shifts: dict[str, float], unconfirmed: set[str]) -> Result:
    """A result in which the budget ended before these cases, suspected to be slower, could be measured again."""
    run = result(shifts)
    assert run.decision is not None
    first = run.decision.first
    final = {
        case: dataclasses.replace(each, verdict="cannot tell") if case in unconfirmed else each
        for case, each in first.items()
    }
    again = {case: each for case, each in run.decision.confirmation_log_ratios.items() if case not in unconfirmed}
    decision = dataclasses.replace(run.decision, final=final, confirmation_log_ratios=again)
    return dataclasses.replace(run, decision=decision)


def test_a_case_that_seems_slower_and_is_not_confirmed_is_told_and_no_success() -> None:
    """Twice as slow over a few pairs, and the budget ended: that is no wide interval, whatever other cases are."""
    alone, beside, more = seeming({"a": 0.7}, {"a"}), seeming({"a": 0.7, "b": 0.0}, {"a"}), {"a": 0.7, "b": 0.1}
    said = "seems slower (a: 2.01 (2.00\N{EN DASH}2.02) over 5 pairs), and the budget ended before that was confirmed"
    assert summary(alone) == f"1 of 1 case {said}: give a longer --budget."
    assert summary(beside) == f"1 of 2 cases {said}: give a longer --budget."
    assert rows(beside)[0][:3] == ("a", "not confirmed", "2.014")
    assert "not confirmed" in comment(beside).split("<details>", 1)[0]
    assert (alone.exit_status, beside.exit_status) == (3, 3)
    both = seeming(more, {"a"})
    assert both.exit_status == 1
    assert summary(both).startswith("1 of 2 cases slower, confirmed in fresh processes. 1 of 2 cases seems slower")


def test_the_exit_status_is_that_of_the_verdict() -> None:
    """It is 1 for a slowdown, 2 for a case that broke, 3 where no case can be told, else 0; the first that holds."""
    lost: dict[str, Any] = {"excluded": {"b": Excluded("broken", "head: failed, why")}, "lost": ("b",)}
    control = estimate_each({"loop": [0.4 + each for each in SPREAD]}, 0.01)
    unfit: dict[str, Any] = {"unfit": "it drifts", "control": control}
    assert result({"a": 0.1}, **lost).exit_status == 1
    assert result({"a": 0.0}, **lost, **unfit).exit_status == 2
    assert result({"a": 0.1}, **unfit).exit_status == 3
    assert result({"a": 0.0}).exit_status == 0


def test_a_run_that_decides_no_case_never_ends_with_0() -> None:
    """It ends with 2 where a case broke, and with 3 where all cases are new or all intervals are too wide."""
    broken, new = {"a": Excluded("broken", "base: why")}, {"a": Excluded("new")}
    assert result({"a": 0.0}, decision=None, excluded=broken).exit_status == 2
    assert result({"a": 0.0}, decision=None, excluded=new).exit_status == 3
    assert result({"a": 0.0}, decision=None).exit_status == 3
    wide = result({"a": 0.029})
    assert wide.decision is not None
    assert wide.decision.final["a"].verdict == "cannot tell"
    assert wide.exit_status == 3
    assert summary(wide).startswith("None of 1 case can be told: ")


def test_names_and_reasons_are_no_markup() -> None:
    """This holds for cases, revisions, packages and machines; each row of the table keeps its seven cells."""
    run = result(
        {STRANGE: 0.0},
        excluded={"a|b": Excluded("broken", "head: failed, a | b\n<script>")},
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


def test_the_report_says_how_many_cases_were_measured_again() -> None:
    """It says nothing where none was."""
    assert "1 case seemed slower and was measured again" in markdown(result({"a": 0.1, "b": 0.0}))
    assert "2 cases seemed slower and were measured again" in markdown(result({"a": 0.1, "b": 0.1}))
    assert "measured again" not in markdown(result({"b": 0.0}))


def test_the_report_has_the_evidence_of_the_verdict() -> None:
    """It has pairs, time, machine, differences between the environments, and the control with its interval."""
    control = estimate_each({"control: loop": SPREAD}, 0.01)
    said = markdown(result({"a": 0.0}, seconds=61.4, environment=("torch 1 and 2",), control=control))
    assert said.splitlines()[0] == "## Is `the checkout (2)` slower than `main (1)`?"
    assert "0 pairs of fresh processes in 61 s on machine." in said
    assert "torch 1 and 2" in said.splitlines()
    assert "control: loop: 1.000 (0.995\N{EN DASH}1.005)" in said.splitlines()


@pytest.mark.parametrize("width", [60, 90, 300])
def test_a_terminal_shows_a_name_on_one_line(width: int) -> None:
    """A long name is neither cut nor folded: where there is no room beside it, its figures stand below it."""
    lines = terminal_lines(result({STRANGE: 0.0}, excluded={"old": Excluded("gone", "head lacks it")}), width)
    assert any("why none" in line for line in lines)
    assert all(len(line) <= width for line in lines if STRANGE not in line)
    named, gone = (next(line for line in lines if name in line) for name in (STRANGE, "  old"))
    following = lines[lines.index(named) + 1]
    assert ("1.000" in named) == (width == 300)
    assert ("1.000" in following) == (width < 300)
    assert any(line.rstrip().endswith("head lacks it") for line in lines[lines.index(gone) :])


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are written to files."""
    written: list[Figure] = []
    save = Figure.savefig

    def note(self: Figure, *words: Any, **how: Any) -> None:
        written.append(self)
        save(self, *words, **how)

    monkeypatch.setattr(Figure, "savefig", note)
    return written


def test_a_plot_has_a_band_for_each_case(tmp_path: Path, figures: list[Figure]) -> None:
    """The band is as wide as the changes that do not matter in the case."""
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
    """Its title says how many are left out."""
    monkeypatch.setattr("benchmarks.regression.output.MOST_DRAWN", 2)
    draw(result({"a": 0.0, "b": 0.1, "c": 0.01, "d": -0.2}), tmp_path / "ratios.png")
    assert [label.get_text() for label in figures[0].axes[0].get_yticklabels()] == ["b  slower", "d  faster"]
    assert figures[0].get_suptitle() == "the checkout (2) against main (1); 2 cases that changed less are left out"


def test_a_run_without_verdicts_leaves_no_plot_of_an_earlier_one(tmp_path: Path) -> None:
    """The folder has its own files and no other."""
    write(result({"a": 0.0}), tmp_path, None)
    assert write_plot(result({"a": 0.0}), tmp_path) == ""
    assert (tmp_path / "ratios.png").exists()
    write(result({"a": 0.0}, decision=None, excluded={"a": Excluded("new")}), tmp_path, str(tmp_path / "job.md"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".rnnbench-files.json",
        "comment.md",
        "job.md",
        "regress.json",
        "summary.md",
    ]
    assert json.loads((tmp_path / "regress.json").read_text())["excluded"] == {"a": ["new", ""]}


def test_the_files_have_the_verdict_and_the_jobs_summary_is_added_to(tmp_path: Path) -> None:
    """regress.json has the exit status, the sentence and all log ratios; the summaries of other steps stay."""
    (tmp_path / "job.md").write_text("of another step\n")
    run = result({"a": 0.1})
    write(run, tmp_path, str(tmp_path / "job.md"))
    written = json.loads((tmp_path / "regress.json").read_text())
    assert (written["schema"], written["exit_status"], written["summary"]) == (3, 1, summary(run))
    assert written["decision"]["log_ratios"]["a"] == [0.1 + each for each in SPREAD]
    assert (tmp_path / "summary.md").read_text() == markdown(run)
    assert (tmp_path / "job.md").read_text() == f"of another step\n{markdown(run)}"


@pytest.mark.parametrize("name", ["out", "job.md"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(name: str, tmp_path: Path) -> None:
    """The refusal names the option or the variable, the path and the reason."""
    (tmp_path / "file").touch()
    paths = {"out": tmp_path / "out", "job.md": tmp_path / "job.md", name: tmp_path / "file" / name}
    with pytest.raises((ValueError, StoreError), match=f"{name}, w.*: Not a directory; expected a f"):
        prepare(paths["out"], str(paths["job.md"]))


INSTALLED = {
    "base": {"python": "3.12.1", "engine": "1.31", "protobuf": "4", "numpy": "2.1"},
    "head": {"python": "3.13.0", "engine": "1.32", "protobuf": "5", "numpy": "2.1"},
}
VARIANTS = {"base": Variant(("engine==1.31",)), "head": Variant(("engine==1.32",))}


def test_what_is_installed_is_in_the_record_and_in_the_summary(tmp_path: Path) -> None:
    """What was asked for is told apart from what came along; what both have is folded."""
    found = result({"a": 0.1}, installed=INSTALLED, variants=VARIANTS)
    write(found, tmp_path / "out", None)
    content = json.loads((tmp_path / "out" / "regress.json").read_text())
    assert content["schema"] == 3
    assert content["installed"] == INSTALLED
    assert content["variants"]["head"]["requirements"] == ["engine==1.32"]
    text = (tmp_path / "out" / "summary.md").read_text()
    for row in (
        "| `engine` | 1.31 | 1.32 | asked for |",
        "| `protobuf` | 4 | 5 | came along |",
        "| `python` | 3.12.1 | 3.13.0 | the interpreter |",
    ):
        assert row in text
    assert "<details><summary>Packages of both sides</summary>\n\nnumpy 2.1\n\n</details>" in text


def test_cases_that_the_budget_is_too_short_for_are_counted_and_folded() -> None:
    """They have no row, and do not change the exit status."""
    late = {f"c{number}": Excluded("not judged", "the budget of 9 s is too short") for number in range(300)}
    found = result({"a": 0.0}, excluded=late)
    assert [row[0] for row in rows(found)] == ["a"]
    assert summary(found) == (
        "No confirmed slowdown in 1 case. 300 cases are not judged: the budget of 9 s is too short."
    )
    assert found.exit_status == 0
    assert "<details><summary>Cases that are not judged</summary>\n\n`c0`, `c1`, " in markdown(found)


def test_a_comment_has_what_changed_and_folds_the_rest() -> None:
    """It begins with a mark by which the next run finds it."""
    broken = {"b": Excluded("broken", "head: failed, why")}
    text = comment(result({"slow": 0.1, "equal": 0.0}, excluded=broken, lost=("b",)))
    assert text.startswith("<!-- rnnbench regress -->\n\n**1 of 2 cases slower, confirmed in fresh processes.")
    shown, folded = text.split("<details>", 1)
    assert "| `slow` | slower | 1.105 |" in shown
    assert "| `b` | broken |" in shown
    assert "equal" not in shown
    assert "1 case without a change</summary>\n\n| case" in folded
    assert "| `equal` | same |" in folded


@pytest.mark.parametrize("shift", [0.0, 0.1])
@pytest.mark.parametrize("cases", [300, 1000])
def test_a_comment_fits_a_request_whatever_the_suite(cases: int, shift: float) -> None:
    """First the folded parts go, then the end of the table; the comment says what is missing."""
    names = [f"speed/test_file.py::test_case[{'long' * 40}-{number}]" for number in range(cases)]
    text = comment(result(dict.fromkeys(names, shift)))
    assert len(text) <= 60_000
    assert f"{cases} are in the job's summary alone" in text
    assert ("| `speed" in text) == bool(shift)
