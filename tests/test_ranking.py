"""One implementation against the best of all others: who that is, by how much, what does not count, in which words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmarks.limits.peak import Peak
from benchmarks.presentation.plot_style import choose_styles
from benchmarks.reporting import ranking_plot
from benchmarks.reporting.all_times import all_times
from benchmarks.reporting.findings import winners_by_workload
from benchmarks.reporting.ranking import RANKING_COLUMNS, Ranking, ranking_frame, rankings
from benchmarks.reporting.ranking_words import comparisons, conclusion, large_products
from benchmarks.reporting.slices import panels
from benchmarks.runs.frames import runs_frame
from benchmarks.runs.loading import LoadedRun, load_runs
from benchmarks.trial import Trial
from benchmarks.workload import Workload
from tests.synthetic_runs import failed, run_of, trial, workload

SHORT, CENTRE, LONG = (workload(T=T) for T in (16, 64, 256))
LARGE = workload(B=32, H=512)


def loaded(folder: Path, trials: Sequence[Trial], **fields: Any) -> LoadedRun:
    """A run of these trials."""
    run_of(folder, trials, **fields)
    return load_runs(folder)[0]


def measured(of: Workload, times: Mapping[str, float], **factors: float) -> list[Trial]:
    """Trials of one visit; `factors` move the blocks of an implementation up and down."""
    found = []
    for name, seconds in times.items():
        width = factors.get(name, 0.0)
        blocks = [seconds * (1 + width * (2 * at / 5 - 1)) for at in range(6)]
        found.append(trial(name, of, [sample for block in blocks for sample in (block,) * 3]))
    return found


def only(found: Sequence[Ranking]) -> Ranking:
    (ranking,) = found
    return ranking


def typed(text: str) -> str:
    """The text with the signs that a keyboard has."""
    return text.replace("\N{MULTIPLICATION SIGN}", "x").replace("\N{EN DASH}", "-")


THREE = [
    *measured(SHORT, {"mine": 1.0, "one": 4.0, "two": 2.0}),
    *measured(CENTRE, {"mine": 1.0, "one": 8.0, "two": 9.0}),
    *measured(LONG, {"mine": 1.0, "one": 0.5, "two": 3.0}),
]


def test_the_peer_is_the_fastest_of_the_others_on_each_workload(tmp_path: Path) -> None:
    """Another one where another is the fastest; the least ratio comes first."""
    ranking = only(rankings([loaded(tmp_path / "run", THREE)]))
    assert ranking.subject == "mine"
    peers = [(each.workload.T, each.peer.case.implementation, each.ratio.median) for each in ranking.compared]
    assert peers == [(256, "one", 0.5), (16, "two", 2.0), (64, "one", 8.0)]


def test_the_mean_is_geometric_and_has_the_bounds_mean(tmp_path: Path) -> None:
    """2x and 8x and 1/2 are 2x; its bounds are the means of the bounds."""
    trials = [*measured(SHORT, {"mine": 1.0, "one": 2.0}), *measured(CENTRE, {"mine": 1.0, "one": 8.0}, one=0.1)]
    mean = only(rankings([loaded(tmp_path / "run", trials)])).mean
    assert mean.median == pytest.approx(4.0)
    assert [mean.low, mean.high] == pytest.approx([4 * math.sqrt(0.9), 4 * math.sqrt(1.1)])


def test_another_can_be_asked_for(tmp_path: Path) -> None:
    """A named subject is compared with the best of the others, the overall winner among them."""
    ranking = only(rankings([loaded(tmp_path / "run", THREE)], "two"))
    peers = [(each.peer.case.implementation, each.ratio.median) for each in ranking.compared]
    assert peers == [("mine", pytest.approx(1 / 9)), ("one", pytest.approx(1 / 6)), ("mine", 0.5)]


def test_a_subject_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    """With the names that there are."""
    with pytest.raises(ValueError, match="subject is 'three'; expected an implementation of the run: mine, one, two"):
        rankings([loaded(tmp_path / "run", THREE)], "three")


def test_a_copy_is_no_peer(tmp_path: Path) -> None:
    """A second name for the subject's source is not among the others, whichever of the two is asked for."""
    trials = [trial("again", CENTRE, 1.0, source="mine"), trial("mine", CENTRE, 1.1), trial("one", CENTRE, 3.3)]
    run = loaded(tmp_path / "run", trials)
    for subject in (None, "mine", "again"):
        assert only(rankings([run], subject)).compared[0].peer.case.implementation == "one"


def test_what_is_wrong_is_no_peer_and_is_told(tmp_path: Path) -> None:
    """A wrong result has no time that could count, and stands in the words with its error."""
    trials = [
        *measured(CENTRE, {"mine": 1.0, "one": 2.0}),
        trial("fast", CENTRE, 0.1, status="wrong", reason="y is off", error_output=3.8e-6),
    ]
    ranking = only(rankings([loaded(tmp_path / "run", trials)]))
    assert ranking.compared[0].peer.case.implementation == "one"
    assert conclusion(ranking).endswith(
        "Wrong results, and so no time among the others: `fast` on 1 (error up to 3.8e-6)."
    )


def test_where_the_subject_is_wrong_it_is_missing(tmp_path: Path) -> None:
    """Its workload is in no mean, and is told with its status."""
    trials = [
        *measured(SHORT, {"mine": 1.0, "one": 2.0}),
        *measured(CENTRE, {"one": 2.0}),
        failed("mine", CENTRE, "wrong", "y is off", error_output=4.8e-6),
        *measured(LONG, {"one": 2.0}),
        failed("mine", LONG, "out_of_memory", "8 GiB"),
    ]
    ranking = only(rankings([loaded(tmp_path / "run", trials)], "mine"))
    assert [each.workload for each in ranking.compared] == [SHORT]
    assert ranking.missing == ((CENTRE, "wrong"), (LONG, "out_of_memory"))
    assert conclusion(ranking).endswith(
        "It has no time on 2 workloads that others have: wrong on 1 and out of memory on 1."
    )
    rows = ranking_frame([ranking])
    assert list(rows["status"]) == ["ok", "wrong", "out_of_memory"]
    assert rows["ratio"].notna().tolist() == [True, False, False]


def test_alone_there_is_no_ranking(tmp_path: Path) -> None:
    """Nothing to compare with, no time at all, and no trials give none."""
    assert rankings([loaded(tmp_path / "one", [trial("mine", CENTRE)])]) == []
    assert rankings([loaded(tmp_path / "two", [failed("mine", CENTRE, "crashed", "no")])]) == []
    assert rankings([loaded(tmp_path / "three", [])]) == []


def test_settings_and_modes_and_runs_are_kept_apart(tmp_path: Path) -> None:
    """Each has a ranking of its own, with its own subject."""
    one_thread = workload(threads=1)
    trials = [
        *measured(CENTRE, {"mine": 1.0, "one": 2.0}),
        *measured(workload("training"), {"mine": 3.0, "one": 2.0}),
        *measured(one_thread, {"mine": 1.0, "one": 2.0}),
    ]
    runs = [loaded(tmp_path / name, trials) for name in ("a", "b")]
    found = [(each.run, str(each.setting), each.mode, each.subject) for each in rankings(runs)]
    assert found[:3] == [
        ("a", "tanh RNN, cpu, float32, 2 threads", "inference", "mine"),
        ("a", "tanh RNN, cpu, float32, 2 threads", "training", "one"),
        ("a", "tanh RNN, cpu, float32, 1 thread", "inference", "mine"),
    ]
    assert [run for run, *_ in found] == ["a"] * 3 + ["b"] * 3


def test_ahead_on_all_is_said_with_the_least(tmp_path: Path) -> None:
    """The mean with its interval, the least with its peer and workload, and who the others are."""
    trials = [
        *measured(SHORT, {"mine": 1.0, "one": 2.0, "two": 3.0}),
        *measured(CENTRE, {"mine": 1.0, "one": 9.0, "two": 8.0}),
        *measured(LONG, {"mine": 1.0, "one": 4.0, "two": 8.0}, mine=0.1),
    ]
    assert typed(conclusion(only(rankings([loaded(tmp_path / "run", trials, peaks=[])])))) == (
        "`mine` is faster than the best of the others on all 3 workloads: 4.00x (3.87-4.14) in the geometric mean. "
        f"The least is 2.00x (2.00-2.00), against `one` on `{SHORT.id}`. "
        "The best of the others is `one` on 2 and `two` on 1."
    )


def test_behind_and_too_close_are_said(tmp_path: Path) -> None:
    """Told apart by the interval: slower where it lies below 1, too close to call where it includes 1."""
    trials = [
        *measured(SHORT, {"mine": 1.0, "one": 8.0}),
        *measured(CENTRE, {"mine": 1.0, "one": 1.01}, one=0.05),
        *measured(workload(T=65), {"mine": 1.0, "one": 0.99}, one=0.05),
        *measured(LONG, {"mine": 1.0, "one": 0.8}),
    ]
    said = typed(conclusion(only(rankings([loaded(tmp_path / "run", trials, peaks=[])]))))
    assert said.startswith(
        "`mine` is faster than the best of the others on 1 of 4 workloads, slower on 1 and too close to call on 2: "
    )
    assert f"The least is 0.800x (0.800-0.800), against `one` on `{LONG.id}`. " in said
    assert said.endswith("The best of the others is `one` throughout.")


def test_a_ratio_without_interval_is_too_close_to_call(tmp_path: Path) -> None:
    """Five blocks give no interval, so nobody is surely ahead."""
    trials = [trial(name, CENTRE, time, blocks=(3,) * 5) for name, time in (("mine", 1.0), ("one", 9.0))]
    assert typed(conclusion(only(rankings([loaded(tmp_path / "run", trials, peaks=[])])))) == (
        "`mine` is faster than the best of the others on 0 of 1 workload and too close to call on 1: 9.00x "
        "(no interval) in the geometric mean. The best of the others is `one`."
    )


def gemm(rate: float, M: int, N: int, K: int, kind: Any = "gemm", source: str = "torch") -> dict[str, Any]:
    """A product's rate under the setting of the workloads here."""
    seconds = 2 * M * N * K / rate
    common: dict[str, Any] = {"device": "cpu", "dtype": "float32", "precision": "ieee", "threads": 2}
    peak = Peak(kind=kind, source=source, M=M, N=N, K=K, seconds=seconds, flops_per_second=rate, **common)
    return peak.to_json()


def test_large_products_are_set_against_their_rate_here(tmp_path: Path) -> None:
    """Half the operations at 100 and half at 300 are 150 GFLOP/s; a call at 120 reaches 80 % of it, 40 % of 300."""
    operations = 2 * LARGE.T * LARGE.B * LARGE.H * (LARGE.I + LARGE.H)
    peaks = [
        gemm(300e9, LARGE.T * LARGE.B, LARGE.H, LARGE.I),
        gemm(100e9, LARGE.B, LARGE.H, LARGE.H, kind="chain"),
        gemm(90e9, LARGE.B, LARGE.H, LARGE.H, kind="chain", source="numpy"),
    ]
    trials = measured(LARGE, {"mine": operations / 120e9, "one": 1.0}) + measured(CENTRE, {"mine": 1.0, "one": 2.0})
    found = rankings([loaded(tmp_path / "run", trials, peaks=peaks)])
    of_large = next(each for each in only(found).compared if each.workload == LARGE)
    assert [of_large.share_of_gemm, of_large.share_of_peak] == pytest.approx([0.8, 0.4])
    assert "With H ≥ 512 and B ≥ 32 it reaches 80 % of the rate of matrix products" in conclusion(only(found))
    assert "(1 workload)" in conclusion(only(found))
    table = large_products(found)
    assert "| T64 B32 H512 | `mine` | 120 GFLOP/s | 80 % | 40 % |" in table
    assert "T64 B16 H256" not in table


def test_how_far_ahead_anything_could_be_is_told(tmp_path: Path) -> None:
    """Others that take 3 and 12 times what all operations take at the machine's rate could be outrun 6 times.

    The first step has no state to multiply.
    """
    rate = 100e9
    least = {each: 2 * each.B * each.H * (each.T * each.I + (each.T - 1) * each.H) / rate for each in (CENTRE, LONG)}
    trials = [
        *measured(CENTRE, {"mine": 2 * least[CENTRE], "one": 3 * least[CENTRE]}),
        *measured(LONG, {"mine": 2 * least[LONG], "one": 12 * least[LONG]}),
    ]
    peaks = [gemm(rate, CENTRE.T * CENTRE.B, CENTRE.H, CENTRE.I)]
    ranking = only(rankings([loaded(tmp_path / "run", trials, peaks=peaks)]))
    assert [each.allowed for each in ranking.compared] == pytest.approx([3, 12])
    assert "At the machine's limit it would be 6.00x as fast as the best of the others, in the geometric mean." in (
        typed(conclusion(ranking))
    )
    assert list(ranking_frame([ranking])["ratio_allowed"]) == pytest.approx([3, 12])


@pytest.mark.parametrize("of", [workload(B=31, H=512), workload(B=32, H=511)])
def test_smaller_products_are_not_set_against_it(tmp_path: Path, of: Workload) -> None:
    """The sizes from which on a rate is told are B 32 and H 512."""
    found = rankings([loaded(tmp_path / "run", measured(of, {"mine": 1.0, "one": 2.0}))])
    assert large_products(found) == ""
    assert "matrix products" not in conclusion(only(found))


def test_without_peaks_no_rate_is_told(tmp_path: Path) -> None:
    found = rankings([loaded(tmp_path / "run", measured(LARGE, {"mine": 1.0, "one": 2.0}), peaks=[])])
    assert large_products(found) == ""
    assert "matrix products" not in conclusion(only(found))
    assert "limit" not in conclusion(only(found))


def test_errors_stand_beside_times(tmp_path: Path) -> None:
    """Of outputs and gradients the larger, over all visits."""
    of = workload("training")
    trials = [
        trial("mine", of, 1.0, error_output=1e-7, error_gradient=6.4e-7),
        trial("mine", of, 1.0, error_output=5e-7, error_gradient=2e-7, round_number=1),
        trial("one", of, 2.0, error_output=3e-7, error_gradient=None),
    ]
    table = typed(comparisons(rankings([loaded(tmp_path / "run", trials)])))
    assert "| T64 B16 H256 | `mine` | 1.00 s | 6.4e-7 | `one` | 2.00 s | 3.0e-7 | 2.00x (" in table


def test_the_frame_holds_what_the_table_says(tmp_path: Path) -> None:
    """A row a comparison, with sizes, both times, and the ratio with its bounds."""
    rows = ranking_frame(rankings([loaded(tmp_path / "run", THREE)]))
    assert list(rows.columns) == list(RANKING_COLUMNS)
    first = rows.iloc[0]
    assert (first["workload"], first["T"], first["subject"], first["peer"]) == (LONG.id, 256, "mine", "one")
    assert tuple(first[["subject_seconds", "peer_seconds", "ratio"]]) == (1.0, 0.5, 0.5)


# All times in one table.


def table_of(folder: Path, trials: Sequence[Trial]) -> str:
    frame = runs_frame([loaded(folder, trials)])
    return typed(all_times(frame, winners_by_workload(frame)))


def row_of(text: str, name: str) -> list[str]:
    """The cells of the row of a workload."""
    (line,) = (line for line in text.split("\n") if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_time_stands_in_one_table(tmp_path: Path) -> None:
    """A row a workload, a column an implementation, the fastest on the whole first, errors below times."""
    text = table_of(tmp_path / "run", [*THREE, trial("one", workload(T=65), 4.0)])
    assert row_of(text, "workload")[1:] == ["`mine`", "`one`", "`two`"]
    assert row_of(text, "T256 B16 H256")[1:] == ["1.00 s<br>1.0e-7", "**500 ms**<br>1.0e-7", "3.00 s<br>1.0e-7"]
    assert row_of(text, "T65 B16 H256")[1:] == ["-", "**4.00 s**<br>1.0e-7", "-"]
    assert "### Inference, tanh RNN, cpu, float32, 2 threads" in text


def test_too_close_to_the_fastest_is_marked(tmp_path: Path) -> None:
    """One whose interval includes the fastest's time is not called slower."""
    text = table_of(tmp_path / "run", measured(CENTRE, {"mine": 1.0, "one": 1.01, "two": 1.5}, one=0.05))
    assert [cell.split("<")[0] for cell in row_of(text, "T64 B16 H256")[1:]] == ["**1.00 s**", "≈ 1.01 s", "1.50 s"]


def test_what_is_wrong_has_no_time_but_its_error(tmp_path: Path) -> None:
    """Whatever samples it may have; what timed out says so."""
    trials = [
        *measured(CENTRE, {"mine": 1.0}),
        trial("fast", CENTRE, 0.1, status="wrong", reason="off", error_output=3.8e-6),
        failed("slow", CENTRE, "timeout", "120 s"),
    ]
    assert row_of(table_of(tmp_path / "run", trials), "T64 B16 H256")[1:] == [
        *("**1.00 s**<br>1.0e-7", "wrong<br>3.8e-6", "timeout"),
    ]


def test_what_could_nowhere_run_has_no_column(tmp_path: Path) -> None:
    """It is named below the table with its status; one that ran somewhere keeps its column."""
    trials = [
        *measured(CENTRE, {"mine": 1.0, "some": 2.0}),
        failed("some", LONG, "unsupported", "too long"),
        *(failed("none", of, "unavailable", "not installed") for of in (CENTRE, LONG)),
        trial("mine", LONG, 1.0),
    ]
    text = table_of(tmp_path / "run", trials)
    assert row_of(text, "workload")[1:] == ["`mine`", "`some`"]
    assert row_of(text, "T256 B16 H256")[2] == "unsupported"
    assert text.endswith("Without a column, as none of its cases could run: `none` (unavailable).")


def test_what_a_row_does_not_say_is_the_default(tmp_path: Path) -> None:
    """Sizes beyond T, B and H and options are named where they differ from the defaults."""
    of = workload(I=3, H=8, L=2, bidirectional=True, cell="relu", bias=False)
    text = table_of(tmp_path / "run", [trial("mine", of)])
    assert row_of(text, "T64 B16 H8 I3 L2 two directions no bias")[1] == "**1.00 ms**<br>1.0e-7"


def test_a_run_without_times_has_no_table(tmp_path: Path) -> None:
    assert table_of(tmp_path / "run", [failed("mine", CENTRE, "crashed", "no")]) == ""
    assert table_of(tmp_path / "empty", []) == ""


# The plot.


def drawn(folder: Path, trials: Sequence[Trial]) -> tuple[str, list[str], pd.DataFrame]:
    """What the plot says above it and in it, and its rows."""
    rows = ranking_frame(rankings([loaded(folder, trials)]))
    (panel,) = panels(rows)
    axes = Figure().add_subplot()
    said = ranking_plot.draw(axes, panel, choose_styles(rows["peer"]), ranking_plot.height(panel))
    legend = axes.get_legend()
    texts = [text.get_text() for text in [*axes.texts, *(legend.get_texts() if legend else [])]]
    return typed(said), [typed(text) for text in texts], rows


def test_the_plot_names_each_peer(tmp_path: Path) -> None:
    """The ratio and the peer beside each workload, the least at the bottom, the mean above."""
    said, texts, _ = drawn(tmp_path / "run", THREE)
    assert texts == ["0.500x one", "2.00x two", "8.00x one"]
    assert said == "mine: 2.00x (geometric mean), at least 0.500x"


def test_many_workloads_share_a_legend(tmp_path: Path) -> None:
    """Where names would not fit, the peers stand in a legend with how often each is the best of the others."""
    trials: list[Trial] = []
    for T in range(1, 50):
        trials += measured(workload(T=T), {"mine": 1.0, "one": 2.0, "two": 1.9 if T < 10 else 3.0})
    said, texts, rows = drawn(tmp_path / "run", trials)
    assert len(rows) == 49
    assert texts == ["one (40)", "two (9)"]
    assert said.startswith(f"mine: {np.exp((9 * np.log(1.9) + 40 * np.log(2)) / 49):.2f}x")
