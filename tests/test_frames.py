"""`load_run`: a tidy frame whose every number can be recomputed by hand."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import benchmarks
from benchmarks.counts import flops, intensity
from benchmarks.limits.bounds import LIMIT_NAMES, bound, what_bounds
from benchmarks.quantity import OverVisits
from benchmarks.runs.frames import COLUMNS, SAMPLE_COLUMNS, load_run, load_samples, over_visits
from benchmarks.runs.peaks_in_records import read_peaks
from benchmarks.store import StoreError
from benchmarks.trial import QUANTITIES
from tests.synthetic_runs import blocks_of, failed, load, peaks, record, row, run_of, trial, workload

CENTRE = workload()


def test_columns_have_their_order_and_dtypes(tmp_path: Path) -> None:
    """A frame has every column of COLUMNS, in order, with its dtype; so has an empty one."""
    for frame in (load(tmp_path / "one", trial("nn_rnn", CENTRE)), load(tmp_path / "none")):
        assert list(frame.columns) == list(COLUMNS)
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == dict(COLUMNS)


def test_every_column_is_documented_and_no_other() -> None:
    """docs/results.md has a row for each column of both frames, in their order."""
    text = (Path(__file__).parent.parent / "docs" / "results.md").read_text(encoding="utf-8")
    documented = [re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) for part in text.split("\n## ")]
    tables = [names for names in documented if names]
    assert tables[-2:] == [list(COLUMNS), list(SAMPLE_COLUMNS)]


def test_every_field_of_a_trial_is_documented() -> None:
    """docs/results.md names each field of the lines in trials.jsonl and each of run.json."""
    text = (Path(__file__).parent.parent / "docs" / "results.md").read_text(encoding="utf-8")
    fields = set(trial("nn_rnn", CENTRE).to_json()) - {field.name for field in dataclasses.fields(CENTRE)}
    missing = [name for name in sorted(fields) if f"| `{name}` |" not in text]
    missing += [name for name in ("schema", *record([])) if f"`{name}`" not in text]
    assert missing == []


def test_load_run_is_offered_by_the_package(tmp_path: Path) -> None:
    """`from benchmarks import load_run` gives the same frame, with its tables and plots at hand."""
    run_of(tmp_path / "run", [trial("nn_rnn", CENTRE)])
    pd.testing.assert_frame_equal(
        benchmarks.load_run(tmp_path / "run"), load_run(tmp_path / "run"), check_frame_type=False
    )


def test_a_case_is_described(tmp_path: Path) -> None:
    """Names and the workload's fields stand in the row."""
    of = workload("training", T=3, B=5, H=7, L=2, bidirectional=True, cell="relu", bias=False, dtype="float64")
    found = row(load(tmp_path / "run", trial("mine", of, source="package:Class", describe={"library": "x 1"})), "mine")
    assert found["run"] == "run"
    assert found["case"] == f"mine/{of.id}"
    assert found["workload"] == of.id
    assert found["source"] == "package:Class"
    assert found["describe"] == "library: x 1"
    assert {name: found[name] for name in dataclasses.asdict(of)} == dataclasses.asdict(of)


@pytest.mark.parametrize(("which", "expected"), [("first", 2.0), ("last", 1.0), ("largest", 3.0)])
@pytest.mark.parametrize("name", [name for name, each in QUANTITIES.items() if each.column])
def test_a_quantity_that_is_declared_is_stored_and_shown(
    tmp_path: Path, name: str, which: OverVisits, expected: float
) -> None:
    """A visit's value is in `trials.jsonl`, and the frame has that of the visit that the declaration names."""
    fields: list[dict[str, Any]] = [{name: value} for value in (None, 2, 3, 1)]
    trials = [trial("nn_rnn", CENTRE, round_number=at, **each) for at, each in enumerate(fields)]
    stored = run_of(tmp_path / "run", trials).trials()
    assert [getattr(each, name) for each in stored] == [None, 2, 3, 1]
    assert over_visits(stored, name, which) == expected
    if QUANTITIES[name].column == which:
        assert row(load_run(tmp_path / "run"), "nn_rnn")[name] == expected


def test_training_is_split_into_its_passes(tmp_path: Path) -> None:
    """Training has the medians of both passes; in inference they are missing."""
    of = workload("training")
    training = trial("nn_rnn", of, blocks_of(*[10.0] * 6), backward_seconds=blocks_of(*[6.0] * 6))
    found = row(load(tmp_path / "a", training), "nn_rnn")
    assert (found["forward_seconds"], found["backward_seconds"]) == pytest.approx((4, 6))
    found = row(load(tmp_path / "b", trial("nn_rnn", CENTRE)), "nn_rnn")
    assert found[["forward_seconds", "backward_seconds"]].isna().all()


def test_rates_and_shares(tmp_path: Path) -> None:
    """Rates follow from the median; shares are of the peaks that the same run measured."""
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE, 0.004)), "nn_rnn")
    assert found["flops"] == flops(CENTRE) == 2 * 64 * 16 * 256 * 512
    assert found["flops_per_second"] == pytest.approx(flops(CENTRE) / 0.004)
    assert found["share_of_peak"] == pytest.approx(flops(CENTRE) / 0.004 / 200e9)
    assert found["step_seconds"] == pytest.approx(0.004 / 64)
    assert found["sequences_per_second"] == pytest.approx(16 / 0.004)


def test_bounds_and_what_they_say_of_a_case(tmp_path: Path) -> None:
    """A workload's bounds are those of its run's peaks; a case has its share of them and what bounds it."""
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE, 0.004)), "nn_rnn")
    limit = bound(CENTRE, read_peaks({"peaks": peaks({CENTRE})}))
    assert limit is not None
    assert found["bound_seconds"] == pytest.approx(limit.attainable_seconds)
    assert found["blas_seconds"] == pytest.approx(limit.blas_seconds)
    assert found["chain_seconds"] == pytest.approx(limit.chain_seconds)
    assert found["share_of_attainable"] == pytest.approx(limit.attainable_seconds / 0.004)
    assert found["bound_by"] == LIMIT_NAMES[what_bounds(0.004, limit)] == "overhead"
    assert found["intensity"] == pytest.approx(intensity(CENTRE))


def test_a_run_of_the_first_schema_has_bounds() -> None:
    """Peaks of libraries alone give bounds for every case with a time."""
    folder = Path(__file__).parent / "data" / "run-of-schema-1"
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["schema"] == 1
    frame = load_run(folder)
    timed = frame[frame["median_seconds"].notna()]
    assert len(timed) == 28
    assert timed[["bound_seconds", "blas_seconds", "share_of_attainable", "bound_by"]].notna().all().all()
    assert timed["chain_seconds"].isna().all()


def test_peaks_of_another_setting_do_not_count(tmp_path: Path) -> None:
    """A peak of one thread gives no shares on two threads."""
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE), peaks=peaks({workload(threads=1)})), "nn_rnn")
    assert found[["share_of_peak", "bound_seconds", "share_of_attainable", "bound_by"]].isna().all()


@pytest.mark.parametrize(
    "broken", [None, {}, ["x"], [{"kind": "gemm"}], [{"kind": "gemm", "flops_per_second": "fast"}]]
)
def test_peaks_that_are_none_are_left_out(tmp_path: Path, broken: object) -> None:
    """A stranger's record may hold anything where the peaks are."""
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE), peaks=broken), "nn_rnn")
    assert math.isnan(found["share_of_peak"])


def test_first_costs_and_worst_errors_are_kept(tmp_path: Path) -> None:
    """Set-up and first call are those of the first visit; errors and memory are the largest of all."""
    first = trial("nn_rnn", CENTRE, setup_seconds=5.0, error_output=1e-6, peak_bytes=100, kernel_launches=3)
    second = trial(
        "nn_rnn", CENTRE, round_number=1, setup_seconds=1.0, error_output=2e-6, peak_bytes=50, kernel_launches=4
    )
    second = dataclasses.replace(second, first_call_seconds=None, elsewhere_share=0.25)
    found = row(load(tmp_path / "run", first, second), "nn_rnn")
    assert (found["setup_seconds"], found["first_call_seconds"]) == (5, 2e-3)
    assert (found["error_output"], found["peak_bytes"], found["kernel_launches"]) == (2e-6, 100, 4)
    assert found["elsewhere_share"] == 0.25


def test_several_runs_stand_in_one_frame(tmp_path: Path) -> None:
    """Runs come as arguments or as a sequence, called by their folders or by labels."""
    for name in ("a", "b"):
        run_of(tmp_path / name / "run", [trial("nn_rnn", CENTRE)])
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run"]
    assert list(load_run(*folders)["run"]) == ["a/run", "b/run"]
    assert list(load_run(folders)["run"]) == ["a/run", "b/run"]
    assert list(load_run(str(folders[0]), str(folders[1]), labels=["old", "new"])["run"]) == ["old", "new"]


@pytest.mark.parametrize("labels", [["one"], ["same", "same"], ["a", "b", "c"]])
def test_labels_must_name_each_run(tmp_path: Path, labels: list[str]) -> None:
    """Labels must be as many as runs, and different."""
    for name in ("a", "b"):
        run_of(tmp_path / name, [])
    with pytest.raises(ValueError, match="expected 2, all different"):
        load_run(tmp_path / "a", tmp_path / "b", labels=labels)


def test_no_run_and_the_same_run_twice_are_refused(tmp_path: Path) -> None:
    """No folder, and one folder twice, are mistakes."""
    run_of(tmp_path / "a", [])
    with pytest.raises(ValueError, match="no run is given"):
        load_run([])
    with pytest.raises(StoreError, match="the same run twice"):
        load_run(tmp_path / "a", tmp_path / "a")


def test_broken_lines_are_warned_of(tmp_path: Path) -> None:
    """A person at a notebook learns that a line was passed over."""
    run = run_of(tmp_path / "run", [trial("nn_rnn", CENTRE)])
    with (run.folder / "trials.jsonl").open("a") as file:
        file.write("broken\n")
    with pytest.warns(UserWarning, match="line 2: not a trial"):
        assert len(load_run(run.folder)) == 1


def test_names_are_made_safe_to_show(tmp_path: Path) -> None:
    """Terminal escapes, line breaks and halves of characters do not reach the frame."""
    hostile = trial("evil\x1b[31m\nname\ud800", CENTRE, source="a\tb", status="ok", describe={"x\r": "\x07y"})
    broken = failed("other\u202e", CENTRE, "failed", "two\nlines \x1b]0;title\x07")
    frame = load(tmp_path / "run", hostile, broken)
    assert list(frame["implementation"]) == ["evil [31m name", "other"]
    assert frame["reason"].iloc[1] == "two lines ]0;title"
    assert (frame["source"].iloc[0], frame["describe"].iloc[0]) == ("a b", "x: y")
    assert frame.to_csv().isprintable() or frame.to_csv().replace("\n", "").isprintable()


def test_samples_are_in_measured_order(tmp_path: Path) -> None:
    """The long form has a row a sample with its round, block and place; failed cases have none."""
    of = workload("training")
    first = trial("nn_rnn", of, [1.0, 2.0, 3.0], blocks=(2, 1), status="noisy")
    second = trial("nn_rnn", of, [4.0], blocks=(1,), round_number=1)
    run_of(
        tmp_path / "run",
        [first, second, trial("torch_loop", CENTRE, [5.0], blocks=(1,)), failed("x", of, "failed", "")],
    )
    frame = load_samples(tmp_path / "run")
    assert list(frame.columns) == list(SAMPLE_COLUMNS)
    assert list(frame["seconds"]) == [1, 2, 3, 4, 5]
    assert list(frame["round"]) == [0, 0, 0, 1, 0]
    assert list(frame["block"]) == [0, 0, 1, 0, 0]
    assert list(frame["sample"]) == [0, 1, 2, 0, 0]
    assert list(frame["implementation"]) == ["nn_rnn"] * 4 + ["torch_loop"]
    assert frame["case"].iloc[4] == f"torch_loop/{CENTRE.id}"
    np.testing.assert_allclose(frame["backward_seconds"], [0.6, 1.2, 1.8, 2.4, np.nan])


def test_a_run_without_samples_has_an_empty_long_form(tmp_path: Path) -> None:
    """No samples, no rows, the same columns."""
    run_of(tmp_path / "run", [])
    assert list(load_samples(tmp_path / "run").columns) == list(SAMPLE_COLUMNS)
