"""Sequences of unequal lengths, in words: what a valid step costs in each implementation, and what buckets give.

An implementation is surely the fastest of a batch where the interval of every other against it lies above 1. Without an
interval nothing is known yet. Means of ratios are geometric, and their intervals those of the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from benchmarks.presentation.plain_text import NOTHING, code, count, listed, seconds, share
from benchmarks.reporting.answers.findings import CELL_LABELS, against_fastest, mean_of, too_close
from benchmarks.reporting.sections.limited_table import cut
from benchmarks.reporting.topics.lengths import LengthsCase
from benchmarks.reporting.words.answer_words import ratio, with_interval
from benchmarks.runs.pooling import contenders
from benchmarks.sequence_lengths import BUCKETS
from benchmarks.statistics import Estimate
from benchmarks.workload import Workload

_RULE = (
    "A batch is padded to its longest sequence. A **valid** step is one that its sequence has; “per valid step” is the "
    "time of a call over these, “per padded step” over all steps of the padded array. “Over equal lengths” is the time "
    "per valid step over the implementation's own time per step where all sequences have T steps: 1 where padding is "
    "free, and the padded steps over the valid ones where all of them are computed. “In buckets” is what a call "
    f"would take, about, if sequences were batched by length, from {BUCKETS} batches of such sequences: the time at "
    "equal lengths, less the padding that is saved."
)


def lengths_section(cases: Sequence[LengthsCase]) -> str:
    """What padding costs each implementation, and who is fastest; empty where no lengths were unequal."""
    if not cases:
        return ""
    header = ["run", "network", "lengths", "valid", "implementation", "a call", "per valid step", "per padded step"]
    header += ["over equal lengths", "in buckets"]
    rows = []
    for case in cases:
        cost, buckets = case.cost, case.bucketed
        rows.append(
            [
                *(code(case.run), _network(case.plain), case.lengths, share(case.valid_share)),
                *(code(case.implementation), seconds(case.time.median)),
                *(seconds(case.per_valid_step), seconds(case.per_padded_step)),
                NOTHING if cost is None else with_interval(cost),
                NOTHING if buckets is None else seconds(buckets.median),
            ]
        )
    return "\n\n".join((_answer(cases), _RULE, cut((case.run for case in cases), header, rows)))


class _Batch(NamedTuple):
    """One batch as two or more contenders computed it: the fastest by its median, and how far behind others are."""

    fastest: str
    behind: dict[str, Estimate]
    """The time of each other over that of the fastest, in the order of the times."""

    @property
    def known(self) -> bool:
        """Whether every ratio has an interval."""
        return not any(math.isnan(each.low) for each in self.behind.values())

    @property
    def possible(self) -> list[str]:
        """The fastest, and those that are too close to it to call."""
        return [self.fastest, *(name for name, each in self.behind.items() if too_close(each.low))]


def _batches(cases: Iterable[LengthsCase]) -> list[_Batch]:
    groups: dict[tuple[str, str], dict[str, LengthsCase]] = {}
    for case in cases:
        groups.setdefault((case.run, case.workload.id), {})[case.implementation] = case
    compared = (contenders({name: case.pooled for name, case in group.items()}) for group in groups.values())
    return [_Batch(*against_fastest(of_batch)) for of_batch in compared if len(of_batch) > 1]


def _answer(cases: Sequence[LengthsCase]) -> str:
    """A line an implementation: how often it is the fastest, what a valid step costs, and what buckets give."""
    batches = _batches(cases)
    said = []
    for name in dict.fromkeys(case.implementation for case in cases):
        of_name = [case for case in cases if case.implementation == name]
        parts = [_place(name, batches), _cost(of_name), _buckets(of_name)]
        if any(parts):
            said.append(f"- {code(name)}: {'; '.join(part for part in parts if part)}.")
    return "\n".join(said)


def _place(name: str, batches: Sequence[_Batch]) -> str:
    """A clause on one implementation: on how many batches it is the fastest, and its mean ratio to the best other."""
    compared = [each for each in batches if name == each.fastest or name in each.behind]
    if not compared:
        return ""
    known = [each for each in compared if each.known]
    sure = sum(each.possible == [name] for each in known)
    tied = sum(name in each.possible and len(each.possible) > 1 for each in known)
    parts = [f"surely the fastest of {sure} of {len(compared)} batch{'' if len(compared) == 1 else 'es'}"]
    parts += [f"tied on {tied}"] if tied else []
    unknown = len(compared) - len(known)
    parts += [f"not yet known on {unknown}, of too few blocks for an interval"] if unknown else []
    if sure == tied == 0 and known:
        behind = mean_of([each.behind[name] for each in known])
        return f"{listed(parts)}, and takes {ratio(behind)} as long as the fastest"
    ahead = [next(iter(each.behind.values())) for each in known if each.fastest == name]
    if not ahead:
        return listed(parts)
    return f"{listed(parts)}; where its time is the least, the next takes {ratio(mean_of(ahead))} as long"


def _cost(of_name: Iterable[LengthsCase]) -> str:
    """The least and the largest cost of a valid step."""
    costs = sorted((case.cost for case in of_name if case.cost is not None), key=lambda cost: cost.median)
    if not costs:
        return ""
    shown = dict.fromkeys((with_interval(costs[0]), with_interval(costs[-1])))
    return f"a valid step takes {' to '.join(shown)} of its time at equal lengths"


def _buckets(of_name: Sequence[LengthsCase]) -> str:
    """How many batches would surely be faster in buckets, and the largest gain."""
    gains = [case.gain_of_buckets for case in of_name]
    sure = [gain for gain in gains if gain is not None and not too_close(gain.low)]
    if not sure:
        return ""
    most = max(sure, key=lambda gain: gain.median)
    return f"batching by length would surely make {len(sure)} of {len(of_name)} faster, up to {ratio(most)}"


def _network(workload: Workload) -> str:
    cell = CELL_LABELS.get(workload.cell, workload.cell)
    threads = count(workload.threads, "thread")
    return f"{cell}, T {workload.T}, B {workload.B}, H {workload.H}, {workload.mode}, {threads}"
