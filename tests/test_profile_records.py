"""The records of a profile: fields and kinds of work under their former names are read as under the present ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.profiling.records import read_records, with_present_names
from benchmarks.profiling.reporting.attainable import limits_frame
from benchmarks.profiling.reporting.counts import counts_frame
from benchmarks.profiling.reporting.frames import breakdown_frame, functions_frame
from benchmarks.profiling.reporting.reliability import reliability
from benchmarks.profiling.sampling.kinds import KINDS

ROOT = Path(__file__).parent.parent
CASE = "jax_scan/cpu/inference/T8-B2-I4-H4-L1-tanh-float32"

FORMER: dict[str, Any] = {
    "case": CASE,
    "pairs": [
        {
            "alone_seconds": 1.0,
            "profiled_seconds": 1.1,
            "seen_seconds": 1.05,
            "alone_taken": 0.0,
            "profiled_taken": None,
            "counts": True,
        }
    ],
    "phase_seconds": [1.0, 0.0],
    "phases": {
        "1": {
            "kinds": {"engine": 3, "waiting": 1},
            "without_core": 2,
            "computing_threads": 1.5,
            "functions": [["engine", "code without a file", "", 3], ["waiting", "the kernel", "asleep", 1]],
        }
    },
    "counts": {
        "threads": 2,
        "further_step": {"calls": 0.0, "products": 0.0, "share_of_no_step": 0.25},
        "untold": ["All steps are one call."],
    },
}
PRESENT: dict[str, Any] = {
    "case": CASE,
    "pairs": [
        {
            "unprofiled_seconds": 1.0,
            "profiled_seconds": 1.1,
            "attributed_seconds": 1.05,
            "unprofiled_preempted": 0.0,
            "profiled_preempted": None,
            "kept": True,
        }
    ],
    "pass_seconds": [1.0, 0.0],
    "passes": {
        "1": {
            "kinds": {"unattributed": 3, "waiting": 1},
            "preempted": 2,
            "computing_threads": 1.5,
            "functions": [["unattributed", "code without a file", "", 3], ["waiting", "the kernel", "asleep", 1]],
        }
    },
    "counts": {
        "threads": 2,
        "marginal_step": {"calls": 0.0, "products": 0.0, "fixed_time_share": 0.25},
        "limitations": ["All steps are one call."],
    },
}


def test_former_names_are_read_as_the_present_ones() -> None:
    """Fields of pairs, passes and counts, and a kind of work; a record that was not counted has no counts."""
    assert with_present_names(FORMER) == PRESENT
    not_counted = {name: value for name, value in FORMER.items() if name != "counts"}
    assert "counts" not in with_present_names(not_counted)


def test_present_names_stay() -> None:
    """A record that is read twice is the same."""
    assert with_present_names(PRESENT) == PRESENT


@pytest.mark.parametrize("run", ["reference-profile", "reference-profile-training"])
def test_the_profiles_of_the_project_are_read_whole(run: str) -> None:
    """Every table is made of them: all parts are of known kinds, all pairs have figures, all counted cases a row."""
    records = read_records(ROOT / "results" / run / "profile")
    breakdown, counts = breakdown_frame(records), counts_frame(records)
    assert set(breakdown["kind"]) <= set(KINDS)
    of_call = breakdown.groupby(["case", "repeat"])["share"].sum()
    passes = breakdown.groupby(["case", "repeat"])["pass"].nunique()
    assert of_call.to_list() == pytest.approx(passes.to_list())
    assert set(counts["case"]) == set(limits_frame(records, [])["case"]) == set(breakdown["case"])
    assert counts[["marginal_calls_per_step", "marginal_products_per_step", "fixed_time_share"]].notna().all(axis=None)
    assert set(functions_frame(records)["kind"]) <= set(KINDS)
    assert any(reliability(record).preempted_pairs for record in records)


def test_a_profile_without_pairs_of_blocks_is_refused_by_name(tmp_path: Path) -> None:
    """Early versions wrote such a profile."""
    (tmp_path / "profiles.jsonl").write_text(json.dumps({"case": CASE, "accounted_share": 1.0}) + "\n")
    with pytest.raises(ValueError, match=r"profiles\.jsonl has no pairs of blocks"):
        read_records(tmp_path)
