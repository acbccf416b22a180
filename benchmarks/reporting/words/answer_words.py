"""The answer in words: the sentence that says what to use, and a table with a row a setting.

The report, the terminal and README's block have the same words; only names are marked as each of them marks code.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from benchmarks.presentation.plain_text import NOTHING, count, interval, listed, share, times
from benchmarks.reporting.answers.setting_answers import Exceptional, SettingAnswer
from benchmarks.reporting.answers.setting_labels import setting_labels
from benchmarks.reporting.answers.slices import short_name
from benchmarks.statistics import Estimate

Mark = Callable[[str], str]
"""Marks a name: as code in Markdown, not at all on a terminal."""

UNKNOWN = "not yet known"
"""Stands for a ratio without an interval: it would be a number from noise."""
_MOST_LABELS = 3
_MOST_NAMES = 2
_MOST_TIED = 3
_MUCH_NEARER = 0.05
"""The least difference between two shares of the limit that is told."""


def plain(name: str) -> str:
    """The name unmarked, for a terminal."""
    return name


@dataclasses.dataclass(frozen=True)
class AnswerRow:
    """One setting's row in the table of the answer, as text."""

    label: str
    fastest: str
    against_baseline: str
    against_best_other: str
    smallest_lead: str
    of_limit: str
    otherwise: str
    """What to use without the fastest."""


def answer_labels(answers: Sequence[SettingAnswer]) -> tuple[list[str], str]:
    """A label for each answer and what they share, as `setting_labels` has them."""
    return setting_labels([(answer.run, answer.setting, answer.mode) for answer in answers])


def headline(answers: Sequence[SettingAnswer], mark: Mark) -> list[str]:
    """The answer in at most four sentences: what to use, on how many workloads, the smallest lead, what is unknown."""
    if not answers:
        return ["Nothing was measured."]
    compared = [answer for answer in answers if answer.leads]
    if not compared:
        names = listed([mark(name) for name in dict.fromkeys(answer.fastest for answer in answers)])
        return [f"There is no comparison: only {names} was measured."]
    known = [answer for answer in compared if answer.known]
    unknown = [answer for answer in compared if not answer.known]
    labels, _ = answer_labels(answers)
    by_answer = dict(zip(map(id, answers), labels, strict=True))
    said = []
    if known:
        of_known = " that can be compared" if unknown else ""
        said = [_use(known, by_answer, mark), _counts(known, of_known), _smallest(known, by_answer, mark)]
    if unknown:
        where = "" if not known else f" for {_which([by_answer[id(answer)] for answer in unknown], len(answers))}"
        said.append(f"The fastest is {UNKNOWN}{where}: too few blocks were measured for an interval.")
    return said


def _use(answers: Sequence[SettingAnswer], labels: dict[int, str], mark: Mark) -> str:
    by_choice: dict[tuple[str, ...], list[str]] = {}
    for answer in answers:
        by_choice.setdefault((answer.fastest, *answer.close), []).append(labels[id(answer)])
    ordered = sorted(by_choice.items(), key=lambda item: -len(item[1]))
    # One choice stands for all settings, unless the fastest of some is not known.
    several = len(ordered) > 1 or len(answers) < len(labels)
    parts = []
    for names, where in ordered:
        choice = mark(names[0]) if len(names) == 1 else f"{listed([mark(name) for name in names], 'or')}"
        tied = ", too close to call," if len(names) > 1 and several else ""
        parts.append(choice + (f"{tied} for {_which(where, len(labels))}" if several else ""))
    only = ordered[0][0]
    if not several and len(only) > 1:
        return f"Too close to call between {listed([mark(name) for name in only])}."
    return f"Use {'; '.join(parts)}."


def _which(labels: Sequence[str], of: int) -> str:
    if len(labels) <= _MOST_LABELS:
        return listed([f"“{label}”" for label in labels]) if len(labels) > 1 else labels[0]
    return f"{len(labels)} of {of} settings"


def _counts(answers: Sequence[SettingAnswer], which: str) -> str:
    """On how many workloads the fastest of each setting is surely so, tied, beaten; `which` says which they are."""
    workloads = sum(len(answer.workloads) for answer in answers)
    sure = sum(len(answer.sure) for answer in answers)
    tied, beaten = sum(answer.tied for answer in answers), sum(answer.beaten for answer in answers)
    several = len({answer.fastest for answer in answers}) > 1
    subject = "Each is" if several else "It is"
    if workloads == 1:
        return f"{subject} {'surely the fastest' if sure else 'tied'} on the only workload{which}."
    if sure == workloads:
        return f"{subject} surely the fastest on all {workloads} workloads{which}."
    parts = [f"surely the fastest on {sure} of {count(workloads, 'workload')}{which}"]
    parts += [f"tied on {tied}"] if tied else []
    parts += [f"slower than another on {beaten}"] if beaten else []
    return f"{subject} {listed(parts)}."


def _smallest(answers: Sequence[SettingAnswer], labels: dict[int, str], mark: Mark) -> str:
    answer, least = min(((answer, answer.leads[0]) for answer in answers), key=lambda each: each[1].ratio.median)
    place = f"{labels[id(answer)]}, {short_name(least.workload)}"
    other = mark(least.peer.case.implementation)
    if least.ratio.median < 1:
        return f"At the least it is {ratio(least.ratio)} as fast as {other}: {place}."
    return f"The smallest lead is {ratio(least.ratio)}, over {other}: {place}."


def ratio(value: Estimate | None) -> str:
    """A ratio with its interval; `not yet known` without one, a dash where there is no ratio."""
    if value is None:
        return NOTHING
    return UNKNOWN if math.isnan(value.low) else with_interval(value)


def with_interval(value: Estimate) -> str:
    """A ratio with its interval; with the words that there is none where it has none."""
    return f"{times(value.median)} ({interval(value.low, value.high)})"


def short_ratio(value: Estimate | None) -> str:
    """A ratio without its interval; `not yet known` where there is none, a dash where there is no ratio."""
    if value is None:
        return NOTHING
    return UNKNOWN if math.isnan(value.low) else times(value.median)


def rows(answers: Sequence[SettingAnswer], mark: Mark) -> list[AnswerRow]:
    """A row a setting, in the order of the answers."""
    labels, _ = answer_labels(answers)
    return [_row(answer, label, mark) for answer, label in zip(answers, labels, strict=True)]


def _row(answer: SettingAnswer, label: str, mark: Mark) -> AnswerRow:
    if _is_unknown(answer):
        # No number of the one that happens to be the first.
        return AnswerRow(label, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, NOTHING, UNKNOWN)
    against = None if answer.baseline == answer.fastest else answer.against_baseline
    return AnswerRow(
        label,
        _fastest(answer, mark),
        ratio(against),
        ratio(answer.against_best_other),
        _smallest_lead(answer, mark),
        share(answer.limit.share) if answer.limit else NOTHING,
        otherwise(answer, mark),
    )


def _smallest_lead(answer: SettingAnswer, mark: Mark) -> str:
    """A ratio and whom it is over."""
    least = answer.smallest_lead
    if least is None:
        return NOTHING
    return f"{short_ratio(least.ratio)} {mark(least.peer.case.implementation)}"


def _is_unknown(answer: SettingAnswer) -> bool:
    """Whether a lead of the answer has no interval: which is the fastest would be told from noise."""
    return bool(answer.leads) and not answer.known


def _fastest(answer: SettingAnswer, mark: Mark) -> str:
    """The fastest of a row with one that is too close to call, and how many more are."""
    names = [mark(name) for name in (answer.fastest, *answer.close)]
    more = f" + {len(names) - _MOST_NAMES}" if len(names) > _MOST_NAMES else ""
    return " ≈ ".join(names[:_MOST_NAMES]) + more


def otherwise(answer: SettingAnswer, mark: Mark) -> str:
    """What to use without the fastest: the fastest of the rest, and what is surely faster than that where."""
    other = answer.alternative
    if other is None:
        return NOTHING
    if _is_unknown(other):
        return UNKNOWN
    said = " ≈ ".join(map(mark, (other.fastest, *other.close)))
    if other.baseline != other.fastest and other.against_baseline and not math.isnan(other.against_baseline.low):
        said += f" {times(other.against_baseline.median)}"
    faster = [each for each in other.exceptions if not each.tied]
    return "; ".join([said, *(f"{mark(each.names[0])} {each.where}" for each in faster)])


def shares_of_the_limit(answers: Sequence[SettingAnswer]) -> str:
    """A sentence where the fastest samples are much nearer to the limit than the median; otherwise nothing."""
    limits = [answer.limit for answer in answers if answer.limit]
    if not limits or statistics.median(limit.fast_share - limit.share for limit in limits) < _MUCH_NEARER:
        return ""
    typical, fast = _range(limit.share for limit in limits), _range(limit.fast_share for limit in limits)
    return (
        f"By its median time the fastest reaches {typical} of the limit, and {fast} in the fastest tenth of its "
        "samples: noise makes the difference."
    )


def _range(shares: Iterable[float]) -> str:
    """The least and the largest in percent, one of them where they are alike: 38 % to 66 %."""
    ordered = sorted(shares)
    return " to ".join(dict.fromkeys((share(ordered[0]), share(ordered[-1]))))


def exceptions(answers: Sequence[SettingAnswer], mark: Mark) -> list[str]:
    """A line for each region in which the fastest of its setting is not surely the fastest."""
    labels, _ = answer_labels(answers)
    found = []
    for answer, label in zip(answers, labels, strict=True):
        if answer.leads:
            found += [f"{label}: {_exception(each, mark)}" for each in answer.exceptions]
    return found


def _exception(each: Exceptional, mark: Mark) -> str:
    shown = [mark(name) for name in each.names[:_MOST_TIED]]
    more = [f"{len(each.names) - _MOST_TIED} more"] if len(each.names) > _MOST_TIED else []
    names = listed([*shown, *more], "or")
    return f"tied with {names} {each.where}" if each.tied else f"{names} is faster {each.where}"
