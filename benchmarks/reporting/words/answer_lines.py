"""The answer on a terminal: the sentence, a row a setting, the cautions; at any width from 60 without a cut name."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.presentation.lines import command_lines
from benchmarks.reporting.answers.setting_answers import SettingAnswer
from benchmarks.reporting.words.answer_words import UNKNOWN, AnswerRow, headline, plain, rows, short_ratio
from benchmarks.reporting.words.cautions import LONGER
from benchmarks.runs.pooling import BASELINE
from rnnimpl.text_table import Column, text_table
from rnnimpl.wrapping import wrapped

MOST_ROWS = 12
"""Settings that are shown; the report has the rest."""


def answer_lines(
    answers: Sequence[SettingAnswer], cautions: Sequence[str], width: int, resumes: Sequence[str] = ()
) -> list[str]:
    """The lines that end a sweep: what to use, its leads in each setting, and what to be careful of.

    `resumes` are commands that measure longer, for the caution.
    """
    lines = wrapped(" ".join(headline(answers, plain)), width)
    if any(answer.leads for answer in answers):
        lines += _table(answers, width)
    for caution in cautions:
        lines += wrapped(caution, width, first="! ", rest="  ")
    if resumes:
        lines += [f"  {LONGER}"]
    for command in resumes:
        lines += command_lines(command, width, indent=4)
    return lines


def _table(answers: Sequence[SettingAnswer], width: int) -> list[str]:
    shown = list(zip(answers, rows(answers, plain), strict=True))[:MOST_ROWS]
    several = len({row.fastest for _, row in shown}) > 1
    columns = [Column("", [row.label for _, row in shown])]
    columns += [Column("fastest", [row.fastest for _, row in shown])] if several else []
    columns += [
        Column(f"vs {BASELINE}", [_against(answer, row) for answer, row in shown], right=True, dropped=3),
        Column("vs best other", [_best_other(answer, row) for answer, row in shown], right=True, dropped=2),
        Column("of limit", [row.of_limit for _, row in shown], right=True, dropped=1),
        Column("if not", [_instead(answer, row) for answer, row in shown]),
    ]
    left = len(answers) - len(shown)
    return [*text_table(columns, width, indent=2), *([f"  and {left} more settings in the report"] if left else [])]


def _best_other(answer: SettingAnswer, row: AnswerRow) -> str:
    return UNKNOWN if row.fastest == UNKNOWN else short_ratio(answer.against_best_other)


def _against(answer: SettingAnswer, row: AnswerRow) -> str:
    if row.fastest == UNKNOWN:
        return UNKNOWN
    return short_ratio(None if answer.baseline == answer.fastest else answer.against_baseline)


def _instead(answer: SettingAnswer, row: AnswerRow) -> str:
    """The alternative's name alone: the report says where another is better than it."""
    if answer.alternative is None or row.otherwise == UNKNOWN:
        return row.otherwise
    return answer.alternative.fastest
