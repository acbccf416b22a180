"""Flame graphs of a call in speedscope's format: the Python side by its stacks, and all threads by kind and function.

The format: https://www.speedscope.app/file-format-schema.json. A timer interrupts the main thread and Python hands
it the frame that it was in; while compiled code runs, that waits, so each stack weighs the time since the one before.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.profiling.sampling.kinds import KIND_NAMES

INTERVAL_SECONDS = 1e-3
SCHEMA = "https://www.speedscope.app/file-format-schema.json"

Stack = tuple[str, ...]
"""Names from the outermost frame to the innermost."""


def python_stacks(call: Callable[[], object], seconds: float) -> dict[Stack, float]:
    """{stack: seconds} of calls that go on for so long, in the main thread, from the frame of `call` on."""
    found: dict[Stack, float] = {}
    clock = time.perf_counter
    begin = clock()
    last = begin

    def note(_: int, frame: FrameType | None) -> None:
        nonlocal last
        stack = _names(frame)
        now = clock()
        found[stack] = found.get(stack, 0.0) + now - last
        last = now

    before = signal.signal(signal.SIGALRM, note)
    signal.siginterrupt(signal.SIGALRM, False)
    try:
        signal.setitimer(signal.ITIMER_REAL, INTERVAL_SECONDS, INTERVAL_SECONDS)
        while clock() - begin < seconds:
            call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    summed: dict[Stack, float] = {}
    for stack, weight in found.items():
        summed[_below(stack)] = summed.get(_below(stack), 0.0) + weight
    return summed


def _names(frame: FrameType | None) -> Stack:
    names: list[str] = []
    while frame is not None:
        code = frame.f_code
        names.append(f"{code.co_qualname} ({Path(code.co_filename).name}:{code.co_firstlineno})")
        frame = frame.f_back
    return tuple(reversed(names))


def _below(stack: Stack) -> Stack:
    """Without the frames of the profiler's own process, down to those of the call."""
    own = f"{python_stacks.__qualname__} ("
    at = next((place for place, name in enumerate(stack) if name.startswith(own)), -1)
    return stack[at + 1 :] or ("between calls",)


def native_stacks(phases: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> dict[Stack, float]:
    """{(phase, kind, library, function): looks} of a reply's phases."""
    return {
        (names[phase], KIND_NAMES[kind], library, function or "not named"): float(looks)
        for phase, found in phases.items()
        for kind, library, function, looks in found["functions"]
    }


def speedscope(name: str, profiles: Sequence[tuple[str, str, Mapping[Stack, float]]]) -> dict[str, Any]:
    """A speedscope document of (title, unit, {stack: weight}); its stacks share one table of frames."""
    frames: dict[str, int] = {}
    shown = []
    for title, unit, stacks in profiles:
        ordered = sorted(stacks)
        samples = [[frames.setdefault(each, len(frames)) for each in stack] for stack in ordered]
        weights = [stacks[stack] for stack in ordered]
        own = {"type": "sampled", "name": title, "unit": unit, "startValue": 0, "endValue": sum(weights)}
        shown.append(own | {"samples": samples, "weights": weights})
    return {
        "$schema": SCHEMA,
        "name": name,
        "exporter": "rnnbench",
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": each} for each in frames]},
        "profiles": shown,
    }
