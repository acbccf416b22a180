"""The progress of a sweep: what is shown, when it moves, and what is ahead so far."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from benchmarks.measuring.sweeping.leaders import Leaders
from benchmarks.measuring.sweeping.progress import SweepProgress
from tests.synthetic_runs import typed, workload

SHORT, CENTRE, LONG = (workload(T=T) for T in (16, 64, 256))


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr("benchmarks.measuring.sweeping.progress.time.monotonic", moved)
    return moved


def terminal(width: int = 60, *, is_terminal: bool = True) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=is_terminal, color_system=None)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_clock_moves_while_an_answer_is_waited_for(clock: Clock) -> None:
    """At most once a second, without anything else being shown."""
    console = terminal()
    with SweepProgress(console) as progress:
        progress.show(done=1, total=8, what="nn_rnn: sampling", seconds_left=90.0)
        assert "1 of 8 workloads, 1:30 of the budget left" in written(console)
        clock.now += 0.5
        progress.tick()
        assert "1:29" not in written(console).replace("1:30", "")
        clock.now += 0.6
        progress.tick()
        assert "1:29 of the budget left" in written(console)


def test_names_are_whole_where_a_line_is_full() -> None:
    """Lines break between words."""
    console = terminal(40)
    name = "torch_compile_module"
    with SweepProgress(console) as progress:
        progress.show(done=0, total=8, what=f"{name} on T1024-B64: building, {name}", seconds_left=90.0)
    assert written(console).count(name) >= 2
    assert "…" not in written(console)


def test_what_is_ahead_is_shown() -> None:
    console = terminal()
    with SweepProgress(console) as progress:
        progress.show_ahead("ahead so far: mine on 1 of 1")
        progress.show(done=1, total=8, what="nn_rnn", seconds_left=90.0)
    assert "ahead so far: mine on 1 of 1" in written(console)


def test_elsewhere_each_workload_has_a_line(clock: Clock) -> None:
    """A file or pipe has a line when the number of workloads changes, and none by the clock alone."""
    console = terminal(is_terminal=False)
    with SweepProgress(console) as progress:
        for done in (0, 0, 1):
            progress.show(done=done, total=2, what="nn_rnn", seconds_left=90.0)
            clock.now += 10
            progress.tick()
    assert written(console) == "0 of 2 workloads, 1:30 left: nn_rnn\n1 of 2 workloads, 1:30 left: nn_rnn\n"


def test_elsewhere_half_a_minute_without_a_line_is_followed_by_one(clock: Clock) -> None:
    """The later rounds of a sweep measure for minutes before one more workload is done."""
    console = terminal(is_terminal=False)
    with SweepProgress(console) as progress:
        for name in ("a", "b", "c", "d"):
            progress.show(done=0, total=2, what=name, seconds_left=90.0)
            clock.now += 15
    assert written(console) == "0 of 2 workloads, 1:30 left: a\n0 of 2 workloads, 1:30 left: c\n"


def test_the_standing_counts_workloads_that_compete() -> None:
    """The one with most first places, and its mean lead over the next there; a workload measured again counts once."""
    ahead = Leaders({"nn_rnn": "nn_rnn", "mine": "a.b:Mine"})
    assert ahead.words() == ""
    ahead.update(SHORT, {"nn_rnn": 1.0})
    assert ahead.words() == ""
    ahead.update(CENTRE, {"nn_rnn": 2.0, "mine": 1.0})
    ahead.update(LONG, {"nn_rnn": 9.0, "mine": 8.0})
    ahead.update(LONG, {"nn_rnn": 8.0, "mine": 1.0})
    assert typed(ahead.words()) == "ahead so far: mine on 2 of 2, about 4.0x as fast as the next"
    ahead.update(workload(B=1), {"nn_rnn": 1.0, "mine": 9.0})
    assert typed(ahead.words()) == "ahead so far: mine on 2 of 3, about 4.0x as fast as the next"


def test_a_copy_under_a_second_name_is_ahead_of_nothing() -> None:
    """One of a pair competes, as in the report; a large lead is told to two digits."""
    ahead = Leaders({"again": "nn_rnn", "nn_rnn": "nn_rnn", "mine": "a.b:Mine", "mine_2": "a.b:Mine"})
    ahead.update(SHORT, {"again": 1.0, "nn_rnn": 1.1})
    assert ahead.words() == ""
    ahead.update(CENTRE, {"again": 1.0, "nn_rnn": 362.1, "mine": 1.0, "mine_2": 0.9})
    assert typed(ahead.words()) == "ahead so far: mine on 1 of 1, about 360x as fast as the next"
