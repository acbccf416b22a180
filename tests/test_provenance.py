"""The section of a report on how a run was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reporting.words.provenance import activity_shares
from tests.reports_of_trials import report, section
from tests.synthetic_runs import trial, workload

pytestmark = pytest.mark.usefixtures("unrendered")


CENTRE = workload()
PAIR = [trial("nn_rnn", CENTRE, 2e-3), trial("mine", CENTRE, 1e-3)]


def test_how_it_was_measured_is_reported(tmp_path: Path) -> None:
    """Machine, software, commit, command, peaks, where the time went, and which path ran."""
    described = trial("nn_rnn", CENTRE, describe={"library": "torch 2.13"}, elsewhere_share=0.4)
    text = section(report(tmp_path / "run", [described]), "How it was measured")
    assert r"- machine: Synthetic CPU \@ 2.00GHz, 2 physical cores, 4 logical cores, 8.00 GiB memory" in text
    assert "- software: python 3.11.7, numpy 2.4.6, torch 2.13.0" in text
    assert "- commit: `0123456789abcdef0123456789abcdef01234567`\n" in text
    assert "- command: `python -m benchmarks sweep`" in text
    assert "- samples: 18 samples of 1 case in 1 visit" in text
    assert "- disturbed from outside: other programs took 10 % or more of the cores' time in 1 of 1 case" in text
    assert "| cpu, float32, 2 threads | 200 GFLOP/s (" in text
    assert "20.0 GB/s | 800 ns (torch) |" in text
    assert "Of 400 s that the sweep took, 79 % was warm-up and sampling: sampling 49 %, warm-up 30 %, " in text
    assert "- `nn_rnn`: library: torch 2.13" in text


def test_paths_that_differ_by_numbers_are_told_once(tmp_path: Path) -> None:
    """Threads are no path of their own; another kernel is one, and a version stays."""
    trials = [
        trial("mine", workload(threads=threads), describe={"by": f"{threads} threads of ISPC 1.2", "kernel": kernel})
        for threads, kernel in ((1, "avx2"), (2, "avx2"), (3, "avx512"))
    ]
    text = section(report(tmp_path / "run", trials), "How it was measured")
    assert "- `mine`: by: n threads of ISPC 1.2; kernel: avx2 \\| avx512" in text


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (
            ("RNN operator of opset 14, CPU", "GRU operator of opset 14, CPU"),
            r"path: RNN \| GRU operator of opset n, CPU",
        ),
        (("oneDNN rnn avx2", "oneDNN gru avx2", "oneDNN lstm avx2"), r"path: oneDNN rnn \| gru \| lstm avx2"),
        (("ATen", "oneDNN lstm avx2", "oneDNN lstm ref"), r"path: ATen \| oneDNN lstm avx2 \| oneDNN lstm ref"),
        (("nn.LSTM", "nn.LSTM packed"), r"path: nn.LSTM \| nn.LSTM packed"),
    ],
)
def test_words_that_paths_share_are_told_once(paths: tuple[str, ...], words: str, tmp_path: Path) -> None:
    """Before and after what differs; a path that is all shared stands whole."""
    trials = [trial("mine", workload(T=T), describe={"path": path}) for T, path in enumerate(paths, start=1)]
    assert f"- `mine`: {words}\n" in report(tmp_path / "run", trials)


def test_what_the_software_says_is_no_path(tmp_path: Path) -> None:
    """Nor is what is but a number; implementations of one path share a line."""
    described = {"library": "torch 2.13.0", "blas": "mkl", "threads": "2"}
    trials = [trial(name, CENTRE, describe=described) for name in ("nn_rnn", "mine")]
    trials.append(trial("other", CENTRE, describe={"library": "torch 2.12.0"}))
    text = section(report(tmp_path / "run", trials), "How it was measured")
    assert "- `nn_rnn`, `mine`: blas: mkl\n" in text
    assert "- `other`: library: torch 2.12.0" in text


def test_caches_have_their_units(tmp_path: Path) -> None:
    """Bytes stand in the unit that fits; instruction caches are left out."""
    caches = [{"level": 1, "type": "data", "bytes": 2**15}, {"level": 1, "type": "instruction", "bytes": 2**15}]
    text = report(tmp_path / "run", PAIR, machine={"caches": [*caches, {"level": 2, "bytes": 2**20}]})
    assert "- machine: L1 32.0 KiB, L2 1.00 MiB\n" in text


def test_changes_that_are_not_committed_are_reported(tmp_path: Path) -> None:
    """A number measured on a changed tree says so."""
    text = report(tmp_path / "run", PAIR, commit={"revision": "abc", "dirty": True})
    assert "- commit: `abc` with changes that are not committed" in text


@pytest.mark.parametrize("junk", [None, 7, "text", [], [1], {"cpu": 3, "gpus": 4, "caches": [None]}, {"x": {"y": []}}])
def test_a_record_that_holds_anything_breaks_nothing(tmp_path: Path, junk: object) -> None:
    """Every field of a stranger's run.json may be missing or of another kind."""
    names = ["name", "sweep", "implementations", "machine", "packages", "commit", "command", "started_at"]
    names += ["finished_at", "peaks", "activity_seconds"]
    text = report(tmp_path / "run", PAIR, **dict.fromkeys(names, junk))
    assert "Use `mine`" in text


def test_shares_of_activities_add_up() -> None:
    """The largest first; what is no time is left out."""
    record = {"activity_seconds": {"a": 1.0, "b": 3, "c": -1, "d": "long", "e": float("inf")}}
    assert activity_shares(record) == {"b": 0.75, "a": 0.25}
    assert list(activity_shares(record)) == ["b", "a"]
    assert activity_shares({}) == {}
