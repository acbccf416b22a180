"""Preempted time: run delays of threads, and the steal time of cores."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.profiling.sampling import preemption
from benchmarks.profiling.sampling.preemption import RunDelays, preempted_seconds, read_run_delays


def test_preempted_time_is_that_of_threads_in_both_readings_and_of_the_hypervisor() -> None:
    """A thread of the profiler that began later counts for nothing, nor does one that has ended."""
    before = RunDelays({"1": 1.0, "2": 2.0, "ended": 7.0}, 3.0)
    after = RunDelays({"1": 1.5, "2": 2.25, "new": 9.0}, 4.0)
    assert preempted_seconds(before, after) == pytest.approx(0.5 + 0.25 + 1.0)
    assert preempted_seconds(RunDelays(None, 0.0), after) is None
    assert preempted_seconds(before, RunDelays(None, 0.0)) is None


def test_steal_time_is_that_of_the_usable_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first and the third of three cores."""
    cores = [SimpleNamespace(user=9.0, system=9.0, steal=stolen) for stolen in (1.0, 2.0, 4.0)]
    monkeypatch.setattr("psutil.cpu_times", lambda **_: cores)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 2})
    assert read_run_delays().stolen == 5.0


@pytest.mark.parametrize("error", [FileNotFoundError, ProcessLookupError])
def test_a_thread_that_ends_while_threads_are_read_is_left_out(
    error: type[OSError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends before its file is opened, or before that is read; the delays of the others stay known."""

    class Ended:
        name = "13"

        def __truediv__(self, _: str) -> Ended:
            return self

        def read_text(self, encoding: str) -> str:
            raise error

        def exists(self) -> bool:
            return False

    (tmp_path / "12").mkdir()
    (tmp_path / "12" / "schedstat").write_text("1000 2500000000 7\n", encoding="ascii")
    monkeypatch.setattr(preemption, "THREADS", SimpleNamespace(iterdir=lambda: iter([Ended(), tmp_path / "12"])))
    assert read_run_delays().by_thread == {"12": 2.5}


def test_the_run_delay_of_a_thread_is_the_second_number_of_its_schedstat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in nanoseconds; without the file of a thread that is there it is not known."""
    if Path("/proc/self/task", str(os.getpid()), "schedstat").exists():
        delays = read_run_delays().by_thread
        assert delays is not None
        assert str(os.getpid()) in delays
    (tmp_path / "12").mkdir()
    monkeypatch.setattr(preemption, "THREADS", tmp_path)
    assert read_run_delays().by_thread is None
    (tmp_path / "12" / "schedstat").write_text("1000 2500000000 7\n", encoding="ascii")
    assert read_run_delays().by_thread == {"12": 2.5}
