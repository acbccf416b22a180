"""Unequal lengths in a workload: distributions, IDs, what is measured and checked, and what the report says."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmarks.counts import flops, products
from benchmarks.measuring.calls.call import Call
from benchmarks.measuring.checking.expectations import Expectations
from benchmarks.measuring.inputs import make_inputs
from benchmarks.measuring.measure import Subject
from benchmarks.presentation.plot_style import choose_styles
from benchmarks.reporting.plots.lengths_plot import cost_scale, draw, lengths_panels, share_scale
from benchmarks.reporting.topics.lengths import lengths_cases
from benchmarks.sequence_lengths import LENGTHS, bucketed, draw_lengths
from benchmarks.sweeps import PRESETS
from benchmarks.sweeps.grid import Grid
from benchmarks.trial import Trial
from benchmarks.workload import Workload
from rnnimpl.impls.numpy_hoisted import NumpyHoisted
from tests.reports_of_trials import report, section
from tests.synthetic_runs import loaded, trial, typed, workload

UNEQUAL = LENGTHS[1:]
SMALL = Workload(mode="training", T=12, B=5, I=4, H=6, cell="lstm", lengths="uniform")


@pytest.mark.parametrize("name", UNEQUAL)
@pytest.mark.parametrize(("T", "B"), [(128, 16), (50, 3), (1000, 64)])
def test_a_distribution_has_the_same_lengths_each_time(name: str, T: int, B: int) -> None:
    """They are from 1 to T, the longest is T, and other distributions and sizes have others."""
    lengths = draw_lengths(name, T, B)
    assert lengths is not None
    assert lengths == draw_lengths.__wrapped__(name, T, B)
    assert len(lengths) == B
    assert min(lengths) >= 1
    assert max(lengths) == T
    others = {draw_lengths(other, T, B) for other in UNEQUAL if other != name}
    assert lengths not in others


def test_the_lengths_of_a_distribution_never_change() -> None:
    """An ID of a stored run stands for the same batch in every version."""
    assert {name: draw_lengths(name, 50, 6) for name in UNEQUAL} == {
        "uniform": (46, 10, 50, 8, 45, 50),
        "speech": (50, 25, 33, 41, 30, 37),
        "text": (16, 50, 14, 15, 21, 12),
        "one-long": (50, 7, 7, 7, 7, 7),
    }


def test_distributions_have_the_skew_that_they_are_named_for() -> None:
    """Speech is mostly near the longest, text mostly far below it, and one long sequence is among short ones."""
    means = {name: float(np.mean(draw_lengths(name, 1000, 400) or ())) / 1000 for name in UNEQUAL}
    assert means["speech"] == pytest.approx(0.7, abs=0.03)
    assert means["uniform"] == pytest.approx(0.5, abs=0.03)
    assert means["text"] == pytest.approx(0.35, abs=0.03)
    assert Counter(draw_lengths("one-long", 80, 8)) == {80: 1, 10: 7}


def test_one_sequence_and_one_step_have_equal_lengths() -> None:
    for name in UNEQUAL:
        assert draw_lengths(name, 9, 1) is None
        assert draw_lengths(name, 1, 9) is None


def test_lengths_are_part_of_an_id_only_where_they_are_not_equal() -> None:
    """IDs of runs from before there were lengths stay as they are."""
    assert Workload.parse(SMALL.id) == SMALL
    assert SMALL.id == "cpu/training/T12-uniform-B5-I4-H6-L1-lstm-float32"
    assert dataclasses.replace(SMALL, lengths="equal").id == "cpu/training/T12-B5-I4-H6-L1-lstm-float32"
    one_long = dataclasses.replace(SMALL, lengths="one-long", threads=2)
    assert Workload.parse(one_long.id) == one_long
    assert SMALL.conditions == "uniform lengths"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lengths": "even"}, "lengths is 'even'; expected one of equal, uniform"),
        ({"mode": "streaming"}, "lengths is 'uniform'; expected 'equal' in mode streaming"),
        ({"mode": "inference", "signal": "decaying", "bias": False}, "with a decaying signal"),
    ],
)
def test_lengths_of_no_workload_are_refused(fields: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(SMALL, **fields)  # type: ignore[arg-type]  # some are wrong


def test_lengths_are_an_axis_and_a_preset_has_all() -> None:
    grid = Grid.from_mapping({"lengths": ["text", "equal"], "device": "cpu", "threads": 1})
    assert {each.lengths for each in grid.workloads(["cpu"], 2)} == {"text", "equal"}
    with pytest.raises(ValueError, match="lengths is 'even'; expected one of equal"):
        Grid(lengths=("even",))  # type: ignore[arg-type]
    found = PRESETS["lengths"].workloads(["cpu"], 2)
    assert {each.lengths for each in found} == set(LENGTHS)
    assert Grid().to_json()["lengths"] == ["equal"]


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_operations_are_those_of_valid_steps(mode: str) -> None:
    """The products of all steps add up to the operations, which are in proportion to the valid steps."""
    unequal = dataclasses.replace(SMALL, mode=mode)  # type: ignore[arg-type]
    equal = dataclasses.replace(unequal, lengths="equal")
    assert sum(product.flops for product in products(unequal)) == flops(unequal)
    assert flops(unequal) * equal.valid_steps == flops(equal) * unequal.valid_steps
    assert unequal.valid_steps < equal.valid_steps == 60


def test_buckets_leave_the_padding_of_like_lengths() -> None:
    """Four batches of these sequences, sorted, have their own longest ones."""
    assert bucketed((1, 2, 3, 4), 4) == pytest.approx((1 + 2 + 3 + 4) * 4 / 64)
    assert bucketed((8, 1, 1, 1), 8) == pytest.approx((1 * 3 + 8) * 4 / (8 * 4 * 4))
    assert bucketed((5, 5), 5) == 1.0


@pytest.mark.parametrize(("mode", "bidirectional"), [("inference", False), ("training", True)])
def test_a_case_of_unequal_lengths_is_measured_and_checked(mode: str, bidirectional: bool) -> None:
    """Its first call and a timed call are those of the reference with lengths; one that ignores them is found."""
    of = dataclasses.replace(SMALL, mode=mode, bidirectional=bidirectional)  # type: ignore[arg-type]
    expectations = Expectations(seed=3)
    subject = Subject(NumpyHoisted, of, clock=time.perf_counter, seed=3)
    subject.prepare(expectations.get(of).expectation, of.T, 0.01)
    for check in expectations.spot_checks(of, 1):
        subject.block(check.call)
        assert check.problem(subject.results(check.rows, check.steps, check.weights)) is None
    inputs = make_inputs(of, 3)
    ignoring = Call.of(subject.rnn, inputs.x, inputs.dy, inputs.dstate_n).make()
    assert expectations.get(of).expectation.error("y", ignoring.y) > 1e-3


PLAIN = workload("inference", T=128, B=16, H=256, cell="lstm", threads=1)


def trials(name: str, **milliseconds: float) -> list[object]:
    """Trials of an implementation by the name of the distribution, `one_long` for one-long."""
    return [
        trial(name, dataclasses.replace(PLAIN, lengths=lengths.replace("_", "-")), ms * 1e-3)  # type: ignore[arg-type]
        for lengths, ms in milliseconds.items()
    ]


def test_the_report_has_times_per_valid_step_and_buckets(tmp_path: Path) -> None:
    """A valid step over equal lengths, who is fastest, what buckets would give, and a table of its own."""
    share = dataclasses.replace(PLAIN, lengths="text").valid_steps / (128 * 16)
    ours = trials("fused_cpu", equal=10.0, text=10.0 * share * 1.2)
    theirs = trials("nn_rnn", equal=20.0, text=20.0)
    text = report(tmp_path / "run", [*ours, *theirs])  # type: ignore[list-item]
    said = section(text, "What padding costs")
    behind = 20.0 / (10.0 * share * 1.2)
    ahead = f"{behind:.2f}x ({behind:.2f}-{behind:.2f})"
    assert (
        f"`fused_cpu`: surely the fastest of 1 of 1 batch; where its time is the least, the next takes {ahead}" in said
    )
    assert "a valid step takes 1.20x (1.20-1.20) of its time at equal lengths" in said
    assert f"`nn_rnn`: surely the fastest of 0 of 1 batch, and takes {ahead} as long as the fastest" in said
    gain = 1 / bucketed(draw_lengths("text", 128, 16) or (), 128)
    assert f"batching by length would surely make 1 of 1 faster, up to {gain:.2f}x ({gain:.2f}-{gain:.2f})" in said
    assert "plots/padding.png" in text
    assert (tmp_path / "run" / "lengths.csv").read_text(encoding="utf-8").count("text") == 4
    assert "LSTM, cpu, float32, 1 thread, text lengths" in text


def blocks(name: str, lengths: str, *milliseconds: float, **fields: object) -> Trial:
    """A trial whose blocks have these medians."""
    of = dataclasses.replace(PLAIN, lengths=lengths)  # type: ignore[arg-type]
    samples = [ms * 1e-3 for ms in milliseconds for _ in range(3)]
    return trial(name, of, samples, blocks=(3,) * len(milliseconds), **fields)  # type: ignore[arg-type]


def test_the_cost_of_padding_has_the_interval_of_both_times(tmp_path: Path) -> None:
    """It reaches from the least time over the largest at equal lengths to the opposite."""
    unequal, equal = (5.0, 6.0, 6.0, 6.0, 6.0, 8.0), (9.0, 10.0, 10.0, 10.0, 10.0, 12.0)
    run = loaded(tmp_path / "run", [blocks("fused_cpu", "text", *unequal), blocks("fused_cpu", "equal", *equal)])
    (case,) = lengths_cases([run])
    assert case.cost is not None
    found = (case.cost.median, case.cost.low, case.cost.high)
    assert found == pytest.approx([ratio / case.valid_share for ratio in (6 / 10, 5 / 12, 8 / 9)])


WIDE = (9.0, 9.5, 10.0, 10.0, 10.5, 11.0)


def test_two_that_are_too_close_to_call_are_both_tied(tmp_path: Path) -> None:
    """Times 2 % apart by the medians, and 20 % up and down from block to block: neither is the fastest.

    Equal lengths were not measured: the section has its answer without a plot.
    """
    trials = [blocks("fused_cpu", "text", *WIDE), blocks("nn_rnn", "text", *(each * 1.02 for each in WIDE[::-1]))]
    said = section(report(tmp_path / "run", [*trials, blocks("jax_scan", "text", *([30.0] * 6))]), "What padding costs")
    assert "`fused_cpu`: surely the fastest of 0 of 1 batch and tied on 1" in said
    assert "`nn_rnn`: surely the fastest of 0 of 1 batch and tied on 1" in said
    assert "`jax_scan`: surely the fastest of 0 of 1 batch, and takes 3.00x (2.73-3.33) as long as the fastest" in said


def test_without_an_interval_the_fastest_is_not_yet_known(tmp_path: Path) -> None:
    trials = [blocks("fused_cpu", "text", 5.0, 5.0), blocks("nn_rnn", "text", 20.0, 20.0)]
    said = section(report(tmp_path / "run", trials), "What padding costs")
    assert "`fused_cpu`: surely the fastest of 0 of 1 batch and not yet known on 1" in said
    assert "as long" not in said.split("\n\n", 1)[0]


def test_a_name_for_the_same_code_is_no_rival(tmp_path: Path) -> None:
    """A batch that one source computed under two names has no fastest."""
    trials = [blocks("a", "text", *([9.0] * 6), source="nn_rnn"), blocks("b", "text", *([8.0] * 6), source="nn_rnn")]
    assert "the fastest" not in section(report(tmp_path / "run", trials), "What padding costs")


def test_buckets_help_only_by_more_than_the_intervals(tmp_path: Path) -> None:
    """Batching would save 0.6 of the time by the medians, and the intervals reach beyond it."""
    wide = (1.0, 10.0, 20.0, 20.0, 30.0, 60.0)
    trials = [blocks("nn_rnn", "text", *wide), blocks("nn_rnn", "equal", *wide)]
    said = section(report(tmp_path / "run", trials), "What padding costs")
    assert "batching by length" not in said.split("A batch is padded", 1)[0]


def test_the_plot_of_padding_names_no_winner_within_the_intervals(tmp_path: Path) -> None:
    """The least cost at the worst distribution is told with how many others may have it."""
    trials = [blocks("fused_cpu", each, *WIDE) for each in ("text", "equal")]
    trials += [blocks("nn_rnn", "text", *(each * 1.02 for each in WIDE)), blocks("nn_rnn", "equal", *WIDE)]
    trials += [blocks("jax_scan", "text", *([30.0] * 6)), blocks("jax_scan", "equal", *([10.0] * 6))]
    (panel,) = lengths_panels(lengths_cases([loaded(tmp_path / "run", trials)]))
    axes = Figure(figsize=(5, 3)).add_subplot()
    styles = choose_styles(["fused_cpu", "nn_rnn", "jax_scan"])
    said = typed(draw(axes, panel, styles, share_scale(panel), cost_scale(panel), 3.3))
    assert said.startswith("least at worst: fused_cpu ≈ nn_rnn, ")


def test_without_equal_lengths_there_is_no_cost(tmp_path: Path) -> None:
    run = loaded(tmp_path / "run", trials("fused_cpu", text=1.0))  # type: ignore[arg-type]
    (case,) = lengths_cases([run])
    assert case.cost is None
    assert case.bucketed is None
    assert case.per_valid_step == pytest.approx(case.time.median / case.workload.valid_steps)
    assert case.per_padded_step == pytest.approx(case.time.median / 2048)
