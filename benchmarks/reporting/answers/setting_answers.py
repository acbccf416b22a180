"""The answer of a run as data: in each mode of each setting who is fastest, by how much, where not, and what else.

The report, the terminal and the page show these numbers and no others.

Rules:

- The fastest over several workloads is that of `findings.find_winner`: the least geometric mean of times on the
  workloads that most implementations share.
- Its lead on a workload is over the best of the others there. It is surely the fastest on a workload where the interval
  of every other against it lies above 1, and tied where that of one does not and it is not surely slower than any.
- Means of ratios are geometric, and their intervals those of the bounds.
- Without an interval nothing is known yet.
- The alternative is the answer without the source of the fastest.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from benchmarks.limits.bounds import LIMIT_NAMES, share_of_attainable, what_bounds
from benchmarks.reporting.answers.findings import (
    Setting,
    contenders_without,
    find_winner,
    mean_of,
    mean_of_known,
    members,
    settings,
    too_close,
)
from benchmarks.reporting.answers.ranking import Comparison, rank
from benchmarks.reporting.answers.size_words import where
from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import PooledCase, time_ratio
from benchmarks.statistics import Estimate
from benchmarks.workload import Mode, Workload


@dataclasses.dataclass(frozen=True)
class Exceptional:
    """Workloads on which the fastest overall is not surely the fastest."""

    names: tuple[str, ...]
    """The one that is faster there; or those that are too close to call, the most frequent first."""
    tied: bool
    """Whether it is too close to call; otherwise `names` has the one that is surely faster."""
    workloads: tuple[Workload, ...]
    where: str
    """The workloads in words that follow a name, as `size_words.where` gives them."""


@dataclasses.dataclass(frozen=True)
class Limit:
    """How near the fastest comes to the limit of the machine, over the workloads whose limit is known."""

    share: float
    """The median over workloads of the least possible time over the measured one."""
    lowest: float
    highest: float
    fast_share: float
    """The median over workloads of the least possible time over the tenth percentile of the samples. It is far above
    `share` where the machine was slower most of the time."""
    bound_by: str
    """What binds most of the workloads."""
    lead_allowed: float | None
    """The mean lead over the best of the others at the limit; None where that of a workload is unknown."""
    fast_lead_allowed: float | None
    """The mean lead at the limit over the tenth percentile of the best other's samples; None where one is unknown."""


@dataclasses.dataclass(frozen=True)
class SettingAnswer:
    """The answer in one mode of one setting of one run."""

    run: str
    setting: Setting
    mode: Mode
    workloads: tuple[Workload, ...]
    """The workloads on which implementations were compared."""
    fastest: str
    close: tuple[str, ...]
    """The implementations that are too close to call over all workloads, the nearest first."""
    baseline: str | None
    against_baseline: Estimate | None
    """Mean ratio of the baseline's time over the fastest's; None where the baseline was not measured throughout."""
    leads: tuple[Comparison, ...]
    """The fastest against the best of the others on each workload, the smallest lead first; empty without others."""
    sure: tuple[Workload, ...]
    """The workloads on which it is surely the fastest."""
    exceptions: tuple[Exceptional, ...]
    """The rest of the workloads; those on which another is surely faster come first."""
    limit: Limit | None
    alternative: SettingAnswer | None
    """The answer without the fastest; None when nothing else was measured, and in an alternative."""

    @property
    def against_best_other(self) -> Estimate | None:
        """Mean lead over the best of the others on each workload; None without others."""
        return mean_of([each.ratio for each in self.leads]) if self.leads else None

    @property
    def smallest_lead(self) -> Comparison | None:
        """The comparison with the smallest lead; None without others."""
        return self.leads[0] if self.leads else None

    @property
    def known(self) -> bool:
        """Whether every lead has an interval."""
        return bool(self.leads) and not any(math.isnan(each.ratio.low) for each in self.leads)

    @property
    def tied(self) -> int:
        """The number of workloads that are too close to call."""
        return sum(len(each.workloads) for each in self.exceptions if each.tied)

    @property
    def beaten(self) -> int:
        """The number of workloads on which another is surely faster."""
        return sum(len(each.workloads) for each in self.exceptions if not each.tied)


def setting_answers(run: LoadedRun, without: Collection[str] = frozenset()) -> list[SettingAnswer]:
    """The answer in each mode of each setting in which something was measured, in the order of `findings.settings`.

    Implementations named in `without` are set aside: the answers are those of a run without them, but for the baseline
    of `against_baseline`, which stays.
    """
    found = (_answer(run, setting, mode, frozenset(without)) for setting, mode in settings(run))
    return [answer for answer in found if answer is not None]


def _answer(
    run: LoadedRun, setting: Setting, mode: Mode, without: frozenset[str], *, first: bool = True
) -> SettingAnswer | None:
    shared, winner = find_winner(run, members(run, setting, mode), without)
    if winner is None:
        return None
    ranking = rank(run, setting, mode, winner.fastest, without)
    leads = tuple(each for each in ranking.compared if each.workload in set(shared)) if ranking else ()
    sure, exceptions = _exceptions(run, winner.fastest, shared, without)
    alternative = None
    if first:
        source = run.workloads[shared[0]][winner.fastest].source
        copies = {case.case.implementation for case in run.cases.values() if case.source == source}
        alternative = _answer(run, setting, mode, without | copies, first=False)
    return SettingAnswer(
        run.label,
        setting,
        mode,
        shared,
        winner.fastest,
        winner.close,
        winner.baseline,
        winner.speedup,
        leads,
        sure,
        exceptions,
        _limit(run, winner.fastest, shared, leads),
        alternative,
    )


def _exceptions(
    run: LoadedRun, fastest: str, shared: Sequence[Workload], without: frozenset[str]
) -> tuple[tuple[Workload, ...], tuple[Exceptional, ...]]:
    """The workloads on which the fastest overall is surely the fastest, and the others."""
    sure: list[Workload] = []
    faster: dict[str, list[Workload]] = {}
    tied: dict[Workload, list[str]] = {}
    for workload in shared:
        cases = contenders_without(run, workload, without)
        first = min(cases.values(), key=_seconds)
        close = [name for name, case in cases.items() if case is not first and too_close(time_ratio(case, first).low)]
        together = {first.case.implementation, *close}
        if fastest not in together:
            faster.setdefault(first.case.implementation, []).append(workload)
        elif len(together) > 1:
            tied[workload] = sorted(together - {fastest})
        else:
            sure.append(workload)
    found = [
        Exceptional((name,), tied=False, workloads=tuple(on), where=where(on, shared))
        for name, on in sorted(faster.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    if tied:
        counts: dict[str, int] = {}
        for name in itertools.chain.from_iterable(tied.values()):
            counts[name] = counts.get(name, 0) + 1
        names = tuple(sorted(counts, key=lambda name: (-counts[name], name)))
        found.append(Exceptional(names, tied=True, workloads=tuple(tied), where=where(tuple(tied), shared)))
    return tuple(sure), tuple(found)


def _limit(run: LoadedRun, name: str, shared: Iterable[Workload], leads: Sequence[Comparison]) -> Limit | None:
    shares: list[float] = []
    fast_shares: list[float] = []
    binding: list[str] = []
    for workload in shared:
        bound = run.bounds[workload]
        if bound is not None:
            case = run.workloads[workload][name]
            seconds = _seconds(case)
            shares.append(share_of_attainable(seconds, bound))
            fast_shares.append(share_of_attainable(case.fast_seconds, bound))
            binding.append(LIMIT_NAMES[what_bounds(seconds, bound)])
    if not shares:
        return None
    return Limit(
        statistics.median(shares),
        min(shares),
        max(shares),
        statistics.median(fast_shares),
        max(dict.fromkeys(binding), key=binding.count),
        mean_of_known([each.allowed for each in leads]),
        mean_of_known([each.fast_allowed for each in leads]),
    )


def _seconds(case: PooledCase) -> float:
    assert case.estimate is not None
    return case.estimate.median


ANSWER_COLUMNS = (
    *(
        "run",
        "cell",
        "device",
        "dtype",
        "precision",
        "threads",
        "conditions",
        "mode",
        "workloads",
        "fastest",
        "sure",
        "tied",
    ),
    *("beaten", "baseline", "against_baseline", "against_baseline_low", "against_baseline_high"),
    *("against_best_other", "against_best_other_low", "against_best_other_high"),
    *("smallest_lead", "smallest_lead_low", "smallest_lead_high", "smallest_lead_workload", "smallest_lead_over"),
    *("share_of_limit", "lowest_share", "highest_share", "fast_share"),
    *("bound_by", "lead_allowed", "fast_lead_allowed"),
    *("alternative", "alternative_against_baseline"),
)
_TEXTS = ("run", "cell", "device", "dtype", "precision", "conditions", "mode", "fastest", "baseline")
_TEXTS_TOO = ("smallest_lead_workload", "smallest_lead_over", "bound_by", "alternative")


def answers_frame(answers: Iterable[SettingAnswer]) -> pd.DataFrame:
    """A row for each answer, columns as `ANSWER_COLUMNS`: the rows of `answer.csv`."""
    frame = pd.DataFrame([_row(answer) for answer in answers], columns=list(ANSWER_COLUMNS))
    return frame.astype(dict.fromkeys((*_TEXTS, *_TEXTS_TOO), "str"))


def _row(answer: SettingAnswer) -> dict[str, object]:
    least, other = answer.smallest_lead, answer.alternative
    row: dict[str, object] = {"run": answer.run, "mode": answer.mode, "workloads": len(answer.workloads)}
    row |= answer.setting._asdict()
    row |= {name: getattr(answer, name) for name in ("fastest", "tied", "beaten", "baseline")}
    row["sure"] = len(answer.sure)
    row |= _bounds("against_baseline", answer.against_baseline)
    row |= _bounds("against_best_other", answer.against_best_other)
    row |= _bounds("smallest_lead", least.ratio if least else None)
    if least is not None:
        row |= {"smallest_lead_workload": least.workload.id, "smallest_lead_over": least.peer.case.implementation}
    if answer.limit is not None:
        limit = answer.limit
        row |= {"share_of_limit": limit.share, "lowest_share": limit.lowest, "highest_share": limit.highest}
        row |= {name: getattr(limit, name) for name in ("fast_share", "bound_by", "lead_allowed", "fast_lead_allowed")}
    if other is not None:
        row |= {"alternative": other.fastest}
        row |= {"alternative_against_baseline": other.against_baseline.median if other.against_baseline else None}
    return row


def _bounds(name: str, ratio: Estimate | None) -> dict[str, float]:
    if ratio is None:
        return {}
    return {name: ratio.median, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
