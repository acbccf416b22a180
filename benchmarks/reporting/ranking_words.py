"""The ranking of an implementation against the best of all others in sentences and tables of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from benchmarks.presentation.plain_text import (
    NOTHING,
    code,
    count,
    error,
    interval,
    listed,
    seconds,
    share,
    significant,
    times,
)
from benchmarks.reporting.ranking import LARGE, Comparison, Ranking, largest_error
from benchmarks.reporting.sections import cut
from benchmarks.reporting.slices import short_name
from benchmarks.statistics import Estimate


def ranking_section(found: Sequence[Ranking]) -> str:
    """The section of a report on rankings: a paragraph each, the comparisons, and the rates of large products."""
    parts = [f"- **{_place(ranking, found)}.** {conclusion(ranking)}" for ranking in found]
    return "\n\n".join(part for part in ("\n".join(parts), comparisons(found), large_products(found)) if part)


def _place(ranking: Ranking, found: Sequence[Ranking]) -> str:
    run = f"{code(ranking.run)}: " if len({each.run for each in found}) > 1 else ""
    return f"{run}{ranking.mode.capitalize()} ({ranking.setting})"


def conclusion(ranking: Ranking) -> str:
    """The ranking in sentences: on how many workloads it leads, by how much, where least, and what does not count."""
    least = ranking.compared[0]
    said = [f"{code(ranking.subject)} {_leads(ranking)}: {_ratio(ranking.mean)} in the geometric mean."]
    if len(ranking.compared) > 1:
        said.append(f"The least is {_ratio(least.ratio)}, against {code(_peer(least))} on {code(least.workload.id)}.")
    peers = Counter(map(_peer, ranking.compared)).most_common()
    if len(peers) > 1:
        said.append(f"The best of the others is {listed([f'{code(name)} on {number}' for name, number in peers])}.")
    else:
        throughout = " throughout" if len(ranking.compared) > 1 else ""
        said.append(f"The best of the others is {code(peers[0][0])}{throughout}.")
    return " ".join([*said, *_allowed(ranking), *_of_large(ranking), *_missing(ranking), *_wrong(ranking)])


def _leads(ranking: Ranking) -> str:
    number = len(ranking.compared)
    ahead, behind = len(ranking.ahead), len(ranking.behind)
    close = number - ahead - behind
    if ahead == number:
        return f"is faster than the best of the others on all {count(number, 'workload')}"
    parts = [f"faster than the best of the others on {ahead} of {count(number, 'workload')}"]
    parts += [f"slower on {behind}"] if behind else []
    parts += [f"too close to call on {close}"] if close else []
    return f"is {listed(parts)}"


def _allowed(ranking: Ranking) -> list[str]:
    if ranking.allowed is None:
        return []
    mean = ", in the geometric mean" if len(ranking.compared) > 1 else ""
    return [f"At the machine's limit it would be {times(ranking.allowed)} as fast as the best of the others{mean}."]


def _of_large(ranking: Ranking) -> list[str]:
    large = [each for each in ranking.compared if each.large]
    shares = [each.share_of_gemm for each in large if each.share_of_gemm is not None]
    if not shares:
        return []
    reach = share(min(shares)) if len(shares) == 1 else f"{share(min(shares))} to {share(max(shares))}"
    sizes = " and ".join(f"{letter} ≥ {size}" for letter, size in sorted(LARGE.items(), reverse=True))
    return [
        f"With {sizes} it reaches {reach} of the rate of matrix products of the same shapes by the fastest library of "
        f"the same run ({count(len(shares), 'workload')})."
    ]


def _missing(ranking: Ranking) -> list[str]:
    if not ranking.missing:
        return []
    statuses = Counter(status for _, status in ranking.missing)
    reasons = [f"{status.replace('_', ' ')} on {number}" for status, number in statuses.items()]
    return [f"It has no time on {count(len(ranking.missing), 'workload')} that others have: {listed(reasons)}."]


def _wrong(ranking: Ranking) -> list[str]:
    names = Counter(case.case.implementation for case in ranking.wrong)
    if not names:
        return []
    parts = []
    for name, number in names.items():
        errors = [largest_error(case) for case in ranking.wrong if case.case.implementation == name]
        worst = max((found for found in errors if found is not None), default=None)
        parts.append(f"{code(name)} on {number} (error up to {error(worst)})")
    return [f"Wrong results, and so no time among the others: {listed(parts)}."]


def comparisons(found: Sequence[Ranking]) -> str:
    """A row a workload: both times with their errors, and the ratio with its interval; the least ratio first."""
    header = ["run", "mode", "setting", "workload", "implementation", "time", "error"]
    header += ["best of the others", "time", "error", "ratio"]
    rows = [
        [
            *(code(ranking.run), ranking.mode, str(ranking.setting), short_name(each.workload)),
            *(code(ranking.subject), *_time_and_error(each, subject=True)),
            *(code(_peer(each)), *_time_and_error(each, subject=False)),
            _ratio(each.ratio),
        ]
        for ranking in found
        for each in ranking.compared
    ]
    return cut((ranking.run for ranking in found), header, rows)


def large_products(found: Iterable[Ranking]) -> str:
    """The rates on large workloads as shares of what libraries' products reached in the same run."""
    found = list(found)
    header = ["run", "mode", "setting", "workload", "implementation", "rate"]
    header += ["of products of its shapes", "of the fastest product"]
    rows = []
    for ranking in found:
        for each in sorted(ranking.compared, key=lambda each: each.share_of_gemm or 0.0):
            if each.large and each.share_of_peak is not None:
                gemm = NOTHING if each.share_of_gemm is None else share(each.share_of_gemm)
                place = [code(ranking.run), ranking.mode, str(ranking.setting), short_name(each.workload)]
                rate = f"{significant(each.flops_per_second / 1e9)} GFLOP/s"
                rows.append([*place, code(ranking.subject), rate, gemm, share(each.share_of_peak)])
    shown = cut((ranking.run for ranking in found), header, rows)
    if not shown:
        return ""
    sizes = " and ".join(f"{letter} ≥ {size}" for letter, size in sorted(LARGE.items(), reverse=True))
    return (
        f"Rates with {sizes}: operations of the matrix products in a second. Products of its shapes are those of the "
        "workload, each a call of the library that was fastest at it; the fastest product is that of any shape. Both "
        f"were measured in the same run.\n\n{shown}"
    )


def _time_and_error(each: Comparison, *, subject: bool) -> tuple[str, str]:
    case = each.subject if subject else each.peer
    assert case.estimate is not None
    return seconds(case.estimate.median), error(largest_error(case))


def _peer(each: Comparison) -> str:
    return each.peer.case.implementation


def _ratio(ratio: Estimate) -> str:
    return f"{times(ratio.median)} ({interval(ratio.low, ratio.high)})"
