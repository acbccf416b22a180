"""From samples of threads to what a call's time went to. Pure functions of arrays.

At each look the main thread decides: the time went to what it was doing. Where it waits, the time goes to whatever
another thread of the process is computing; where none is, to waiting. A look at which the main thread, or the one it
waits for, had no core says nothing of this process: it is counted apart and its time belongs to nobody.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from benchmarks.profiling.sampling.kinds import Kind, kind_of
from benchmarks.profiling.sampling.sampler import HAS_NO_CORE, WAITS
from benchmarks.profiling.sampling.symbols import ASLEEP, Place

_BEFORE_WAITING: tuple[Kind, ...] = ("products", "elementwise", "memory", "engine", "overhead")
"""Where the main thread waits and several others compute, the first of these that one of them does counts."""


@dataclasses.dataclass(frozen=True)
class Looks:
    """What the looks in one phase found."""

    by_place: Mapping[tuple[Kind, Place], int]
    """Looks whose time went to a kind of work at a place."""
    without_core: int
    """Looks that say nothing, since others had the core."""
    computing_threads: int
    """Threads that were computing, over all looks that say something."""

    @property
    def total(self) -> int:
        """Looks that say something."""
        return sum(self.by_place.values())

    @property
    def by_kind(self) -> dict[Kind, int]:
        """Looks of each kind."""
        found: Counter[Kind] = Counter()
        for (kind, _), count in self.by_place.items():
            found[kind] += count
        return dict(found)


def attribute(
    samples: np.ndarray[tuple[int], np.dtype[np.void]], places: Mapping[int, Place], main_thread: int
) -> dict[int, Looks]:
    """{phase: looks} of samples that are ordered by look."""
    found: dict[int, Counter[tuple[Kind, Place]]] = {}
    without: Counter[int] = Counter()
    computing: Counter[int] = Counter()
    for look in outcomes(samples, places, main_thread):
        counts = found.setdefault(look.phase, Counter())
        if look.outcome is None:
            without[look.phase] += 1
        else:
            counts[look.outcome] += 1
            computing[look.phase] += look.computing
    return {phase: Looks(dict(counts), without[phase], computing[phase]) for phase, counts in found.items()}


def seconds_of(samples: np.ndarray[tuple[int], np.dtype[np.void]]) -> float:
    """The time that all looks stand for, those without a core too."""
    _, first = np.unique(samples["look"], return_index=True)
    return float(samples["interval"][first].sum(dtype=np.int64)) / 1e9


class Look(NamedTuple):
    """What one look came to."""

    phase: int
    nanoseconds: int
    caller: int
    """Of the main thread, as `SAMPLE` has it."""
    outcome: tuple[Kind, Place] | None
    """The kind and place that its time went to; None where it cannot be said."""
    computing: int
    """Threads that computed."""


def outcomes(
    samples: np.ndarray[tuple[int], np.dtype[np.void]], places: Mapping[int, Place], main_thread: int
) -> Iterator[Look]:
    """Look by look, of samples that are ordered by it; the main thread has one in each."""
    kinds = {address: kind_of(place) for address, place in places.items()}
    # None where the sampler had no core for as long as it was to look.
    edges = [0, *(np.flatnonzero(np.diff(samples["look"])) + 1), len(samples)] if len(samples) else []
    for begin, end in itertools.pairwise(edges):
        look = samples[begin:end]
        own = look[look["thread"] == main_thread]
        assert len(own) == 1, "the main thread is in every look"
        main = int(own["address"][0])
        others: list[int] = look["address"][look["thread"] != main_thread].tolist()
        busy = [address for address in (main, *others) if address not in (WAITS, HAS_NO_CORE)]
        yield Look(
            phase=int(look["phase"][0]),
            nanoseconds=int(look["nanoseconds"][0]),
            caller=int(own["caller"][0]),
            outcome=_outcome(main, others, kinds, places),
            computing=sum(kinds[address] != "waiting" for address in busy),
        )


def _outcome(
    main: int, others: list[int], kinds: Mapping[int, Kind], places: Mapping[int, Place]
) -> tuple[Kind, Place] | None:
    """The kind and place that a look's time went to; None where it cannot be said."""
    if main == HAS_NO_CORE:
        return None
    if main != WAITS and kinds[main] != "waiting":
        return kinds[main], places[main]
    running = {kinds[address]: places[address] for address in others if address not in (WAITS, HAS_NO_CORE)}
    for kind in _BEFORE_WAITING:
        if kind in running:
            return kind, running[kind]
    if HAS_NO_CORE in others:
        return None
    return "waiting", ASLEEP if main == WAITS else places[main]
