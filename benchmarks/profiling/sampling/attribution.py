"""From sampled threads to the kinds of work that a call's time went to. Pure functions of arrays.

The main thread decides each sample. Where it waits, the sample goes to what another thread of the process computes, and
to waiting where no thread computes. A sample in which the main thread, or the thread it waits for, was preempted is
attributed to no kind: it is counted apart.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from benchmarks.profiling.sampling.kinds import WorkKind, kind_of
from benchmarks.profiling.sampling.sampler import PREEMPTED, WAITS, SampledThreads
from benchmarks.profiling.sampling.symbols import ASLEEP, Place

_BEFORE_WAITING: tuple[WorkKind, ...] = ("products", "elementwise", "memory", "unattributed", "overhead")
"""The order in which kinds count where the main thread waits and several other threads compute."""


class Sample(NamedTuple):
    """One sample and the work that it is attributed to."""

    pass_number: int
    nanoseconds: int
    caller: int
    """The main thread's return address in the code that `Sampler.callers` names, else 0."""
    work: tuple[WorkKind, Place] | None
    """Kind and place of the work; None for a preempted sample."""
    computing_threads: int


@dataclasses.dataclass(frozen=True)
class SampleCounts:
    """Numbers of samples in one pass."""

    by_place: Mapping[tuple[WorkKind, Place], int]
    """Attributed samples by kind and place of the work."""
    preempted: int
    """Samples that are attributed to no kind."""
    computing_threads: int
    """Threads that computed, added up over the attributed samples."""

    @property
    def attributed(self) -> int:
        """Samples that are attributed to a kind."""
        return sum(self.by_place.values())

    @property
    def by_kind(self) -> dict[WorkKind, int]:
        """Attributed samples by kind of work."""
        found: Counter[WorkKind] = Counter()
        for (kind, _), count in self.by_place.items():
            found[kind] += count
        return dict(found)


def count_by_pass(threads: SampledThreads, places: Mapping[int, Place], main_thread: int) -> dict[int, SampleCounts]:
    """{number of the pass: numbers of its samples}; `places` maps the sampled addresses."""
    found: dict[int, Counter[tuple[WorkKind, Place]]] = {}
    preempted: Counter[int] = Counter()
    computing: Counter[int] = Counter()
    for sample in attribute(threads, places, main_thread):
        counts = found.setdefault(sample.pass_number, Counter())
        if sample.work is None:
            preempted[sample.pass_number] += 1
        else:
            counts[sample.work] += 1
            computing[sample.pass_number] += sample.computing_threads
    return {
        number: SampleCounts(dict(counts), preempted[number], computing[number]) for number, counts in found.items()
    }


def sampled_seconds(threads: SampledThreads) -> float:
    """The time that all samples stand for, preempted ones included."""
    _, first = np.unique(threads["sample"], return_index=True)
    return float(threads["interval"][first].sum(dtype=np.int64)) / 1e9


def attribute(threads: SampledThreads, places: Mapping[int, Place], main_thread: int) -> Iterator[Sample]:
    """The samples in their order; the main thread is in each of them."""
    kinds = {address: kind_of(place) for address, place in places.items()}
    # There is no sample where the sampler itself was preempted for the whole time.
    edges = [0, *(np.flatnonzero(np.diff(threads["sample"])) + 1), len(threads)] if len(threads) else []
    for begin, end in itertools.pairwise(edges):
        sample = threads[begin:end]
        own = sample[sample["thread"] == main_thread]
        assert len(own) == 1, "the main thread is in every sample"
        main = int(own["address"][0])
        others: list[int] = sample["address"][sample["thread"] != main_thread].tolist()
        running = [address for address in (main, *others) if address not in (WAITS, PREEMPTED)]
        yield Sample(
            pass_number=int(sample["pass"][0]),
            nanoseconds=int(sample["nanoseconds"][0]),
            caller=int(own["caller"][0]),
            work=_work(main, others, kinds, places),
            computing_threads=sum(kinds[address] != "waiting" for address in running),
        )


def _work(
    main: int, others: list[int], kinds: Mapping[int, WorkKind], places: Mapping[int, Place]
) -> tuple[WorkKind, Place] | None:
    """Kind and place of the work that a sample is attributed to; None where a thread that decides was preempted."""
    if main == PREEMPTED:
        return None
    if main != WAITS and kinds[main] != "waiting":
        return kinds[main], places[main]
    running = {kinds[address]: places[address] for address in others if address not in (WAITS, PREEMPTED)}
    for kind in _BEFORE_WAITING:
        if kind in running:
            return kind, running[kind]
    if PREEMPTED in others:
        return None
    return "waiting", ASLEEP if main == WAITS else places[main]
