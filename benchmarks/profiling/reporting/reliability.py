"""How far a profile can be relied on: what profiling cost, whether the parts add up, and which pairs were left out."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.presentation.plain_text import NOTHING, code, seconds, share, table, times
from benchmarks.profiling.sampling.pairs import (
    LEAST_PAIRS,
    MOST_HALVES_DIFFER,
    MOST_PAIRS,
    MOST_PREEMPTED,
    halves_differ,
    kept,
    not_preempted,
    pairs_of,
)

NEAR_SUM = 0.05
"""The largest distance of an unscaled sum from 1 that the report counts as near."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reliability:
    """Figures of one repeat of a case; ratios and shares are medians over its kept pairs."""

    case: str
    repeat: int
    unprofiled_seconds: float
    slowdown: float
    """Time of a profiled call over that of an unprofiled one."""
    least_slowdown: float
    most_slowdown: float
    accounted_share: float
    """The time that the parts stand for, over the profiled time."""
    unscaled_sum: float
    """The time that the parts stand for, over the unprofiled time."""
    unscaled_sum_of_all_pairs: float
    """The unscaled sum over all pairs, preempted ones included."""
    halves_differ: float
    pairs: int
    preempted_pairs: int
    preempted_kept: bool
    """Whether preempted pairs are kept, as too few others remained."""
    run_delay_share: float | None
    """Share of the unprofiled time in which threads were runnable without a core; None where it is not known."""
    preempted_samples_share: float
    computing_threads: float
    """Threads that computed at a sample, on average, in the pass with more of them."""
    context_switches: float
    """Context switches of an unprofiled call."""


def reliability(record: Mapping[str, Any]) -> Reliability:
    """The figures of a record."""
    pairs = pairs_of(record)
    used = kept(pairs)
    preempted_pairs = not_preempted(pairs).count(False)
    passes = record["passes"].values()
    preempted = sum(each["preempted"] for each in passes)
    samples = sum(sum(each["kinds"].values()) for each in passes) + preempted
    delays = [pair.unprofiled_preempted for pair in used if pair.unprofiled_preempted is not None]
    slowdowns = [pair.slowdown for pair in used]
    return Reliability(
        case=record["case"],
        repeat=record["repeat"],
        unprofiled_seconds=record["unprofiled_seconds"],
        slowdown=statistics.median(slowdowns),
        least_slowdown=min(slowdowns),
        most_slowdown=max(slowdowns),
        accounted_share=statistics.median(pair.accounted_share for pair in used),
        unscaled_sum=statistics.median(pair.unscaled_sum for pair in used),
        unscaled_sum_of_all_pairs=statistics.median(pair.unscaled_sum for pair in pairs),
        halves_differ=halves_differ(pairs),
        pairs=len(pairs),
        preempted_pairs=preempted_pairs,
        preempted_kept=bool(preempted_pairs) and len(used) == len(pairs),
        run_delay_share=statistics.median(delays) if delays else None,
        preempted_samples_share=preempted / samples if samples else 0.0,
        computing_threads=max((each["computing_threads"] for each in passes), default=0.0),
        context_switches=record["context_switches"],
    )


def unreliable(found: Sequence[Reliability]) -> str:
    """A sentence on why shares are rough, where half of the pairs were disturbed or half of the sums are off."""
    pairs, preempted = sum(each.pairs for each in found), sum(each.preempted_pairs for each in found)
    near = near_sums([each.unscaled_sum for each in found])
    said = [f"other programs disturbed {preempted} of {pairs} pairs of blocks"] if 2 * preempted > pairs else []
    if 2 * near < len(found):
        said.append(f"the parts add up to within {share(NEAR_SUM)} of the time in {near} of {len(found)} repeats only")
    if not said:
        return ""
    sentence = " and ".join(said)
    return (
        f"{sentence[0].upper()}{sentence[1:]}: take shares and verdicts as rough, and profile again on an idle machine."
    )


def reliability_lines(found: Sequence[Reliability]) -> list[str]:
    """Two paragraphs and a table in Markdown, a row for each repeat."""
    sums, of_all = [each.unscaled_sum for each in found], [each.unscaled_sum_of_all_pairs for each in found]
    accounted, slowdowns = [each.accounted_share for each in found], [each.slowdown for each in found]
    repeats = len(found)
    scaling = (
        "Each part of a call is a share of the profiled time, multiplied by the unprofiled time: so the parts add up "
        f"to that. Unscaled, they add up to {share(min(sums))} to {share(max(sums))} of the unprofiled time, and to "
        f"within {share(NEAR_SUM)} of it in {near_sums(sums)} of {repeats} repeats. They account for "
        f"{share(min(accounted))} to {share(max(accounted))} of the profiled time. A profiled call takes "
        f"{times(min(slowdowns))} to {times(max(slowdowns))} as long as an unprofiled one, "
        f"{times(statistics.median(slowdowns))} in the median. Each figure of a repeat is the median over pairs of "
        "neighbouring blocks, one profiled and one not; least to most in parentheses."
    )
    preempted, pairs = sum(each.preempted_pairs for each in found), sum(each.pairs for each in found)
    apart = sum(each.halves_differ > MOST_HALVES_DIFFER for each in found)
    left_out = (
        f"Other programs preempted {preempted} of {pairs} pairs: in one of the blocks, threads of this process had no "
        f"core for {share(MOST_PREEMPTED)} more of the time than in the least preempted block of the same side. Such "
        f"pairs are left out, samples and times alike, except in {sum(each.preempted_kept for each in found)} repeats "
        f"in which fewer than {LEAST_PAIRS} other pairs remained. With all pairs of every repeat, {near_sums(of_all)} "
        f"of {repeats} repeats would be within {share(NEAR_SUM)}. A repeat has {LEAST_PAIRS} to {MOST_PAIRS} pairs, "
        f"until the sums of its two halves differ by at most {share(MOST_HALVES_DIFFER)}; in {apart} of {repeats} "
        "repeats they differ by more."
    )
    header = ["case", "repeat", "unprofiled", "profiled / unprofiled", "accounted for", "unscaled sum", "halves differ"]
    header += ["pairs preempted", "run delay", "samples preempted", "threads computing", "context switches a call"]
    return [scaling, "", left_out, "", table(header, [_row(each) for each in found])]


def near_sums(sums: Sequence[float]) -> int:
    """How many unscaled sums are within `NEAR_SUM` of the unprofiled time."""
    return sum(abs(each - 1) <= NEAR_SUM for each in sums)


def _row(found: Reliability) -> list[str]:
    spread = f"({found.least_slowdown:.2f} to {found.most_slowdown:.2f})"
    return [
        code(found.case),
        str(found.repeat),
        seconds(found.unprofiled_seconds),
        f"{times(found.slowdown)} {spread}",
        share(found.accounted_share),
        share(found.unscaled_sum),
        share(found.halves_differ),
        f"{found.preempted_pairs} of {found.pairs}",
        NOTHING if found.run_delay_share is None else share(found.run_delay_share),
        share(found.preempted_samples_share),
        f"{found.computing_threads:.2f}",
        f"{found.context_switches:.1f}",
    ]
