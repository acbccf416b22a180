"""The trace of a call by what Python's interpreter tells of it: functions, operations by their source, phases, steps.

The clock stands still while the interpreter tells, and what being told costs beyond that is taken off each instruction:
as much as one takes that only moves a name's value. What is still too long the trace says.
"""

from __future__ import annotations

import dis
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FrameType

import numpy as np

from benchmarks.profiling.counting.instructions import told
from benchmarks.profiling.tracing.chrome import Event, Slice, Track, process
from benchmarks.profiling.tracing.python_phases import Told, mark_phases, mark_steps, operates, source

_CALLS = 3
_NUMBER = 2
"""Of this group of tracks among those of a trace."""


def follow(call: Callable[[], object]) -> list[Told]:
    """Every instruction of one call, in order."""
    began: list[tuple[int, int, CodeType, int, float]] = []
    open_frames: list[tuple[FrameType, int]] = []
    frames = 0
    stood = 0.0
    clock = time.perf_counter

    def note(frame: FrameType) -> None:
        nonlocal frames, stood
        now = clock()
        while open_frames and open_frames[-1][0] is not frame and open_frames[-1][0] is not frame.f_back:
            open_frames.pop()
        if not open_frames or open_frames[-1][0] is not frame:
            frames += 1
            open_frames.append((frame, frames))
        began.append((open_frames[-1][1], len(open_frames), frame.f_code, frame.f_lasti, now - stood))
        stood += clock() - now

    told(note, call)
    end = clock() - stood
    open_frames.clear()
    starts = np.array([each[4] for each in began] + [end]) * 1e6
    taken = np.diff(starts)
    simple = [each[3] in _simple(each[2]) for each in began]
    costs = float(np.median(taken[simple])) if any(simple) else 0.0
    ends = np.cumsum(np.maximum(taken - costs, 0.0))
    begins = np.r_[0.0, ends[:-1]]
    return [Told(*each[:4], *times) for each, *times in zip(began, begins.tolist(), ends.tolist(), strict=True)]


def python_tracks(
    phases: Mapping[str, Callable[[], object]], unprofiled_seconds: float
) -> tuple[list[Event], list[str]]:
    """The events of one call, and in sentences what they cannot tell; `phases` by name, backward if there is one."""
    calls: list[Slice] = []
    tracks: dict[str, list[Slice]] = {"phases": [], "time steps": [], "functions": [], "operations": []}
    now = 0.0
    for name, instructions in _undisturbed(phases).items():
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
    untold = [] if tracks["phases"] else ["All steps are one call of compiled code: Python's side has no phases in it."]
    return process(_NUMBER, title, shown), untold


def _undisturbed(phases: Mapping[str, Callable[[], object]]) -> dict[str, list[Told]]:
    """The instructions of each phase, in the quickest of a few calls."""
    calls = [{name: follow(phase) for name, phase in phases.items()} for _ in range(_CALLS)]
    return min(calls, key=lambda call: sum(own[-1].end - own[0].start for own in call.values()))


def _functions(instructions: Sequence[Told]) -> list[Slice]:
    """A slice a frame, from its first instruction to the end of its last."""
    ends: dict[int, tuple[str, float, float]] = {}
    for each in instructions:
        name, start, _ = ends.get(each.frame, (each.code.co_qualname, each.start, 0.0))
        ends[each.frame] = name, start, each.end
    return [Slice(*each) for each in ends.values()]


@functools.lru_cache(maxsize=256)
def _simple(code: CodeType) -> frozenset[int]:
    """Where an instruction does nothing but take a local name's value, or a constant."""
    # Later Pythons have several of each kind: LOAD_FAST_BORROW, LOAD_SMALL_INT ...
    takes = ("LOAD_FAST", "LOAD_CONST", "LOAD_SMALL_INT")
    return frozenset(each.offset for each in dis.get_instructions(code) if each.opname.startswith(takes))
