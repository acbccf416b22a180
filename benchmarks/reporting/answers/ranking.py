"""One implementation ranked against the best of all others, workload by workload: by how much, and how surely.

Rules:

- The subject is the one asked for, else the fastest over all workloads of a mode and setting.
- On each workload the peer is the fastest of all that have another source than the subject. It is selected by the times
  that it is compared by, so its luck is selected with it, and a ratio is too low rather than too high.
- A wrong or failed case has no time. Among the others it does not count; where it is the subject's, the workload is
  listed as missing, and is in no mean.
- It is ahead where the intervals of all others lie above 1, and not that of the best alone; behind where the best
  other's lies below 1. So the counts are those of the answer.
- The mean is the geometric mean of ratios, its interval that of the bounds, which is wider than it need be.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd

from benchmarks.counts import flops
from benchmarks.limits.bounds import blas_seconds, peak_flops
from benchmarks.reporting.answers.findings import (
    Setting,
    contenders_without,
    find_winner,
    mean_of,
    mean_of_known,
    members,
    settings,
)
from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import PooledCase, time_ratio
from benchmarks.statistics import Estimate
from benchmarks.trial import Status
from benchmarks.workload import Mode, Workload

LARGE = {"B": 32, "H": 512}
"""The sizes from which on the rate of products is the goal."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The subject and the best of the others on one workload, both measured."""

    workload: Workload
    subject: PooledCase
    peer: PooledCase
    ratio: Estimate
    """The peer's time over the subject's."""
    sure: bool
    """Whether the subject is surely faster than every other. One with a wider interval than the peer's may be tied."""
    allowed: float | None
    """The ratio at the machine's limit: the peer's time over the workload's bound; None when unknown."""
    fast_allowed: float | None
    """The tenth percentile of the peer's samples over the workload's bound; None when unknown."""
    share_of_gemm: float | None
    """The subject's rate over that of the workload's products, each a call of the library that is fastest at its shape
    in this run; None when a shape was not measured."""
    share_of_peak: float | None
    """The subject's rate over that of the fastest product of any shape in this run; None when none was measured."""

    @property
    def flops_per_second(self) -> float:
        """Operations of the subject's matrix products in a second."""
        return flops(self.workload) / _seconds(self.subject)

    @property
    def large(self) -> bool:
        """Whether batch and hidden size are at least those of `LARGE`."""
        return all(getattr(self.workload, letter) >= size for letter, size in LARGE.items())


@dataclasses.dataclass(frozen=True)
class Ranking:
    """The ranking of one implementation against the best of the others, in one mode of one setting of one run."""

    run: str
    setting: Setting
    mode: Mode
    subject: str
    compared: tuple[Comparison, ...]
    """The least ratio first."""
    missing: tuple[tuple[Workload, Status], ...]
    """Workloads on which others have a time and the subject has none, with its status."""
    wrong: tuple[PooledCase, ...]
    """The cases of others that are wrong, and so have no time."""

    @property
    def mean(self) -> Estimate:
        """The geometric mean of the ratios."""
        return mean_of([each.ratio for each in self.compared])

    @property
    def allowed(self) -> float | None:
        """The mean of the ratios at the machine's limit; None when that of a workload is unknown."""
        return mean_of_known([each.allowed for each in self.compared])

    @property
    def ahead(self) -> tuple[Comparison, ...]:
        """Comparisons in which the subject is surely faster than all others."""
        return tuple(each for each in self.compared if each.sure)

    @property
    def behind(self) -> tuple[Comparison, ...]:
        """Comparisons in which the subject is surely slower than the best of the others."""
        return tuple(each for each in self.compared if each.ratio.high < 1)


def rankings(runs: Iterable[LoadedRun], subject: str | None = None) -> list[Ranking]:
    """The ranking in each setting and mode of each run in which something can be compared.

    Raises ValueError when `subject` is no name in any of the runs.
    """
    runs = tuple(runs)
    names = {case.implementation for run in runs for case in run.cases}
    if subject is not None and subject not in names:
        raise ValueError(f"subject is {subject!r}; expected an implementation of the run: {', '.join(sorted(names))}")
    found = (rank(run, setting, mode, subject) for run in runs for setting, mode in settings(run))
    return [ranking for ranking in found if ranking is not None]


def rank(
    run: LoadedRun, setting: Setting, mode: Mode, subject: str | None = None, without: Collection[str] = frozenset()
) -> Ranking | None:
    """The ranking in one mode of one setting; None where nothing can be compared.

    Implementations named in `without` are not among the others.
    """
    of_mode = members(run, setting, mode)
    if subject is None:
        _, winner = find_winner(run, of_mode, without)
        subject = winner.fastest if winner else None
    compared: list[Comparison] = []
    missing: list[tuple[Workload, Status]] = []
    wrong: list[PooledCase] = []
    for workload in of_mode:
        cases = run.workloads[workload]
        ours = cases.get(subject or "")
        if ours is None:
            continue
        others = [case for case in contenders_without(run, workload, without).values() if case.source != ours.source]
        wrong += [case for case in cases.values() if case.status == "wrong" and case.source != ours.source]
        peer = min(others, key=_seconds, default=None)
        if not ours.measured and peer is not None:
            missing.append((workload, ours.status))
        elif peer is not None:
            sure = all(time_ratio(other, ours).low > 1 for other in others)
            compared.append(_compare(run, workload, ours, peer, sure))
    if subject is None or not compared:
        return None
    compared.sort(key=lambda each: each.ratio.median)
    return Ranking(run.label, setting, mode, subject, tuple(compared), tuple(missing), tuple(wrong))


def _compare(run: LoadedRun, workload: Workload, subject: PooledCase, peer: PooledCase, sure: bool) -> Comparison:
    seconds, limit = _seconds(subject), run.bounds[workload]
    of_workload = run.peaks_of(workload)
    products, peak = blas_seconds(workload, of_workload), peak_flops(workload, of_workload)
    return Comparison(
        workload,
        subject,
        peer,
        time_ratio(peer, subject),
        sure,
        allowed=None if limit is None else _seconds(peer) / limit.attainable_seconds,
        fast_allowed=None if limit is None else peer.fast_seconds / limit.attainable_seconds,
        share_of_gemm=None if products is None else products / seconds,
        share_of_peak=None if peak is None else flops(workload) / seconds / peak,
    )


def _seconds(case: PooledCase) -> float:
    assert case.estimate is not None
    return case.estimate.median


def largest_error(case: PooledCase) -> float | None:
    """The largest error of a case against float64 over all visits, of outputs or gradients; None when unknown."""
    errors = [error for trial in case.trials for error in (trial.error_output, trial.error_gradient)]
    return max((error for error in errors if error is not None), default=None)


RANKING_COLUMNS = (
    *(
        "run",
        "cell",
        "mode",
        "device",
        "dtype",
        "precision",
        "threads",
        "conditions",
        "workload",
        "T",
        "B",
        "I",
        "H",
        "L",
    ),
    *("subject", "subject_seconds", "subject_error", "peer", "peer_seconds", "peer_error"),
    *("ratio", "ratio_low", "ratio_high", "sure", "ratio_allowed", "share_of_gemm", "share_of_peak", "status"),
)
RANKING_TEXTS = (
    *("run", "cell", "mode", "device", "dtype", "precision", "conditions"),
    *("workload", "subject", "peer", "status"),
)
"""The columns that hold text."""


def ranking_frame(found: Iterable[Ranking]) -> pd.DataFrame:
    """Columns as `RANKING_COLUMNS`: a row for each comparison, the least ratio first, then the missing ones."""
    rows: list[dict[str, Any]] = []
    for ranking in found:
        common = {"run": ranking.run, "mode": ranking.mode, "subject": ranking.subject}
        common |= ranking.setting._asdict()
        for each in ranking.compared:
            measured = {
                **{f"subject_{name}": value for name, value in _seconds_and_error(each.subject).items()},
                **{f"peer_{name}": value for name, value in _seconds_and_error(each.peer).items()},
                "peer": each.peer.case.implementation,
                "ratio": each.ratio.median,
                "ratio_low": each.ratio.low,
                "ratio_high": each.ratio.high,
                "sure": each.sure,
                "ratio_allowed": each.allowed,
                "share_of_gemm": each.share_of_gemm,
                "share_of_peak": each.share_of_peak,
                "status": each.subject.status,
            }
            rows.append(common | _sizes(each.workload) | measured)
        rows += [common | _sizes(workload) | {"status": status} for workload, status in ranking.missing]
    types = dict.fromkeys(RANKING_TEXTS, "str") | {"sure": "boolean"}
    return pd.DataFrame(rows, columns=list(RANKING_COLUMNS)).astype(types)


def _seconds_and_error(case: PooledCase) -> dict[str, float | None]:
    return {"seconds": _seconds(case), "error": largest_error(case)}


def _sizes(workload: Workload) -> dict[str, Any]:
    return {"workload": workload.id} | {letter: getattr(workload, letter) for letter in "TBIHL"}
