"""The trace of a call by Python's interpreter: functions, operations by their source, phases and time steps.

The clock is stopped while an instruction is recorded. The remaining cost of recording is subtracted from each
instruction: it is the time of instructions that only load a name's value. The trace says how much too long the call
still is.
"""

from __future__ import annotations

import dis
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FrameType

import numpy as np

from benchmarks.profiling.counting.instructions import trace_instructions
from benchmarks.profiling.tracing.chrome import Event, Slice, Track, process
from benchmarks.profiling.tracing.python_phases import TimedInstruction, mark_phases, mark_steps, operates, source

_CALLS = 3
_GROUP = 2
"""The number of this group of tracks in a trace."""


def timed_instructions(call: Callable[[], object]) -> list[TimedInstruction]:
    """Every instruction of one call, in order."""
    began: list[tuple[int, int, CodeType, int, float]] = []
    open_frames: list[tuple[FrameType, int]] = []
    frames = 0
    stopped = 0.0
    clock = time.perf_counter

    def note(frame: FrameType) -> None:
        nonlocal frames, stopped
        now = clock()
        while open_frames and open_frames[-1][0] is not frame and open_frames[-1][0] is not frame.f_back:
            open_frames.pop()
        if not open_frames or open_frames[-1][0] is not frame:
            frames += 1
            open_frames.append((frame, frames))
        began.append((open_frames[-1][1], len(open_frames), frame.f_code, frame.f_lasti, now - stopped))
        stopped += clock() - now

    trace_instructions(note, call)
    end = clock() - stopped
    open_frames.clear()
    starts = np.array([each[4] for each in began] + [end]) * 1e6
    durations = np.diff(starts)
    loads = [each[3] in _loads(each[2]) for each in began]
    cost = float(np.median(durations[loads])) if any(loads) else 0.0
    ends = np.cumsum(np.maximum(durations - cost, 0.0))
    begins = np.r_[0.0, ends[:-1]]
    return [
        TimedInstruction(*each[:4], *times) for each, *times in zip(began, begins.tolist(), ends.tolist(), strict=True)
    ]


def python_tracks(
    passes: Mapping[str, Callable[[], object]], unprofiled_seconds: float
) -> tuple[list[Event], list[str]]:
    """The events of one call, and sentences on what they do not show.

    `passes` has `forward` and, in training, `backward`; `unprofiled_seconds` is the time of a call that is not traced.
    """
    calls: list[Slice] = []
    tracks: dict[str, list[Slice]] = {"phases": [], "time steps": [], "functions": [], "operations": []}
    now = 0.0
    for name, instructions in _fastest_call(passes).items():
        began, ended = instructions[0].start, instructions[-1].end
        calls.append(Slice(name, now, now + ended - began))
        found = {
            "phases": mark_phases(instructions),
            "time steps": mark_steps(instructions, backwards=name != "forward"),
            "functions": _functions(instructions),
            "operations": [
                Slice(source(each.code, each.offset), each.start, each.end) for each in instructions if operates(each)
            ],
        }
        for track, slices in found.items():
            tracks[track] += [Slice(each.name, now + each.start - began, now + each.end - began) for each in slices]
        now += ended - began
    times = now / 1e6 / unprofiled_seconds if unprofiled_seconds else 0.0
    title = f"Python, instruction by instruction ({times:.1f} times as long as unprofiled)"
    shown = [Track("calls", calls), *(Track(name, slices) for name, slices in tracks.items() if slices)]
    limitation = "All steps are one call of compiled code: the trace of Python has no phases."
    return process(_GROUP, title, shown), [] if tracks["phases"] else [limitation]


def _fastest_call(passes: Mapping[str, Callable[[], object]]) -> dict[str, list[TimedInstruction]]:
    """The instructions of each pass, in the fastest of `_CALLS` calls."""
    calls = [{name: timed_instructions(each) for name, each in passes.items()} for _ in range(_CALLS)]
    return min(calls, key=lambda call: sum(own[-1].end - own[0].start for own in call.values()))


def _functions(instructions: Sequence[TimedInstruction]) -> list[Slice]:
    """A slice for each frame, from its first instruction to the end of its last."""
    ends: dict[int, tuple[str, float, float]] = {}
    for each in instructions:
        name, start, _ = ends.get(each.frame, (each.code.co_qualname, each.start, 0.0))
        ends[each.frame] = name, start, each.end
    return [Slice(*each) for each in ends.values()]


@functools.lru_cache(maxsize=256)
def _loads(code: CodeType) -> frozenset[int]:
    """The offsets of instructions that only load a local name's value, or a constant."""
    # Later versions of Python have several of each kind: LOAD_FAST_BORROW, LOAD_SMALL_INT ...
    names = ("LOAD_FAST", "LOAD_CONST", "LOAD_SMALL_INT")
    return frozenset(each.offset for each in dis.get_instructions(code) if each.opname.startswith(names))
