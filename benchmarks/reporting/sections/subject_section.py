"""The section on an implementation that was asked for: a row a setting against the best of all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmarks.presentation.plain_text import NOTHING, code, listed, table, times
from benchmarks.reporting.answers.ranking import Ranking
from benchmarks.reporting.answers.setting_labels import setting_labels
from benchmarks.reporting.answers.slices import short_name
from benchmarks.reporting.words.answer_words import ratio


def subject_section(found: Sequence[Ranking]) -> str:
    """A row a setting: the mean ratio, on how many workloads it is the fastest and slower, and the least ratio."""
    if not found:
        return ""
    labels, _ = setting_labels([(each.run, each.setting, each.mode) for each in found])
    header = [
        "",
        "workloads",
        "against the best other",
        "at the limit",
        "surely the fastest",
        "tied",
        "slower",
        "least",
    ]
    header += ["the best other", "no time"]
    return table(header, [[label, *_cells(ranking)] for label, ranking in zip(labels, found, strict=True)])


def _cells(ranking: Ranking) -> list[str]:
    number, ahead, behind = len(ranking.compared), len(ranking.ahead), len(ranking.behind)
    least = ranking.compared[0]
    peers = Counter(each.peer.case.implementation for each in ranking.compared).most_common()
    missing = Counter(status.replace("_", " ") for _, status in ranking.missing)
    return [
        str(number),
        ratio(ranking.mean),
        NOTHING if ranking.allowed is None else times(ranking.allowed),
        *(str(ahead), str(number - ahead - behind), str(behind)),
        f"{ratio(least.ratio)} {short_name(least.workload)}",
        listed([f"{code(name)} on {count}" for name, count in peers]),
        listed([f"{status} on {count}" for status, count in missing.items()]) if missing else NOTHING,
    ]
