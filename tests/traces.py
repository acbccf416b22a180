"""What tests of traces share: small cases, and the tracks of a trace."""

from __future__ import annotations

import time
from typing import Any

import pytest

from benchmarks.measuring.measure import Subject
from benchmarks.profiling.tracing.chrome import Event, Slice
from benchmarks.workload import Workload
from rnnimpl import Unavailable, load

T, L = 3, 2
CELLS = ("tanh", "lstm", "gru")


def subject(name: str, mode: str, **fields: Any) -> Subject:
    """A small case of T steps and L layers, called once; the test is skipped where it cannot run here."""
    workload = Workload(mode=mode, **{"T": T, "B": 2, "I": 4, "H": 4, "L": L} | fields)  # type: ignore[arg-type]
    try:
        return Subject(load(name), workload, clock=time.perf_counter)
    except Unavailable as missing:
        pytest.skip(str(missing))


def tracks(events: list[Event], group: int) -> dict[str, list[Slice]]:
    """{track: slices} of one group of a trace."""
    own = [each for each in events if each["pid"] == group]
    titles = {each["tid"]: each["args"]["name"] for each in own if each["name"] == "thread_name"}
    found: dict[str, list[Slice]] = {title: [] for title in titles.values()}
    for each in own:
        if each["ph"] == "X":
            found[titles[each["tid"]]].append(Slice(each["name"], each["ts"], each["ts"] + each["dur"]))
    return found


def names(slices: list[Slice]) -> list[str]:
    """The names of slices, in their order."""
    return [each.name for each in slices]
