"""From cases to the folder of a profile, on made-up workers: what each is asked for, what becomes of its answers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measuring.checking import Expected
from benchmarks.measuring.process import WorkerLost
from benchmarks.profiling import profile
from benchmarks.profiling.replies import PROFILING
from benchmarks.profiling.sampling.blocks import most_seconds
from benchmarks.workload import Case
from rnnimpl.expectation import Expectation

CASE = "numpy_loop/cpu/inference/T2-B1-I2-H2-L1-tanh-float32"


class Worker:
    """Answers as it is told, and remembers what it was asked for."""

    def __init__(self, replies: Mapping[str, Mapping[str, Any] | WorkerLost]) -> None:
        self.replies = replies
        self.asked: dict[str, tuple[Mapping[str, Any], float]] = {}
        self.settings: dict[str, Any] = {}
        self.killed = False

    def __call__(self, implementation: str, **settings: Any) -> Worker:
        """Stands in place of the class."""
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
    """What one repeat of a minute a side comes to, of a case whose results are right."""
    monkeypatch.setattr(profile, "Worker", worker)
    monkeypatch.setattr(profile, "prepare", lambda ask, *_: ask({"do": "prepare"}))
    expected = Expected(seed=1, steps=2, expectation=Expectation({}, {}))
    scratch = Path("scratch")
    return profile._profile(Case.parse(case), expected, 60.0, scratch, with_traces=with_traces)  # of one repeat


def test_a_profile_may_take_as_long_as_its_pairs_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what a call that is as long as may be takes."""
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


def test_a_breakdown_stands_whatever_the_passes_after_it_come_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are told what it saw; where their process is lost, the record says how."""
    observed: dict[str, Any] = {"phases": {"1": {"functions": []}}}
    worker = Worker({"profile": observed, "dissect": WorkerLost("crashed", "it ended with signal 11")})
    reply = profiled(worker, monkeypatch, with_traces=True)
    assert worker.asked["dissect"][0]["looks"] == observed["phases"]
    assert reply == observed | {"counts": {"status": "crashed", "reason": "it ended with signal 11"}}


def test_a_case_that_could_not_be_looked_at_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"status": "unavailable", "reason": "no compiler"}
    worker = Worker({"profile": refused})
    assert profiled(worker, monkeypatch, with_traces=True) == refused
    assert "dissect" not in worker.asked


@pytest.mark.parametrize("reply", [{}, WorkerLost("timeout", "it took longer than may be")])
def test_no_worker_outlives_its_repeat(reply: Mapping[str, Any] | WorkerLost, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take cores from the next; nor one that was lost."""
    worker = Worker({"profile": reply})
    with contextlib.suppress(WorkerLost):
        profiled(worker, monkeypatch)
    assert worker.killed


def test_a_case_that_cannot_be_profiled_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another is profiled as often as was asked for, and dissected the first time alone."""
    tried: list[tuple[str, bool]] = []

    def one_repeat(case: Case, *_: Any, with_traces: bool) -> dict[str, Any]:
        tried.append((case.implementation, with_traces))
        return {"status": "failed", "reason": "no"} if case.implementation == "nn_rnn" else {"phases": {}}

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(profile, "_profile", one_repeat)
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
def test_a_profile_of_no_time_or_no_end_is_refused(seconds: float, repeats: int, said: str, tmp_path: Path) -> None:
    """Before anything is measured or written."""
    out = tmp_path / "run"
    with pytest.raises(ValueError, match=said):
        profile.profile_cases([Case.parse(CASE)], out=out, seconds=seconds, repeats=repeats, say=lambda _: None)
    assert not out.exists()


def test_the_traces_of_an_earlier_profile_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was dissected before and is not now; what else lies in their folder stays."""
    (name, case), (other_name, other) = (
        (f"{profile.stem_of(each)}.trace.json.gz", each)
        for each in (Case.parse(CASE), Case.parse(CASE.replace("numpy_loop", "nn_rnn")))
    )

    def one_repeat(case: Case, *rest: Any, with_traces: bool) -> dict[str, Any]:
        assert with_traces
        (rest[-1] / f"{profile.stem_of(case)}.trace.json.gz").write_bytes(b"new")
        return {"phases": {}}

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(profile, "_profile", one_repeat)
    monkeypatch.setattr(profile, "measure_peaks", lambda *_, **__: [])
    monkeypatch.setattr(profile, "write_report", lambda folder, *_: folder / "profile.md")
    traces = tmp_path / "run" / "profile" / "traces"
    for each, own in ((case, name), (other, other_name)):
        profile.profile_cases([each], out=tmp_path / "run", seconds=1.0, repeats=1, say=lambda _: None)
        assert (traces / own).exists()
        (traces / "notes.txt").touch()
    assert sorted(path.name for path in traces.iterdir()) == sorted(["notes.txt", other_name])
