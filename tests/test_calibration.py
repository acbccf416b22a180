"""`calibrate`: what is planted, and what rules make of groups whose truth is known."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.presentation.plain_text import interval
from benchmarks.regression.calibration import curves as curves_of_rules
from benchmarks.regression.calibration import injection, measuring
from benchmarks.regression.calibration.measuring import Group, read_groups, read_record
from benchmarks.regression.calibration.rules import (
    Costs,
    compare_fails,
    equal_code,
    most_pairs,
    replay_verdict,
    t_test,
)
from benchmarks.regression.calibration.trials import (
    INTERLEAVED,
    ONE_AFTER_ANOTHER,
    T_TEST,
    Rate,
    Replay,
    compare_of,
    regress_on_equal_code,
    regress_on_injected,
    regress_within,
    t_test_on,
)
from benchmarks.regression.measuring import floor_pairs
from benchmarks.suite import test_speed
from benchmarks.workload import Case
from rnnimpl import RnnConfig, Weights, load
from rnnimpl.interface import CellName

CASES = ("a", "b")
COSTS = Costs(plain=10.0, dry_run=1.0, pairs={1: 2.0, 2: 4.0})
CONTROLS = ((1.0, 1.0),) * 3


def group(
    number: int, again: float = 1.0, planted: float = 1.2, size: str = "0.2", amount: int = 1, settled: bool = True
) -> Group:
    """Two cases of about a second; the second process takes `again` times as long, the third `planted` times."""
    wobble = 1 + 0.002 * (number % 3)
    factors = (1.0, again * wobble, planted * wobble)
    sides = tuple(dict.fromkeys(CASES, (factor, factor)) for factor in factors)
    summaries = tuple({case: {"mean": each, "min": each, "median": each} for case in CASES} for each in factors)
    sizes, amounts = dict.fromkeys(CASES, size), dict.fromkeys(CASES, amount)
    return Group(sides, summaries, (CONTROLS,) * 3, sizes, amounts, settled, 1.0)


def replay(groups: Sequence[Group]) -> Replay:
    """Of these groups."""
    return Replay.of(groups, CASES, COSTS)


def test_equal_code_raises_no_alarm_and_a_slower_twin_does() -> None:
    """In every trial."""
    equal = regress_on_equal_code(replay([group(number) for number in range(40)]), 100.0)
    assert equal
    assert not any(told.alarm for told in equal)
    first = floor_pairs(len(CASES))
    slower = [
        group(number, again=1 + 0.3 * (number >= first))
        for number in range(first + most_pairs(COSTS, len(CASES), 100.0))
    ]
    assert [told.slower for told in regress_on_equal_code(replay(slower), 100.0)] == [CASES]


def test_trials_of_regress_share_no_group() -> None:
    """The next begins after what one took, its pairs for the floor among them."""
    groups = [group(number) for number in range(40)]
    told = regress_on_equal_code(replay(groups), 100.0)
    assert sum(each.pairs + floor_pairs(len(CASES)) for each in told) <= len(groups)
    # Slow from the second trial's groups on, so the first must not see it and the second must.
    taken = told[0].pairs + floor_pairs(len(CASES))
    late = [group(number, again=1 + 0.3 * (number >= taken + floor_pairs(len(CASES)))) for number in range(40)]
    assert [each.alarm for each in regress_on_equal_code(replay(late), 100.0)][:2] == [False, True]


def test_regress_finds_what_is_planted_in_one_case() -> None:
    """Of groups with that size alone, the floor from the others; the other case is equal code."""
    groups = [group(number, size="0.2" if number % 3 else "0.02") for number in range(60)]
    told = regress_on_injected(replay(groups), "0.2", "b", 100.0)
    assert told
    assert {each.slower for each in told} == {("b",)}
    assert sum(each.pairs for each in told) <= 40
    assert not regress_on_injected(replay(groups), "0.05", "b", 100.0)


def test_the_floor_is_of_the_groups_just_before() -> None:
    """Of those in which the case had work of another size: the machine of then. The first there are, where none is."""
    unlike = [group(number, again=(1.5, 0.7)[number % 2], size="0.02") for number in range(2)]
    alike = [group(number, size="0.02") for number in range(2)]
    planted = [group(number) for number in range(most_pairs(COSTS, len(CASES), 100.0))]
    found = [
        [each.slower for each in regress_on_injected(replay(groups), "0.2", "b", 100.0)]
        for groups in ((*unlike, *alike, *planted), (*alike, *unlike, *planted), (*planted, *alike, *unlike))
    ]
    assert found == [[("b",)], [()], [("b",)]]
    assert regress_on_injected(replay([*alike[:1], *planted]), "0.2", "b", 100.0) == []


def test_groups_in_another_order_are_the_same_groups() -> None:
    """Each with its own log ratios; the seed settles the order."""
    groups = replay([group(number, again=1 + number / 100, planted=2 + number / 100) for number in range(20)])
    other = groups.shuffled(1)
    assert other == groups.shuffled(1)
    assert other.groups != groups.groups
    assert other == replay(other.groups)
    assert sorted(each.sides[1]["a"] for each in other.groups) == [each.sides[1]["a"] for each in groups.groups]


def test_a_find_on_an_unfit_machine_is_none() -> None:
    """Nor is an alarm raised on it, where the machine may have made the case as slow."""
    drift = (CONTROLS, ((1.3, 1.3),) * 3, CONTROLS)
    for controls, said in (((CONTROLS,) * 3, True), (drift, False)):
        slower = [dataclasses.replace(group(number, again=1.3), controls=controls) for number in range(26)]
        floor = [group(number, size="0.02") for number in range(2)]
        groups = replay([*floor, *slower])
        rule = regress_within(groups, 100.0)
        assert rule.finds(groups, "0.2", "a")[0] is said
        assert rule.alarms(groups)[0] is said


def test_the_t_test_takes_each_trials_pairs_once() -> None:
    """An alarm is one in any case; what is found is of the planted case, in groups of its size."""
    groups = replay([group(number, size=("0.2", "0.02")[number % 2]) for number in range(13)])
    rule = t_test_on(groups, 3)
    assert rule.alarms(groups) == [False] * 4
    assert rule.finds(groups, "0.2", "a") == [True] * 2
    assert rule.finds(groups, "0.05", "a") == []
    slower = []
    for each in groups.groups:
        base, head, planted = each.sides
        slower.append(dataclasses.replace(each, sides=(base, {**head, "b": planted["b"]}, planted)))
    assert t_test_on(replay(slower), 3).alarms(replay(slower)) == [True] * 4


def test_a_time_without_room_for_a_first_look_is_no_candidate() -> None:
    """Two looks of a second, two pairs of four for the floor and three to judge by: 24 s is enough, 21 s is not."""
    groups = Replay.of([group(number) for number in range(6)], CASES, dataclasses.replace(COSTS, plain=3.0))
    found = [each for each in curves_of_rules.candidates(groups) if each.rule == "regress"]
    assert [(each.seconds, each.pairs) for each in found] == [(24.0, 4), (30.0, 7), (36.0, 10)]


def test_a_replayed_verdict_ends_with_its_budget() -> None:
    """Two looks of a second, two pairs for the floor and three to judge by, of four each: there is no time for more."""
    pairs = [dict(each) for each in replay([group(number, again=1.3) for number in range(12)]).equal]
    for_floor = replay([group(number) for number in range(2)]).equal
    told = replay_verdict(pairs, for_floor, CASES, COSTS, 22.5)
    assert (told.pairs, told.seconds, told.slower) == (3, 22.0, ())
    assert replay_verdict(pairs, for_floor, CASES, COSTS, 100.0).slower == CASES


def test_a_verdict_on_an_unfit_machine_is_no_alarm() -> None:
    """Where the cases look as much slower as the control did; a slowdown beyond that is one."""
    for again, said in ((1.3, ()), (2.0, CASES)):
        drifting = [
            dataclasses.replace(
                group(number, again=again), controls=(CONTROLS, ((1.3, 1.3 + 0.001 * number),) * 3, CONTROLS)
            )
            for number in range(2 + most_pairs(COSTS, len(CASES), 100.0))
        ]
        told = replay_verdict(
            [equal_code(each) for each in drifting[2:]], [{"a": 0.001, "b": 0.001}] * 2, CASES, COSTS, 100.0
        )
        assert told.unfit
        assert (told.slower, told.alarm) == (said, bool(said))


def test_compare_calls_what_is_beyond_its_limit() -> None:
    """A run against another; with the group before where one follows another."""
    groups = replay([group(number) for number in range(6)])
    for order, trials in ((INTERLEAVED, 6), (ONE_AFTER_ANOTHER, 3)):
        rule = compare_of(groups, "mean > 5 %", 1, order)
        assert rule.alarms(groups) == [False] * trials
    assert compare_of(groups, "mean > 5 %", 1, INTERLEAVED).finds(groups, "0.2", "a") == [True] * 6
    # The first group's base is slow: only a run that is compared with it comes out faster.
    slow = dataclasses.replace(groups.groups[0], summaries=({case: {"mean": 1.5} for case in CASES},) * 3)
    moved = replay([slow, *groups.groups[1:]])
    assert compare_of(moved, "mean > 5 %", 1, ONE_AFTER_ANOTHER).finds(moved, "0.2", "a") == [False, *[True] * 4]


def test_compare_of_several_runs_takes_them_as_one() -> None:
    """The least of minima, the mean of means."""
    base = [{"min": 1.0, "mean": 1.0}, {"min": 0.8, "mean": 1.2}]
    head = [{"min": 1.0, "mean": 1.3}, {"min": 1.0, "mean": 1.1}]
    assert compare_fails(base, head, "min", 0.20)
    assert not compare_fails(base, head, "min", 0.30)
    assert compare_fails(base, head, "mean", 0.05)
    assert not compare_fails(base, head, "mean", 0.10)


def test_the_t_test_asks_for_certainty_and_effect() -> None:
    """Both, of each row by itself."""
    both = [0.05, 0.051, 0.049, 0.05, 0.052]
    small = [0.02, 0.021, 0.019, 0.02, 0.022]
    uncertain = [0.3, -0.2, 0.1, 0.0, 0.05]
    assert t_test([both, small, uncertain]) == [True, False, False]


def test_a_rate_has_its_exact_interval() -> None:
    """None of 20: at most 17 % (Clopper and Pearson); of nothing, nothing is known."""
    assert str(Rate(0, 20)) == "0 of 20 (0 % to 17 %)"
    assert str(Rate.of([True] * 5 + [False] * 15)) == "5 of 20 (8.7 % to 49 %)"
    assert str(Rate(20, 20)) == "20 of 20 (83 % to 100 %)"
    assert str(Rate(0, 0)) == "none measured"
    assert Rate(0, 0).interval == (0.0, 1.0)


def test_a_pair_costs_what_lies_between_few_cases_and_all() -> None:
    """On a line, by the medians of what was measured."""
    record = {
        "costs": {
            "plain_seconds": [9, 10, 30],
            "dry_run_seconds": [3],
            "pair_seconds": {"1": [4.0, 5.0, 6.0], "11": [15]},
        }
    }
    costs = Costs.of(record)
    assert (costs.plain, costs.dry_run, costs.pair(1), costs.pair(6), costs.pair(11)) == (10, 3, 5, 10, 15)


def test_the_costs_of_older_calibrations_are_read() -> None:
    """They name the dry run a look: those before the name was changed, and the one in results/."""
    costs = {"plain_seconds": [9], "dry_run_seconds": [3], "pair_seconds": {"1": [4.0]}}
    older = {("look_seconds" if name == "dry_run_seconds" else name): seconds for name, seconds in costs.items()}
    assert Costs.of({"costs": costs}) == Costs.of({"costs": older}) == Costs(9, 3, {1: 4.0})
    reference = Path(__file__).parent.parent / "results" / "reference-calibration"
    assert Costs.of(read_record(reference)).dry_run == pytest.approx(7.23, abs=0.01)
    first = next(read_groups(reference))
    assert len(first.sides) == len(first.summaries) == len(first.controls) == 3
    assert first.sizes.keys() == first.amounts.keys() == first.sides[0].keys()


def test_a_report_is_written_from_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Table, curves and plot; without a measurement."""
    monkeypatch.setattr(curves_of_rules, "RESAMPLES", 3)
    saved: list[tuple[Figure, Path, str]] = []
    monkeypatch.setattr("benchmarks.presentation.plot_style.save", lambda *what: saved.append(what))
    wide = "nn_rnn/cpu/inference/T4-B64-I256-H256-L1-tanh-float32"
    narrow = "nn_rnn/cpu/inference/T32-B1-I64-H64-L1-tanh-float32"
    groups = [
        dataclasses.asdict(group(number, size=("0.02", "0.05", "0.1", "0.2")[number % 4])) for number in range(100)
    ]
    (tmp_path / "groups.jsonl").write_text("".join(json.dumps(each) + "\n" for each in groups))
    record = {
        "machine": {"key": "a machine"},
        "started_at": "2026-01-01T00:00:00+00:00",
        "commit": {"revision": "0123456789abcdef"},
        "cases": {"a": narrow, "b": wide},
        "settled_by": 0,
        "costs": {"plain_seconds": [10.0], "dry_run_seconds": [1.0], "pair_seconds": {"1": [2.0], "2": [4.0]}},
    }
    (tmp_path / "calibration.json").write_text(json.dumps(record))
    result = CliRunner().invoke(app, ["calibrate", "--out", str(tmp_path), "--budget", "0s"], catch_exceptions=False)
    assert result.exit_code == 0
    table = (tmp_path / "table.md").read_text()
    equal = len(regress_on_equal_code(replay([Group(**each) for each in groups]), 100.0))
    assert f"| regress | 1.7 | 0 of {equal} (" in table
    assert f"| five pairs, {T_TEST} | 0.3 | 0 of 20 (" in table
    assert "| pytest-benchmark, min > 5 %, one run after another | 0.1 | 0 of 50 (" in table
    assert f"On equal code, {equal} verdicts of `regress` on the whole suite took " in table
    assert (
        "A plain `pytest benchmarks` takes 10.0 s here, a dry run of a revision 1.00 s, a pair of all 2 cases" in table
    )
    assert f"| 10 | 1.7 | 0 % of {3 * equal} | 100 % of " in table
    curves = pd.read_csv(tmp_path / "curves.csv")
    found = curves[(curves.rule == "regress") & (curves.seconds == 100) & (curves.injected == 0.2)].set_index("cases")
    assert (found.called == found.trials).all()
    assert found.trials["all"] == found.trials["Python-bound"] + found.trials["GEMM-bound"]
    assert found.trials["GEMM-bound"] > 0
    of_regress = curves.rule == "regress"
    assert curves.trials_in_other_orders[~of_regress].isna().all()
    assert (curves.trials_in_other_orders[of_regress & (curves.injected == 0)] > 0).all()
    assert f"| 20 % | {interval(1.2, 1.2)} |" in table
    ((figure, *where),) = saved
    assert where[1] == "errors"
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    of_five = panels["Finds a slowdown of 5.0 % in a case"].containers
    (line, *_) = next(each for each in of_five if each.get_label() == "regress")
    of_all = curves[of_regress & (curves.injected == 0.05) & (curves.cases == "all") & (curves.trials > 0)]
    assert line.get_xdata() == pytest.approx((of_all.seconds / 60).tolist(), rel=1e-5)
    assert line.get_ydata() == pytest.approx((of_all.called / of_all.trials).tolist())


def test_what_is_planted_changes_the_work_and_not_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the planted case alone."""
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(injection, "extra_work", lambda config, amount: done.append((config.hidden_size, amount)))
    case = "numpy_loop/cpu/inference/T4-B1-I8-H8-L1-tanh-float32"
    config = RnnConfig(input_size=8, hidden_size=8)
    weights = Weights.init(config, seed=0)
    x = np.ones((4, 1, 8), dtype=np.float32)
    planted = injection.with_extra_work(load, {case: 7})("numpy_loop")(config, weights, "cpu")
    plain = load("numpy_loop")(config, weights, "cpu")
    np.testing.assert_array_equal(planted.forward(x)[0], plain.forward(x)[0])
    planted.vjp(x)
    assert done == [(8, 7), (8, 0)]


def test_the_suite_loads_what_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as pytest has collected it, by the amounts of the variable."""
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(injection, "extra_work", lambda config, amount: done.append((config.hidden_size, amount)))
    monkeypatch.setattr(test_speed, "load", load)
    monkeypatch.setenv("RNNBENCH_INJECTED_WORK", json.dumps({"numpy_loop/cpu/training/T4-B1-I8-H8-L1-tanh-float32": 3}))
    injection.pytest_collection_finish()
    config = RnnConfig(input_size=8, hidden_size=8)
    loaded = vars(test_speed)["load"]("numpy_loop")(config, Weights.init(config, seed=0), "cpu")
    loaded.vjp(np.ones((4, 1, 8), dtype=np.float32))
    assert done == [(8, 3)]


def test_planted_work_grows_with_its_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of a loop where Python is the bottleneck, rows of a product where products are; none is none."""
    products: list[tuple[int, ...]] = []
    monkeypatch.setattr("numpy.matmul", lambda rows, matrix, **_: products.append((*rows.shape, *matrix.shape)))
    wide = RnnConfig(input_size=1, hidden_size=injection.WIDE)
    for amount in (0, 5, 6):
        injection.extra_work(wide, amount)
    assert products == [(5, 128, 128, 128), (6, 128, 128, 128)]
    steps: list[int] = []

    def counted(amount: int) -> range:
        steps.append(amount)
        return range(amount)

    monkeypatch.setattr(injection, "range", counted, raising=False)
    injection.extra_work(dataclasses.replace(wide, hidden_size=injection.WIDE - 1), 7)
    assert (steps, len(products)) == ([7], 2)


def test_planted_products_are_as_wide_as_the_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of an LSTM's product with the state has 4*H columns, one of a GRU's 3*H."""
    shapes: list[tuple[int, ...]] = []
    monkeypatch.setattr("numpy.matmul", lambda _, matrix, out: shapes.append((*matrix.shape, *out.shape)))
    cells: tuple[CellName, ...] = ("lstm", "gru")
    for cell in cells:
        injection.extra_work(RnnConfig(input_size=1, hidden_size=injection.WIDE, cell=cell), 2)
    assert shapes == [(128, 512, 2, 512), (128, 384, 2, 384)]


def test_work_is_planted_in_the_case_of_one_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases of two cells may have the same implementation, mode and sizes."""
    done: list[tuple[str, int]] = []
    monkeypatch.setattr(injection, "extra_work", lambda config, amount: done.append((config.cell, amount)))
    amounts = {f"numpy_loop/cpu/inference/T4-B1-I8-H8-L1-{cell}-float32": 3 + len(cell) for cell in ("gru", "lstm")}
    for case in map(Case.parse, amounts):
        config = case.workload.config
        planted = injection.with_extra_work(load, amounts)("numpy_loop")(config, Weights.init(config, seed=0), "cpu")
        planted.forward(np.ones((4, 1, 8), dtype=np.float32))
    assert done == [("gru", 6), ("lstm", 7)]


def test_a_slowdown_is_the_median_over_calls_that_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock: calls of a second, with the work of 1.5 s, one pair of which was interrupted."""
    now = [0.0]
    waits = iter([0.0, 9.0, 0.0, 0.0])

    def without() -> None:
        now[0] += 1.0

    def with_work() -> None:
        now[0] += 1.5 + next(waits)

    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    assert injection.slowdown(with_work, without, 15.0) == pytest.approx(0.5)
    assert next(waits) == 0.0


def test_amounts_lie_between_the_probes() -> None:
    """Work that costs a thousandth of the call a unit is found again."""
    assert injection.amounts_by_probes(lambda amount: amount / 1000) == {"0.02": 20, "0.05": 50, "0.1": 100, "0.2": 200}


def test_amounts_are_refined_by_processes_that_took_turns() -> None:
    """Here the planted call costs 1 % by itself, a unit of work 0.2 %; one process in nine went astray."""
    amounts = [5, 5, 10, 20, 20, 50, 50, 100, 100]
    measured = [(amount, 0.01 + 0.002 * amount) for amount in amounts]
    assert injection.refined_amounts([(20, 0.4), *measured]) == {"0.02": 5, "0.05": 20, "0.1": 45, "0.2": 95}
    assert injection.refined_amounts([(amount, 0.03 + 0.002 * amount) for amount in amounts])["0.02"] == 1


def test_work_is_settled_by_the_groups_that_were_measured() -> None:
    """A unit of it made the first case 0.1 % slower here; each case by its own test's amounts."""
    groups = [group(3, planted=1 + amount / 1000, amount=amount) for amount in (10, 20, 40, 80, 160)]
    assert measuring.settle({"a": "case"}, groups) == {"case": {"0.02": 20, "0.05": 50, "0.1": 100, "0.2": 200}}


def test_what_was_planted_before_it_was_settled_is_no_trial() -> None:
    """Though its equal code is."""
    groups = [group(number, settled=number >= 30) for number in range(60)]
    assert replay(groups).of_size("a", "0.2") == list(range(30, 60))
    assert len(regress_on_equal_code(replay(groups), 100.0)) > len(regress_on_equal_code(replay(groups[30:]), 100.0))


def test_a_trial_draws_what_there_is_time_for() -> None:
    """Pairs of all cases to the first look, then of one, at most what the last look and a confirmation take."""
    costs = Costs(plain=10.0, dry_run=1.0, pairs={1: 2.0, 16: 16.0})
    # 2 s of looks and a pair of 16 s for the floor leave two pairs of all cases, three, and three with two of one case.
    assert [most_pairs(costs, 16, seconds) for seconds in (50.0, 66.0, 70.0, 1000.0)] == [2, 3, 5, 23]


def test_a_torn_last_line_is_no_group(tmp_path: Path) -> None:
    """A calibration that was killed goes on."""
    line = json.dumps(
        {"sides": [], "summaries": [], "controls": [], "sizes": {}, "amounts": {}, "settled": True, "seconds": 1.0}
    )
    (tmp_path / "groups.jsonl").write_text(f"{line}\n{line[:20]}")
    assert len(list(read_groups(tmp_path))) == 1


def test_a_folder_without_a_calibration_is_refused(tmp_path: Path) -> None:
    """In a sentence."""
    with pytest.raises(ValueError, match="holds no calibration"):
        read_record(tmp_path)
