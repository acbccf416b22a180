"""A packed run: it is read as the run that it was made of, and a stranger's can do no harm."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks import json_lines
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.answers.compare import compare_runs
from benchmarks.reporting.page.build import run_data
from benchmarks.reporting.report import build_report
from benchmarks.runs.frames import load_run
from benchmarks.runs.loading import load_runs
from benchmarks.runs.packing import read_pack, write_pack
from benchmarks.store import StoreError
from tests.synthetic_runs import default_workloads, realistic_trials, run_of

TRIALS = realistic_trials(default_workloads()[:3], ("nn_rnn", "numpy_loop"))


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A packed run of two implementations on three workloads, beside its folder `mine`."""
    run_of(tmp_path / "mine", TRIALS)
    target = tmp_path / "mine.rnnbench.gz"
    write_pack(tmp_path / "mine", run_data(Analysis(load_runs(tmp_path / "mine"))), target)
    return target


def lines(packed: Path) -> list[Any]:
    """The lines of a packed run."""
    return [json.loads(line) for line in gzip.decompress(packed.read_bytes()).splitlines()]


def repacked(target: Path, content: list[Any]) -> Path:
    """A file with these lines in the form of a packed run."""
    target.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in content).encode()))
    return target


def test_a_packed_run_is_the_run(packed: Path) -> None:
    """The same frame, whichever of them is read; both can be read together."""
    pd.testing.assert_frame_equal(load_run(packed), load_run(packed.with_name("mine")))
    assert [run.label for run in load_runs([packed, packed.with_name("mine")])] == ["mine.rnnbench.gz", "mine"]
    assert set(compare_runs(packed.with_name("mine"), packed)["ratio"]) == {1.0}


def test_the_second_line_is_what_the_page_shows(packed: Path) -> None:
    first, second, *rest = lines(packed)
    assert first["record"]["name"] == "synthetic"
    assert second["page"]["runs"][0]["label"] == "mine"
    assert len(rest) == len(TRIALS)


def test_the_page_of_a_stranger_is_not_taken_for_trials(packed: Path) -> None:
    """What a packed run says of itself is computed again from its trials."""
    first, second, *rest = lines(packed)
    second["page"]["runs"] = "forged"
    forged = repacked(packed.with_name("forged.rnnbench.gz"), [first, second, *rest])
    pd.testing.assert_frame_equal(load_run(forged, labels=["mine"]), load_run(packed))


@pytest.mark.usefixtures("unrendered")
def test_a_report_of_a_packed_run_is_beside_it(packed: Path) -> None:
    assert build_report(packed) == packed.with_name("mine-report") / "report.md"
    assert (packed.parent / "mine-report" / "report.html").exists()


def test_nothing_is_replaced_by_a_packed_run(packed: Path) -> None:
    before = packed.read_bytes()
    with pytest.raises(StoreError, match=r"mine\.rnnbench\.gz"):
        write_pack(packed.with_name("mine"), {}, packed)
    assert packed.read_bytes() == before
    with pytest.raises(StoreError, match=r"ends in \.rnnbench\.gz"):
        write_pack(packed.with_name("mine"), {}, packed.with_name("report.md"))


def test_a_run_with_broken_lines_is_not_packed(packed: Path) -> None:
    """What is left out would be lost to whoever has the file alone."""
    with (packed.with_name("mine") / "trials.jsonl").open("a") as file:
        file.write("no trial\n")
    with pytest.raises(StoreError, match="nothing was written"):
        write_pack(packed.with_name("mine"), {}, packed.with_name("new.rnnbench.gz"))
    assert not packed.with_name("new.rnnbench.gz").exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ([], "is no packed run"),
        ([{"page": {}}], "is no packed run"),
        ([{"pack": 2, "record": {}}], "schema 2 of packed runs"),
        ([{"pack": 1, "record": []}], "expected a mapping"),
        ([{"pack": 1, "record": {"schema": 99}}], "later than"),
        ([[1, 2]], "is no packed run"),
    ],
)
def test_what_is_no_packed_run_is_refused(tmp_path: Path, content: list[Any], named: str) -> None:
    with pytest.raises(StoreError, match=named):
        read_pack(repacked(tmp_path / "a.rnnbench.gz", content))


@pytest.mark.parametrize(
    "content", [b"", b"plain text\n", gzip.compress(b"{}\n", mtime=0)[:-6], b"\x1f\x8b" + bytes(40)]
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.rnnbench.gz").write_bytes(content)
    with pytest.raises(StoreError, match="is no packed run"):
        read_pack(tmp_path / "a.rnnbench.gz")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        load_runs(tmp_path / "a.rnnbench.gz")


def test_a_file_that_unpacks_without_end_is_not_read_to_its_end(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of gzip can hold a gigabyte; reading stops at a limit and says so."""
    first, _, *rest = lines(packed)
    swollen = repacked(packed.with_name("swollen.rnnbench.gz"), [first, *rest * 50])
    monkeypatch.setattr(json_lines, "MOST_UNPACKED", 200_000)
    _, reading = read_pack(swollen)
    assert 0 < len(reading.trials) < 50 * len(rest)
    assert "unpacks to more than" in reading.problems[-1]


def test_a_torn_file_keeps_what_came_before(packed: Path) -> None:
    """A download that broke off: the trials that are whole are read, and a problem is named."""
    first, _, *rest = lines(packed)
    many = repacked(packed.with_name("many.rnnbench.gz"), [first, *rest * 50])
    many.write_bytes(many.read_bytes()[: many.stat().st_size // 2])
    _, reading = read_pack(many)
    assert len(reading.trials) > 10
    assert "the rest is passed over" in reading.problems[-1]
