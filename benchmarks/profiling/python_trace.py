"""The trace of a call by what Python's interpreter tells of it: functions, operations by their source, phases, steps.

Which phase an operation belongs to follows from the weights that its source names, `w_ih` or `w_hh`, as the interface
calls them. The clock stands still while the interpreter tells, and what being told costs beyond that is taken off
each instruction: as much as one takes that only moves a name's value. What is still too long the trace says.
"""

from __future__ import annotations

import dis
import functools
import itertools
import linecache
import re
import time
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FrameType
from typing import NamedTuple

import numpy as np

from benchmarks.profiling.chrome import Event, Slice, Track, process
from benchmarks.profiling.instructions import classes, told
from benchmarks.profiling.phases import OUTPUT, PROJECTION, RECURRENCE

_LONGEST = 60
_WEIGHTS = frozenset({"w_ih", "w_hh"})
_ASSIGNED = re.compile(r"(\w+(?:\[[^\]]*\])?)\s*[-+*/@]?=\s*$")
"""What a line names to the left of an expression: a target, or an argument of a call."""
_CALLS = 3
_NUMBER = 2
"""Of this group of tracks among those of a trace."""


class Told(NamedTuple):
    """An instruction, when it began and when it ended, in microseconds of the clock that stands still while told."""

    frame: int
    """Which frame: they are numbered as they begin."""
    depth: int
    code: CodeType
    offset: int
    start: float
    end: float


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
                Slice(source(each.code, each.offset), each.start, each.end) for each in instructions if _operates(each)
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


def mark_phases(instructions: Sequence[Told]) -> list[Slice]:
    """Phases one after another; none where no operation names a weight.

    An operation that names w_hh, or both, is in the recurrence, one that names w_ih in the input projection. One that
    names neither goes with what its line has to say next, else with what was before it, or at a layer's beginning with
    what comes first; and outside the functions that name weights it is output, once a layer is through.
    """
    operations = [each for each in instructions if _operates(each)]
    named = [_weights(source(each.code, each.offset, assigned=True)) for each in operations]
    layers = _layers(instructions)
    found: list[Slice] = []
    phase, last = "", 0
    for at, each in enumerate(operations):
        if each.frame in layers:
            begun = last == each.frame
            phase = (
                named[at] or _of_line(operations, named, at) or (phase if begun else _first_of(operations, named, at))
            )
            last = each.frame if named[at] else last
        elif phase and not _within_layer(each, operations, layers, at):
            phase = OUTPUT
        if not phase:
            continue
        if found and found[-1].name == phase:
            found[-1] = found[-1]._replace(end=each.end)
        else:
            found.append(Slice(phase, each.start, each.end))
    return found


def mark_steps(instructions: Sequence[Told], backwards: bool) -> list[Slice]:
    """A slice a turn of the longest loop of each layer; a backward pass ends at step 1."""
    found: list[Slice] = []
    cells = 0
    for layer in _layers(instructions):
        own = [each for each in instructions if each.frame == layer]
        heads: dict[int, list[Told]] = {}
        for each in own:
            if each.offset in _loop_heads(each.code):
                heads.setdefault(each.offset, []).append(each)
        turns = max(heads.values(), key=len, default=[])
        if len(turns) < 2:
            continue
        cells += 1
        # The last time that the head is reached the loop ends.
        for number, (turn, following) in enumerate(itertools.pairwise(turns), start=1):
            step = len(turns) - number if backwards else number
            found.append(Slice(f"step {step}, cell {cells}", turn.start, following.start))
    return found


def _layers(instructions: Sequence[Told]) -> list[int]:
    """The frames that compute a layer: they name both weights, and multiply matrices."""
    multiply = (each for each in instructions if classes(each.code).get(each.offset, (False, False))[1])
    return list(dict.fromkeys(each.frame for each in multiply if _names_both(each.code)))


def _operates(each: Told) -> bool:
    return classes(each.code).get(each.offset, (False, False))[0]


def _weights(text: str) -> str:
    """The phase of the weights that a text names; empty where it names none."""
    if "w_hh" in text:
        return RECURRENCE
    return PROJECTION if "w_ih" in text else ""


def _first_of(operations: Sequence[Told], named: Sequence[str], at: int) -> str:
    """The first phase that the frame of an operation names from there on; empty where it names none."""
    frame = operations[at].frame
    own = (phase for each, phase in zip(operations[at:], named[at:], strict=True) if each.frame == frame)
    return next(filter(None, own), "")


def _of_line(operations: Sequence[Told], named: Sequence[str], at: int) -> str:
    """What the next operation of the same line names, if one does."""
    line = _line(operations[at])
    for following in range(at + 1, len(operations)):
        if operations[following].frame != operations[at].frame or _line(operations[following]) != line:
            return ""
        if named[following]:
            return named[following]
    return ""


def _within_layer(each: Told, operations: Sequence[Told], layers: Sequence[int], at: int) -> bool:
    """Whether the last frame of a layer before an operation is still open: the operation's is deeper than that."""
    last = next((before for before in reversed(operations[:at]) if before.frame in layers), None)
    return last is not None and each.depth > last.depth


def _functions(instructions: Sequence[Told]) -> list[Slice]:
    """A slice a frame, from its first instruction to the end of its last."""
    ends: dict[int, tuple[str, float, float]] = {}
    for each in instructions:
        name, start, _ = ends.get(each.frame, (each.code.co_qualname, each.start, 0.0))
        ends[each.frame] = name, start, each.end
    return [Slice(*each) for each in ends.values()]


@functools.lru_cache(maxsize=256)
def _names_both(code: CodeType) -> bool:
    return {*code.co_names, *code.co_varnames} >= _WEIGHTS


@functools.lru_cache(maxsize=256)
def _simple(code: CodeType) -> frozenset[int]:
    """Where an instruction does nothing but take a local name's value, or a constant."""
    # Later Pythons have several of each kind: LOAD_FAST_BORROW, LOAD_SMALL_INT ...
    takes = ("LOAD_FAST", "LOAD_CONST", "LOAD_SMALL_INT")
    return frozenset(each.offset for each in dis.get_instructions(code) if each.opname.startswith(takes))


@functools.lru_cache(maxsize=256)
def _loop_heads(code: CodeType) -> frozenset[int]:
    return frozenset(each.offset for each in dis.get_instructions(code) if each.opname == "FOR_ITER")


def _line(each: Told) -> int | None:
    return _positions(each.code)[each.offset // 2][0]


@functools.lru_cache(maxsize=256)
def _positions(code: CodeType) -> list[tuple[int | None, int | None, int | None, int | None]]:
    """(line, last line, column, last column) of each instruction, as it stands in the source."""
    return list(code.co_positions())


@functools.lru_cache(maxsize=8192)
def source(code: CodeType, offset: int, assigned: bool = False) -> str:
    """The source of an instruction on one line, or its name; with `assigned`, what the line assigns it to as well."""
    line, last, begin, end = _positions(code)[offset // 2]
    text = "" if line is None else linecache.getline(code.co_filename, line).rstrip("\n")
    if line is None or begin is None or end is None or not text:
        return next((each.opname for each in dis.get_instructions(code) if each.offset == offset), "")
    # Columns are of the line's bytes.
    whole = text.encode()
    shown = whole[begin : end if last == line else None].decode()
    if assigned:
        target = _ASSIGNED.search(whole[:begin].decode())
        return f"{target.group(1)} = {shown}" if target else shown
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
