"""Several cases of a profile: the cases of a command line, the share of the attainable of each, and growth by size."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd
import pytest

from benchmarks.limits.peak import Peak
from benchmarks.profiling.cases import parse_cases, vary
from benchmarks.profiling.reporting.attainable import limits_frame
from benchmarks.profiling.reporting.frames import breakdown_frame
from benchmarks.profiling.reporting.growth import growth, growth_words, kind_seconds, size_series
from benchmarks.workload import Case

CASE = "numpy_loop/cpu/inference/T8-B2-I4-H4-L1-tanh-float32"


def record(case: str, kinds: dict[str, int], seconds: float, repeat: int = 0) -> dict[str, Any]:
    """The record of a repeat of a case in inference, with samples by kind."""
    samples = {"kinds": kinds, "preempted": 0, "computing_threads": 1.0, "functions": []}
    times = {
        "unprofiled_seconds": seconds,
        "pairs": [{"kept": True}, {"kept": False}],
        "pass_seconds": [seconds, 0.0],
    }
    return {"case": case, "repeat": repeat, "calls": 10, "passes": {"1": samples}, **times}


def multiply_add(rate: float) -> Peak:
    """A peak of multiply-adds on one core."""
    setting: dict[str, Any] = {"device": "cpu", "dtype": "float32", "precision": "ieee", "threads": 1}
    return Peak(kind="multiply_add", source="cores", seconds=1.0, flops_per_second=rate, **setting)


def test_implementations_and_sizes_multiply_the_cases() -> None:
    """The case's own implementation comes first; no case comes twice."""
    cases = vary(parse_cases([CASE]), ["nn_rnn", "numpy_loop"], {"B": (1, 2), "T": (8,)})
    assert [(case.implementation, case.workload.B) for case in cases] == [
        ("numpy_loop", 1),
        ("nn_rnn", 1),
        ("numpy_loop", 2),
        ("nn_rnn", 2),
    ]


def test_a_workload_stands_for_a_case_of_each_implementation() -> None:
    """An ID that a report shows can be profiled with `--impl`; without it the message says what to add."""
    of = CASE.partition("/")[2]
    cases = vary(parse_cases([of], ["nn_rnn", "numpy_loop"]), ["nn_rnn", "numpy_loop"], {})
    assert [case.id for case in cases] == [f"nn_rnn/{of}", f"numpy_loop/{of}"]
    expected = f"{of} is a workload; put an implementation before it, such as fused_cpu/{of}, or add --impl fused_cpu"
    with pytest.raises(ValueError, match=re.escape(expected)):
        parse_cases([of])


def test_input_features_follow_the_hidden_size_where_they_equal_it() -> None:
    """Other input features stay."""
    alike = vary([Case.parse(CASE)], [], {"H": (16,)})
    apart = vary([Case.parse(CASE.replace("-I4-", "-I3-"))], [], {"H": (16,)})
    assert [(case.workload.I, case.workload.H) for case in (*alike, *apart)] == [(16, 16), (3, 16)]


def test_an_unknown_further_implementation_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean nn_rnn/cpu"):
        vary([Case.parse(CASE)], ["nn_rn"], {})


def test_a_case_has_its_share_of_the_attainable() -> None:
    """Twice the bound's time is half of the attainable. The time is the repeats' median; a kept pair is a block."""
    peaks = [multiply_add(1e6)]
    bounded = float(limits_frame([record(CASE, {}, 1.0)], peaks)["bound_seconds"].iloc[0])
    repeats = [record(CASE, {}, times * bounded, repeat) for repeat, times in enumerate((2.0, 9.0, 1.5))]
    repeats[1]["calls"] = 30
    row = limits_frame([*repeats, record(CASE.replace("-B2-", "-B4-"), {}, 1.0)], peaks).iloc[0]
    assert row["share_of_attainable"] == pytest.approx(0.5)
    assert row["median_seconds"] == pytest.approx(2 * bounded)
    assert (row["rounds"], row["blocks"], row["samples"]) == (3, 3, 10 + 30 + 10)


def test_without_peaks_no_limit_is_claimed() -> None:
    """The case still has its time."""
    row = limits_frame([record(CASE, {}, 1.0)], []).iloc[0]
    assert math.isnan(row["share_of_attainable"])
    assert row["median_seconds"] == 1.0


def grown() -> pd.DataFrame:
    """B from 1 to 4, with constant overhead and products that take four times as long."""
    one, four = (CASE.replace("-B2-", f"-B{size}-") for size in (1, 4))
    samples = ({"products": 10, "overhead": 10}, {"products": 40, "overhead": 10})
    return breakdown_frame([record(one, samples[0], 2.0), record(four, samples[1], 5.0)])


def test_cases_that_differ_in_one_size_are_a_series_over_it() -> None:
    """They are in no series over another size, and a series has one implementation."""
    other = CASE.replace("numpy_loop", "nn_rnn").replace("-B2-", "-B8-")
    found = size_series([*grown()["case"], other])
    assert [(each.implementation, each.letter, list(each.cases)) for each in found] == [("numpy_loop", "B", [1, 4])]


def test_growth_is_that_of_the_call_and_of_each_kind() -> None:
    """Products take four times as long, overhead the same time, the call two and a half times as long."""
    (one,) = size_series(grown()["case"])
    found = growth(kind_seconds(grown(), one))
    assert found.total == pytest.approx(2.5)
    assert found.by_kind == pytest.approx({"products": 4.0, "overhead": 1.0})
    assert "from B1 to B4" in growth_words(one, found)
