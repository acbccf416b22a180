"""Pairs of blocks with and without profiling, on made-up blocks: which count, when there are enough, what they say."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.profiling.reporting.reliability import how_measured
from benchmarks.profiling.sampling import preemption
from benchmarks.profiling.sampling.blocks import most_seconds, take_block, take_pairs, told
from benchmarks.profiling.sampling.pairs import (
    LEAST_PAIRS,
    MOST_PAIRS,
    Block,
    Pair,
    counted,
    halves_differ,
    undisturbed,
    which_count,
)
from benchmarks.profiling.sampling.preemption import Reading, taken_seconds
from benchmarks.reporting.plain_text import TIMES

CASE = "numpy_loop/cpu/inference/T8-B2-I4-H4-L1-tanh-float32"


def block(call: float, share: float | None = 0.0, seen: float = 0.0) -> Block:
    """Two calls of so many seconds; looks stand for `seen` of the time of both."""
    return Block([(call, 0.0), (call, 0.0)], share, context_switches=4, seen_seconds=seen * 2 * call)


def pair(total: float, alone: float | None = 0.0, profiled: float | None = 0.0) -> Pair:
    """Blocks whose parts add up to so much of the unprofiled time, and what was taken of each."""
    return Pair.of(block(1.0, alone), block(total, profiled, 1.0))


def blocks_of(calls: Iterable[float], seen: float = 0.0) -> Callable[[], Block]:
    """One block after another, by what its calls take."""
    following = iter(calls)
    return lambda: block(next(following), seen=seen)


def test_a_sum_of_parts_is_what_profiling_cost_times_what_was_accounted_for() -> None:
    """Calls that take a fifth longer profiled, of which looks stand for nine tenths; and fewer of them."""
    found = Pair.of(Block([(2.0, 0.0)] * 3, 0.0, context_switches=0), block(2.4, seen=0.9))
    assert (found.cost, found.accounted, found.total) == pytest.approx((1.2, 0.9, 1.08))


def test_one_slow_call_is_part_of_what_a_block_takes() -> None:
    """Of three calls of two phases, on average: in a median what looking cost one call in many would be nothing."""
    assert Block([(1.0, 0.0), (0.5, 0.5), (3.0, 1.0)], 0.0, context_switches=0).call_seconds == 2.0


@pytest.mark.parametrize("side", ["alone", "profiled"])
def test_a_pair_of_which_others_disturbed_either_block_is_left_out_whole(side: str) -> None:
    """And the sum is that of the others."""
    pairs = [pair(1.01), pair(0.5, **{side: 0.4}), pair(1.01), pair(1.02), pair(1.02)]
    assert which_count(pairs) == [True, False, True, True, True]
    assert [each.total for each in counted(pairs)] == pytest.approx([1.01, 1.01, 1.02, 1.02])


def test_a_pair_is_not_left_out_for_what_came_out() -> None:
    """However far its sum is from the time: only what others took decides."""
    pairs = [pair(1.0), pair(9.0), pair(1.0), pair(1.0), pair(1.0)]
    assert all(which_count(pairs))


def test_threads_that_keep_each_other_from_a_core_in_every_block_disturb_nothing() -> None:
    """What was taken counts beyond the least on its side; the sampler takes of the profiled side alone."""
    assert all(undisturbed([pair(1.0, alone=0.2, profiled=0.26) for _ in range(LEAST_PAIRS)]))


def test_a_little_taken_of_either_block_disturbs_neither() -> None:
    """Two percent of each: the sides are judged one by one."""
    assert undisturbed([pair(1.0), pair(1.0, alone=0.02, profiled=0.02)]) == [True, True]


@pytest.mark.parametrize("share", [None, 0.3])
def test_where_too_few_pairs_are_undisturbed_or_nobody_knows_all_count(share: float | None) -> None:
    """Three calm pairs are fewer than a repeat has at the least."""
    calm = [pair(1.0, None if share is None else 0.0) for _ in range(LEAST_PAIRS - 1)]
    assert all(which_count([*calm, *[pair(1.0, share) for _ in range(5)]]))


def test_halves_are_every_second_pair() -> None:
    """Those that count: 1.0 and 1.1, of which the median is 1.05."""
    pairs = [pair(1.0), pair(1.1), pair(5.0, alone=0.5), pair(1.0), pair(1.1)]
    assert halves_differ(pairs) == pytest.approx(0.1 / 1.05)


def test_pairs_are_few_where_their_halves_agree() -> None:
    pairs, alone = take_pairs(blocks_of(itertools.repeat(1.0)), blocks_of(itertools.repeat(1.02), 1.0), 1.0)
    assert len(pairs) == len(alone) == LEAST_PAIRS


def test_more_pairs_are_taken_until_the_halves_agree() -> None:
    """Two of the first four are slow for a moment, both in one half."""
    profiled = itertools.chain([1.0, 1.5, 1.0, 1.5], itertools.repeat(1.0))
    pairs, _ = take_pairs(blocks_of(itertools.repeat(1.0)), blocks_of(profiled, 1.0), 1.0)
    assert LEAST_PAIRS < len(pairs) < MOST_PAIRS
    assert halves_differ(pairs) == 0.0


def test_halves_that_never_agree_end_at_the_most_pairs() -> None:
    """Every second block takes half as long again."""
    profiled = itertools.cycle([1.0, 1.5])
    pairs, _ = take_pairs(blocks_of(itertools.repeat(1.0)), blocks_of(profiled, 1.0), 1.0)
    assert len(pairs) == MOST_PAIRS


def test_pairs_that_were_disturbed_are_taken_again() -> None:
    """Until there are as many calm ones as a repeat needs."""
    shares = itertools.chain([0.0, 0.5, 0.5], itertools.repeat(0.0))
    pairs, _ = take_pairs(lambda: block(1.0, next(shares)), blocks_of(itertools.repeat(1.0), 1.0), 1.0)
    assert sum(which_count(pairs)) == LEAST_PAIRS
    assert len(pairs) == LEAST_PAIRS + 2


def test_pairs_end_with_their_time_but_never_before_the_least() -> None:
    """A clock on which each block takes a quarter of the time that there is, and halves that never agree."""
    now = itertools.count(step=most_seconds(1.0) / 4)
    profiled = itertools.cycle([1.0, 1.5])
    pairs, _ = take_pairs(blocks_of(itertools.repeat(1.0)), blocks_of(profiled, 1.0), 1.0, lambda: next(now))
    assert len(pairs) == LEAST_PAIRS + 3


def test_a_side_takes_four_times_its_seconds_at_the_most() -> None:
    """As docs/profiling.md says: two sides of two seconds each end after sixteen."""
    assert most_seconds(2.0) == 4 * (2.0 + 2.0)


def test_the_sides_take_turns_to_be_first() -> None:
    order: list[str] = []

    def side(name: str) -> Callable[[], Block]:
        def take() -> Block:
            order.append(name)
            return block(1.0, seen=1.0)

        return take

    take_pairs(side("alone"), side("profiled"), 1.0)
    assert order[:4] == ["alone", "profiled", "profiled", "alone"]


def test_a_machine_that_becomes_slower_leaves_the_sum_as_it_is() -> None:
    """By two percent from block to block: neighbours are compared, and take turns to be the later one."""
    slower = (1.02**number for number in itertools.count())
    pairs, _ = take_pairs(blocks_of(slower), lambda: block(next(slower), seen=1.0), 1.0)
    totals = sorted(each.total for each in pairs)
    assert (totals[0], totals[-1]) == pytest.approx((1 / 1.02, 1.02))
    assert sum(totals) / len(totals) == pytest.approx(1.0, abs=1e-3)


def test_times_are_of_the_pairs_that_count() -> None:
    """Calls of a disturbed block are in no median, and its switches in no mean; the record keeps the pair itself."""
    alone = [block(1.0) for _ in range(LEAST_PAIRS)] + [block(9.0, 0.5)]
    record = told([Pair.of(each, block(1.0, seen=1.0)) for each in alone], alone)
    assert record["calls"] == 2 * LEAST_PAIRS
    assert record["unprofiled_seconds"] == 1.0
    assert record["phase_seconds"] == [1.0, 0.0]
    assert record["context_switches"] == 2.0
    assert [each["counts"] for each in record["pairs"]] == [True] * LEAST_PAIRS + [False]
    assert record["pairs"][-1]["alone_taken"] == 0.5


def test_a_call_takes_what_its_phases_take_together() -> None:
    """Medians of 1, 4 and 2 s forward, 6, 3 and 8 s backward, and of 7, 7 and 10 s in all: 2, 6 and 7."""
    alone = [Block([(1.0, 6.0), (4.0, 3.0), (2.0, 8.0)], 0.0, context_switches=0)]
    record = told([pair(1.0)], alone)
    assert record["phase_seconds"] == [2.0, 6.0]
    assert record["unprofiled_seconds"] == 7.0


class Profiler:
    """Says when it was entered and left."""

    def __init__(self, order: list[str]) -> None:
        self.order = order

    def __enter__(self) -> None:
        self.order.append("enter")

    def __exit__(self, *_: object) -> None:
        self.order.append("exit")


def test_a_block_is_one_call_at_least_within_its_profiler() -> None:
    """And no more calls than it may be, however much time there is."""
    order: list[str] = []

    def call() -> tuple[float, float]:
        order.append("call")
        return 0.25, 0.75

    found = take_block(call, 0.0, Profiler(order))
    assert order == ["enter", "call", "exit"]
    assert found.call_seconds == 1.0
    assert len(take_block(call, 60.0, most_calls=3).calls) == 3


def test_the_time_of_a_block_begins_when_its_profiler_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long that takes, a minute here: the block is of three calls of a second."""
    now = [0.0]
    monkeypatch.setattr("benchmarks.profiling.sampling.blocks.time", SimpleNamespace(perf_counter=lambda: now[0]))

    class Slow(Profiler):
        def __enter__(self) -> None:
            now[0] += 60.0

    def call() -> tuple[float]:
        now[0] += 1.0
        return (1.0,)

    assert len(take_block(call, 3.0, Slow([])).calls) == 3


def test_switches_are_those_that_a_thread_asked_for_and_those_that_it_did_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two and four while the calls ran, of ten and three before."""
    usages = iter([SimpleNamespace(ru_nvcsw=10, ru_nivcsw=3), SimpleNamespace(ru_nvcsw=12, ru_nivcsw=7)])
    monkeypatch.setattr("resource.getrusage", lambda _: next(usages))
    assert take_block(lambda: (1.0,), 0.0).context_switches == 2 + 4


def test_what_is_taken_is_over_the_time_of_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that was ready for a tenth of a second without a core, of two seconds."""
    readings: Iterator[Reading] = iter([Reading({"1": 5.0}, 0.0), Reading({"1": 5.1}, 0.0)])
    monkeypatch.setattr(preemption, "read", lambda: next(readings))
    assert take_block(lambda: (2.0, 0.0), 0.0).taken_share == pytest.approx(0.05)


def test_what_is_taken_is_of_threads_that_lived_all_along_and_of_the_hypervisor() -> None:
    """A profiler's thread that began later waits for its own reasons."""
    before, after = Reading({"1": 1.0, "2": 2.0, "gone": 7.0}, 3.0), Reading({"1": 1.5, "2": 2.25, "new": 9.0}, 4.0)
    assert taken_seconds(before, after) == pytest.approx(0.5 + 0.25 + 1.0)
    assert taken_seconds(Reading(None, 0.0), after) is taken_seconds(before, Reading(None, 0.0)) is None


def test_the_hypervisor_takes_of_the_cores_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the first and the third of three; what the others lose is no loss here."""
    cores = [SimpleNamespace(user=9.0, system=9.0, steal=stolen) for stolen in (1.0, 2.0, 4.0)]
    monkeypatch.setattr("psutil.cpu_times", lambda **_: cores)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 2})
    assert preemption.read().stolen == 5.0


@pytest.mark.parametrize("error", [FileNotFoundError, ProcessLookupError])
def test_a_thread_that_ends_while_threads_are_read_is_passed_over(
    error: type[OSError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its file is opened, or before that is read: what is known of the others stays known."""

    class Ended:
        name = "13"

        def __truediv__(self, _: str) -> Ended:
            return self

        def read_text(self, encoding: str) -> str:
            raise error

        def exists(self) -> bool:
            return False

    (tmp_path / "12").mkdir()
    (tmp_path / "12" / "schedstat").write_text("1000 2500000000 7\n", encoding="ascii")
    monkeypatch.setattr(preemption, "_THREADS", SimpleNamespace(iterdir=lambda: iter([Ended(), tmp_path / "12"])))
    assert preemption.read().ready == {"12": 2.5}


def test_the_system_tells_what_was_taken_of_each_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In nanoseconds, the second number; a system that does not say leaves it unknown."""
    if Path("/proc/self/task", str(os.getpid()), "schedstat").exists():
        ready = preemption.read().ready
        assert ready is not None
        assert str(os.getpid()) in ready
    (tmp_path / "12").mkdir()
    monkeypatch.setattr(preemption, "_THREADS", tmp_path)
    assert preemption.read().ready is None
    (tmp_path / "12" / "schedstat").write_text("1000 2500000000 7\n", encoding="ascii")
    assert preemption.read().ready == {"12": 2.5}


def repeat(pairs: list[Pair], number: int = 0) -> dict[str, Any]:
    """A record of so many pairs."""
    looks = {"kinds": {"products": 10}, "without_core": 0, "computing_threads": 1.0, "functions": []}
    alone = [block(each.alone_seconds, each.alone_taken) for each in pairs]
    return {"case": CASE, "repeat": number, "phases": {"1": looks}, **told(pairs, alone)}


def test_what_was_left_out_is_told_and_what_it_would_be_with_it() -> None:
    """One repeat is within 5 % without its disturbed pairs alone; another's halves differ; of two others all count."""
    disturbed = repeat([pair(1.0)] * 4 + [pair(1.2, alone=0.5)] * 5)
    apart = repeat([pair(0.9), pair(1.1)] * 2, 1)
    noisy = [repeat([pair(total)] + [pair(total, profiled=0.1)] * 3, 2) for total in (1.3, 0.8)]
    said, _, left_out, _, table = how_measured([disturbed, apart, *noisy])
    assert "to within 5.0 % in 2 of 4 repeats" in said
    assert "Others disturbed 11 of 21 pairs" in left_out
    assert "but for 2 repeats in which fewer than 4 others remained" in left_out
    assert "With all pairs of every repeat it would be 1 of 4 within" in left_out
    assert "in 1 of 4 they differ by more all the same" in left_out
    first, second = table.splitlines()[2:4]
    assert "5 of 9" in first
    assert "0 of 4" in second
    assert "20 %" in second


def apart_by(cost: float, accounted: float, **changed: Any) -> Pair:
    """A profiled call that takes so many times as long, and for how much of it the parts stand."""
    return Pair(1.0, cost, cost * accounted, **{"alone_taken": 0.01, "profiled_taken": 0.02, **changed})


def test_least_and_most_of_the_repeats_are_told() -> None:
    """Sums of 88 %, 108 % and 150 %, by hand from what profiling cost and what was accounted for."""
    repeats = [repeat([apart_by(*each)] * LEAST_PAIRS) for each in ((1.2, 0.9), (1.1, 0.8), (1.5, 1.0))]
    said = how_measured(repeats)[0]
    assert "adds up to 88 % to 150 % of the unprofiled time" in said
    assert "stands for 80 % to 100 % of the profiled time" in said
    assert f"makes a call 1.10{TIMES} to 1.50{TIMES} as long, 1.20{TIMES} in the median" in said


def test_a_row_of_how_it_was_measured_is_of_the_pairs_that_count() -> None:
    """And of both phases: of 40 looks 10 say nothing, most threads compute in the forward pass."""
    pairs = [apart_by(1.2, 0.9)] * 3 + [apart_by(1.3, 0.9), apart_by(7.0, 0.1, alone_taken=0.5)]
    phases = {
        "1": {"kinds": {"products": 20, "waiting": 4}, "without_core": 8, "computing_threads": 1.5},
        "2": {"kinds": {"products": 6}, "without_core": 2, "computing_threads": 0.5},
    }
    header, _, row = how_measured([repeat(pairs) | {"phases": phases}])[-1].splitlines()
    shown = dict(zip(*([cell.strip() for cell in line.split("|")] for line in (header, row)), strict=True))
    assert shown["profiled / unprofiled"] == f"1.20{TIMES} (1.20 to 1.30)"
    assert (shown["accounted for"], shown["unscaled sum"]) == ("90 %", "108 %")
    assert (shown["pairs disturbed"], shown["kept from a core"]) == ("1 of 5", "1.0 %")
    assert (shown["no core"], shown["threads computing"]) == ("25 %", "1.50")
