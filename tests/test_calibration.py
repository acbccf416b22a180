"""The files of `calibrate`: tables, curves and plot of known groups, and calibrations of older versions."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.presentation.plain_text import interval
from benchmarks.regression.calibration import compress
from benchmarks.regression.calibration import curves as curves_of_rules
from benchmarks.regression.calibration.measuring import Group, read_groups, read_record
from benchmarks.regression.calibration.rules import (
    Costs,
)
from benchmarks.regression.calibration.trials import (
    T_TEST,
    Rate,
    regress_on_equal_code,
)
from tests.synthetic_groups import group, replay


def test_a_rate_has_its_exact_interval() -> None:
    """None of 20 is at most 17 % (Clopper and Pearson); a rate without trials is unknown."""
    assert str(Rate(0, 20)) == "0 of 20 (0 % to 17 %)"
    assert str(Rate.of([True] * 5 + [False] * 15)) == "5 of 20 (8.7 % to 49 %)"
    assert str(Rate(20, 20)) == "20 of 20 (83 % to 100 %)"
    assert str(Rate(0, 0)) == "none measured"
    assert Rate(0, 0).interval == (0.0, 1.0)


def test_the_costs_of_older_calibrations_are_read() -> None:
    """They name the dry run a look, as the calibration in results/ does."""
    costs = {"plain_seconds": [9], "dry_run_seconds": [3], "pair_seconds": {"1": [4.0]}}
    older = {("look_seconds" if name == "dry_run_seconds" else name): seconds for name, seconds in costs.items()}
    assert Costs.of({"costs": costs}) == Costs.of({"costs": older}) == Costs(9, 3, {1: 4.0})
    reference = Path(__file__).parent.parent / "results" / "reference-calibration"
    assert Costs.of(read_record(reference)).dry_run == pytest.approx(7.23, abs=0.01)
    first = next(read_groups(reference))
    assert len(first.sides) == len(first.summaries) == len(first.controls) == 3
    assert first.sizes.keys() == first.amounts.keys() == first.sides[0].keys()


def test_compressed_groups_are_read_in_their_order_and_added_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder without a record is no calibration, and is left as it is."""
    lines = [json.dumps(dataclasses.asdict(group(number))) + "\n" for number in range(3)]
    groups = tmp_path / "groups.jsonl"
    groups.write_text("".join(lines[:2]))
    before = list(read_groups(tmp_path))
    assert compress.main([str(tmp_path)]) == 2
    assert groups.exists()
    record = {"machine": {"key": "a machine"}, "cases": {}, "settled_by": 0, "costs": {}}
    (tmp_path / "calibration.json").write_text(json.dumps(record))
    assert compress.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith(" kB\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calibration.json", "groups.jsonl.xz"]
    assert list(read_groups(tmp_path)) == before
    groups.write_text(lines[1] + lines[2])
    assert len(list(read_groups(tmp_path))) == 3


def test_the_files_are_written_from_the_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Table, curves and plot are written without measuring."""
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
        "A plain `pytest benchmarks/suite` takes 10.0 s here, a dry run of a revision 1.00 s, a pair of all 2 cases"
        in table
    )
    (row,) = [line for line in table.splitlines() if line.startswith(f"| 10 | 1.7 | 0 % of {3 * equal} |")]
    assert [cell.split(" %")[0].strip() for cell in row.split("|")[3:-1]] == ["0", "0", "100", "100", "100"]
    curves = pd.read_csv(tmp_path / "curves.csv")
    found = curves[(curves.rule == "regress") & (curves.seconds == 100) & (curves.injected == 0.2)].set_index("cases")
    assert (found.called == found.trials).all()
    assert found.trials["all"] == found.trials["Python-bound"] + found.trials["GEMM-bound"]
    assert found.trials["GEMM-bound"] > 0
    of_regress = curves.rule == "regress"
    assert curves.trials_in_other_orders[~of_regress].isna().all()
    assert (curves.trials_in_other_orders[of_regress & (curves.injected == 0)] > 0).all()
    assert f"| 20 % | {interval(1.2, 1.2)} | 0 of 2 |" in table
    ((figure, *where),) = saved
    assert where[1] == "errors"
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    of_five = panels["Finds a slowdown of 5.0 % in a case"].containers
    (line, *_) = next(each for each in of_five if each.get_label() == "regress")
    of_all = curves[of_regress & (curves.injected == 0.05) & (curves.cases == "all") & (curves.trials > 0)]
    assert line.get_xdata() == pytest.approx((of_all.seconds / 60).tolist(), rel=1e-5)
    assert line.get_ydata() == pytest.approx((of_all.called / of_all.trials).tolist())


def test_a_torn_last_line_is_no_group(tmp_path: Path) -> None:
    """A calibration that was killed can be continued."""
    line = json.dumps(
        {"sides": [], "summaries": [], "controls": [], "sizes": {}, "amounts": {}, "settled": True, "seconds": 1.0}
    )
    (tmp_path / "groups.jsonl").write_text(f"{line}\n{line[:20]}")
    assert len(list(read_groups(tmp_path))) == 1


def test_a_folder_without_a_calibration_is_refused(tmp_path: Path) -> None:
    """The refusal is a sentence."""
    with pytest.raises(ValueError, match="holds no calibration"):
        read_record(tmp_path)
