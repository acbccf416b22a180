"""Plots: drawn where there is data, small, the same bytes each time, and legible by their own rules."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.presentation.plot_style import choose_styles, plain_seconds, plain_share, size_axis
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.plot_labels import spread
from benchmarks.reporting.plots import write_plots
from benchmarks.reporting.slices import along, central, measured, panels
from benchmarks.runs.frames import load_run
from benchmarks.runs.loading import load_runs
from benchmarks.trial import Trial
from tests.synthetic_runs import COSTS, default_workloads, failed, realistic_trials, run_of, trial, workload

AXES = ["time-over-T", "time-over-B", "time-over-H", "time-over-L"]
MANY = [
    *COSTS,
    "torch_compile",
    "jax_scan",
    "onnxruntime_rnn",
    "openvino_rnn",
    "numba_loop",
    "cpp_fused",
    "a",
    "b",
    "c",
]


def drawn(folder: Path, trials: list[Trial]) -> list[str]:
    """The stems of the plots of a run of these trials but for the ranking; they lie in `folder`."""
    run_of(folder / "run", trials)
    plots = write_plots(Analysis(load_runs(folder / "run")), folder)
    return [plot.stem for plot in plots if not plot.stem.startswith("ranking")]


def test_a_default_sweep_has_every_plot(tmp_path: Path) -> None:
    """A plot an axis, the map, speed-up, peak, error and set-up, each as PNG and SVG of a consistent, small size."""
    stems = drawn(tmp_path, realistic_trials(default_workloads(), MANY))
    assert stems == [*AXES, "winner-map", "speedup", "share-of-peak", "error-against-time", "set-up"]
    for stem in stems:
        png, svg = tmp_path / f"{stem}.png", tmp_path / f"{stem}.svg"
        assert png.stat().st_size < 120_000
        assert svg.stat().st_size < 150_000
        with Image.open(png) as image:
            assert image.width == 1540
            assert len(image.getcolors(256) or []) > 5
        words = "".join(ET.fromstring(svg.read_text(encoding="utf-8")).itertext())  # noqa: S314  # written above
        assert "Inference, tanh RNN, cpu, float32, 2 threads" in words
        assert "Training, tanh RNN, cpu, float32, 2 threads" in words


def test_rankings_are_drawn_first_a_panel_a_mode(tmp_path: Path) -> None:
    """The file is small and the same each time, with or without room for names."""
    for number, name in ((20, "few"), (60, "many")):
        workloads = [workload(mode, T=T) for mode in ("inference", "training") for T in range(1, number)]
        run_of(tmp_path / name, realistic_trials(workloads, MANY[:4]))
        plots = write_plots(Analysis(load_runs(tmp_path / name)), tmp_path)
        assert plots[0].stem == "ranking"
        assert (tmp_path / "ranking.png").stat().st_size < 120_000
        svg = (tmp_path / "ranking.svg").read_text(encoding="utf-8")
        words = "".join(ET.fromstring(svg).itertext())  # noqa: S314  # written above
        assert words.count("2 threads") == 2
        assert ("T17 B16 H256" in words) == (name == "few")


@pytest.mark.parametrize(("sizes", "mapped"), [(12, True), (13, False)])
def test_a_map_has_room_for_names_or_is_not_drawn(tmp_path: Path, sizes: int, mapped: bool) -> None:
    """A scan of sizes has more cells than can be told apart."""
    trials = [trial("nn_rnn", workload(B=B, H=H)) for B in (1, 16) for H in range(1, sizes + 1)]
    assert ("winner-map" in drawn(tmp_path, trials)) == mapped


def test_the_same_trials_give_the_same_bytes(tmp_path: Path) -> None:
    """No date, no random name: a report built again changes no file."""
    trials = realistic_trials(default_workloads()[:4], MANY[:4])
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        drawn(tmp_path / name, trials)
    files = sorted((tmp_path / "one").glob("*.*g"))
    assert len(files) == 16
    assert all(path.read_bytes() == (tmp_path / "two" / path.name).read_bytes() for path in files)


def test_nothing_measured_draws_nothing(tmp_path: Path) -> None:
    """No trials, and only failed ones, leave no plot."""
    assert drawn(tmp_path, []) == []
    (tmp_path / "failed").mkdir()
    assert drawn(tmp_path / "failed", [failed("nn_rnn", workload(), "failed", "no")]) == []


def test_one_workload_has_no_axis(tmp_path: Path) -> None:
    """A single workload is no line and no map; what needs nn_rnn, peaks or errors is left out without them."""
    both = [trial("nn_rnn", workload()), trial("torch_loop", workload())]
    assert drawn(tmp_path, both) == ["speedup", "error-against-time", "set-up"]
    (tmp_path / "alone").mkdir()
    bare = trial("mine", workload(), error_output=None, setup_seconds=None)
    assert drawn(tmp_path / "alone", [bare]) == []


def test_cases_without_intervals_are_drawn(tmp_path: Path) -> None:
    """Too few blocks for an interval are no reason to leave a line out."""
    trials = [trial(name, workload(T=T), blocks=(3,)) for name in ("nn_rnn", "mine") for T in (16, 64)]
    assert "time-over-T" in drawn(tmp_path, trials)


def test_device_times_are_drawn_where_there_are_any(tmp_path: Path) -> None:
    """Spans and kernels of CUDA cases have a plot, also where one of the two is missing."""
    of = workload(device="cuda", threads=1)
    trials = [
        trial("nn_rnn", of, device_span_seconds=9e-4, kernel_seconds=8e-4, kernel_launches=40),
        trial("torch_loop", of, 2e-3, device_span_seconds=1e-3),
    ]
    assert "device-times" in drawn(tmp_path, trials)


def test_many_panels_make_several_figures(tmp_path: Path) -> None:
    """A figure has four panels at most: a sweep over threads continues in further files."""
    workloads = [workload(T=T, threads=threads) for T in (16, 64) for threads in range(1, 6)]
    stems = drawn(tmp_path, realistic_trials(workloads, ["nn_rnn", "torch_loop"]))
    assert stems[:2] == ["time-over-T", "time-over-T-2"]
    assert (tmp_path / "time-over-T-2.svg").exists()


def test_hostile_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    """A name in mathematical notation, markup or an unfinished formula is text like another."""
    names = ["nn_rnn", "$\\frac{1}{$", "<script>alert(1)</script>", "&amp;", "_x", "^", "\u4e2d\u6587", "n" * 200]
    trials = [trial(name, workload(T=T)) for name in names for T in (16, 64)]
    drawn(tmp_path, trials)
    text = (tmp_path / "time-over-T.svg").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "<script>alert(1)" in "".join(ET.fromstring(text).itertext())  # noqa: S314  # written above


def test_styles_are_apart_and_fixed() -> None:
    """No two implementations look the same; a name looks the same whoever stands beside it."""
    alone = {name: choose_styles([name])[name] for name in COSTS}
    together = choose_styles([*MANY, *(f"further_{number}" for number in range(20))])
    assert alone.items() <= together.items()
    drawn = [(style.colour, style.marker, str(style.line)) for style in together.values()]
    assert len(set(drawn)) == len(drawn)
    assert choose_styles(["zebra"])["zebra"] == choose_styles(["zebra", "nn_rnn"])["zebra"]


def test_labels_are_spread_without_touching() -> None:
    """Positions keep their order and a gap, stay in the panel, and move no more than they must."""
    assert spread([0.1, 0.5, 0.9], 0.1) == pytest.approx([0.1, 0.5, 0.9])
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
    assert spread([0.98, 0.99, 1.0], 0.1) == pytest.approx([0.8, 0.9, 1.0])
    assert spread([0.0, 0.0, 0.05, 0.9], 0.1) == pytest.approx([0.0, 0.1, 0.2, 0.9])
    crowded = spread(sorted([0.2] * 4 + [0.3] * 3 + [0.95] * 2), 0.1)
    assert all(later - earlier >= 0.1 - 1e-9 for earlier, later in itertools.pairwise(crowded))
    assert crowded[0] >= 0
    assert crowded[-1] <= 1


def test_sizes_that_would_touch_are_not_all_labelled() -> None:
    """The first and last size have their labels, those between where there is room."""
    axes = Figure().add_subplot()
    axes.set_xscale("log", base=2)
    size_axis(axes.xaxis, [64, 16, 16, 17, 1000, 1024])
    assert list(axes.get_xticks()) == [16, 64, 1024]
    size_axis(axes.xaxis, [100, 101])
    assert list(axes.get_xticks()) == [100, 101]


def test_ticks_are_plain_numbers() -> None:
    """No powers of ten: units that people say."""
    assert [plain_seconds(value) for value in (1e-5, 5e-5, 1e-4, 3e-3, 0.1, 1, 20)] == [
        *("10 µs", "50 µs", "0.1 ms", "3 ms", "100 ms", "1 s", "20 s"),
    ]
    assert [plain_share(value) for value in (0.001, 0.3, 1)] == ["0.1 %", "30 %", "100 %"]


def test_the_longest_slice_nearest_the_centre_is_drawn(tmp_path: Path) -> None:
    """The line through a grid with most points is drawn; among equals the one nearest the default's centre."""
    workloads = [workload(T=T, B=B, H=H) for T in (16, 64) for B in (1, 16) for H in (256, 1024)]
    workloads.append(workload(T=32, B=1, H=1024))
    run_of(tmp_path / "run", [trial("nn_rnn", of) for of in workloads])
    rows = measured(load_run(tmp_path / "run"))
    chosen, fixed = along(rows, ["T"])
    assert (set(chosen["T"]), fixed) == ({16, 32, 64}, "B 1, L 1, I = H 1024")
    chosen, fixed = along(rows, ["B"])
    assert (set(chosen["B"]), fixed) == ({1, 16}, "T 64, L 1, I = H 256")
    assert central(rows)[1] == "T 64, B 16, L 1, I = H 256"


def test_what_is_fixed_is_reported_in_full(tmp_path: Path) -> None:
    """Options that differ from the defaults are part of what a slice holds fixed."""
    of = [workload(T=T, I=3, H=8, bidirectional=True, bias=False, cell="relu") for T in (2, 4)]
    run_of(tmp_path / "run", [trial("nn_rnn", each) for each in of])
    assert along(measured(load_run(tmp_path / "run")), ["T"])[1] == "B 16, L 1, I 3, H 8, two directions, no bias"


def test_panels_are_cut_by_run_setting_and_mode(tmp_path: Path) -> None:
    """Several runs stand side by side, each named in its panel."""
    for name in ("a", "b"):
        run_of(tmp_path / name, [trial("nn_rnn", workload(mode)) for mode in ("training", "inference")])
    found = panels(measured(load_run(tmp_path / "a", tmp_path / "b")))
    assert [panel.title(several_runs=True) for panel in found] == [
        "Inference, tanh RNN, cpu, float32, 2 threads, run a",
        "Training, tanh RNN, cpu, float32, 2 threads, run a",
        "Inference, tanh RNN, cpu, float32, 2 threads, run b",
        "Training, tanh RNN, cpu, float32, 2 threads, run b",
    ]
