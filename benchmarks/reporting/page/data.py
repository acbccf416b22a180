"""The data of the page as JSON values: what `load_run` says of each case, its blocks, and the ratios of all pairs.

The page's program computes answers, rankings and leads from these numbers by the rules of `setting_answers`. It knows
neither axes nor modes: `settings` and `sizes` name the fields of a workload, and everything that is shown is a value of
theirs in some workload.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.presentation.plain_text import clean
from benchmarks.reporting.answers.findings import CELL_LABELS, Setting
from benchmarks.reporting.answers.ratios import ratios
from benchmarks.reporting.answers.size_words import LETTERS
from benchmarks.reporting.answers.slices import AXIS_NAMES, short_name
from benchmarks.reporting.page.commands import PROGRAM, measure_file, measure_options
from benchmarks.reporting.words.provenance import describe_commit, facts, machine_words
from benchmarks.runs.frames import COLUMNS
from benchmarks.runs.loading import LoadedRun, once_per_machine
from benchmarks.runs.pooling import BASELINE, PooledCase
from benchmarks.statistics import Estimate
from benchmarks.workload import MODES, Workload

SCHEMA = 1
"""1: the first."""

SETTINGS = ("mode", *Setting._fields)
"""The fields of a workload that the page filters by."""
SIZES = tuple(field.name for field in dataclasses.fields(Workload) if field.name not in SETTINGS)
"""The fields that set workloads of one setting apart."""

CASE_COLUMNS = (
    *("implementation", "source", "status", "reason", "describe", "rounds", "samples"),
    *("median_seconds", "low_seconds", "high_seconds", "forward_seconds", "backward_seconds"),
    *("flops_per_second", "share_of_attainable", "bound_by", "setup_seconds", "first_call_seconds", "payback_calls"),
    *("peak_bytes", "error_output", "error_gradient", "elsewhere_share"),
)
"""The columns of `load_run` that the page has of a case, in the order in which a row holds them."""

_DIGITS = 9
_BLOCK_DIGITS = 5


def page_data(
    runs: Sequence[LoadedRun], frame: pd.DataFrame, cautions: Mapping[str, Sequence[str]], title: str
) -> dict[str, Any]:
    """The data of runs whose rows of `load_run` are in `frame`; `cautions` has sentences for each label of a run."""
    return {
        "schema": SCHEMA,
        "title": title,
        "program": PROGRAM,
        "settings": list(SETTINGS),
        "sizes": list(SIZES),
        "defaults": {
            field.name: field.default
            for field in dataclasses.fields(Workload)
            if field.default is not dataclasses.MISSING
        },
        "axes": {name: AXIS_NAMES.get(name, name) for name in SIZES},
        "rule_sizes": list(LETTERS),
        "labels": {"cell": dict(CELL_LABELS)},
        "modes": list(MODES),
        "baseline": BASELINE,
        "case_columns": list(CASE_COLUMNS),
        "text_columns": [name for name in CASE_COLUMNS if COLUMNS[name] == "str"],
        "runs": [_run(run, frame[frame["run"] == run.label], cautions.get(run.label, ())) for run in runs],
    }


def _run(run: LoadedRun, frame: pd.DataFrame, cautions: Sequence[str]) -> dict[str, Any]:
    rows = dict(zip(frame["case"], _rows(frame), strict=True))
    found: dict[Workload, list[list[Any]]] = {}
    for (workload, faster, slower), ratio in ratios(run).items():
        names = list(run.workloads[workload])
        found.setdefault(workload, []).append([names.index(slower), names.index(faster), *_estimate(ratio)])
    return {
        "label": run.label,
        "machine": machine_words(run.record),
        "commit": describe_commit(run.record),
        "date": clean(str(run.record.get("started_at", ""))[:10]),
        "cautions": list(cautions),
        "problems": [clean(problem) for problem in run.problems[:20]],
        "facts": facts(run, frame),
        "once": {name: _number(seconds) for name, seconds in once_per_machine(run.record).items()},
        "workloads": [
            _workload(run, workload, cases, rows, found.get(workload, [])) for workload, cases in run.workloads.items()
        ],
    }


def _workload(
    run: LoadedRun,
    workload: Workload,
    cases: Mapping[str, PooledCase],
    rows: Mapping[str, list[Any]],
    pairs: list[list[Any]],
) -> dict[str, Any]:
    bound = run.bounds[workload]
    return {
        "id": workload.id,
        "name": short_name(workload),
        **{name: getattr(workload, name) for name in (*SETTINGS, *SIZES)},
        "bound_seconds": None if bound is None else _number(bound.attainable_seconds),
        "measure": measure_options(workload) or measure_file(workload),
        "cases": [rows[case.case.id] for case in cases.values()],
        "blocks": [_blocks(case) for case in cases.values()],
        "ratios": pairs,
    }


def _rows(frame: pd.DataFrame) -> Iterable[list[Any]]:
    """The rows of cases, columns as `CASE_COLUMNS`."""
    for row in frame[list(CASE_COLUMNS)].itertuples(index=False):
        yield [_number(value) if isinstance(value, float) else _text(value) for value in row]


def _blocks(case: PooledCase) -> list[list[Any]]:
    """[round, medians of its blocks in measured order] of each visit."""
    return [[trial.round, [_number(value, _BLOCK_DIGITS) for value in medians]] for trial, medians in case.visits]


def _estimate(ratio: Estimate) -> list[float | str | None]:
    return [_number(value) for value in (ratio.median, ratio.low, ratio.high)]


def _number(value: float, digits: int = _DIGITS) -> float | str | None:
    """The number to so many digits; nothing for NaN, and text for an infinity, which JSON lacks."""
    if math.isnan(value):
        return None
    return float(f"{value:.{digits}g}") if math.isfinite(value) else str(value)


def _text(value: Any) -> Any:
    return None if value is None or value is pd.NA else value if isinstance(value, str) else int(value)
