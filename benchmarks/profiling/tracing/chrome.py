"""Compressed traces in Chrome's trace event format, which Perfetto and about:tracing open.

The format is https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (Trace Event Format).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.files import write

Event = dict[str, Any]
MOST_EVENTS = 20_000
"""The most events of a trace. Later events are left out, and a note in the trace says so."""


class Slice(NamedTuple):
    """A span of time with a name; microseconds from the start of the trace."""

    name: str
    start: float
    end: float


class Track(NamedTuple):
    """A named row of slices, each after another or within it."""

    name: str
    slices: Sequence[Slice]


def process(number: int, name: str, tracks: Iterable[Track]) -> list[Event]:
    """The events of a group of tracks, in their order; viewers show the group as a process with threads."""
    events = [_named("process_name", number, 0, name), _sorted("process_sort_index", number, 0, number)]
    for thread, track in enumerate(tracks, start=1):
        events += [
            _named("thread_name", number, thread, track.name),
            _sorted("thread_sort_index", number, thread, thread),
        ]
        events += [
            {"ph": "X", "name": each.name, "pid": number, "tid": thread}
            | {"ts": round(each.start, 3), "dur": round(each.end - each.start, 3)}
            for each in track.slices
        ]
    return events


def counter(number: int, name: str, at: float, values: Mapping[str, float]) -> Event:
    """The event that sets a counter's values from the time `at` on, in microseconds; viewers stack the values."""
    return {"ph": "C", "name": name, "pid": number, "tid": 0, "ts": round(at, 3), "args": dict(values)}


def write_trace(events: Sequence[Event], path: Path, notes: Sequence[str] = ()) -> None:
    """Write events as one compressed trace with notes as its metadata.

    Names of tracks are kept, and of the other events the earliest, `MOST_EVENTS` together.
    """
    named = [each for each in events if each["ph"] == "M"]
    timed = sorted((each for each in events if each["ph"] != "M"), key=lambda each: float(each["ts"]))
    kept = timed[: max(0, MOST_EVENTS - len(named))]
    notes = [*notes, *([f"cut to {len(kept)} of {len(timed)} events"] if len(kept) < len(timed) else [])]
    write_compressed(
        {"traceEvents": named + kept, "displayTimeUnit": "ms", "otherData": {"notes": " ".join(notes)}}, path
    )


def write_compressed(content: Mapping[str, Any], path: Path) -> None:
    """Write JSON through gzip; equal content gives equal bytes."""
    text = json.dumps(content, separators=(",", ":")).encode()
    write(path.parent, path.name, gzip.compress(text, mtime=0))


def _named(what: str, process: int, thread: int, name: str) -> Event:
    return {"ph": "M", "name": what, "pid": process, "tid": thread, "ts": 0, "args": {"name": name}}


def _sorted(what: str, process: int, thread: int, place: int) -> Event:
    return {"ph": "M", "name": what, "pid": process, "tid": thread, "ts": 0, "args": {"sort_index": place}}
