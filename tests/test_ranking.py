"""One implementation against the best of all others: who that is, by how much, what does not count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.limits.peak import Peak
from benchmarks.reporting.answers.ranking import RANKING_COLUMNS, Ranking, largest_error, ranking_frame, rankings
from benchmarks.reporting.answers.setting_answers import setting_answers
from benchmarks.reporting.plots.ranking_plot import finding
from benchmarks.workload import Workload
from tests.synthetic_runs import CENTRE, LONG, SHORT, THREE, failed, loaded, measured, trial, workload

LARGE = workload(B=32, H=512)


def only(found: Sequence[Ranking]) -> Ranking:
    (ranking,) = found
    return ranking


def test_the_peer_is_the_fastest_of_the_others_on_each_workload(tmp_path: Path) -> None:
    """Workloads may have different peers; the least ratio comes first."""
    ranking = only(rankings([loaded(tmp_path / "run", THREE)]))
    assert ranking.subject == "mine"
    peers = [(each.workload.T, each.peer.case.implementation, each.ratio.median) for each in ranking.compared]
    assert peers == [(256, "one", 0.5), (16, "two", 2.0), (64, "one", 8.0)]


def test_the_mean_is_geometric_and_has_the_bounds_mean(tmp_path: Path) -> None:
    """2x and 8x and 1/2 are 2x; its bounds are the means of the bounds."""
    trials = [*measured(SHORT, {"mine": 1.0, "one": 2.0}), *measured(CENTRE, {"mine": 1.0, "one": 8.0}, one=0.1)]
    mean = only(rankings([loaded(tmp_path / "run", trials)])).mean
    # The middle of blocks that differ by 2 % each way is their geometric mean.
    assert mean.median == pytest.approx(4.0 * (0.98 * 1.02) ** 0.25)
    assert [mean.low, mean.high] == pytest.approx([4 * math.sqrt(0.9), 4 * math.sqrt(1.1)])


def test_another_can_be_asked_for(tmp_path: Path) -> None:
    """A named subject is compared with the best of the others, the overall winner among them."""
    ranking = only(rankings([loaded(tmp_path / "run", THREE)], "two"))
    peers = [(each.peer.case.implementation, each.ratio.median) for each in ranking.compared]
    assert peers == [("mine", pytest.approx(1 / 9)), ("one", pytest.approx(1 / 6)), ("mine", 0.5)]


def test_a_subject_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    """The message lists the names of the run."""
    with pytest.raises(ValueError, match="subject is 'three'; expected an implementation of the run: mine, one, two"):
        rankings([loaded(tmp_path / "run", THREE)], "three")


def test_a_copy_is_no_peer(tmp_path: Path) -> None:
    """A second name for the subject's source is not among the others, whichever of the two is asked for."""
    trials = [trial("again", CENTRE, 1.0, source="mine"), trial("mine", CENTRE, 1.1), trial("one", CENTRE, 3.3)]
    run = loaded(tmp_path / "run", trials)
    for subject in (None, "mine", "again"):
        assert only(rankings([run], subject)).compared[0].peer.case.implementation == "one"


def test_what_is_wrong_is_no_peer(tmp_path: Path) -> None:
    """A wrong result has no time that could count; its case is kept with its error."""
    trials = [
        *measured(CENTRE, {"mine": 1.0, "one": 2.0}),
        trial("fast", CENTRE, 0.1, status="wrong", reason="y is off", error_output=3.8e-6),
    ]
    ranking = only(rankings([loaded(tmp_path / "run", trials)]))
    assert ranking.compared[0].peer.case.implementation == "one"
    assert [(each.case.implementation, largest_error(each)) for each in ranking.wrong] == [("fast", 3.8e-6)]


def test_where_the_subject_is_wrong_it_is_missing(tmp_path: Path) -> None:
    """The workload is in no mean, and is listed with the subject's status."""
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
    rows = ranking_frame([ranking])
    assert list(rows["status"]) == ["ok", "wrong", "out_of_memory"]
    assert rows["ratio"].notna().tolist() == [True, False, False]


def test_alone_there_is_no_ranking(tmp_path: Path) -> None:
    """One implementation, no time at all, and no trials give no ranking."""
    assert rankings([loaded(tmp_path / "one", [trial("mine", CENTRE)])]) == []
    assert rankings([loaded(tmp_path / "two", [failed("mine", CENTRE, "crashed", "no")])]) == []
    assert rankings([loaded(tmp_path / "three", [])]) == []


def test_settings_and_modes_and_runs_are_kept_apart(tmp_path: Path) -> None:
    """Each setting, mode and run has a ranking with its own subject."""
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


def test_ahead_and_behind_are_by_the_whole_interval(tmp_path: Path) -> None:
    """Ahead above 1, behind below it; an interval that includes 1 is neither."""
    trials = [
        *measured(SHORT, {"mine": 1.0, "one": 8.0}),
        *measured(CENTRE, {"mine": 1.0, "one": 1.01}, one=0.05),
        *measured(workload(T=65), {"mine": 1.0, "one": 0.99}, one=0.05),
        *measured(LONG, {"mine": 1.0, "one": 0.8}),
    ]
    ranking = only(rankings([loaded(tmp_path / "run", trials)]))
    assert [[each.workload for each in side] for side in (ranking.ahead, ranking.behind)] == [[SHORT], [LONG]]


def test_the_counts_are_those_of_the_answer(tmp_path: Path) -> None:
    """The best other is surely slower, and the next, with a wider interval, may be as fast: that is tied."""
    trials = [
        *measured(CENTRE, {"mine": 1.0, "one": 1.05, "two": 1.1}, two=0.2),
        *measured(LONG, {"mine": 1.0, "one": 2.0, "two": 3.0}),
    ]
    run = loaded(tmp_path / "run", trials)
    ranking = only(rankings([run]))
    assert all(each.peer.case.implementation == "one" and each.ratio.low > 1 for each in ranking.compared)
    (answer,) = setting_answers(run)
    assert ([each.workload for each in ranking.ahead], ranking.behind) == ([LONG], ())
    assert (list(answer.sure), answer.tied) == ([LONG], 1)
    frame = ranking_frame([ranking]).set_index("workload")
    assert frame["sure"].to_dict() == {CENTRE.id: False, LONG.id: True}
    said = finding(frame)
    assert said == "surely the fastest on 1 of 2, tied on 1"


def test_a_ratio_without_interval_is_neither_ahead_nor_behind(tmp_path: Path) -> None:
    """Five blocks give no interval."""
    trials = [trial(name, CENTRE, time, blocks=(3,) * 5) for name, time in (("mine", 1.0), ("one", 9.0))]
    ranking = only(rankings([loaded(tmp_path / "run", trials)]))
    assert (len(ranking.compared), ranking.ahead, ranking.behind) == (1, (), ())


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
    assert of_large.flops_per_second == pytest.approx(120e9)
    assert [each.workload for each in only(found).compared if each.large] == [LARGE]


def test_the_ratio_at_the_machines_limit(tmp_path: Path) -> None:
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
    assert ranking.allowed == pytest.approx(6)
    assert list(ranking_frame([ranking])["ratio_allowed"]) == pytest.approx([3, 12])


@pytest.mark.parametrize("of", [workload(B=31, H=512), workload(B=32, H=511)])
def test_products_are_large_from_both_sizes_on(tmp_path: Path, of: Workload) -> None:
    """The sizes from which on a rate is compared are B 32 and H 512."""
    (each,) = only(rankings([loaded(tmp_path / "run", measured(of, {"mine": 1.0, "one": 2.0}))])).compared
    assert not each.large


def test_without_peaks_there_is_no_share_and_no_limit(tmp_path: Path) -> None:
    trials = measured(LARGE, {"mine": 1.0, "one": 2.0})
    ranking = only(rankings([loaded(tmp_path / "run", trials, peaks=[])]))
    (each,) = ranking.compared
    assert each.share_of_gemm is each.share_of_peak is each.allowed is ranking.allowed is None


def test_the_error_is_the_largest_over_all_visits(tmp_path: Path) -> None:
    """Errors of outputs and of gradients count."""
    of = workload("training")
    trials = [
        trial("mine", of, 1.0, error_output=1e-7, error_gradient=6.4e-7),
        trial("mine", of, 1.0, error_output=5e-7, error_gradient=2e-7, round_number=1),
        trial("one", of, 2.0, error_output=3e-7, error_gradient=None),
    ]
    (each,) = only(rankings([loaded(tmp_path / "run", trials)])).compared
    assert (largest_error(each.subject), largest_error(each.peer)) == (6.4e-7, 3e-7)


def test_the_frame_holds_what_the_table_says(tmp_path: Path) -> None:
    """A row a comparison, with sizes, both times, and the ratio with its bounds."""
    rows = ranking_frame(rankings([loaded(tmp_path / "run", THREE)]))
    assert list(rows.columns) == list(RANKING_COLUMNS)
    first = rows.iloc[0]
    assert (first["workload"], first["T"], first["subject"], first["peer"]) == (LONG.id, 256, "mine", "one")
    assert tuple(first[["subject_seconds", "peer_seconds", "ratio"]]) == (1.0, 0.5, 0.5)
