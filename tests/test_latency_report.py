"""The report on streams and serving: percentiles, deadlines, the tail's plot, and one source under two names."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmarks import latencies
from benchmarks.latencies import ERROR
from benchmarks.presentation.plot_style import choose_styles
from benchmarks.reporting.plots.latency_plot import draw, latency_panels, scale
from benchmarks.reporting.topics.latency import latency_cases
from benchmarks.runs.loading import load_runs
from benchmarks.trial import Trial
from benchmarks.workload import Workload
from tests.reports_of_trials import report, section
from tests.synthetic_runs import run_of, trial, workload

BLOCKS = 6
CALLS = 4000


def stream(H: int = 64, **more: object) -> Workload:
    """One step at a time, of one sequence."""
    return workload("streaming", T=1, B=1, H=H, **{"threads": 1, "cell": "lstm", **more})  # type: ignore[arg-type]


def streamed(name: str, of: Workload, typical: float, late: float = 0.0, **fields: object) -> Trial:
    """A trial of calls that take `typical` nanoseconds, and in a share of `late` a hundred times as long."""
    generator = np.random.default_rng(len(name))
    blocks = []
    for _ in range(BLOCKS):
        times = typical * np.exp(generator.normal(0, 0.02, CALLS))
        times[: round(late * CALLS)] *= 100
        blocks.append(times)
    texts = tuple(latencies.encode(each.astype(np.int64)) for each in blocks)
    medians = [float(np.median(each)) / 1e9 for each in blocks]
    given = {"latencies": texts, "blocks": (1,) * BLOCKS, "after_silence_seconds": 50 * typical / 1e9}
    return trial(name, of, medians, **(given | fields))  # type: ignore[arg-type]


def cells(text: str, implementation: str) -> list[list[str]]:
    """The cells of each row of a table that names an implementation."""
    rows = [line for line in text.splitlines() if line.startswith("|") and f"`{implementation}`" in line]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_report_has_percentiles_with_intervals_and_the_answer_in_words(tmp_path: Path) -> None:
    """The fastest by its typical call is named, and the one with the shorter tail where that is another."""
    trials = [streamed("fused_cpu", stream(), 3000, late=0.002), streamed("nn_rnn", stream(), 50_000)]
    text = section(report(tmp_path / "run", trials), "Streams, call by call")
    assert "`fused_cpu` takes 3.0" in text
    assert "the next, `nn_rnn`, takes 16" in text
    assert "the shortest 99.9 % has `nn_rnn`" in text
    (row, *_) = cells(text, "fused_cpu")
    assert row[2] == str(BLOCKS * CALLS)
    assert row[3].startswith(("2.99 µs (", "3.00 µs (", "3.01 µs ("))
    assert row[5].endswith(")")
    assert row[5].split()[1] == "µs"
    assert 250 < float(row[5].split()[0]) < 350
    assert row[7] == "150 µs"


def unsteady(name: str, typical: float, spread: float, late: float) -> Trial:
    """A trial whose blocks differ by `spread` up and down, and whose late calls are as many times as long as `late`."""
    factors = np.linspace(1 - spread, 1 + spread, BLOCKS)
    texts, medians = [], []
    for factor in factors:
        times = np.full(CALLS, typical * factor)
        times[: CALLS // 100] *= late
        texts.append(latencies.encode(times.astype(np.int64)))
        medians.append(float(np.median(times)) / 1e9)
    return trial(name, stream(), medians, blocks=(1,) * BLOCKS, latencies=tuple(texts))


def test_typical_calls_that_are_too_close_to_call_have_no_winner(tmp_path: Path) -> None:
    """Blocks of one go up while those of the other go down: 2 % apart by the medians, and no more."""
    trials = [unsteady("fused_cpu", 3000, 0.1, 10.0), unsteady("nn_rnn", 3060, -0.1, 10.0)]
    said = section(report(tmp_path / "run", trials), "Streams, call by call")
    assert "; too close to call against `nn_rnn` (1.02x (" in said
    assert "the next" not in said
    assert "the shortest 99.9 % is too close to call between `fused_cpu` and `nn_rnn`" in said


def test_without_an_interval_no_typical_call_is_the_shortest(tmp_path: Path) -> None:
    """Three blocks have no interval, however far the medians are apart."""
    trials = []
    for name, typical in (("fused_cpu", 3000), ("nn_rnn", 50_000)):
        whole = streamed(name, stream(), typical)
        trials.append(
            dataclasses.replace(whole, **{f: getattr(whole, f)[:3] for f in ("seconds", "blocks", "latencies")})
        )
    said = section(report(tmp_path / "run", trials), "Streams, call by call")
    assert "in 99.9 % of calls; whether that is the fastest is not yet known, of too few blocks" in said
    assert "the next" not in said


def test_a_tail_that_is_shorter_by_less_than_the_intervals_wins_nothing(tmp_path: Path) -> None:
    """By the medians the slower one has the shorter tail."""
    trials = [unsteady("fused_cpu", 3000, 0.1, 10.0), unsteady("nn_rnn", 6000, 0.1, 4.9)]
    said = section(report(tmp_path / "run", trials), "Streams, call by call")
    assert "the next, `nn_rnn`, takes 2.00x (" in said
    assert "the shortest 99.9 % has" not in said
    assert "the shortest 99.9 % is too close to call between" in said


def test_the_plot_of_tails_says_how_many_are_too_close(tmp_path: Path) -> None:
    trials = [unsteady("fused_cpu", 3000, 0.1, 10.0), unsteady("nn_rnn", 3060, -0.1, 20.0)]
    run_of(tmp_path / "run", trials)
    (panel,) = latency_panels(latency_cases(load_runs(tmp_path / "run")))
    said = draw(Figure(figsize=(5, 3)).add_subplot(), panel, choose_styles(["fused_cpu", "nn_rnn"]), scale(panel), 3.3)
    assert "typical: fused_cpu ≈ nn_rnn, " in said
    assert "99.9 %: fused_cpu, " in said


def test_a_deadline_is_met_by_the_largest_network_below_it(tmp_path: Path) -> None:
    """A network counts while every smaller one is in time as well; late calls are shown as a share."""
    times = {64: 5_000, 128: 30_000, 256: 200_000}
    trials = [streamed("fused_cpu", stream(H), nanoseconds) for H, nanoseconds in times.items()]
    trials += [streamed("nn_rnn", stream(H), 50_000, late=0.01) for H in times]
    folder = tmp_path / "run"
    run_of(
        folder, trials, sweep={"name": "s", "summary": "", "deadlines_seconds": [4e-6, 1e-4, 1e-3], "budget_seconds": 1}
    )
    text = section(report_again(folder), "Streams, call by call")
    assert "within 4.00 µs | within 100 µs | within 1.00 ms" in text
    deadlines = {name: cells(text, name)[-1][2:] for name in ("fused_cpu", "nn_rnn")}
    assert [each.split(" (")[0] for each in deadlines["fused_cpu"]] == ["none", "H 128", "H 256"]
    assert [each.split(" (")[0] for each in deadlines["nn_rnn"]] == ["none", "none", "none"]
    assert "(1 %)" in deadlines["nn_rnn"][1] or "(1.0 %)" in deadlines["nn_rnn"][1]
    assert "(< 0.01" in deadlines["fused_cpu"][1]


def report_again(folder: Path) -> str:
    """The report of a run that is there."""
    from benchmarks.reporting.report import build_report

    return build_report(folder).read_text(encoding="utf-8")


def test_the_numbers_stand_in_a_table_and_the_tail_in_a_plot(tmp_path: Path) -> None:
    """`latencies.csv` has a row a case, and each workload a panel."""
    trials = [streamed(name, stream(H), 3000) for H in (64, 128) for name in ("fused_cpu", "nn_rnn")]
    report(tmp_path / "run", trials)
    frame = pd.read_csv(tmp_path / "run" / "latencies.csv")
    assert len(frame) == 4
    assert frame["p50_seconds"].between(2.9e-6, 3.1e-6).all()
    assert (frame["p50_low"] <= frame["p50_seconds"]).all()
    assert (frame["calls"] == BLOCKS * CALLS).all()
    drawn = (tmp_path / "run" / "plots" / "latency-tail.svg").read_text(encoding="utf-8")
    assert "H 128" in drawn
    assert "calls that take longer" in drawn


def test_a_source_under_two_names_tells_how_far_equal_things_come_apart(tmp_path: Path) -> None:
    """The ratio of each percentile, over all workloads."""
    trials = [streamed("a", stream(), 3000, source="nn_rnn"), streamed("bb", stream(), 3300, source="nn_rnn")]
    text = section(report(tmp_path / "run", trials), "Streams, call by call")
    (row,) = [row for row in cells(text, "nn_rnn") if "50 %" in row]
    assert float(row[-1].removesuffix(" %")) == pytest.approx(10, abs=2)


def test_processes_are_set_beside_threads(tmp_path: Path) -> None:
    """Two processes with calls of 150 µs make more sequences a second than one with calls of 100 µs."""
    many = workload("serving", T=64, B=4, H=64, threads=1, processes=2)
    one = workload("serving", T=64, B=4, H=64, threads=2)
    trials = [streamed("nn_rnn", many, 150_000), streamed("nn_rnn", one, 100_000)]
    text = report(tmp_path / "run", trials)
    said = section(text, "A process on each core, or threads")
    assert "2 processes of one thread: 1.33x (" in said
    assert re.search(r"99 % of calls within 15[78] µs \(15\d-15\d\) against 10[45] µs \(10\d-10\d\)", said)
    cases = {case.workload.processes: case for case in latency_cases(load_runs(tmp_path / "run"))}
    assert cases[2].sequences_per_second.median == pytest.approx(2 * 4 / 150e-6, rel=0.01)
    frame = pd.read_csv(tmp_path / "run" / "summary.csv")
    assert frame.set_index("processes")["sequences_per_second"][2] == pytest.approx(2 * 4 / 150e-6, rel=0.01)


def test_cold_and_warm_caches_are_apart_in_every_section(tmp_path: Path) -> None:
    """Conditions are part of the setting, so a mean is over one of them."""
    trials = [
        streamed(name, stream(caches=each), 3000) for each in ("warm", "cold") for name in ("fused_cpu", "nn_rnn")
    ]
    text = report(tmp_path / "run", trials)
    assert "1 thread, cold caches" in text
    assert "H 64, cold caches" in section(text, "Streams, call by call")


def test_a_run_without_streams_has_none_of_it(tmp_path: Path) -> None:
    """Sections, plot and table are left out."""
    text = report(tmp_path / "run", [trial("nn_rnn", workload())])
    assert "call by call" not in text
    assert not (tmp_path / "run" / "latencies.csv").exists()


def test_a_stored_time_is_within_the_error(tmp_path: Path) -> None:
    """From the trial through the file to the case, a percentile stays within the histogram's error."""
    run_of(tmp_path / "run", [streamed("nn_rnn", stream(), 7777)])
    (case,) = latency_cases(load_runs(tmp_path / "run"))
    found = case.percentile(50.0)
    assert found is not None
    assert found.median == pytest.approx(7777e-9, rel=0.002 + ERROR)
