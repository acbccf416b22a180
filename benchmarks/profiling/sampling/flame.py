"""Flame graphs in speedscope's format: Python's stacks in the main thread, and all threads by kind and function.

The format is https://www.speedscope.app/file-format-schema.json. Python's stacks come from a timer's signal. Python
runs the handler after compiled code returns, so each stack weighs the time since the previous one.
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
    """{stack: seconds} of calls in the main thread for `seconds`; the frame of `call` is the outermost of a stack."""
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
    """The stack from the frame of the call on, without the profiler's own frames."""
    own = f"{python_stacks.__qualname__} ("
    at = next((place for place, name in enumerate(stack) if name.startswith(own)), -1)
    return stack[at + 1 :] or ("between calls",)


def native_stacks(passes: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> dict[Stack, float]:
    """{(pass, kind, library, function): samples} of a record's passes; `names` has the name of each pass."""
    return {
        (names[number], KIND_NAMES[kind], library, function or "no name"): float(samples)
        for number, found in passes.items()
        for kind, library, function, samples in found["functions"]
    }


def speedscope(name: str, profiles: Sequence[tuple[str, str, Mapping[Stack, float]]]) -> dict[str, Any]:
    """A speedscope document of profiles (title, unit, {stack: weight}); all stacks share one table of frames."""
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
