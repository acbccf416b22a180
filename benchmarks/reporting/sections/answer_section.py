"""The answer of a report in Markdown: the sentence, a row a setting, the exceptions, and the price."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.presentation.plain_text import code, table
from benchmarks.reporting.answers.setting_answers import SettingAnswer
from benchmarks.reporting.words.answer_words import AnswerRow, answer_labels, exceptions, headline, rows
from benchmarks.runs.pooling import BASELINE

MOST_EXCEPTIONS = 4
"""Lines on regions; `answer.csv` and `ratios.csv` have the rest."""


def answer_section(answers: Sequence[SettingAnswer]) -> str:
    """The answer: sentence, table and exceptions; of nothing measured the sentence alone."""
    first, *more = headline(answers, code)
    parts = [" ".join([f"**{first}**", *more])]
    if any(answer.leads for answer in answers):
        parts += [answer_table(answers), explained(answers), *_exceptions(answers)]
    return "\n\n".join(parts)


def answer_table(answers: Sequence[SettingAnswer]) -> str:
    """A row a setting: who is fastest, its leads, its share of the limit, and what to use without it."""
    found = rows(answers, code)
    several = len({row.fastest for row in found}) > 1
    header = ["", *(["fastest"] if several else []), f"against {code(BASELINE)}", "against the best other"]
    header += ["smallest lead", "of the limit", "if you cannot use it"]
    return table(header, [_cells(row, several=several) for row in found])


def _cells(row: AnswerRow, *, several: bool) -> list[str]:
    own = [row.fastest] if several else []
    return [
        row.label,
        *own,
        row.against_baseline,
        row.against_best_other,
        row.smallest_lead,
        row.of_limit,
        row.otherwise,
    ]


def explained(answers: Sequence[SettingAnswer]) -> str:
    """What the numbers of the table are."""
    _, shared = answer_labels(answers)
    sizes = {len(answer.workloads) for answer in answers}
    number = f"{min(sizes)}" if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)}"
    counted = "on the workload of a row" if sizes == {1} else f"geometric mean over the {number} workloads of a row"
    return (
        f"Times as fast: {counted}, with the 95 % interval. All: {shared}. The best other is whichever is fastest on "
        "each workload. ≈ is too close to call. The limit is the least time that this machine allows (median)."
    )


def _exceptions(answers: Sequence[SettingAnswer]) -> list[str]:
    found = exceptions(answers, code)
    if not found:
        return []
    left = len(found) - MOST_EXCEPTIONS
    lines = [f"- {line}" for line in found[:MOST_EXCEPTIONS]]
    lines += [f"- and {left} more, in `ratios.csv`"] if left > 0 else []
    return ["Where it is not surely the fastest:\n\n" + "\n".join(lines)]
