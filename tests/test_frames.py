"""`load_run`: a tidy frame whose every number can be recomputed by hand."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Sequence
from datetime import timedelta
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
from benchmarks.runs.loading import read_peaks
from benchmarks.store import StoreError
from benchmarks.trial import QUANTITIES, Trial
from tests.synthetic_runs import START, failed, peaks, record, run_of, trial, workload

CENTRE = workload()


def load(folder: Path, *trials: Trial, **fields: Any) -> pd.DataFrame:
    """The frame of a run of these trials."""
    run_of(folder, trials, **fields)
    return load_run(folder)


def row(frame: pd.DataFrame, implementation: str) -> pd.Series:
    """The only row of an implementation."""
    rows = frame[frame["implementation"] == implementation]
    assert len(rows) == 1
    return rows.iloc[0]


def blocks_of(*medians: float) -> list[float]:
    """Samples of blocks of three with these medians."""
    return [sample for median in medians for sample in (median * 0.9, median, median * 1.5)]


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


def test_load_run_is_offered_by_the_package() -> None:
    """`from benchmarks import load_run` is this one."""
    assert benchmarks.load_run is load_run


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


def test_the_median_is_that_of_the_blocks(tmp_path: Path) -> None:
    """Each block counts by its median; six blocks enclose the median by their least and largest."""
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE, blocks_of(1, 2, 3, 4, 5, 60))), "nn_rnn")
    assert (found["median_seconds"], found["low_seconds"], found["high_seconds"]) == (3.5, 1, 60)
    assert found["relative_half_width"] == pytest.approx((60 - 1) / 2 / 3.5)
    assert (found["rounds"], found["samples"], found["blocks"]) == (1, 18, 6)


def test_rounds_are_pooled(tmp_path: Path) -> None:
    """The blocks of all visits make one estimate, and ok or noisy is decided anew by all of them."""
    first = trial("nn_rnn", CENTRE, blocks_of(1, 1, 1, 1, 1, 5), status="noisy", reason="too wide")
    second = trial("nn_rnn", CENTRE, blocks_of(1, 1, 1, 1, 1, 1), round_number=1, status="noisy", reason="still")
    found = row(load(tmp_path / "run", second, first), "nn_rnn")
    assert (found["rounds"], found["samples"], found["blocks"]) == (2, 36, 12)
    assert (found["status"], found["median_seconds"], found["high_seconds"]) == ("ok", 1, 1)
    assert pd.isna(found["reason"])


def test_noisy_is_judged_against_what_the_sweep_asked_for(tmp_path: Path) -> None:
    """An interval of ±10 % is noisy for a sweep that asked for 5 % and ok for one that asked for 20 %."""
    samples = blocks_of(0.9, 1, 1, 1, 1, 1.1)
    found = row(load(tmp_path / "a", trial("nn_rnn", CENTRE, samples, status="ok")), "nn_rnn")
    assert found["status"] == "noisy"
    assert found["reason"] == "the interval of the median is ±10%, wider than the ±5% asked for"
    loose = row(load(tmp_path / "b", trial("nn_rnn", CENTRE, samples), sweep={"target_interval": 0.2}), "nn_rnn")
    assert loose["status"] == "ok"


@pytest.mark.parametrize("sweep", [None, [], {}, {"target_interval": "small"}, {"target_interval": -1}])
def test_a_record_without_a_target_means_five_percent(tmp_path: Path, sweep: object) -> None:
    """A stranger's record may not say what interval was asked for."""
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE, blocks_of(0.9, 1, 1, 1, 1, 1.1)), sweep=sweep), "nn_rnn")
    assert found["status"] == "noisy"


def test_too_few_blocks_have_no_interval(tmp_path: Path) -> None:
    """With five blocks there is a median, no interval, and the status is noisy."""
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE, 1.0, blocks=(3,) * 5)), "nn_rnn")
    assert (found["status"], found["median_seconds"]) == ("noisy", 1)
    assert math.isnan(found["low_seconds"])
    assert "fewer than 6 blocks" in found["reason"]


def test_a_case_that_failed_at_last_has_no_time(tmp_path: Path) -> None:
    """A case that was measured once and then crashed is shown as crashed, with the reason and without times."""
    again = failed("nn_rnn", CENTRE, "crashed", "SIGSEGV", round_number=1)
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE), again), "nn_rnn")
    assert (found["status"], found["reason"], found["rounds"], found["samples"]) == ("crashed", "SIGSEGV", 2, 0)
    assert found[["median_seconds", "speedup", "slowdown", "flops_per_second"]].isna().all()


def test_a_visit_that_was_killed_costs_no_other_its_times(tmp_path: Path) -> None:
    """What was measured before and after stays; the visit is counted."""
    killed = failed("nn_rnn", CENTRE, "crashed", "signal 9", lost="signal 9", round_number=1)
    found = row(load(tmp_path / "last", trial("nn_rnn", CENTRE), killed), "nn_rnn")
    assert (found["status"], found["rounds"], found["samples"], found["lost_visits"]) == ("ok", 2, 18, 1)
    again = trial("nn_rnn", CENTRE, round_number=2)
    found = row(load(tmp_path / "between", trial("nn_rnn", CENTRE), killed, again), "nn_rnn")
    assert (found["status"], found["samples"], found["lost_visits"]) == ("ok", 36, 1)


def test_a_case_of_which_every_visit_was_killed_says_so(tmp_path: Path) -> None:
    """There is nothing to fall back on."""
    killed = failed("nn_rnn", CENTRE, "crashed", "signal 9", lost="signal 9")
    found = row(load(tmp_path / "run", killed), "nn_rnn")
    assert (found["status"], found["reason"], found["lost_visits"]) == ("crashed", "signal 9", 1)


@pytest.mark.parametrize("round_number", [0, 2, 3])
def test_a_case_that_was_ever_wrong_has_no_time(tmp_path: Path, round_number: int) -> None:
    """Whichever of its visits found that, and whatever became of the last."""
    wrong = failed("nn_rnn", CENTRE, "wrong", "y is off", round_number=round_number)
    killed = failed("nn_rnn", CENTRE, "crashed", "signal 9", lost="signal 9", round_number=4)
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE, round_number=1), wrong, killed), "nn_rnn")
    assert (found["status"], found["reason"], found["samples"]) == ("wrong", "y is off", 0)


def test_the_last_visit_is_told_by_its_round(tmp_path: Path) -> None:
    """The order of the lines does not matter: the round says which visit was the last."""
    again = failed("nn_rnn", CENTRE, "crashed", "SIGSEGV", round_number=1)
    found = row(load(tmp_path / "run", again, trial("nn_rnn", CENTRE)), "nn_rnn")
    assert found["status"] == "crashed"


def test_a_measured_status_without_samples_is_a_failure(tmp_path: Path) -> None:
    """A stranger's trial may call itself ok and have no samples."""
    found = row(load(tmp_path / "run", failed("nn_rnn", CENTRE, "ok", "")), "nn_rnn")
    assert (found["status"], found["reason"]) == ("failed", "it has no samples")


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
    """In training the medians of the two passes stand beside that of the whole; in inference they are missing."""
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
    """Its peaks are libraries' alone; what they bound is told all the same, for every case that has a time."""
    folder = Path(__file__).parent / "data" / "run-of-schema-1"
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["schema"] == 1
    frame = load_run(folder)
    timed = frame[frame["median_seconds"].notna()]
    assert len(timed) == 28
    assert timed[["bound_seconds", "blas_seconds", "share_of_attainable", "bound_by"]].notna().all().all()
    assert timed["chain_seconds"].isna().all()


def test_peaks_of_another_setting_do_not_count(tmp_path: Path) -> None:
    """One thread's peak says nothing of two threads: the shares are missing."""
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE), peaks=peaks({workload(threads=1)})), "nn_rnn")
    assert found[["share_of_peak", "bound_seconds", "share_of_attainable", "bound_by"]].isna().all()


@pytest.mark.parametrize(
    "broken", [None, {}, ["x"], [{"kind": "gemm"}], [{"kind": "gemm", "flops_per_second": "fast"}]]
)
def test_peaks_that_are_none_are_left_out(tmp_path: Path, broken: object) -> None:
    """A stranger's record may hold anything where the peaks are."""
    found = row(load(tmp_path / "run", trial("nn_rnn", CENTRE), peaks=broken), "nn_rnn")
    assert math.isnan(found["share_of_peak"])


def test_speedup_pairs_the_blocks_of_a_visit(tmp_path: Path) -> None:
    """Blocks that took turns are paired: what slows both by any factor leaves the ratio exact."""
    weather = [1, 3, 0.5, 10, 2, 7]
    base = trial("nn_rnn", CENTRE, blocks_of(*(2 * factor for factor in weather)))
    other = trial("torch_loop", CENTRE, blocks_of(*(4 * factor for factor in weather)))
    frame = load(tmp_path / "run", base, other)
    found = row(frame, "torch_loop")
    assert (found["speedup"], found["speedup_low"], found["speedup_high"]) == (0.5, 0.5, 0.5)
    assert (found["slowdown"], found["slowdown_low"], found["slowdown_high"]) == (2, 2, 2)
    own = row(frame, "nn_rnn")
    assert (own["speedup"], own["slowdown"]) == (1, 1)


def test_speedup_pairs_each_round_on_its_own(tmp_path: Path) -> None:
    """The first blocks of two rounds are not each other's neighbours, whatever the order of the lines."""
    trials = []
    for number, factor in ((0, 1.0), (1, 100.0)):
        trials.append(trial("nn_rnn", CENTRE, blocks_of(*[2 * factor] * 6), round_number=number))
        trials.insert(0, trial("torch_loop", CENTRE, blocks_of(*[factor] * 6), round_number=number))
    found = row(load(tmp_path / "run", *trials), "torch_loop")
    assert (found["speedup"], found["speedup_low"], found["speedup_high"]) == (2, 2, 2)


def unpaired(tmp_path: Path, *trials: Trial) -> Sequence[float]:
    found = row(load(tmp_path / "run", *trials), "torch_loop")
    return [found["speedup"], found["speedup_low"], found["speedup_high"]]


WIDEST = (4 / 3.0, 3 / 6.0, 5 / 1.0)


def test_a_block_more_has_no_pair(tmp_path: Path) -> None:
    """Where the budget ends amid a turn, one case has a block that the other has not: it is in no ratio."""
    base = trial("nn_rnn", CENTRE, blocks_of(*[2.0] * 6))
    other = trial("torch_loop", CENTRE, blocks_of(*[1.0] * 6, 50.0), blocks=(3,) * 7)
    assert unpaired(tmp_path, base, other) == [2, 2, 2]


def test_too_few_pairs_give_the_widest_bounds(tmp_path: Path) -> None:
    """With fewer pairs than an interval needs, bounds come from the two medians: here there are none."""
    base = trial("nn_rnn", CENTRE, blocks_of(*[2.0] * 6))
    other = trial("torch_loop", CENTRE, blocks_of(*[1.0] * 3), blocks=(3,) * 3)
    ratio, low, high = unpaired(tmp_path, base, other)
    assert ratio == 2
    assert math.isnan(low)
    assert math.isnan(high)


def test_what_slowed_all_in_turn_is_in_no_time(tmp_path: Path) -> None:
    """Two cases whose blocks took turns fell on the same moments: their medians are as far apart as their blocks."""
    moments = [1.0, 1.0, 1.0, 1.5, 1.5, 1.5]
    noise = [1.0, 1.0, 1.01, 0.99, 1.0, 1.0]
    base = trial("nn_rnn", CENTRE, blocks_of(*(2 * moment for moment in moments)))
    other = trial("torch_loop", CENTRE, blocks_of(*(2 * m * n for m, n in zip(moments, noise, strict=True))))
    frame = load(tmp_path / "run", base, other)
    times = [row(frame, name)["median_seconds"] for name in ("nn_rnn", "torch_loop")]
    assert times[0] == pytest.approx(times[1], rel=1e-9)
    assert 2 < times[0] < 3


def test_a_case_measured_alone_keeps_its_median(tmp_path: Path) -> None:
    """Nothing was beside it, so nothing is taken out of it, and the visit of another changes it in no way."""
    later = (START + timedelta(hours=1)).isoformat(timespec="milliseconds")
    alone = trial("nn_rnn", CENTRE, blocks_of(1, 2, 3, 4, 5, 9))
    apart = trial("torch_loop", CENTRE, blocks_of(*[7.0] * 6), started_at=later, finished_at=later + "x")
    assert row(load(tmp_path / "a", alone), "nn_rnn")["median_seconds"] == 3.5
    assert row(load(tmp_path / "b", alone, apart), "torch_loop")["median_seconds"] == pytest.approx(7)


def test_visits_apart_in_time_do_not_pair(tmp_path: Path) -> None:
    """A resumed sweep may measure two cases in the same round at different times: they did not take turns."""
    later = (START + timedelta(hours=1)).isoformat(timespec="milliseconds")
    base = trial("nn_rnn", CENTRE, blocks_of(3, 3, 4, 4, 5, 5))
    other = trial("torch_loop", CENTRE, blocks_of(1, 3, 3, 3, 3, 6), started_at=later, finished_at=later + "x")
    assert unpaired(tmp_path, base, other) == pytest.approx(WIDEST)


def test_without_a_baseline_there_is_no_speedup(tmp_path: Path) -> None:
    """Where nn_rnn was not measured, speed-up and payback are missing; the slowdown is not."""
    frame = load(tmp_path / "run", failed("nn_rnn", CENTRE, "timeout", "120 s"), trial("torch_loop", CENTRE))
    found = row(frame, "torch_loop")
    assert found[["speedup", "speedup_low", "speedup_high", "payback_calls"]].isna().all()
    assert found["slowdown"] == 1


def test_the_baseline_is_of_the_same_workload_and_run(tmp_path: Path) -> None:
    """nn_rnn of another run or another workload is no baseline."""
    run_of(tmp_path / "a", [trial("nn_rnn", CENTRE), trial("torch_loop", workload(T=65))])
    run_of(tmp_path / "b", [trial("torch_loop", CENTRE)])
    frame = load_run(tmp_path / "a", tmp_path / "b")
    assert frame.loc[frame["implementation"] == "torch_loop", "speedup"].isna().all()


def test_the_baseline_may_have_another_name(tmp_path: Path) -> None:
    """Under a label, nn_rnn is still what others are compared with."""
    frame = load(tmp_path / "run", trial("base", CENTRE, 2.0, source="nn_rnn"), trial("torch_loop", CENTRE, 1.0))
    assert row(frame, "torch_loop")["speedup"] == 2


def test_a_copy_does_not_take_the_lead(tmp_path: Path) -> None:
    """Slowdowns are relative to the fastest under its source's own name, not to a second name for it."""
    frame = load(
        tmp_path / "run", trial("again", CENTRE, 1.0, source="nn_rnn"), trial("nn_rnn", CENTRE, 1.25, source="nn_rnn")
    )
    assert row(frame, "nn_rnn")["slowdown"] == 1
    assert row(frame, "again")["slowdown"] == 0.8


@pytest.mark.parametrize(
    ("call", "setup", "expected"),
    [
        (1.0, 11.0, 10.0),
        (1.5, 11.0, 20.0),
        (2.0, 11.0, math.inf),
        (3.0, 11.0, math.inf),
        (3.0, 0.5, 0.0),
        (1.0, 1.0, 0.0),
    ],
)
def test_payback_is_extra_cost_over_saving(tmp_path: Path, call: float, setup: float, expected: float) -> None:
    """Against 1 s + 2 s before and 2 s a call: 10 s more are earned back by 1 s a call in 10 calls, by 0 s never."""
    base = trial("nn_rnn", CENTRE, 2.0, setup_seconds=1.0, first_call_seconds=2.0)
    other = trial("torch_loop", CENTRE, call, setup_seconds=setup, first_call_seconds=2.0)
    frame = load(tmp_path / "run", base, other)
    assert row(frame, "torch_loop")["payback_calls"] == pytest.approx(expected)
    assert row(frame, "nn_rnn")["payback_calls"] == 0


def test_payback_is_missing_where_a_cost_is(tmp_path: Path) -> None:
    """What set-up cost was not recorded cannot be earned back."""
    frame = load(tmp_path / "run", trial("nn_rnn", CENTRE, 2.0), trial("torch_loop", CENTRE, 1.0, setup_seconds=None))
    assert math.isnan(row(frame, "torch_loop")["payback_calls"])


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
    """As many different labels as runs, or a message."""
    for name in ("a", "b"):
        run_of(tmp_path / name, [])
    with pytest.raises(ValueError, match="expected 2, all different"):
        load_run(tmp_path / "a", tmp_path / "b", labels=labels)


def test_no_run_and_the_same_run_twice_are_refused(tmp_path: Path) -> None:
    """Nothing to read, and one folder twice, are mistakes."""
    run_of(tmp_path / "a", [])
    with pytest.raises(ValueError, match="no run is given"):
        load_run([])
    with pytest.raises(StoreError, match="the same run folder twice"):
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


@pytest.mark.parametrize("back", [timedelta(seconds=31), timedelta(hours=3)], ids=str)
def test_a_clock_that_was_set_back_within_a_visit_costs_nothing(tmp_path: Path, back: timedelta) -> None:
    """A trial that ends before it began is read, and its blocks stand beside those that took turns with it."""
    ended = (START + timedelta(seconds=30) - back).isoformat(timespec="milliseconds")
    slow, fast = (
        [1e-3 * (1 + 0.1 * (at // 3 % 2)) for at in range(18)],
        [5e-4 * (1 + 0.1 * (at // 3 % 2)) for at in range(18)],
    )
    one = trial("nn_rnn", workload(), slow, finished_at=ended)
    other = trial("torch_loop", workload(), fast, finished_at=ended)
    later = [trial(name, workload(), times, round_number=1) for name, times in (("nn_rnn", slow), ("torch_loop", fast))]
    run_of(tmp_path / "run", [one, other, *later])
    frame = load_run(tmp_path / "run").set_index("implementation")
    assert list(frame["blocks"]) == [12, 12]
    # Both saw the same machine: by blocks that took turns, the ratio has no width.
    ratio = frame.loc["torch_loop"]
    assert [ratio[name] for name in ("speedup_low", "speedup", "speedup_high")] == pytest.approx([2, 2, 2])


def test_one_trial_that_ends_before_it_began_is_no_hindrance(tmp_path: Path) -> None:
    """Beside others of its visit that do not."""
    ended = (START - timedelta(seconds=2)).isoformat(timespec="milliseconds")
    trials = [trial("nn_rnn", workload(), 1e-3, finished_at=ended), trial("torch_loop", workload(), 5e-4)]
    run_of(tmp_path / "run", trials)
    assert load_run(tmp_path / "run").set_index("implementation").loc["torch_loop", "speedup"] == pytest.approx(2)
