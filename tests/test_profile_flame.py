"""Flame graphs: Python's stacks, stacks of samples, and speedscope's format."""

from __future__ import annotations

import time

from benchmarks.profiling.sampling.flame import native_stacks, python_stacks, speedscope
from benchmarks.profiling.sampling.kinds import KIND_NAMES


def test_python_stacks_are_those_of_the_call_and_add_up_to_its_time() -> None:
    """A stack begins with the frame of the call; the profiler's own frames are not in it."""

    def spin() -> None:
        end = time.perf_counter() + 0.02
        while time.perf_counter() < end:
            pass

    stacks = python_stacks(spin, 0.1)
    assert 0.05 < sum(stacks.values()) < 10
    spun = sum(weight for stack, weight in stacks.items() if ".spin (test_profile_flame.py" in stack[0])
    assert spun > 0.5 * sum(stacks.values())


def test_a_speedscope_file_shares_its_frames() -> None:
    """Its schema asks for stacks of indices, a weight for each, and an end that is their sum."""
    shown = speedscope("x", [("a", "seconds", {("f", "g"): 2.0, ("f",): 1.0}), ("b", "none", {("g",): 3.0})])
    names = [frame["name"] for frame in shown["shared"]["frames"]]
    first, second = shown["profiles"]
    assert [[names[at] for at in stack] for stack in first["samples"]] == [["f"], ["f", "g"]]
    assert first["weights"] == [1.0, 2.0]
    assert first["endValue"] == 3.0
    assert [[names[at] for at in stack] for stack in second["samples"]] == [["g"]]


def test_samples_become_stacks_of_pass_kind_library_and_function() -> None:
    """A function without a name is shown as such."""
    stacks = native_stacks({"1": {"functions": [["unattributed", "libx.so", "", 4]]}}, {"1": "forward"})
    assert stacks == {("forward", KIND_NAMES["unattributed"], "libx.so", "no name"): 4.0}
