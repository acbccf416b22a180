"""From cases to the folder of a profile: on made-up workers each request and reply, and a tiny case as a whole."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measuring.checking.call_checking import Expected
from benchmarks.measuring.processes.lost import WorkerLost
from benchmarks.profiling import profile
from benchmarks.profiling.cases import parse_cases
from benchmarks.profiling.replies import PROFILING
from benchmarks.profiling.reporting.report import rewrite
from benchmarks.profiling.sampling.blocks import most_seconds
from benchmarks.trial import NothingMeasured
from benchmarks.workload import Case
from rnnimpl.expectation import Expectation

CASE = "numpy_loop/cpu/inference/T2-B1-I2-H2-L1-tanh-float32"


class Worker:
    """Gives prepared replies, and notes the requests."""

    def __init__(self, replies: Mapping[str, Mapping[str, Any] | WorkerLost]) -> None:
        self.replies = replies
        self.asked: dict[str, tuple[Mapping[str, Any], float]] = {}
        self.settings: dict[str, Any] = {}
        self.killed = False

    def __call__(self, implementation: str, **settings: Any) -> Worker:
        """The same worker, in place of a new one."""
        self.settings = {"implementation": implementation, **settings}
        return self

    def wait_ready(self) -> dict[str, Any]:
        return {}

    def ask(self, request: Mapping[str, Any], timeout_seconds: float) -> Mapping[str, Any]:
        self.asked[request["do"]] = request, timeout_seconds
        reply = self.replies.get(request["do"], {})
        if isinstance(reply, WorkerLost):
            raise reply
        return reply

    def kill(self) -> None:
        self.killed = True


def profiled(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, case: str = CASE, *, with_traces: bool = False
) -> Mapping[str, Any]:
    """The record of one repeat, a minute for each side, of a case whose results are right."""
    monkeypatch.setattr(profile, "Worker", worker)
    monkeypatch.setattr(profile, "prepare", lambda ask, *_: ask({"do": "prepare"}))
    expected = Expected(seed=1, steps=2, expectation=Expectation({}, {}))
    scratch = Path("scratch")
    return profile.profile_once(Case.parse(case), expected, 60.0, scratch, with_traces=with_traces)


def test_a_profile_may_take_as_long_as_its_pairs_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of one call that is as long as it may be comes on top."""
    worker = Worker({})
    profiled(worker, monkeypatch)
    _, of_profile = worker.asked["profile"]
    _, of_one_call = worker.asked["prepare"]
    assert of_profile == of_one_call + most_seconds(60.0)


def test_a_worker_has_the_settings_of_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of another precision, or on another device, are another case."""
    worker = Worker({})
    profiled(worker, monkeypatch, "nn_rnn/cuda/inference/T2-B1-I2-H2-L1-tanh-float32-tf32-threads2")
    of_case = {
        "implementation": "nn_rnn",
        "threads": 2,
        "precision": "tf32",
        "device": "cuda",
        "log": Path("scratch/worker.log"),
        "service": PROFILING,
    }
    assert worker.settings == of_case


def test_a_profile_is_kept_where_counting_after_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts get the profile's passes; where their process is lost, the record has the reason."""
    measured: dict[str, Any] = {"passes": {"1": {"functions": []}}}
    worker = Worker({"profile": measured, "count_and_trace": WorkerLost("crashed", "it ended with signal 11")})
    reply = profiled(worker, monkeypatch, with_traces=True)
    assert worker.asked["count_and_trace"][0]["passes"] == measured["passes"]
    assert reply == measured | {"counts": {"status": "crashed", "reason": "it ended with signal 11"}}


def test_a_case_that_could_not_be_profiled_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"status": "unavailable", "reason": "no compiler"}
    worker = Worker({"profile": refused})
    assert profiled(worker, monkeypatch, with_traces=True) == refused
    assert "count_and_trace" not in worker.asked


@pytest.mark.parametrize("reply", [{}, WorkerLost("timeout", "it took longer than may be")])
def test_no_worker_outlives_its_repeat(reply: Mapping[str, Any] | WorkerLost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that lived on would preempt the next one; a lost worker is ended too."""
    worker = Worker({"profile": reply})
    with contextlib.suppress(WorkerLost):
        profiled(worker, monkeypatch)
    assert worker.killed


def test_a_case_that_cannot_be_profiled_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another case is profiled in each repeat, and counted and traced in the first alone."""
    tried: list[tuple[str, bool]] = []

    def one_repeat(case: Case, *_: Any, with_traces: bool, **__: Any) -> dict[str, Any]:
        tried.append((case.implementation, with_traces))
        return {"status": "failed", "reason": "no"} if case.implementation == "nn_rnn" else {"passes": {}}

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(profile, "profile_once", one_repeat)
    monkeypatch.setattr(profile, "measure_peaks", lambda *_, **__: [])
    monkeypatch.setattr(profile, "write_report", lambda folder, *_: folder / "profile.md")
    cases = [Case.parse(CASE.replace("numpy_loop", name)) for name in ("nn_rnn", "numpy_loop")]
    profile.profile_cases(cases, out=tmp_path / "run", seconds=1.0, repeats=3, say=lambda _: None)
    assert tried == [("nn_rnn", True), ("numpy_loop", True), ("numpy_loop", False), ("numpy_loop", False)]


@pytest.mark.parametrize(
    ("seconds", "repeats", "said"),
    [
        (0.0, 3, "--seconds is 0"),
        (60.5, 3, "--seconds is 60.5"),
        (2.0, 0, "--repeats is 0"),
        (2.0, 101, "--repeats is 101"),
    ],
)
def test_seconds_and_repeats_out_of_their_range_are_refused(
    seconds: float, repeats: int, said: str, tmp_path: Path
) -> None:
    """They are refused before anything is measured or written."""
    out = tmp_path / "run"
    with pytest.raises(ValueError, match=said):
        profile.profile_cases([Case.parse(CASE)], out=out, seconds=seconds, repeats=repeats, say=lambda _: None)
    assert not out.exists()


def test_the_traces_of_an_earlier_profile_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The earlier profile is of another case; files of others in the folder of traces stay."""
    (name, case), (other_name, other) = (
        (f"{profile.stem_of(each)}.trace.json.gz", each)
        for each in (Case.parse(CASE), Case.parse(CASE.replace("numpy_loop", "nn_rnn")))
    )

    def one_repeat(case: Case, *rest: Any, with_traces: bool, **_: Any) -> dict[str, Any]:
        assert with_traces
        (rest[-1] / f"{profile.stem_of(case)}.trace.json.gz").write_bytes(b"new")
        return {"passes": {}}

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(profile, "profile_once", one_repeat)
    monkeypatch.setattr(profile, "measure_peaks", lambda *_, **__: [])
    monkeypatch.setattr(profile, "write_report", lambda folder, *_: folder / "profile.md")
    traces = tmp_path / "run" / "profile" / "traces"
    for each, own in ((case, name), (other, other_name)):
        profile.profile_cases([each], out=tmp_path / "run", seconds=1.0, repeats=1, say=lambda _: None)
        assert (traces / own).exists()
        (traces / "notes.txt").touch()
    assert sorted(path.name for path in traces.iterdir()) == sorted(["notes.txt", other_name])


def test_a_tiny_case_is_profiled_and_one_that_cannot_run_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers, samples and files; the reason of the other case is in the report."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    workload = "cpu/training/T8-B2-I4-H8-L1-tanh-float32"
    cases = parse_cases([f"numpy_loop/{workload}", f"tests.faulty_implementations:Missing/{workload}"])
    path = profile.profile_cases(
        cases, out=tmp_path / "run", seconds=0.2, repeats=1, say=lambda _: None, peak_seconds=0.5
    )
    text = path.read_text(encoding="utf-8")
    assert "numpy_loop" in text
    assert "the library is not installed" in text
    for name in ("breakdown.csv", "limits.csv", "counts.csv", "breakdown.png", "profiles.jsonl", "profile.json"):
        assert (path.parent / name).stat().st_size > 0
    assert rewrite(path.parent).read_text(encoding="utf-8") == text


def test_a_report_of_a_profile_without_pairs_of_blocks_is_refused(tmp_path: Path) -> None:
    """The folder stays without a report."""
    (tmp_path / "profile.json").write_text('{"peaks": [], "refused": {}}', encoding="utf-8")
    (tmp_path / "profiles.jsonl").write_text('{"case": "x", "accounted_share": 1.0}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"profiles\.jsonl has no pairs of blocks"):
        rewrite(tmp_path)
    assert not (tmp_path / "profile.md").exists()


def test_the_reasons_are_raised_where_no_case_can_be_profiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's folder is not made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cases = parse_cases(["tests.faulty_implementations:Missing/cpu/inference/T8-B2-I4-H8-L1-tanh-float32"])
    with pytest.raises(NothingMeasured, match="the library is not installed"):
        profile.profile_cases(cases, out=tmp_path / "run", seconds=0.2, repeats=1, say=lambda _: None, peak_seconds=0.5)
    assert not (tmp_path / "run").exists()
