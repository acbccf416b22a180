"""Tables and plots of a run for notebooks and papers: `load_run` shows itself, `export` prints a table."""

from __future__ import annotations

import html
import io
import pickle
from pathlib import Path

import pandas as pd
import pytest

import benchmarks
from benchmarks.presentation.figures import Figure
from benchmarks.presentation.table_text import FORMATS
from benchmarks.reporting.notebook import RunFrame
from benchmarks.reporting.tables import TABLES
from benchmarks.runs import frames
from tests.synthetic_runs import failed, run_of, trial, workload
from tests.verbs_in_a_place import run

STRANGE = "a_b|c<i>%$&#"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of two workloads, with an implementation that has a strange name and one that failed."""
    one, other = workload(), workload(mode="training", T=16)
    trials = [trial(name, of, took) for of in (one, other) for name, took in (("nn_rnn", 2e-3), (STRANGE, 1e-3))]
    trials += [failed("torch_loop", one, "wrong", "its output is off")]
    run_of(tmp_path / "run", trials)
    return tmp_path / "run"


def test_the_frame_is_the_frame_that_it_was(folder: Path) -> None:
    """It is a pandas frame with the same values, and what is selected from it or copied is a plain one."""
    frame = benchmarks.load_run(folder)
    assert isinstance(frame, pd.DataFrame)
    pd.testing.assert_frame_equal(pd.DataFrame(frame), frames.load_run(folder))
    for derived in (frame[frame["T"] == 16], frame.head(1), frame.copy(), frame.groupby("workload").first()):
        assert type(derived) is pd.DataFrame
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(frame)), frame)  # noqa: S301  # its own


def test_a_notebook_shows_the_fastest_of_each_workload(folder: Path) -> None:
    """Names are shown and are no markup."""
    shown = benchmarks.load_run(folder)._repr_html_()
    assert shown.count(f"<td>{html.escape(STRANGE)}</td>") == 2
    assert shown.count("<td>1.00 ms</td>") == 2
    assert "<i>" not in shown
    assert "run: 5 cases" in shown


def test_several_runs_are_told_apart(folder: Path) -> None:
    frame = benchmarks.load_run([folder], folder.parent / "run", labels=["before", "after"])
    assert set(frame.table("fastest")["run"]) == {"before", "after"}
    assert "before, after: 10 cases" in frame._repr_html_()


def test_a_frame_without_its_run_says_so(folder: Path) -> None:
    """A copy from another process has its values, and no tables."""
    copied: RunFrame = pickle.loads(pickle.dumps(benchmarks.load_run(folder)))  # noqa: S301  # its own
    assert "median_seconds" in copied._repr_html_()
    with pytest.raises(ValueError, match="load it again by load_run"):
        copied.table("fastest")


@pytest.mark.parametrize("name", TABLES)
def test_each_table_is_the_same_in_every_format(folder: Path, name: str) -> None:
    """As many rows in each, CSV with the values as they are, and the verb prints what a notebook has."""
    table = benchmarks.load_run(folder).table(name)
    assert len(table)
    read = pd.read_csv(io.StringIO(table.text("csv")))
    assert list(read.columns) == list(table.columns)
    for column in table.select_dtypes("number"):
        assert list(read[column]) == pytest.approx(list(table[column]), nan_ok=True)
    assert len(table.text("markdown").splitlines()) == len(table) + 2
    assert table.text("latex").count(r"\\") == len(table) + 1
    for written in FORMATS:
        result = run("export", str(folder), "--table", name, "--format", written)
        assert result.exit_code == 0
        assert result.output == table.text(written)


def test_a_strange_name_is_text_in_every_format(folder: Path) -> None:
    """Its letters are no bar of a Markdown table and no command of LaTeX."""
    table = benchmarks.load_run(folder).table("times")
    assert r"a_b\|c&lt;i&gt;%\$&amp;\#" in table.text("markdown")
    assert r"a\_b|c<i>\%\$\&\#" in table.text("latex")


def test_numbers_for_readers_are_in_their_units(folder: Path) -> None:
    table = benchmarks.load_run(folder).table("speedups")
    rows = {row["implementation"]: row["speedup"] for row in table.to_dict("records")}
    assert rows[STRANGE] == pytest.approx(2.0)
    assert "| 2.00\N{MULTIPLICATION SIGN} |" in table.text("markdown")
    assert r"2.00$\times$" in table.text("latex")


def test_the_subject_of_a_ranking_can_be_named(folder: Path) -> None:
    frame = benchmarks.load_run(folder)
    assert set(frame.table("ranking")["subject"]) == {STRANGE}
    assert set(frame.table("ranking", subject="nn_rnn")["subject"]) == {"nn_rnn"}
    result = run("export", str(folder), "--table", "ranking", "--subject", "nn_rnn", "--format", "csv")
    assert set(pd.read_csv(io.StringIO(result.output))["subject"]) == {"nn_rnn"}


@pytest.mark.usefixtures("unrendered")
def test_each_plot_of_the_report_is_a_figure(folder: Path) -> None:
    """The figures have the names of the report's files."""
    figures = benchmarks.load_run(folder).figures()
    assert all(isinstance(figure, Figure) for figure in figures.values())
    assert run("report", str(folder)).exit_code == 0
    assert {path.stem for path in (folder / "plots").glob("*.png")} == set(figures)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--table", "rankin"), "did you mean ranking?"),
        (("--format", "word"), "--format is 'word'; expected one of markdown, latex, csv"),
        (("--table", "ranking", "--subject", "nothing"), "subject is 'nothing'"),
    ],
)
def test_what_cannot_be_exported_is_refused(folder: Path, words: tuple[str, ...], said: str) -> None:
    result = run("export", str(folder), *words)
    assert result.exit_code == 2
    assert said in result.output
