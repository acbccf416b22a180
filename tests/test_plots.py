"""Plots: drawn where there is data, small, the same bytes each time, and legible by their own rules."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from benchmarks.presentation.figures import FigureCanvasAgg, mpl
from benchmarks.presentation.plot_style import (
    TEXT,
    choose_styles,
    log_axis,
    plain_seconds,
    plain_share,
    plain_times,
    size_axis,
)
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.answers.slices import along, central, measured, panels
from benchmarks.reporting.plots.plot_labels import spread
from benchmarks.reporting.plots.plot_roles import ANSWER, OTHERS, RUNNER_UP, THE_BASELINE, panel_styles
from benchmarks.reporting.plots.report_plots import figures, write_plots
from benchmarks.reporting.plots.row_plots import limit_shares, speedup_ends
from benchmarks.runs.frames import load_run
from benchmarks.runs.loading import load_runs
from benchmarks.trial import Trial
from rnnimpl.registry import names
from tests.synthetic_runs import (
    COSTS,
    default_workloads,
    failed,
    load,
    realistic_trials,
    run_of,
    trial,
    typed,
    workload,
)
from tests.synthetic_runs import measured as measured_trials

MANY = [
    *COSTS,
    "torch_compile_module",
    "jax_scan",
    "onnxruntime_rnn",
    "openvino_rnn",
    "numba_loop",
    "cpp_fused",
    "a",
    "b",
    "c",
]


def drawn(folder: Path, trials: list[Trial], **fields: Any) -> list[str]:
    """The stems of the plots of a run of these trials but for the ranking; they lie in `folder`."""
    run_of(folder / "run", trials, **fields)
    plots = write_plots(Analysis(load_runs(folder / "run")), folder)
    return [plot.stem for plot in plots if not plot.stem.startswith("ranking")]


def words_of(path: Path) -> str:
    """The text of an SVG."""
    return "\n".join(ET.fromstring(path.read_text(encoding="utf-8")).itertext())  # noqa: S314  # written above


def colours_of(path: Path) -> set[str]:
    """The colours that an SVG names."""
    return set(re.findall(r"#[0-9a-f]{6}\b", path.read_text(encoding="utf-8")))


def named_colours(pixels: NDArray[Any]) -> set[str]:
    """The colours of pixels, red, green and blue in turn, as an SVG names them."""
    return {
        f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in np.unique(pixels.reshape(-1, 3), axis=0).tolist()
    }


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of the plots of a default sweep, and their stems."""
    folder = tmp_path_factory.mktemp("default")
    return folder, drawn(folder, realistic_trials(default_workloads(), MANY))


def test_a_default_sweep_has_every_plot(default: tuple[Path, list[str]]) -> None:
    """Lead, speed-up, sizes, limit and set-up, each as PNG and SVG of a consistent, small size, with whole names."""
    folder, stems = default
    assert stems == ["speedup", "scaling", "scaling-2", "limit", "set-up"]
    for stem in stems:
        png, svg = folder / f"{stem}.png", folder / f"{stem}.svg"
        assert png.stat().st_size < 120_000
        assert svg.stat().st_size < 150_000
        with Image.open(png) as image:
            assert image.width == 1176
            assert len(image.getcolors(256) or []) > 5
        words = words_of(svg)
        assert "torch_compile_module" in words
        assert "…" not in words


@pytest.mark.parametrize("stem", ["ranking", "speedup", "scaling", "limit", "set-up"])
def test_every_colour_of_a_figure_is_exact_in_its_palette(default: tuple[Path, list[str]], stem: str) -> None:
    """And is in the small picture where the figure has it."""
    folder, _ = default
    with Image.open(folder / f"{stem}.png") as image:
        entries = named_colours(np.array(image.getpalette()))
        shown = named_colours(np.asarray(image.convert("RGB")))
    named = colours_of(folder / f"{stem}.svg")
    roles = {ANSWER.colour.lower(), OTHERS.colour.lower()} & named
    assert named <= entries
    assert roles
    assert roles <= shown


def test_rankings_are_drawn_first_a_panel_a_mode(tmp_path: Path) -> None:
    """The file is small, with or without room for names."""
    for number, name in ((20, "few"), (60, "many")):
        workloads = [workload(mode, T=T) for mode in ("inference", "training") for T in range(1, number)]
        run_of(tmp_path / name, realistic_trials(workloads, MANY[:4]))
        plots = write_plots(Analysis(load_runs(tmp_path / name)), tmp_path)
        assert plots[0].stem == "ranking"
        assert (tmp_path / "ranking.png").stat().st_size < 120_000
        words = words_of(tmp_path / "ranking.svg").split("\n")
        assert {"Inference", "Training"} <= set(words)
        assert ("T17 B16 H256" in words) == (name == "few")


def test_the_same_trials_give_the_same_bytes(tmp_path: Path) -> None:
    """No date, no random name: a report built again changes no file."""
    trials = realistic_trials(default_workloads()[:4], MANY[:4])
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        drawn(tmp_path / name, trials)
    files = sorted((tmp_path / "one").glob("*.*g"))
    assert len(files) == 10
    assert all(path.read_bytes() == (tmp_path / "two" / path.name).read_bytes() for path in files)


def test_colour_is_a_role(tmp_path: Path) -> None:
    """The answer, the runner-up and the baseline have colours of their own in every panel; all others are grey."""
    workloads = [workload(mode) for mode in ("inference", "training")]
    times = {
        "inference": {"a": 1.0, "b": 2.0, "nn_rnn": 4.0, "c": 8.0},
        "training": {"b": 1.0, "nn_rnn": 2.0, "a": 9.0},
    }
    trials = [trial(name, of, seconds) for of in workloads for name, seconds in times[of.mode].items()]
    run_of(tmp_path / "run", trials)
    analysis = Analysis(load_runs(tmp_path / "run"))
    inference, training = (panel_styles(panel, analysis.answers) for panel in panels(analysis.measured))
    assert [inference[name] for name in ("a", "b", "nn_rnn", "c")] == [ANSWER, RUNNER_UP, THE_BASELINE, OTHERS]
    assert [training[name] for name in ("b", "nn_rnn", "a")] == [ANSWER, THE_BASELINE, OTHERS]


def test_intervals_are_within_the_axes_of_speed_ups(tmp_path: Path) -> None:
    """Those of the means are wider than the workloads lie apart."""
    sizes = [workload(T=T) for T in (16, 64, 256)]
    rows = load(
        tmp_path / "run",
        *(each for of in sizes for each in measured_trials(of, {"nn_rnn": 1.02, "mine": 1.0}, mine=0.4)),
    )
    others = measured(rows)[rows["implementation"] == "mine"]
    least, largest = speedup_ends(others)
    assert least == pytest.approx(float(np.exp(np.log(others["speedup_low"]).mean())))
    assert largest == pytest.approx(float(np.exp(np.log(others["speedup_high"]).mean())))
    assert least < others["speedup"].min() <= others["speedup"].max() < largest


def test_nobody_comes_nearest_to_the_limit_where_nobody_surely_leads(tmp_path: Path) -> None:
    """A copy under a second name, or one that is too close to call, is not nearer for the last digit of a share."""
    for name, trials, said in (
        ("copy", [trial("nn_rnn", workload()), trial("twin", workload(), 9e-4, source="nn_rnn")], False),
        ("close", measured_trials(workload(), {"nn_rnn": 1.02, "mine": 1.0}, mine=0.3), False),
        ("sure", measured_trials(workload(), {"nn_rnn": 2.0, "mine": 1.0}), True),
    ):
        (tmp_path / name).mkdir()
        drawn(tmp_path / name, trials)
        assert ("comes nearest" in words_of(tmp_path / name / "limit.svg")) == said


def test_titles_beside_each_other_are_level(tmp_path: Path) -> None:
    """Also where one has a line below it and the other none."""
    times = {"inference": {"nn_rnn": 2.0, "mine": 1.0}, "training": {"nn_rnn": 1.02, "mine": 1.0}}
    trials = [each for mode, of in times.items() for each in measured_trials(workload(mode), of, mine=0.1)]
    run_of(tmp_path / "run", trials)
    figure = figures(Analysis(load_runs(tmp_path / "run")))["limit"]
    heights = {text.get_text(): text.get_position()[1] for text in figure.texts}
    assert "mine comes nearest" in heights
    assert heights["Inference"] == heights["Training"]


def test_names_beside_a_ranking_stay_in_their_half(tmp_path: Path) -> None:
    """Also where no ratio is known, and the panels show other workloads."""
    times = {"nn_rnn": 9.0, "torch_compile_module": 8.0, "mine": 1.0}
    trials = [trial(name, workload(), time, blocks=(3,)) for name, time in times.items()]
    trials += [trial(name, workload("training", T=16), time) for name, time in times.items()]
    run_of(tmp_path / "run", trials)
    figure = figures(Analysis(load_runs(tmp_path / "run")))["ranking"]
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    left, right = figure.axes
    said = next(text for text in left.texts if "not yet known torch_compile_module" in text.get_text())
    names = [text.get_window_extent().x0 for text in right.get_yticklabels()]
    assert said.get_window_extent().x1 < min(names)
    assert "not yet known on 1" in "\n".join(text.get_text() for text in figure.texts)


def test_what_is_not_known_has_no_colour(tmp_path: Path) -> None:
    """Where too few blocks were measured for an interval, only one that was asked for stands out."""
    trials = [trial(name, workload(), seconds, blocks=(3,)) for name, seconds in (("a", 1.0), ("b", 2.0))]
    run_of(tmp_path / "run", trials)
    analysis = Analysis(load_runs(tmp_path / "run"))
    (panel,) = panels(analysis.measured)
    assert set(panel_styles(panel, analysis.answers).values()) == {OTHERS, THE_BASELINE}
    assert panel_styles(panel, analysis.answers, "b")["b"] == ANSWER
    run_of(tmp_path / "alone", [trial("nn_rnn", workload())])
    alone = Analysis(load_runs(tmp_path / "alone"))
    assert panel_styles(panels(alone.measured)[0], alone.answers)["nn_rnn"] == THE_BASELINE


def test_a_panel_names_the_fastest_where_the_title_cannot(tmp_path: Path) -> None:
    """Of two modes, each with another that is the fastest."""
    times = {"inference": {"mine": 1.0, "nn_rnn": 2.0}, "training": {"mine": 4.0, "nn_rnn": 2.0}}
    trials = [trial(name, workload(mode), seconds) for mode, of in times.items() for name, seconds in of.items()]
    drawn(tmp_path, trials)
    words = words_of(tmp_path / "ranking.svg").split("\n")
    assert "The fastest against the best of the others" in words
    assert {"mine: surely the fastest on 1 of 1", "nn_rnn: surely the fastest on 1 of 1"} <= set(words)
    (tmp_path / "one").mkdir()
    drawn(tmp_path / "one", [each for each in trials if each.case.workload.mode == "inference"])
    assert "surely the fastest on 1 of 1" in words_of(tmp_path / "one" / "ranking.svg").split("\n")


def test_the_range_of_a_dark_bar_is_seen(tmp_path: Path) -> None:
    """The range over workloads is a dark line on white, since the bar of the baseline is as dark."""
    frame = load(tmp_path / "run", *realistic_trials(default_workloads()[:3], ["nn_rnn"]))
    (panel,) = panels(measured(frame))
    axes = Figure().add_subplot()
    limit_shares(axes, panel, {"nn_rnn": THE_BASELINE}, ["nn_rnn"], (0.0, 1.0))
    below, line = axes.lines
    assert (below.get_color(), line.get_color()) == ("white", TEXT)
    assert below.get_linewidth() > line.get_linewidth()
    np.testing.assert_array_equal(below.get_xdata(), line.get_xdata())


def test_panels_that_are_compared_share_their_scale(tmp_path: Path) -> None:
    """Labels of the ticks are the same in all panels of a plot, on all its pages."""
    workloads = [
        workload(mode, T=T, cell=cell)
        for mode in ("inference", "training")
        for T in (1, 1024)
        for cell in ("lstm", "tanh")
    ]
    drawn(tmp_path, realistic_trials(workloads, MANY))
    for stem in ("speedup", "ranking"):
        pages = [typed(words_of(tmp_path / f"{name}.svg")).split("\n") for name in (stem, f"{stem}-2")]
        first, second = ({word for word in page if re.fullmatch(r"[\d.]+x", word)} for page in pages)
        assert len(first) >= 2
        assert first == second


def test_panels_on_several_pages_say_what_sets_them_apart(tmp_path: Path) -> None:
    """Threads and runs are named where the pages of a plot differ in them, also where those of one page do not."""
    trials = [
        lengthened
        for threads in (1, 2)
        for mode in ("inference", "training")
        for B in (16, 64)
        for lengths in ("equal", "text")
        for lengthened in realistic_trials([workload(mode, B=B, threads=threads, lengths=lengths)], MANY[:3])
    ]
    run_of(tmp_path / "run", trials)
    plots = {plot.stem: plot for plot in write_plots(Analysis(load_runs(tmp_path / "run")), tmp_path)}
    for stem, threads in (("padding", "1 thread"), ("padding-2", "2 threads")):
        assert f"Inference, {threads}, T 64, B 16, H 256" in words_of(tmp_path / f"{stem}.svg")
        assert plots[stem].alternative == threads


def test_the_panels_of_two_runs_name_their_run(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_of(tmp_path / name, realistic_trials([workload()], MANY[:3]))
    plots = write_plots(Analysis(load_runs([tmp_path / "one", tmp_path / "two"])), tmp_path)
    for plot in plots:
        run = "two" if plot.stem.endswith("-2") else "one"
        assert f"{run}, inference" in words_of(tmp_path / f"{plot.stem}.svg")
        assert plot.alternative == f"{run}, inference"


def test_nothing_measured_draws_nothing(tmp_path: Path) -> None:
    """No trials, and only failed ones, leave no plot."""
    assert drawn(tmp_path, []) == []
    (tmp_path / "failed").mkdir()
    assert drawn(tmp_path / "failed", [failed("nn_rnn", workload(), "failed", "no")]) == []


def test_one_workload_has_no_axis(tmp_path: Path) -> None:
    """A single workload is no line; what needs nn_rnn, peaks or set-up is left out without them."""
    both = [trial("nn_rnn", workload()), trial("torch_loop", workload())]
    assert drawn(tmp_path, both) == ["speedup", "limit", "set-up"]
    (tmp_path / "alone").mkdir()
    bare = trial("mine", workload(), error_output=None, setup_seconds=None)
    assert drawn(tmp_path / "alone", [bare], peaks=[]) == []


def test_cases_without_intervals_are_drawn(tmp_path: Path) -> None:
    """Too few blocks for an interval are no reason to leave a line out, but no number is given for them."""
    trials = [trial(name, workload(T=T), blocks=(3,)) for name in ("nn_rnn", "mine") for T in (16, 64, 256)]
    assert "scaling" in drawn(tmp_path, trials)
    assert "not yet known" in words_of(tmp_path / "speedup.svg")


def test_a_caption_names_the_threads_of_its_lines(tmp_path: Path) -> None:
    """One thread is one thread."""
    trials = [trial(name, workload(T=T, threads=1)) for name in ("nn_rnn", "mine") for T in (16, 64, 256)]
    run_of(tmp_path / "run", trials)
    plots = write_plots(Analysis(load_runs(tmp_path / "run")), tmp_path)
    assert next(plot.caption for plot in plots if plot.stem == "scaling").endswith("interval; 1 thread.")
    assert "with the 95 % interval, on 1 thread; logarithmic axes" in words_of(tmp_path / "scaling.svg")


def test_too_few_sizes_are_no_line(tmp_path: Path) -> None:
    trials = [trial(name, workload(T=T)) for name in ("nn_rnn", "mine") for T in (16, 64)]
    assert "scaling" not in drawn(tmp_path, trials)


def test_the_first_use_on_a_machine_is_a_ring(tmp_path: Path) -> None:
    """It is told below the title, and is within the axes."""
    run_of(
        tmp_path / "run",
        [trial("nn_rnn", workload()), trial("mine", workload())],
        once_per_machine={"mine": {"a": 10.0}},
    )
    write_plots(Analysis(load_runs(tmp_path / "run")), tmp_path)
    words = words_of(tmp_path / "set-up.svg")
    assert "ring: the first use on a machine" in words
    assert "10 s" in words


def test_what_pays_back_after_the_first_use_is_not_said_to_do_so_at_once(tmp_path: Path) -> None:
    """The seconds of the first use stand before the calls that the set-up alone needs."""
    trials = [trial("nn_rnn", workload(), 2.0), trial("mine", workload(), 1.0)]
    run_of(tmp_path / "run", trials, once_per_machine={"mine": {"a": 10.0}})
    write_plots(Analysis(load_runs(tmp_path / "run")), tmp_path)
    assert "10.0 s, then at once" in words_of(tmp_path / "set-up.svg")


@pytest.mark.parametrize(("wide", "said"), [(0.0, "mine leads"), (0.3, "too close to call: mine or nn_rnn")])
def test_nobody_leads_where_it_is_too_close_to_call(tmp_path: Path, wide: float, said: str) -> None:
    """The line above a panel is the answer's, and not the order of the means."""
    sizes = [workload(T=T) for T in (16, 64, 256)]
    drawn(tmp_path, [each for of in sizes for each in measured_trials(of, {"nn_rnn": 1.02, "mine": 1.0}, mine=wide)])
    assert said in words_of(tmp_path / "speedup.svg")


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
    assert stems[:2] == ["speedup", "speedup-2"]
    assert (tmp_path / "speedup-2.svg").exists()


def test_hostile_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    """A name in mathematical notation, markup or an unfinished formula is text like another."""
    names = ["nn_rnn", "$\\frac{1}{$", "<script>alert(1)</script>", "&amp;", "_x", "^", "\u4e2d\u6587", "n" * 200]
    trials = [trial(name, workload(T=T)) for name in names for T in (16, 64, 256)]
    drawn(tmp_path, trials)
    text = (tmp_path / "scaling.svg").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "<script>alert(1)" in "".join(ET.fromstring(text).itertext())  # noqa: S314  # written above


def test_styles_are_apart_and_fixed() -> None:
    """No two implementations look the same; a name looks the same whoever stands beside it."""
    alone = {name: choose_styles([name])[name] for name in COSTS}
    together = choose_styles([*MANY, *(f"further_{number}" for number in range(20))])
    assert alone.items() <= together.items()
    assert choose_styles(["zebra"])["zebra"] == choose_styles(["zebra", "nn_rnn"])["zebra"]


def test_no_two_implementations_have_a_colour() -> None:
    """A second name of an implementation has a colour of its own; few names have colours that are far apart."""
    many = [style.colour.lower() for style in choose_styles(f"further_{number}" for number in range(80)).values()]
    assert len(set(many)) == len(many) > 90
    few = choose_styles(["twin", "nn_rnn_again", "fused_again", *"abcde"])
    colours = [lightness_and_hue(style.colour) for style in few.values()]
    assert len(few) == len(names()) + 8
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(colours, 2)) > 20


def lightness_and_hue(colour: str) -> NDArray[np.float64]:
    """A colour in CIELAB, in which distances are about as large as they look."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in mpl.colors.to_rgb(colour)
    ]
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = (
        np.cbrt(each) if each > 216 / 24389 else (24389 / 27 * each + 16) / 116
        for each in np.array(to_xyz) @ linear / [0.9505, 1.0, 1.089]
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


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


@pytest.mark.parametrize(("low", "high"), [(0.3, 70), (0.4, 40), (0.9, 1.6), (0.02, 3000)])
def test_labels_of_a_narrow_logarithmic_axis_do_not_touch(low: float, high: float) -> None:
    """That of 1 stays."""
    figure = Figure(figsize=(2.4, 2.0))
    axes = figure.add_axes((0.2, 0.2, 0.6, 0.6))
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    log_axis(axes.xaxis, low, high, plain_times)
    figure.draw_without_rendering()
    boxes = [each.get_window_extent() for each in axes.get_xticklabels()]
    assert len(boxes) >= 2
    assert all(after.x0 - before.x1 > 4 for before, after in itertools.pairwise(boxes))
    assert 1.0 in axes.get_xticks()


def test_decades_that_would_touch_are_left_out_evenly() -> None:
    """A reader takes labels of a logarithmic axis to be equal steps."""
    figure = Figure(figsize=(2.4, 2.0))
    axes = figure.add_axes((0.2, 0.2, 0.6, 0.6))
    axes.set_xscale("log")
    axes.set_xlim(4e-4, 10)
    log_axis(axes.xaxis, 4e-4, 10, plain_seconds)
    assert np.allclose(np.diff(np.log10(axes.get_xticks())), 2.0)


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
