"""Which phase of the network an operation of Python's belongs to, and where time steps begin and end.

A phase follows from the weights that the source names, `w_ih` or `w_hh`, as the interface calls them, be it as part of
a name; a time step is a turn of the loop that multiplies with w_hh.
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

from benchmarks.profiling.counting.instructions import classes
from benchmarks.profiling.tracing.chrome import Slice
from benchmarks.profiling.tracing.network_phases import GATES, OUTPUT, PROJECTION, RECURRENCE

_LONGEST = 60
_ASSIGNED = re.compile(r"(\w+(?:\[[^\]]*\])?)\s*[-+*/@]?=\s*$")
"""What a line names to the left of an expression: a target, or an argument of a call."""


class Told(NamedTuple):
    """An instruction, when it began and when it ended, in microseconds of the clock that stands still while told."""

    frame: int
    """Which frame: they are numbered as they begin."""
    depth: int
    code: CodeType
    offset: int
    start: float
    end: float


class Loop(NamedTuple):
    """A `for` loop of a function, by the offsets of its instructions."""

    begin: int
    head: int
    """Of the instruction that takes the next item, which ends what begins at `begin`."""
    end: int

    def __contains__(self, offset: object) -> bool:
        """Whether an instruction belongs to the loop."""
        return isinstance(offset, int) and self.begin <= offset < self.end


def mark_phases(instructions: Sequence[Told]) -> list[Slice]:
    """Phases one after another; none where no operation names a weight.

    An operation that names w_hh, or both, is in the recurrence, one that names w_ih in the input projection. One that
    names neither goes with what its line has to say next. Else it is of the gates, within a loop over time or before
    what makes it ready for one; after such a loop it goes with the weights that are named next, and with none left is
    output; elsewhere it goes with what was before it. Outside the functions that compute layers all is output, once a
    layer is through.
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
            own = named[at] or _of_line(operations, named, at)
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


def mark_steps(instructions: Sequence[Told], backwards: bool) -> list[Slice]:
    """A slice a turn of the loop over time of each layer; a backward pass ends at step 1."""
    loops = _loops(instructions)
    turns: dict[int, list[Told]] = {frame: [] for frame in loops}
    at_head = dict.fromkeys(loops, False)
    for each in instructions:
        loop = loops.get(each.frame)
        if loop is not None:
            takes_next = loop.begin <= each.offset <= loop.head
            if takes_next and not at_head[each.frame]:
                turns[each.frame].append(each)
            at_head[each.frame] = takes_next
    found: list[Slice] = []
    for layer, heads in enumerate(turns.values(), start=1):
        # The last time that the head is reached the loop ends.
        for number, (turn, following) in enumerate(itertools.pairwise(heads), start=1):
            step = len(heads) - number if backwards else number
            found.append(Slice(f"step {step}, layer {layer}", turn.start, following.start))
    return found


def _loops(instructions: Sequence[Told]) -> dict[int, Loop]:
    """The loop over time of each frame that has one: the innermost around a product whose line names w_hh."""
    found: dict[int, Loop] = {}
    for each in instructions:
        if each.frame not in found and _multiplies(each) and "w_hh" in _line_text(each):
            around = [loop for loop in _loop_bodies(each.code) if each.offset in loop]
            if around:
                found[each.frame] = min(around, key=lambda loop: loop.end - loop.begin)
    return found


def _frames_of_layers(instructions: Sequence[Told]) -> frozenset[int]:
    """The frames that compute a layer or a part of it: they multiply matrices, of which lines name weights."""
    return frozenset(each.frame for each in instructions if _multiplies(each) and _weights(_line_text(each)))


def _unnamed(operations: Sequence[Told], named: Sequence[str], at: int, loop: Loop | None, before: str) -> str:
    """The phase of an operation of a layer whose line names no weight; `loop` is its frame's over time.

    `before` is the phase of what its frame did before, itself or by what it called; empty where it named no weight.
    """
    offset = operations[at].offset
    if loop is not None and offset in loop:
        return GATES
    following = _next_named(operations, named, at)
    if loop is not None and offset >= loop.end:
        return following or OUTPUT
    if before:
        return before
    # What comes before a loop that begins with its product makes gates, or their gradients, ready for it.
    return GATES if loop is not None and following == RECURRENCE else following


def operates(each: Told) -> bool:
    """Whether an instruction asks an object to do something."""
    return classes(each.code).get(each.offset, (False, False))[0]


def _multiplies(each: Told) -> bool:
    return classes(each.code).get(each.offset, (False, False))[1]


def _weights(text: str) -> str:
    """The phase of the weights that a text names; empty where it names none."""
    if "w_hh" in text:
        return RECURRENCE
    return PROJECTION if "w_ih" in text else ""


def _next_named(operations: Sequence[Told], named: Sequence[str], at: int) -> str:
    """The first phase that is named from an operation on, by its frame or what it calls; empty where none is."""
    for each, phase in zip(operations[at:], named[at:], strict=True):
        if each.depth < operations[at].depth:
            return ""
        if phase:
            return phase
    return ""


def _of_line(operations: Sequence[Told], named: Sequence[str], at: int) -> str:
    """What the next operation of the same line names, if one does."""
    line = _line(operations[at])
    for following in range(at + 1, len(operations)):
        if operations[following].frame != operations[at].frame or _line(operations[following]) != line:
            return ""
        if named[following]:
            return named[following]
    return ""


def _within_layer(each: Told, operations: Sequence[Told], layers: Collection[int], at: int) -> bool:
    """Whether the last frame of a layer before an operation is still open: the operation's is deeper than that."""
    last = next((before for before in reversed(operations[:at]) if before.frame in layers), None)
    return last is not None and each.depth > last.depth


@functools.lru_cache(maxsize=256)
def _loop_bodies(code: CodeType) -> tuple[Loop, ...]:
    """The `for` loops of a function."""
    found, begin = [], None
    for each in dis.get_instructions(code):
        # What makes a jump a long one comes before it, and is what the interpreter tells of.
        begin = each.offset if begin is None else begin
        if each.opname == "FOR_ITER":
            found.append(Loop(begin, each.offset, each.argval))
        begin = begin if each.opname == "EXTENDED_ARG" else None
    return tuple(found)


def _line_text(each: Told) -> str:
    line = _line(each)
    return "" if line is None else linecache.getline(each.code.co_filename, line)


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
