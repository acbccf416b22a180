"""What the answer costs beside the time of a call: set-up, the first use on a machine, and accuracy, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from benchmarks.presentation.plain_text import error, seconds
from benchmarks.reporting.answers.setting_answers import SettingAnswer
from benchmarks.reporting.words.answer_words import Mark
from rnnimpl.registry import listing, names

MOST_NAMES = 3
"""Answers of several settings whose price is told; the table of set-up has all."""


def prices(
    answers: Sequence[SettingAnswer], measured: pd.DataFrame, once: Mapping[str, float], mark: Mark
) -> list[str]:
    """A sentence on the set-up of each implementation that is an answer.

    `measured` are the rows of `load_run` with times, `once` the seconds that the first use on a machine costs.
    """
    said = []
    for name in list(dict.fromkeys(answer.fastest for answer in answers if answer.known))[:MOST_NAMES]:
        rows = measured[measured["implementation"] == name]
        before = (rows["setup_seconds"] + rows["first_call_seconds"]).dropna()
        first = (
            f" Its first use on a machine takes {seconds(once[name])}, once{_what_for(name)}." if name in once else ""
        )
        if len(before):
            least = f"{seconds(float(before.median()))} for set-up and first call (at most {seconds(before.max())})"
            said.append(f"{mark(name)} takes {least}.{first}")
    return said


def _what_for(name: str) -> str:
    """What the first use makes and keeps, as a clause; empty where it is not known."""
    made = listing(name).keeps_compiled if name in names() else ""
    return f": it compiles {made}" if made else ""


def accuracy(measured: pd.DataFrame, mark: Mark) -> str:
    """A sentence on the largest error of each dtype and whose it is; empty where no error is known."""
    errors = measured.assign(error=measured[["error_output", "error_gradient"]].max(axis=1)).dropna(subset=["error"])
    said = []
    for dtype, rows in errors.groupby("dtype", sort=False):
        worst = rows.sort_values("error").iloc[-1]
        said.append(f"{error(float(worst['error']))} in {dtype} ({mark(str(worst['implementation']))})")
    if not said:
        return ""
    return f"The largest error, against float64 and relative to the largest value, is {', '.join(said)}."
