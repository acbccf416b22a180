"""The files that are derived from a calibration: table.md, curves.csv, errors.png and errors.svg."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import files
from benchmarks.presentation.plain_text import NOTHING, count, interval, share, significant, table
from benchmarks.regression.calibration import curves, plotting
from benchmarks.regression.calibration.curves import ALL, EQUAL, GEMM_BOUND, PLAIN_RUNS, PYTHON_BOUND, CurvePoint
from benchmarks.regression.calibration.injection import SIZES
from benchmarks.regression.calibration.measuring import FILES, SUITE, read_groups, read_record
from benchmarks.regression.calibration.rules import COMPARE, Costs, ReplayedVerdict
from benchmarks.regression.calibration.trials import (
    INTERLEAVED,
    OFF,
    ONE_AFTER_ANOTHER,
    REGRESS,
    T_TEST,
    Rate,
    Replay,
    regress_on_equal_code,
)

T_TEST_PAIRS = 5
"""The number of pairs of the t-test in the table."""
NAMES = tuple(map(str, SIZES))


def write(folder: Path) -> str:
    """Write all files into a calibration's folder, and return the table.

    Raises ValueError where the folder holds no calibration, or one too short for a trial; StoreError where files that
    `calibrate` did not write have the names of its own.
    """
    record = read_record(folder)
    files.check_outputs(folder, FILES)
    replay = Replay.of(list(read_groups(folder)), list(record["cases"]), Costs.of(record))
    found = list(curves.points(replay, curves.kinds(record["cases"])))
    text = tables(record, replay, found)
    with files.replacing(folder, FILES) as staged:
        files.write(staged, "curves.csv", frame(found).to_csv(index=False, float_format="%.6g", lineterminator="\n"))
        files.write(staged, "table.md", text + "\n")
        plotting.draw(found, PLAIN_RUNS * replay.costs.plain, record["machine"]["key"], staged)
    return text


def frame(points: Sequence[CurvePoint]) -> Any:
    """A pandas frame with a row for each point."""
    import pandas as pd

    rows = []
    for each in points:
        low, high = each.rate.interval
        rows.append(
            {
                "rule": each.rule,
                "runs": each.runs,
                "pairs": each.pairs,
                "seconds": each.seconds,
                "injected": float(each.size),
                "cases": each.kind,
                "called": each.rate.hits,
                "trials": each.rate.trials,
                "low": low,
                "high": high,
                "called_in_other_orders": each.rate_in_other_orders.hits if each.rate_in_other_orders else None,
                "trials_in_other_orders": each.rate_in_other_orders.trials if each.rate_in_other_orders else None,
            }
        )
    return pd.DataFrame(rows).astype({"called_in_other_orders": "Int64", "trials_in_other_orders": "Int64"})


def tables(record: Mapping[str, Any], replay: Replay, points: Sequence[CurvePoint]) -> str:
    """The rates of all rules, the costs and the injected slowdowns, as Markdown."""
    costs, cases = replay.costs, len(replay.cases)
    at_aim = [each for each in points if each.rule == REGRESS and each.seconds == PLAIN_RUNS * costs.plain]
    on_equal_code = regress_on_equal_code(replay, PLAIN_RUNS * costs.plain)
    header = ["rule", "minutes", "false alarms, whole suite", *(f"finds {share(size)}" for size in SIZES)]
    compared = [
        _row(_points_of(points, f"pytest-benchmark, {name}", order, 1), f"pytest-benchmark, {name}, {order}")
        for order in (ONE_AFTER_ANOTHER, INTERLEAVED)
        for name in COMPARE
    ]
    by_kind = [[kind, *(str(_rate(at_aim, size, kind)) for size in NAMES)] for kind in (PYTHON_BOUND, GEMM_BOUND, ALL)]
    curve = [
        [
            f"{seconds / costs.plain:.0f}",
            *_row([each for each in points if each.rule == REGRESS and each.seconds == seconds]),
        ]
        for seconds in sorted({each.seconds for each in points if each.rule == REGRESS})
    ]
    again = [
        [
            f"{seconds / costs.plain:.0f}",
            f"{seconds / 60:.1f}",
            *(_again(points, seconds, size) for size in (EQUAL, *NAMES)),
        ]
        for seconds in sorted({each.seconds for each in points if each.rule == REGRESS})
    ]
    return "\n\n".join(
        (
            "# How often the verdicts are wrong here",
            f"{len(replay.groups)} groups of three processes, {cases} cases on one thread, on "
            f"{record['machine']['key']}, begun {record['started_at']} at commit "
            f"`{record['commit']['revision'][:9]}`. The first {record['settled_by']} groups settled the amounts of "
            "injected work, and count only where code is equal. Rates have exact 95 % intervals. Trials of a rule "
            "share no process pair; trials of different cases in one size share processes, and the intervals take "
            "them as independent.",
            "![error against time](errors.png)",
            f"## In {PLAIN_RUNS * costs.plain / 60:.1f} minutes: two plain runs of the suite, times five",
            table(
                header,
                [
                    *compared,
                    _row(_points_of(points, T_TEST, INTERLEAVED, T_TEST_PAIRS), f"five pairs, {T_TEST}"),
                    _row(at_aim, REGRESS),
                ],
            ),
            _equal_code_sentence(on_equal_code, replay),
            "What `regress` finds, by what bounds the case:",
            table(["cases", *header[3:]], by_kind),
            _costs_sentence(costs, cases),
            "## Error against time",
            "`regress` with more time or less, in plain runs of the suite:",
            table(["plain runs", *header[1:]], curve),
            f"The same over the groups in {curves.RESAMPLES} other orders. These trials are not independent, so there "
            "are no intervals:",
            table(["plain runs", *header[1:]], again),
            "`curves.csv` has all rules at all costs, and by what bounds the case.",
            "## The injected slowdowns",
            "The median over the groups with each size, least and most over the cases that count. A case does not "
            f"count where its median is off by more than {share(OFF)} of the intended slowdown:",
            table(
                ["intended", "measured factor", "cases that do not count"],
                [[share(float(size)), *_measured(replay, size)] for size in NAMES],
            ),
        )
    )


def _points_of(points: Sequence[CurvePoint], rule: str, runs: str, pairs: int) -> list[CurvePoint]:
    return [each for each in points if (each.rule, each.runs, each.pairs) == (rule, runs, pairs)]


def _rate(points: Sequence[CurvePoint], size: str, kind: str = ALL) -> Rate:
    return next((each.rate for each in points if (each.size, each.kind) == (size, kind)), Rate(0, 0))


def _row(points: Sequence[CurvePoint], *name: str) -> list[str]:
    minutes = f"{points[0].seconds / 60:.1f}" if points else ""
    return [*name, minutes, *(str(_rate(points, size)) for size in (EQUAL, *NAMES))]


def _again(points: Sequence[CurvePoint], seconds: float, size: str) -> str:
    for each in points:
        if (each.rule, each.seconds, each.size, each.kind) == (
            REGRESS,
            seconds,
            size,
            ALL,
        ) and each.rate_in_other_orders:
            rate = each.rate_in_other_orders
            return f"{share(rate.hits / rate.trials)} of {rate.trials}" if rate.trials else ""
    return ""


def _equal_code_sentence(verdicts: Sequence[ReplayedVerdict], replay: Replay) -> str:
    if not verdicts:
        return "Too few groups for one verdict of `regress` on the whole suite."
    minutes = statistics.fmean(each.seconds for each in verdicts) / 60
    undecided = sum(len(each.undecided) for each in verdicts) / len(verdicts) / len(replay.cases)
    return (
        f"On equal code, {count(len(verdicts), 'verdict')} of `regress` on the whole suite took {minutes:.1f} minutes "
        f"and {statistics.fmean(each.pairs for each in verdicts):.1f} pairs on average; {share(undecided)} of the "
        f"cases could not be told, {sum(bool(each.faster) for each in verdicts)} runs called a case faster (which is "
        f"not confirmed), and in {sum(each.unfit for each in verdicts)} the control showed that the machine was unfit "
        "(only a slowdown that it does not explain counts then)."
    )


def _costs_sentence(costs: Costs, cases: int) -> str:
    few = min(costs.pairs)
    return (
        f"A plain `pytest {SUITE}` takes {significant(costs.plain)} s here, a dry run of a revision "
        f"{significant(costs.dry_run)} s, a pair of all {cases} cases {significant(costs.pair(cases))} s, of "
        f"{count(few, 'case')} {significant(costs.pair(few))} s. The minutes of `regress` include its two dry runs, "
        "the pairs for the noise floor and all further pairs; those of other rules only the pairs."
    )


def _measured(replay: Replay, size: str) -> tuple[str, str]:
    """The measured slowdown of this size as a factor, least and most over cases; and how many cases do not count."""
    measured = {case: found for case in replay.cases if (found := replay.measured(case, size)) is not None}
    counted = [1 + found for case, found in measured.items() if replay.as_intended(case, size)]
    return (
        interval(min(counted), max(counted)) if counted else "none measured",
        f"{len(measured) - len(counted)} of {len(measured)}" if measured else NOTHING,
    )
