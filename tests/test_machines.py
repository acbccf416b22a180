"""The answer by machine: the fastest on each, where it changes, and what a second on one costs on another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.answers.machines import Table, by_machine, changes, exchanges
from benchmarks.reporting.sections.machine_section import machine_section
from benchmarks.runs.loading import load_runs
from tests.synthetic_campaigns import campaign_of, measured_by
from tests.synthetic_runs import measured, trial, typed, workload


def on(threads: int, **sizes: Any) -> Any:
    return workload(threads=threads, **sizes)


def table_of(tmp_path: Path, of_kinds: dict[str, list[Any]], cores: dict[str, int]) -> Table:
    """The table of a campaign with one node of each kind, which has these cores and measured these trials."""
    parts = {f"{kind}-000": list({each.case.workload for each in trials}) for kind, trials in of_kinds.items()}
    campaign = campaign_of(tmp_path / "c", parts)
    for kind, trials in of_kinds.items():
        measured_by(campaign, f"{kind}-000", kind, trials, machine={"cpu": {"usable_cores": cores[kind]}})
    analysis = Analysis(load_runs(campaign.folder))
    return by_machine(analysis.runs, analysis.frame, analysis.winners)


def test_the_fastest_may_change_with_the_machine(tmp_path: Path) -> None:
    """numpy_loop wins one workload on xeon alone; another is too close to call there."""
    small, large, close = on(1, H=64), on(1, H=256), on(1, H=128)
    zen = [
        *measured(small, {"nn_rnn": 1e-3, "numpy_loop": 2e-3}),
        *measured(large, {"nn_rnn": 4e-3, "numpy_loop": 8e-3}),
        *measured(close, {"nn_rnn": 2e-3, "numpy_loop": 4e-3}),
    ]
    xeon = [
        *measured(small, {"nn_rnn": 3e-3, "numpy_loop": 2e-3}),
        *measured(large, {"nn_rnn": 8e-3, "numpy_loop": 9e-3}),
        *measured(close, {"nn_rnn": 4.04e-3, "numpy_loop": 4e-3}, nn_rnn=0.1),
    ]
    found = table_of(tmp_path, {"zen": zen, "xeon": xeon}, {"zen": 8, "xeon": 4})
    assert [point.sizes for point in changes(found)] == ["T64 B16 H64"]
    (exchange,) = exchanges(found)
    assert (exchange.machine, exchange.other, exchange.workloads) == ("zen", "xeon", 3)
    assert (exchange.seconds.median, exchange.lowest, exchange.highest) == pytest.approx((2.0, 2.0, 2.0))
    assert exchange.core_seconds.median == pytest.approx(2.0)
    said = machine_section(found)
    assert "The fastest changes on 1 of 3 workloads" in said
    assert "energy could not be read on both" in typed(said)


def test_who_is_the_fastest_in_a_setting_respects_the_intervals(tmp_path: Path) -> None:
    """On xeon one workload is too close to call, and one implementation never is the fastest for sure."""
    sizes = [on(1, H=H) for H in (64, 128)]
    zen = [each for of in sizes for each in measured(of, {"nn_rnn": 1e-3, "numpy_loop": 2e-3})]
    xeon = [
        *measured(sizes[0], {"nn_rnn": 3e-3, "numpy_loop": 2e-3}),
        *measured(sizes[1], {"nn_rnn": 4e-3, "numpy_loop": 4.04e-3}, nn_rnn=0.1),
    ]
    said = machine_section(table_of(tmp_path / "sure", {"zen": zen, "xeon": xeon}, {"zen": 8, "xeon": 4}))
    assert "| `nn_rnn` on 2 of 2 | `numpy_loop` on 1 of 2, tied on 1 |" in said
    tied = [each for of in sizes for each in measured(of, {"nn_rnn": 4e-3, "numpy_loop": 4.04e-3}, nn_rnn=0.1)]
    said = machine_section(table_of(tmp_path / "tied", {"zen": zen, "xeon": tied}, {"zen": 8, "xeon": 4}))
    assert "| `nn_rnn` on 2 of 2 | `nn_rnn` tied on 2 of 2 |" in said


def test_what_a_second_costs_elsewhere_has_an_interval(tmp_path: Path) -> None:
    """Blocks of xeon reach from 10 % below the median to 10 % above it."""
    trials = {
        "zen": measured(on(1), {"nn_rnn": 1e-3}),
        "xeon": measured(on(1), {"nn_rnn": 2e-3}, nn_rnn=0.1),
    }
    said = typed(machine_section(table_of(tmp_path, trials, {"zen": 8, "xeon": 8})))
    assert "| 2.00 s (1.80-2.20) | 2.00 to 2.00 s | 2.00 s (1.80-2.20) |" in said


def test_all_cores_of_one_machine_are_compared_with_all_of_another(tmp_path: Path) -> None:
    """Eight threads of zen took 1 ms, and four of xeon 1.5 ms: per core xeon is cheaper."""
    found = table_of(
        tmp_path,
        {"zen": [trial("nn_rnn", on(8), 1e-3)], "xeon": [trial("nn_rnn", on(4), 1.5e-3)]},
        {"zen": 8, "xeon": 4},
    )
    assert [point.threads for point in found] == ["all cores"]
    (exchange,) = exchanges(found)
    assert (exchange.seconds.median, exchange.core_seconds.median) == pytest.approx((1.5, 0.75))


def test_threads_of_one_number_are_compared_once(tmp_path: Path) -> None:
    same = {kind: [trial("nn_rnn", on(4), 1e-3), trial("nn_rnn", on(1), 2e-3)] for kind in ("zen", "xeon")}
    assert [point.threads for point in table_of(tmp_path / "same", same, {"zen": 4, "xeon": 4})] == [
        "all cores",
        "1 thread",
    ]
    found = table_of(tmp_path / "more", same, {"zen": 8, "xeon": 4})
    assert [point.threads for point in found] == ["4 threads", "1 thread"]


def test_energy_is_compared_where_it_was_read(tmp_path: Path) -> None:
    """zen used 100 W for 1 ms and xeon 50 W for 3 ms."""
    trials = {
        "zen": [trial("nn_rnn", on(1), 1e-3, cpu_watts=100.0)],
        "xeon": [trial("nn_rnn", on(1), 3e-3, cpu_watts=50.0)],
    }
    (exchange,) = exchanges(table_of(tmp_path, trials, {"zen": 8, "xeon": 8}))
    assert exchange.joules == pytest.approx(1.5)


def test_one_machine_has_no_section(tmp_path: Path) -> None:
    assert machine_section(table_of(tmp_path, {"zen": [trial("nn_rnn", on(1))]}, {"zen": 8})) == ""
