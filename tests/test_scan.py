"""Any size: which sizes make a line, what a cliff is, and how both are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.counts import flops
from benchmarks.presentation.plot_style import choose_styles
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.answers.slices import Panel
from benchmarks.reporting.plots import scan_plot
from benchmarks.reporting.report import build_report
from benchmarks.reporting.sections.scan_section import leaps, scan_section, verdict
from benchmarks.reporting.topics.scan import Line
from benchmarks.runs.loading import load_runs
from benchmarks.sweeps import load_sweep
from benchmarks.trial import Trial
from tests.synthetic_runs import run_of, trial, typed, workload

NOISE = (0.98, 0.99, 1.0, 1.0, 1.01, 1.02)


def along(
    sizes: Sequence[int],
    unit: Callable[[int], float] = lambda _: 1.0,
    name: str = "mine",
    noise: Sequence[float] = (1.0,) * 6,
    B: int = 16,
    visits: int = 2,
) -> list[Trial]:
    """An implementation at these hidden sizes, a unit of work taking so many picoseconds."""
    found = []
    for H in sizes:
        of = workload(T=32, B=B, H=H)
        blocks = [1e-12 * unit(H) * flops(of) * factor for factor in noise]
        samples = [sample for block in blocks for sample in (block,) * 3]
        found += [trial(name, of, samples, blocks=(3,) * len(noise), round_number=at) for at in range(visits)]
    return found


def along_batch(sizes: Sequence[int], unit: float) -> list[Trial]:
    """Trials at these batch sizes, with H 64."""
    return [each for B in sizes for each in along([64], lambda _: unit, B=B)]


def analysis_of(folder: Path, trials: Sequence[Trial]) -> Analysis:
    run_of(folder, trials)
    return Analysis(load_runs(folder))


def lines_of(folder: Path, trials: Sequence[Trial]) -> Sequence[Line]:
    return analysis_of(folder, trials).scan_lines


def test_a_level_line_has_no_cliff(tmp_path: Path) -> None:
    """Each pair of neighbours from H 8 on counts, and a unit of work costs the same everywhere."""
    (line,) = lines_of(tmp_path / "run", along(range(1, 31)))
    assert [(pair.smaller, pair.larger) for pair in line.pairs] == [(H, H + 1) for H in range(8, 30)]
    assert all(pair.factor == pytest.approx(1) for pair in line.pairs)
    assert typed(verdict(line)).startswith("H 8 to 30, 22 pairs of neighbours: no cliff; the furthest apart are ")


@pytest.mark.parametrize(("dear", "cliff"), [(1.6, True), (1.4, False), (1 / 1.6, True), (1 / 1.4, False)])
def test_a_cliff_is_more_than_half_as_much_again_up_or_down(tmp_path: Path, dear: float, cliff: bool) -> None:
    (line,) = lines_of(tmp_path / "run", along(range(8, 31), lambda H: dear if H > 17 else 1.0))
    assert [(pair.smaller, pair.larger) for pair in line.pairs if pair.cliff] == [(17, 18)] * cliff
    assert line.farthest.smaller == 17
    assert line.farthest.ratio.median == pytest.approx(dear)


def test_work_is_counted_not_calls(tmp_path: Path) -> None:
    """H 9 has 27 % more operations than H 8: a call of the same time costs less a unit, and is no cliff."""
    trials = [trial("mine", workload(T=32, H=H), 1e-3) for H in range(8, 31)]
    (line,) = lines_of(tmp_path / "run", trials)
    assert line.farthest.ratio.median == pytest.approx(64 / 81)


def test_the_first_few_sizes_may_leap(tmp_path: Path) -> None:
    """One more is a large part of all below H 8 and B 4."""
    (line,) = lines_of(tmp_path / "run", along(range(1, 31), lambda H: 9.0 if H < 8 else 1.0))
    assert not any(pair.beyond for pair in line.pairs)
    trials = [*along_batch(range(1, 4), 9.0), *along_batch(range(4, 20), 1.0)]
    (line,) = lines_of(tmp_path / "other", trials)
    assert (line.axis, line.pairs[0].smaller) == ("B", 4)
    assert line.farthest.factor == pytest.approx(1)


def test_what_noise_can_explain_is_doubtful(tmp_path: Path) -> None:
    """No cliff for sure: 1.52 with an interval that begins below 1.5, three times without one, and after one visit."""
    sizes = range(8, 31)
    noisy = along(sizes, lambda H: 1.52 if H > 17 else 1.0, noise=NOISE)
    few = along(sizes, lambda H: 3.0 if H > 17 else 1.0, noise=(1.0,) * 2)
    once = [*along(sizes[:10]), *along(sizes[10:], lambda _: 3.0, visits=1)]
    for name, trials in (("noisy", noisy), ("few", few), ("once", once)):
        (line,) = lines_of(tmp_path / name, trials)
        assert not any(pair.cliff for pair in line.pairs)
        assert "no sure cliff" in verdict(line)
        assert "1 doubtful leap (17/18)" in verdict(line)
        assert "; the furthest apart are 17 and 18, by " in verdict(line)
        assert "| doubtful |" in leaps([line])


def test_the_fastest_samples_tell_noise_from_the_code(tmp_path: Path) -> None:
    """From H 18 on five blocks of six take three times as long; by the sixth, H 25 costs 1.2 times as much as H 24."""
    sizes = range(8, 31)
    late = along(sizes[10:], lambda H: 1.2 if H > 24 else 1.0, noise=(1.0,) + (3.0,) * 5)
    (line,) = lines_of(tmp_path / "run", [*along(sizes[:10]), *late])
    assert line.farthest.smaller == 17
    assert line.fast_farthest.smaller == 24
    assert line.fast_farthest.fast_ratio == pytest.approx(1.2)
    assert typed(verdict(line)).endswith(", and in the fastest tenth of the samples 24 and 25, by 1.20x")
    (line,) = lines_of(tmp_path / "cheaper", along(sizes, lambda H: 0.8 if H > 17 else 1.0))
    assert line.fast_farthest.fast_factor == pytest.approx(1.25)


def test_level_pairs_whose_intervals_include_a_cliff_are_open(tmp_path: Path) -> None:
    """No cliff is said only where every pair is surely none: not of wide intervals, nor of too few blocks for one."""
    wide = along(range(8, 31), noise=(0.7, 0.7, 1.0, 1.0, 1.3, 1.3))
    few = along(range(8, 31), noise=(1.0,) * 2)
    for name, trials in (("wide", wide), ("few", few)):
        analysis = analysis_of(tmp_path / name, trials)
        (line,) = analysis.scan_lines
        assert "22 pairs of neighbours: no sure cliff and 22 open pairs (8/9, 9/10, " in verdict(line)
        (panel,) = analysis.scan_panels
        axes = Figure().add_subplot()
        assert units_drawn(axes, panel, "mine") == "no sure cliff"
    assert "not yet known" in verdict(line)


def test_cliffs_are_named_and_tabled(tmp_path: Path) -> None:
    """A cliff has sizes, ratio and interval, by the widest bounds that its neighbours' intervals allow."""
    trials = along(range(8, 41), lambda H: 2.0 if H > 32 else 1.0, noise=NOISE)
    lines = lines_of(tmp_path / "run", trials)
    place = "Inference, tanh RNN, cpu, float32, 2 threads, T 32, B 16, L 1, I = H"
    text = typed(scan_section(lines))
    assert text.startswith(f"- **{place}.** `mine`, H 8 to 40, 32 pairs of neighbours: 1 cliff (32/33); ")
    assert f"| {place} | `mine` | H 32 | H 33 | 2.00x (1.96-2.04) | yes |" in text


def test_many_cliffs_are_counted(tmp_path: Path) -> None:
    """A sentence names eight, the table has all."""
    (line,) = lines_of(tmp_path / "run", along(range(8, 31), lambda H: 1.0 + H % 2))
    assert "22 cliffs (8/9, 9/10, 10/11, 11/12, 12/13, 13/14, 14/15, 15/16 and 14 more)" in verdict(line)
    assert leaps([line]).count("| yes |") == 22


def test_sizes_with_gaps_are_no_neighbours(tmp_path: Path) -> None:
    """Sizes with a gap are no pair, and a line needs ten pairs."""
    assert lines_of(tmp_path / "even", along(range(8, 80, 2))) == []
    assert lines_of(tmp_path / "short", along(range(8, 18))) == []
    few = along(range(8, 18), name="few")
    (line,) = lines_of(tmp_path / "run", [*along([*range(8, 19), 40, 41, 43], lambda H: H % 2 + 1.0), *few])
    assert [pair.larger for pair in line.pairs] == [*range(9, 19), 41]
    assert scan_section([]) == ""


def test_lines_share_all_but_one_size(tmp_path: Path) -> None:
    """Another batch, implementation or setting is another line; each batch has a panel."""
    sizes = range(8, 21)
    trials = [
        *along(sizes, B=1),
        *along(sizes, name="other", B=1),
        *along(sizes, B=16),
        *along([64], B=3),
    ]
    analysis = analysis_of(tmp_path / "run", trials)
    assert [(line.implementation, line.panel.detail.split(", ")[1]) for line in analysis.scan_lines] == [
        *(("mine", "B 1"), ("other", "B 1"), ("mine", "B 16")),
    ]
    assert [len(panel.rows) for panel in analysis.scan_panels] == [26, 13]


def test_the_plot_rings_the_cliffs(tmp_path: Path) -> None:
    """A ring is at the larger of the two sizes."""
    trials = [*along(range(1, 31), lambda H: 2.0 if H > 20 else 1.0), *along(range(1, 31), name="other")]
    (panel,) = analysis_of(tmp_path / "run", trials).scan_panels
    axes = Figure(figsize=(5, 3)).add_subplot()
    assert units_drawn(axes, panel, "mine", "other") == "1 cliff, ringed"
    assert rings(axes) == [[[21, pytest.approx(2e-9)]], []]
    (level,) = analysis_of(tmp_path / "level", along(range(1, 31))).scan_panels
    assert units_drawn(Figure().add_subplot(), level, "mine") == "no cliff"


def units_drawn(axes: Axes, panel: Panel, *names: str) -> str:
    """What the plot of units of work says of a panel."""
    return scan_plot.unit_times(axes, panel, choose_styles(names), scan_plot.unit_scale(panel), 3.3)


def rings(axes: Axes) -> list[object]:
    """The places of the rings of each implementation."""
    return [np.asarray(line.get_xydata()).tolist() for line in axes.lines if line.get_marker() == "o"]


def test_each_size_is_drawn_against_the_one_before(tmp_path: Path) -> None:
    """The line begins at the first size that counts; the pair that is furthest apart is named."""
    trials = [*along(range(1, 31), lambda H: 0.5 if H > 20 else 1.0), *along(range(1, 31), name="other")]
    (panel,) = analysis_of(tmp_path / "run", trials).scan_panels
    axes = Figure(figsize=(5, 3)).add_subplot()
    said = scan_plot.steps(axes, panel, choose_styles(["mine", "other"]), scan_plot.step_scale(panel), 3.3)
    assert typed(said) == "furthest apart: mine, H 20 and 21, by 2.00x (2.00-2.00)"
    assert rings(axes) == [[[21, pytest.approx(0.5)]], []]
    drawn = np.asarray(axes.lines[0].get_xydata())
    assert drawn[:, 0].tolist() == list(range(9, 31))
    assert drawn[:, 1].tolist() == pytest.approx([1.0] * 12 + [0.5] + [1.0] * 9)


def test_a_report_of_a_scan_has_the_section(tmp_path: Path) -> None:
    """The section has its plot; a report without consecutive sizes has none."""
    run_of(tmp_path / "run", along(range(1, 31), lambda H: 2.0 if H > 20 else 1.0))
    text = build_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "## Any size: the time of a unit of work" in text
    assert "1 cliff (20/21)" in text
    for stem in ("scan", "scan-steps"):
        assert (tmp_path / "run" / "plots" / f"{stem}.svg").is_file()
    run_of(tmp_path / "other", along([64, 128]))
    assert "Any size" not in build_report(tmp_path / "other").read_text(encoding="utf-8")


def test_the_preset_scans_every_size_on_one_thread() -> None:
    """H 1 to 300 at two batch sizes, B 1 to 40 at two hidden sizes, whatever cores there are."""
    workloads = load_sweep("sizes").workloads(["cpu"], 8)
    assert {(each.mode, each.L, each.I == each.H) for each in workloads} == {("inference", 1, True)}
    # Where ONNX Runtime divides its work among threads in another way.
    shared = {(each.B, each.H) for each in workloads if each.threads > 1}
    assert shared == {(B, H) for B in (1, 2, 4, 5) for H in (256, 257)}
    workloads = tuple(each for each in workloads if each.threads == 1)
    sizes = {(each.B, each.H) for each in workloads}
    assert {(B, H) for B in (1, 16) for H in range(1, 301)} <= sizes
    assert {(B, H) for B in range(1, 41) for H in (64, 250)} <= sizes
    assert len(workloads) == len(sizes) == 676
