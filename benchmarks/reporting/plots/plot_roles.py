"""Colour as a role in plots of a report: the answer, the runner-up, the baseline; all others are grey."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmarks.presentation.plot_style import MUTED, Style
from benchmarks.reporting.answers.setting_answers import SettingAnswer
from benchmarks.reporting.answers.slices import Panel
from benchmarks.runs.pooling import BASELINE

ANSWER = Style("#C1440E", "o", width=2.6)
RUNNER_UP = Style("#0072B2", "s", width=2.0)
THE_BASELINE = Style("#222222", "D", width=2.0)
OTHERS = Style("#9A9A9A", "o", width=1.1)


def panel_styles(panel: Panel, answers: Iterable[SettingAnswer], subject: str | None = None) -> Mapping[str, Style]:
    """{implementation: style} of a panel by the answer in its mode and setting.

    `subject` has the answer's colour where it is given. The runner-up is the alternative to the answer. Where
    nothing was compared, or the fastest is not known, neither has a colour.
    """
    names = dict.fromkeys(map(str, panel.rows["implementation"]))
    styles = dict.fromkeys(names, OTHERS)
    styles[BASELINE] = THE_BASELINE
    for answer in answers:
        if (answer.run, answer.setting, answer.mode) == (panel.run, panel.setting, panel.mode):
            second = answer.alternative.fastest if answer.alternative and answer.known else None
            if second not in (None, BASELINE):
                styles[str(second)] = RUNNER_UP
            if subject or answer.known:
                styles[subject or answer.fastest] = ANSWER
    return styles


def emphasis(style: Style) -> int:
    """The order in which implementations are drawn, the answer last: 0 of the others to 3."""
    order = {OTHERS.colour: 0, THE_BASELINE.colour: 1, RUNNER_UP.colour: 2, ANSWER.colour: 3}
    return order.get(style.colour, 0)


def text_colour(style: Style) -> str:
    """The colour of a name: that of its role, but dark enough to read."""
    return MUTED if style is OTHERS else style.colour
