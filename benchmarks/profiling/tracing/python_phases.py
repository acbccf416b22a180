"""The phase of the network that an operation of Python belongs to, and where time steps begin and end.

A phase follows from the weights in the operation's source: `w_ih` or `w_hh`, the interface's names, as a whole name or
as a part of one. A time step is an iteration of the loop that multiplies with w_hh.
`tests/test_profile_python_traces.py` fails where an implementation of this project names its weights otherwise.
"""

from __future__ import annotations

import dis
import functools
import itertools
import linecache
import re
from collections.abc import Collection, Sequence
from types import CodeType
from typing import NamedTuple

from benchmarks.profiling.counting.instructions import operations_of
from benchmarks.profiling.tracing.chrome import Slice
from benchmarks.profiling.tracing.network_phases import GATES, OUTPUT, PROJECTION, RECURRENCE

_LONGEST = 60
_ASSIGNED = re.compile(r"(\w+(?:\[[^\]]*\])?)\s*[-+*/@]?=\s*$")
"""The name to the left of an expression in its line: a target of an assignment, or an argument of a call."""


class TimedInstruction(NamedTuple):
    """An instruction with its begin and end, in microseconds of the clock that is stopped while one is recorded."""

    frame: int
    """The number of its frame, in the order in which frames begin."""
    depth: int
    code: CodeType
    offset: int
    start: float
    end: float


class Loop(NamedTuple):
    """A `for` loop of a function, by offsets of instructions."""

    begin: int
    head: int
    """The instruction that takes the next item; it may have prefixes, the first of which is at `begin`."""
    end: int

    def __contains__(self, offset: object) -> bool:
        """Whether an instruction belongs to the loop."""
        return isinstance(offset, int) and self.begin <= offset < self.end


def mark_phases(instructions: Sequence[TimedInstruction]) -> list[Slice]:
    """The phases, one after another; none where no operation names a weight.

    An operation is in the recurrence where its source names w_hh or both weights, and in the input projection where it
    names w_ih. An operation that names neither has the phase of the next operation in its line that names one. For
    others in a function that computes a layer:

    - within the loop over time: gates;
    - after that loop: the next phase that is named, or output where none is;
    - before it, or without such a loop: the previous phase of the function; where it has none, gates if the next named
      phase is the recurrence of a loop over time, else the next named phase.

    Outside of the functions that compute layers everything is output, once the first layer is computed.
    """
    operations = [each for each in instructions if operates(each)]
    named = [_weights(source(each.code, each.offset, assigned=True)) for each in operations]
    loops = _loops(instructions)
    frames = _frames_of_layers(instructions)
    found: list[Slice] = []
    phase, last = "", -1
    firsts: dict[int, int] = {}
    for at, each in enumerate(operations):
        first = firsts.setdefault(each.frame, at)
        if each.frame in frames:
            before = phase if last >= first else ""
            own = named[at] or _phase_of_line(operations, named, at)
            phase = own or _unnamed(operations, named, at, loops.get(each.frame), before)
            last = at if named[at] else last
        elif phase and not _within_layer(each, operations, frames, at):
            phase = OUTPUT
        if not phase:
            continue
        if found and found[-1].name == phase:
            found[-1] = found[-1]._replace(end=each.end)
        else:
            found.append(Slice(phase, each.start, each.end))
    return found


def mark_steps(instructions: Sequence[TimedInstruction], backwards: bool) -> list[Slice]:
    """A slice for each iteration of each layer's loop over time; a backward pass counts down to step 1."""
    loops = _loops(instructions)
    heads: dict[int, list[TimedInstruction]] = {frame: [] for frame in loops}
    at_head = dict.fromkeys(loops, False)
    for each in instructions:
        loop = loops.get(each.frame)
        if loop is not None:
            takes_next = loop.begin <= each.offset <= loop.head
            if takes_next and not at_head[each.frame]:
                heads[each.frame].append(each)
            at_head[each.frame] = takes_next
    found: list[Slice] = []
    for layer, of_layer in enumerate(heads.values(), start=1):
        # At its last head the loop ends: there is one more head than iterations.
        for number, (head, following) in enumerate(itertools.pairwise(of_layer), start=1):
            step = len(of_layer) - number if backwards else number
            found.append(Slice(f"step {step}, layer {layer}", head.start, following.start))
    return found


def _loops(instructions: Sequence[TimedInstruction]) -> dict[int, Loop]:
    """{frame: its loop over time}: the innermost loop around a product whose line names w_hh."""
    found: dict[int, Loop] = {}
    for each in instructions:
        if each.frame not in found and _multiplies(each) and "w_hh" in _line_text(each):
            around = [loop for loop in _loop_bodies(each.code) if each.offset in loop]
            if around:
                found[each.frame] = min(around, key=lambda loop: loop.end - loop.begin)
    return found


def _frames_of_layers(instructions: Sequence[TimedInstruction]) -> frozenset[int]:
    """The frames that compute a layer or a part of it: they have a matrix product in a line that names a weight."""
    return frozenset(each.frame for each in instructions if _multiplies(each) and _weights(_line_text(each)))


def _unnamed(
    operations: Sequence[TimedInstruction], named: Sequence[str], at: int, loop: Loop | None, before: str
) -> str:
    """The phase of an operation of a layer whose line names no weight; `loop` is its frame's loop over time.

    `before` is the previous phase of the frame, functions that it called included; empty where it has none.
    """
    offset = operations[at].offset
    if loop is not None and offset in loop:
        return GATES
    following = _next_named(operations, named, at)
    if loop is not None and offset >= loop.end:
        return following or OUTPUT
    if before:
        return before
    # Operations before a loop that begins with its product prepare gates, or their gradients, for all steps.
    return GATES if loop is not None and following == RECURRENCE else following


def operates(each: TimedInstruction) -> bool:
    """Whether an instruction is an operation."""
    return operations_of(each.code).get(each.offset, (False, False))[0]


def _multiplies(each: TimedInstruction) -> bool:
    return operations_of(each.code).get(each.offset, (False, False))[1]


def _weights(text: str) -> str:
    """The phase that follows from the weights in a text; empty where it names none."""
    if "w_hh" in text:
        return RECURRENCE
    return PROJECTION if "w_ih" in text else ""


def _next_named(operations: Sequence[TimedInstruction], named: Sequence[str], at: int) -> str:
    """The next named phase of an operation's frame, functions that it calls included; empty where there is none."""
    for each, phase in zip(operations[at:], named[at:], strict=True):
        if each.depth < operations[at].depth:
            return ""
        if phase:
            return phase
    return ""


def _phase_of_line(operations: Sequence[TimedInstruction], named: Sequence[str], at: int) -> str:
    """The phase of the next operation in the same line that names a weight; empty where none does."""
    line = _line(operations[at])
    for following in range(at + 1, len(operations)):
        if operations[following].frame != operations[at].frame or _line(operations[following]) != line:
            return ""
        if named[following]:
            return named[following]
    return ""


def _within_layer(
    each: TimedInstruction, operations: Sequence[TimedInstruction], layers: Collection[int], at: int
) -> bool:
    """Whether an operation runs within the last frame of a layer before it: in a deeper frame."""
    last = next((before for before in reversed(operations[:at]) if before.frame in layers), None)
    return last is not None and each.depth > last.depth


@functools.lru_cache(maxsize=256)
def _loop_bodies(code: CodeType) -> tuple[Loop, ...]:
    """The `for` loops of a function."""
    found, begin = [], None
    for each in dis.get_instructions(code):
        # A long jump has prefixes before it, and the interpreter traces the first of them.
        begin = each.offset if begin is None else begin
        if each.opname == "FOR_ITER":
            found.append(Loop(begin, each.offset, each.argval))
        begin = begin if each.opname == "EXTENDED_ARG" else None
    return tuple(found)


def _line_text(each: TimedInstruction) -> str:
    line = _line(each)
    return "" if line is None else linecache.getline(each.code.co_filename, line)


def _line(each: TimedInstruction) -> int | None:
    return _positions(each.code)[each.offset // 2][0]


@functools.lru_cache(maxsize=256)
def _positions(code: CodeType) -> list[tuple[int | None, int | None, int | None, int | None]]:
    """(line, last line, column, last column) of each instruction in the source."""
    return list(code.co_positions())


@functools.lru_cache(maxsize=8192)
def source(code: CodeType, offset: int, assigned: bool = False) -> str:
    """The source of an instruction in one line, or its name; `assigned` adds the name that it is assigned to."""
    line, last, begin, end = _positions(code)[offset // 2]
    text = "" if line is None else linecache.getline(code.co_filename, line).rstrip("\n")
    if line is None or begin is None or end is None or not text:
        return next((each.opname for each in dis.get_instructions(code) if each.offset == offset), "")
    # Columns count the bytes of a line.
    whole = text.encode()
    shown = whole[begin : end if last == line else None].decode()
    if assigned:
        target = _ASSIGNED.search(whole[:begin].decode())
        return f"{target.group(1)} = {shown}" if target else shown
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
