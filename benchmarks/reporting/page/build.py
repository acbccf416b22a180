"""The page of an analysis."""

from __future__ import annotations

from typing import Any

from benchmarks.presentation.plain_text import clean
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.page.data import page_data
from benchmarks.reporting.page.html import page_html
from benchmarks.reporting.words.answer_words import plain
from benchmarks.reporting.words.cautions import LONGER, cautions, command_that_helps

MOST_IN_TITLE = 3


def page(analysis: Analysis) -> str:
    """The HTML of `report.html`: the runs of the analysis, one by one and side by side."""
    return page_html(run_data(analysis))


def run_data(analysis: Analysis, *, is_for_others: bool = False) -> dict[str, Any]:
    """The data of the page, as `page_data` makes them; `is_for_others` who do not have the run's folder."""
    labels = [run.label for run in analysis.runs]
    more = len(labels) - MOST_IN_TITLE
    shown = ", ".join(labels[:MOST_IN_TITLE]) + (f" and {more} more" if more > 0 else "")
    said = {}
    for run in analysis.runs:
        doubts = analysis.doubts[run.label]
        longer = "" if is_for_others else command_that_helps(doubts, run.resume_command)
        said[run.label] = [*run.cautions, *cautions(doubts, plain), *([f"{LONGER} {clean(longer)}"] if longer else [])]
    return page_data(analysis.runs, analysis.frame, said, f"rnnbench · {shown}")
