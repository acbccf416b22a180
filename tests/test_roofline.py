"""The roofline: its ceilings are those of the run and setting, and it is drawn where they are known."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from benchmarks.limits.peak import Level, Peak, settings
from benchmarks.limits.roof import Roof, roof
from benchmarks.presentation.plot_style import choose_styles
from benchmarks.reporting.answers.slices import panels
from benchmarks.reporting.plots import roofline
from benchmarks.reporting.plots.plot_pages import page_of, scales
from benchmarks.reporting.plots.report_plots import write_roofline
from benchmarks.reporting.plots.roofline import FEW
from benchmarks.runs.frames import load_run
from benchmarks.runs.peaks_in_records import read_peaks
from tests.synthetic_runs import peaks, realistic_trials, run_of, trial, workload

COMMON: dict[str, Any] = {"device": "cpu", "dtype": "float32", "precision": "ieee", "threads": 2}
SETTINGS = settings(workload())


def read(level: Level, rate: float, size: int, **changes: Any) -> Peak:
    own = {"kind": "read", "bytes_per_second": rate, "working_set_bytes": size, "level": level}
    return Peak(source="cores", seconds=1e-6, **{**COMMON, **own, **changes})


ROOF = [
    Peak(kind="multiply_add", source="cores", seconds=1e-9, flops_per_second=300e9, **COMMON),
    Peak(kind="gemm", source="torch", M=8, N=8, K=8, seconds=1e-6, flops_per_second=200e9, **COMMON),
    read("L1", 150e9, 1000),
    read("L2", 160e9, 10_000),
    read("L2", 140e9, 20_000),
    read("memory", 20e9, 10**9),
    read("L1", 999e9, 1000, threads=1),
    read("L2", 999e9, 10_000, kind="shared_read"),
]


def drawn(folder: Path, workloads: list[Any], with_roof: bool = True) -> str:
    """The words of the roofline of a run on these workloads; empty when none was drawn."""
    found = [*peaks(set(workloads)), *([peak.to_json() for peak in ROOF] if with_roof else [])]
    run_of(folder / "run", realistic_trials(workloads), peaks=found)
    plots = write_roofline(load_run(folder / "run"), folder, {"run": read_peaks({"peaks": found})})
    if not plots:
        return ""
    text = (folder / f"{plots[0].stem}.svg").read_text(encoding="utf-8")
    return "\n".join(ET.fromstring(text).itertext())  # noqa: S314  # written above


def test_no_level_is_slower_than_one_beyond_it() -> None:
    """An L1 that was measured slower than the L2 gives at least as much as that.

    One thread's peaks are another's, and of an array that both read there are not as many bytes.
    """
    found = roof(SETTINGS, ROOF)
    assert found is not None
    assert dict(found.bytes_per_second) == {"L1": 160e9, "L2": 160e9, "memory": 20e9}
    assert list(found.bytes_per_second) == ["L1", "L2", "memory"]
    assert (found.flops_per_second, found.gemm_flops_per_second) == (300e9, 200e9)


def test_below_the_ridge_the_bytes_bound_and_above_it_the_operations() -> None:
    found = roof(SETTINGS, ROOF)
    assert found is not None
    assert [found.at(intensity, "memory") for intensity in (1.0, 15.0, 100.0)] == [20e9, 300e9, 300e9]


def test_a_setting_without_rates_has_no_roof() -> None:
    assert roof(("cpu", "float64", "ieee", 2), ROOF) is None


def test_a_slope_ends_at_the_flat_ceiling() -> None:
    """20 GB/s make 300 GFLOP/s at 15 operations a byte."""
    axes = Figure().subplots()
    axes.set(xscale="log", yscale="log", xlim=(0.1, 100.0), ylim=(1e9, 500e9))
    roofline.draw_ceilings(axes, Roof(300e9, 200e9, {"memory": 20e9}))  # what a panel is drawn upon
    slope = np.asarray(axes.lines[-1].get_xydata())
    assert slope == pytest.approx(np.array([[0.1, 2e9], [15.0, 300e9]]))


def test_slopes_too_close_for_a_label_each_are_named_together() -> None:
    axes = Figure().subplots()
    axes.set(xscale="log", yscale="log", xlim=(0.1, 100.0), ylim=(1e9, 500e9))
    roofline.draw_ceilings(axes, Roof(300e9, 200e9, {"L1": 480e9, "L2": 380e9, "L3": 130e9, "memory": 40e9}))
    assert [text.get_text() for text in axes.texts][1:] == [
        "L1: 480, L2: 380 GB/s",
        "L3: 130 GB/s",
        "memory: 40.0 GB/s",
    ]
    assert len(axes.lines) == 2 + 4


def test_limits_are_drawn_where_they_are_known() -> None:
    """The chain of the second workload was not measured."""
    axes = Figure().subplots()
    joined = pd.DataFrame({"workload": ["one", "two"], "flops": [8e9, 8e9], "intensity": [1.0, 2.0]})
    joined = joined.assign(bound_seconds=[2.0, 1.0], reached_seconds=[4.0, np.nan])
    roofline.draw_limits(axes, joined, above=1)  # of a slice
    drawn_lines = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in axes.lines}
    assert drawn_lines == {
        "no implementation can be faster": [4e9, 8e9],
        "with the fastest chain measured": [2e9],
    }


def test_the_nearest_to_its_limits_is_named_by_its_median() -> None:
    """The median decides, not the best case."""
    shares = {"torch_loop": [0.1, 0.2, 0.9], "fused_cpu": [0.4, 0.4, 0.5]}
    rows = [{"implementation": name, "share_of_attainable": each} for name, own in shares.items() for each in own]
    assert roofline.nearest(pd.DataFrame(rows)) == ("fused_cpu", 0.4)
    assert roofline.nearest(pd.DataFrame(rows).assign(share_of_attainable=np.nan)) is None


def test_ceilings_batches_and_names_are_written(tmp_path: Path) -> None:
    """Levels that are alike share a label; a panel a mode."""
    words = drawn(tmp_path, [workload(mode, B=B) for mode in ("inference", "training") for B in (1, 16)])
    assert words.count("multiply-adds: 300 GFLOP/s, fastest product: 200") == 2
    assert words.count("L1, L2: 160 GB/s") == words.count("memory: 20.0 GB/s") == 2
    assert {"B 1", "B 16", "torch_loop", "no implementation can be faster"} <= set(words.split("\n"))


def test_few_workloads_are_joined_and_named_by_what_they_differ_in(tmp_path: Path) -> None:
    """Workloads that do not differ in the batch alone are joined too, and none is faint."""
    words = drawn(tmp_path, [workload(B=B, H=H) for B, H in ((1, 64), (16, 256))])
    assert {"T64 B1 H64", "T64 B16 H256"} <= set(words.split("\n"))
    assert "Faint" not in words


def test_names_that_would_lie_on_one_another_get_rows_of_their_own() -> None:
    axes = Figure().subplots()
    axes.set(xscale="log", yscale="log", xlim=(0.1, 100.0), ylim=(1e9, 500e9))
    workloads = [workload(T=64, H=1024), workload(T=128, B=32, H=1760), workload(T=256, B=64, H=512, L=2)]
    joined = pd.DataFrame(
        [{"workload": each.id, "T": each.T, "B": each.B, "H": each.H, "L": each.L} for each in workloads]
    )
    joined["intensity"] = [1.0, 1.1, 60.0]
    assert roofline.name_columns(axes, joined) == 2
    rows = {text.get_text(): text.xyann[1] for text in axes.texts if isinstance(text, Annotation)}
    assert rows.keys() == {"T64 B16 H1024", "T128 B32 H1760", "T256 B64 H512 L2"}
    assert rows["T64 B16 H1024"] == rows["T256 B64 H512 L2"] < rows["T128 B32 H1760"]


def test_every_point_of_every_panel_is_within_the_axes(tmp_path: Path) -> None:
    """Also of a case that takes a million times as long as it might; panels of a figure have one scale."""
    workloads = [workload(mode, B=B) for mode in ("inference", "training") for B in (1, 16)]
    trials = [trial(name, of, seconds) for of in workloads for name, seconds in (("nn_rnn", 1e-3), ("slow", 1e3))]
    run = run_of(tmp_path / "run", trials, peaks=[*peaks(set(workloads)), *(peak.to_json() for peak in ROOF)])
    rows = load_run(run.folder)
    found = {"run": read_peaks(run.record)}
    shown = panels(rows)
    across = scales(shown, roofline.intensities)
    up = scales(shown, lambda panel: roofline.rates(panel, found))
    assert len(across) == len(up) == 1
    for panel in shown:
        low, high = up[page_of(panel)]
        assert ((rows["flops_per_second"] > low) & (rows["flops_per_second"] < high)).all()
        low, high = across[page_of(panel)]
        assert ((rows["intensity"] > low) & (rows["intensity"] < high)).all()
        axes = Figure(figsize=(8, 5)).subplots()
        styles = choose_styles(rows["implementation"])
        roofline.drawer(found, panel.rows, across, up)(axes, panel, styles, roofline.HEIGHT)
        assert (axes.get_xlim(), axes.get_ylim()) == ((low, high), up[page_of(panel)])


def test_of_many_workloads_one_shape_is_named(tmp_path: Path) -> None:
    words = drawn(tmp_path, [workload(B=B, H=64 * B) for B in range(1, FEW + 2)])
    assert "Faint: all other sizes" in words


def test_one_workload_has_a_roofline(tmp_path: Path) -> None:
    assert "nn_rnn" in drawn(tmp_path, [workload()])


@pytest.mark.parametrize("workloads", [[workload()], [workload(B=B) for B in (1, 16)]])
def test_without_bandwidths_there_is_none(tmp_path: Path, workloads: list[Any]) -> None:
    """Runs of the first schema have no bandwidths, and no roofline."""
    assert drawn(tmp_path, workloads, with_roof=False) == ""
