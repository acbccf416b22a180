"""How far one implementation under two names differs from itself, in sentences."""

from __future__ import annotations

import pandas as pd

from benchmarks.presentation.plain_text import count, share
from benchmarks.reporting.topics.same_code import SAME_WITHIN, two_names
from benchmarks.reporting.words.answer_words import Mark


def same_code_sentences(frame: pd.DataFrame, mark: Mark) -> list[str]:
    """A sentence for each two names of one implementation in a run; `frame` has the rows of `load_run`."""
    return [
        f"{mark(row['one'])} and {mark(row['other'])} are both {mark(row['source'])} (run {mark(row['run'])}): their "
        f"medians are within {share(SAME_WITHIN)} of each other on {share(row['within'])} of "
        f"{count(row['workloads'], 'workload')}, at worst {share(row['apart'])} apart, on {mark(row['workload'])}."
        for row in two_names(frame).to_dict("records")
    ]
