"""`load_run` for notebooks: the frame of a run that shows itself as a table, with its tables and plots at hand."""

from __future__ import annotations

import html
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.presentation.plain_text import count
from benchmarks.presentation.table_text import FORMATS, for_readers
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.tables import table
from benchmarks.runs.loading import Folder, LoadedRun, load_runs

if TYPE_CHECKING:
    from benchmarks.presentation.figures import Figure

MOST_ROWS = 30
"""Rows of the table that a notebook shows."""
SHOWN = ("run", "workload", "fastest", "median_seconds", "speedup", "second", "lead", "close")
"""Its columns, of those of the table `fastest`."""


class TableFrame(pd.DataFrame):
    """A table of runs: a frame that can be had as the text of a table."""

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        # What is selected from it, or computed, is a plain frame.
        return pd.DataFrame

    def text(self, format: str = "markdown") -> str:  # noqa: A002  # the word of the command line
        """The table as `markdown`, `latex` or `csv`. Raises ValueError for another format."""
        if format not in FORMATS:
            raise ValueError(f"format is {format!r}; expected one of {', '.join(FORMATS)}")
        return FORMATS[format](self)

    def _repr_html_(self) -> str:
        return _html(self)


class RunFrame(pd.DataFrame):
    """The frame of `load_run`, a row a case, with the tables and plots of its report.

    Whatever is selected from it or computed is a plain pandas frame.
    """

    _internal_names = [*pd.DataFrame._internal_names, "_runs"]  # type: ignore[attr-defined]  # noqa: RUF012  # pandas' way to name an attribute that is no column
    _internal_names_set = {*_internal_names}  # noqa: RUF012  # as above
    _runs: Sequence[LoadedRun] = ()

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def table(self, name: str, *, subject: str | None = None) -> TableFrame:
        """A table by its name, one of `benchmarks.reporting.tables.TABLES`; `.text("latex")` is its text.

        `subject` is the implementation that `ranking` sets against the best of the others, by default the fastest.
        Raises ValueError for a name that is not known.
        """
        return TableFrame(table(self._analysis(subject), name))

    def figures(self, *, subject: str | None = None) -> dict[str, Figure]:
        """{name: matplotlib figure} of every plot of the report that the runs have data for."""
        from benchmarks.reporting.plots.report_plots import figures

        return figures(self._analysis(subject))

    def _analysis(self, subject: str | None = None) -> Analysis:
        if not self._runs:
            raise ValueError("this frame was copied from another process, without its runs; load it again by load_run")
        return Analysis(self._runs, subject)

    def _repr_html_(self) -> str:
        if not self._runs:
            return _html(self)
        fastest = self.table("fastest")
        said = f"{', '.join(run.label for run in self._runs)}: {count(len(self), 'case')}, the fastest of each workload"
        shown = fastest[[name for name in SHOWN if name in fastest]]
        return f"<p>{html.escape(said)}; every column of every case is in the frame.</p>{_html(shown)}"


def load_run(folder: Folder | Sequence[Folder], *more: Folder, labels: Sequence[str] | None = None) -> RunFrame:
    """One run folder, or several, as a tidy frame: one row for each case of each run, columns as in `docs/results.md`.

    In a notebook it shows the fastest of each workload; `table` and `figures` have what a report has. `labels` name the
    runs in the column `run`; without them it holds the folders' names. Lines that are no trials are passed over with a
    warning. Raises StoreError for a folder that holds no run.
    """
    first = list(folder) if isinstance(folder, Sequence) and not isinstance(folder, str) else [folder]
    runs = load_runs([*first, *more], labels)
    for problem in (problem for run in runs for problem in run.problems):
        warnings.warn(problem, stacklevel=2)
    frame = RunFrame(Analysis(runs).frame)
    frame._runs = runs
    return frame


def _html(frame: pd.DataFrame) -> str:
    """The first rows of a frame as HTML, with a line on the rest."""
    shown = for_readers(pd.DataFrame(frame).head(MOST_ROWS)).to_html(index=False, border=0, escape=True)
    more = len(frame) - MOST_ROWS
    return f"{shown}<p>{count(more, 'more row')}</p>" if more > 0 else str(shown)
