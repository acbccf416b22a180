"""Blocks of calls with and without a profiler, and their pairs: which are kept, and when they are enough."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace

import pytest

from benchmarks.profiling.sampling import preemption
from benchmarks.profiling.sampling.blocks import most_seconds, pairs_record, take_block, take_pairs
from benchmarks.profiling.sampling.pairs import (
    LEAST_PAIRS,
    MOST_PAIRS,
    BlockPair,
    CallBlock,
    halves_differ,
    kept,
    not_preempted,
    which_kept,
)
from benchmarks.profiling.sampling.preemption import RunDelays


def block(call: float, preempted: float | None = 0.0, accounted: float = 0.0) -> CallBlock:
    """Two calls of `call` seconds; the parts of a profile stand for a share `accounted` of their time."""
    return CallBlock([(call, 0.0), (call, 0.0)], preempted, context_switches=4, attributed_seconds=accounted * 2 * call)


def pair(unscaled_sum: float, unprofiled: float | None = 0.0, profiled: float | None = 0.0) -> BlockPair:
    """A pair with this unscaled sum, and the preempted shares of its blocks."""
    return BlockPair.of(block(1.0, unprofiled), block(unscaled_sum, profiled, 1.0))


def blocks_of(calls: Iterable[float], accounted: float = 0.0) -> Callable[[], CallBlock]:
    """A function that gives one block after another, by the seconds of their calls."""
    following = iter(calls)
    return lambda: block(next(following), accounted=accounted)


def test_an_unscaled_sum_is_the_slowdown_times_the_accounted_share() -> None:
    """Profiled calls take a fifth longer, and the parts stand for nine tenths of them; there are fewer of them."""
    found = BlockPair.of(CallBlock([(2.0, 0.0)] * 3, 0.0, context_switches=0), block(2.4, accounted=0.9))
    assert (found.slowdown, found.accounted_share, found.unscaled_sum) == pytest.approx((1.2, 0.9, 1.08))


def test_one_slow_call_counts_in_the_time_of_a_block() -> None:
    """The mean of three calls of two passes: in a median the cost of a sample in one call of many would be lost."""
    assert CallBlock([(1.0, 0.0), (0.5, 0.5), (3.0, 1.0)], 0.0, context_switches=0).mean_call_seconds == 2.0


@pytest.mark.parametrize("side", ["unprofiled", "profiled"])
def test_a_pair_with_a_preempted_block_is_left_out(side: str) -> None:
    """Both of its blocks are left out, whichever was preempted."""
    pairs = [pair(1.01), pair(0.5, **{side: 0.4}), pair(1.01), pair(1.02), pair(1.02)]
    assert which_kept(pairs) == [True, False, True, True, True]
    assert [each.unscaled_sum for each in kept(pairs)] == pytest.approx([1.01, 1.01, 1.02, 1.02])


def test_a_pair_is_not_left_out_for_its_times() -> None:
    """Only preempted time decides, however far a sum is from the unprofiled time."""
    pairs = [pair(1.0), pair(9.0), pair(1.0), pair(1.0), pair(1.0)]
    assert all(which_kept(pairs))


def test_threads_that_preempt_each_other_in_every_block_leave_no_pair_out() -> None:
    """Preempted time counts beyond the least of its side; the sampler preempts on the profiled side alone."""
    assert all(not_preempted([pair(1.0, unprofiled=0.2, profiled=0.26) for _ in range(LEAST_PAIRS)]))


def test_a_little_preempted_time_of_both_blocks_leaves_no_pair_out() -> None:
    """Two percent of each block: the shares of the two sides are not added."""
    assert not_preempted([pair(1.0), pair(1.0, unprofiled=0.02, profiled=0.02)]) == [True, True]


@pytest.mark.parametrize("share", [None, 0.3])
def test_all_pairs_are_kept_where_too_few_were_not_preempted_or_it_is_not_known(share: float | None) -> None:
    """Three other pairs are fewer than the least number of pairs."""
    calm = [pair(1.0, None if share is None else 0.0) for _ in range(LEAST_PAIRS - 1)]
    assert all(which_kept([*calm, *[pair(1.0, share) for _ in range(5)]]))


def test_halves_are_every_second_kept_pair() -> None:
    """Sums of 1.0 and 1.1, with a median of 1.05; a preempted pair is in neither half."""
    pairs = [pair(1.0), pair(1.1), pair(5.0, unprofiled=0.5), pair(1.0), pair(1.1)]
    assert halves_differ(pairs) == pytest.approx(0.1 / 1.05)


def test_pairs_are_few_where_their_halves_agree() -> None:
    pairs, unprofiled = take_pairs(blocks_of(itertools.repeat(1.0)), blocks_of(itertools.repeat(1.02), 1.0), 1.0)
    assert len(pairs) == len(unprofiled) == LEAST_PAIRS


def test_more_pairs_are_measured_until_the_halves_agree() -> None:
    """Two of the first four pairs are slow, both in one half."""
    profiled = itertools.chain([1.0, 1.5, 1.0, 1.5], itertools.repeat(1.0))
    pairs, _ = take_pairs(blocks_of(itertools.repeat(1.0)), blocks_of(profiled, 1.0), 1.0)
    assert LEAST_PAIRS < len(pairs) < MOST_PAIRS
    assert halves_differ(pairs) == 0.0


def test_halves_that_never_agree_end_at_the_most_pairs() -> None:
    """Every second profiled block takes half as long again."""
    profiled = itertools.cycle([1.0, 1.5])
    pairs, _ = take_pairs(blocks_of(itertools.repeat(1.0)), blocks_of(profiled, 1.0), 1.0)
    assert len(pairs) == MOST_PAIRS


def test_preempted_pairs_are_replaced_by_further_ones() -> None:
    """Pairs are taken until the least number of them was not preempted."""
    shares = itertools.chain([0.0, 0.5, 0.5], itertools.repeat(0.0))
    pairs, _ = take_pairs(lambda: block(1.0, next(shares)), blocks_of(itertools.repeat(1.0), 1.0), 1.0)
    assert sum(which_kept(pairs)) == LEAST_PAIRS
    assert len(pairs) == LEAST_PAIRS + 2


def test_pairs_end_with_their_time_but_never_before_the_least() -> None:
    """Each reading of the clock is a quarter of the time later, and the halves never agree."""
    now = itertools.count(step=most_seconds(1.0) / 4)
    profiled = itertools.cycle([1.0, 1.5])
    pairs, _ = take_pairs(blocks_of(itertools.repeat(1.0)), blocks_of(profiled, 1.0), 1.0, lambda: next(now))
    assert len(pairs) == LEAST_PAIRS + 3


def test_a_side_takes_at_most_four_times_its_seconds() -> None:
    """As docs/profiling.md says: two sides of two seconds each end after sixteen."""
    assert most_seconds(2.0) == 4 * (2.0 + 2.0)


def test_the_sides_take_turns_to_be_first() -> None:
    order: list[str] = []

    def side(name: str) -> Callable[[], CallBlock]:
        def take() -> CallBlock:
            order.append(name)
            return block(1.0, accounted=1.0)

        return take

    take_pairs(side("unprofiled"), side("profiled"), 1.0)
    assert order[:4] == ["unprofiled", "profiled", "profiled", "unprofiled"]


def test_a_machine_that_becomes_slower_leaves_the_mean_sum_as_it_is() -> None:
    """Each block is two percent slower than the previous one: neighbours are compared, and take turns to be later."""
    slower = (1.02**number for number in itertools.count())
    pairs, _ = take_pairs(blocks_of(slower), lambda: block(next(slower), accounted=1.0), 1.0)
    sums = sorted(each.unscaled_sum for each in pairs)
    assert (sums[0], sums[-1]) == pytest.approx((1 / 1.02, 1.02))
    assert sum(sums) / len(sums) == pytest.approx(1.0, abs=1e-3)


def test_times_of_a_record_are_those_of_the_kept_pairs() -> None:
    """Calls of a preempted block are in no median and its switches in no mean; its pair is in the record."""
    unprofiled = [block(1.0) for _ in range(LEAST_PAIRS)] + [block(9.0, 0.5)]
    record = pairs_record([BlockPair.of(each, block(1.0, accounted=1.0)) for each in unprofiled], unprofiled)
    assert record["calls"] == 2 * LEAST_PAIRS
    assert record["unprofiled_seconds"] == 1.0
    assert record["pass_seconds"] == [1.0, 0.0]
    assert record["context_switches"] == 2.0
    assert [each["kept"] for each in record["pairs"]] == [True] * LEAST_PAIRS + [False]
    assert record["pairs"][-1]["unprofiled_preempted"] == 0.5


def test_a_call_takes_the_sum_of_its_passes() -> None:
    """Medians of 1, 4 and 2 s forward, of 6, 3 and 8 s backward, and of their sums 7, 7 and 10 s."""
    unprofiled = [CallBlock([(1.0, 6.0), (4.0, 3.0), (2.0, 8.0)], 0.0, context_switches=0)]
    record = pairs_record([pair(1.0)], unprofiled)
    assert record["pass_seconds"] == [2.0, 6.0]
    assert record["unprofiled_seconds"] == 7.0


class Profiler:
    """Notes when it is entered and left."""

    def __init__(self, order: list[str]) -> None:
        self.order = order

    def __enter__(self) -> None:
        self.order.append("enter")

    def __exit__(self, *_: object) -> None:
        self.order.append("exit")


def test_a_block_is_at_least_one_call_within_its_profiler() -> None:
    """It is at most the given number of calls, however much time there is."""
    order: list[str] = []

    def call() -> tuple[float, float]:
        order.append("call")
        return 0.25, 0.75

    found = take_block(call, 0.0, Profiler(order))
    assert order == ["enter", "call", "exit"]
    assert found.mean_call_seconds == 1.0
    assert len(take_block(call, 60.0, most_calls=3).calls) == 3


def test_the_time_of_a_block_begins_when_its_profiler_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """The profiler takes a minute to begin; the block then has three calls of a second."""
    now = [0.0]
    monkeypatch.setattr("benchmarks.profiling.sampling.blocks.time", SimpleNamespace(perf_counter=lambda: now[0]))

    class Slow(Profiler):
        def __enter__(self) -> None:
            now[0] += 60.0

    def call() -> tuple[float]:
        now[0] += 1.0
        return (1.0,)

    assert len(take_block(call, 3.0, Slow([])).calls) == 3


def test_context_switches_are_voluntary_and_involuntary_ones_during_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two and four, after ten and three before the calls."""
    usages = iter([SimpleNamespace(ru_nvcsw=10, ru_nivcsw=3), SimpleNamespace(ru_nvcsw=12, ru_nivcsw=7)])
    monkeypatch.setattr("resource.getrusage", lambda _: next(usages))
    assert take_block(lambda: (1.0,), 0.0).context_switches == 2 + 4


def test_the_preempted_share_is_over_the_time_of_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread was runnable without a core for a tenth of a second, of two seconds."""
    readings: Iterator[RunDelays] = iter([RunDelays({"1": 5.0}, 0.0), RunDelays({"1": 5.1}, 0.0)])
    monkeypatch.setattr(preemption, "read_run_delays", lambda: next(readings))
    assert take_block(lambda: (2.0, 0.0), 0.0).preempted_share == pytest.approx(0.05)
