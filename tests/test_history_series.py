"""`history`: from processes to the series of a case, and to the causes of environment changes."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping, Sequence

import pytest

from benchmarks.history.causes import changed, environment_changes
from benchmarks.history.record import CaseTimes, Measurement
from benchmarks.history.series import CaseSeries, series_of
from benchmarks.history.steps import find_steps
from tests.synthetic_history import process


def in_groups(
    levels: Sequence[float],
    effects: Sequence[float],
    *,
    after: Mapping[str, object] | None = None,
    late: int = 99,
    noise: float = 0.002,
) -> list[Measurement]:
    """Groups of the first revision and another in turn, by session effects; `after` are fields from group `late` on."""
    draw = random.Random(0)
    found = []
    for number, effect in enumerate(effects):
        for revision in (0, 1 + number % (len(levels) - 1)):
            seconds = math.exp(levels[revision] + effect + draw.gauss(0.0, noise))
            fields = {"group": f"{number}", "measured_at": f"2026-01-01T{number:02}:00:00+00:00"}
            found.append(process(revision, seconds, **fields, **(after or {} if number >= late else {})))
    return found


def series(measured: Sequence[Measurement]) -> CaseSeries:
    """The series of the one case."""
    (one,) = series_of(measured, sorted({each.revision for each in measured}))
    return one


def test_times_are_corrected_for_session_effects() -> None:
    """The machine was a fifth slower in every other group, and for good from the middle on."""
    effects = [0.2 * (number % 2) + (0.5 if number >= 10 else 0.0) for number in range(20)]
    found = series(in_groups([0.0, 0.1, 0.2, 0.3], effects, noise=5e-4))
    levels = [statistics.median(seconds) for seconds in found.processes]
    assert [level / levels[0] for level in levels] == pytest.approx([1, *map(math.exp, (0.1, 0.2, 0.3))], rel=0.003)
    # Levels are those of the median session effect.
    assert levels[0] == pytest.approx(math.exp(0.35), rel=0.003)
    assert all(max(seconds) / min(seconds) < 1.02 for seconds in found.processes)
    moved = [math.log(session.seconds / found.sessions[0].seconds) for session in found.sessions]
    assert moved == pytest.approx(effects, abs=0.01)
    assert [session.seconds for session in found.sessions] == pytest.approx(list(map(math.exp, effects)), rel=0.01)


def test_a_corrected_time_has_the_noise_of_the_processes_that_correct_it() -> None:
    """Each of two interleaved processes has the noise of both."""
    found = series(in_groups([0.0, 0.0], [0.0] * 200, noise=0.01))
    spread = statistics.stdev(map(math.log, found.revisions[1].seconds))
    assert spread == pytest.approx(0.01 * math.sqrt(2), rel=0.15)


def test_interleaved_processes_count_before_those_that_were_alone() -> None:
    """An anchor that was first measured alone loses that time; a revision without other processes keeps it."""
    lone = process(0, 7.0, group="alone", measured_at="2025-12-31T00:00:00+00:00")
    found = series([lone, *in_groups([0.0, 0.1], [0.0, 0.0])])
    assert all(each.interleaved for each in found.revisions)
    assert len(found.revisions[0].seconds) == 2
    (only,) = series([lone]).revisions
    assert (only.seconds, only.interleaved) == ((7.0,), False)


def cause_of(after: Mapping[str, object] | None = None, *, size: float = 0.2) -> tuple[str, str]:
    """Kind and evidence of the one step, where session effects grew by `size` from the seventh of twelve on."""
    found = series(in_groups([0.0, 0.0, 0.0], [0.0] * 6 + [size] * 6, after=after, late=6))
    assert not find_steps(found.processes)
    (one,) = environment_changes(found, 1)
    assert one.step.low < math.exp(size) < one.step.high
    return one.cause.kind, one.cause.why


@pytest.mark.parametrize(
    ("after", "kind", "said"),
    [
        ({"packages": {"torch": "2.13"}}, "packages", "torch 2.12 → 2.13"),
        ({"system": {"kernel": "6.2"}}, "system", "kernel 6.1 → 6.2"),
        ({"suite_digest": "two"}, "suite", "the suite's own files"),
        ({"suite_digest": "two", "packages": {"torch": "2.13"}}, "several", "torch 2.12 → 2.13, the suite's own files"),
        ({"controls": {"fixed Python loop": 1.2}}, "machine", "the fixed Python loop, which uses none of this code"),
        ({"controls": {"fixed Python loop": 1.2}, "packages": {"torch": "2.13"}}, "machine", "+20.0%"),
        ({"controls": {"fixed Python loop": 1.01}, "packages": {"torch": "2.13"}}, "packages", "torch"),
        ({"controls": {"fixed Python loop": 1.085}, "packages": {"torch": "2.13"}}, "packages", "torch"),
        ({"controls": {"fixed Python loop": 0.8}, "packages": {"torch": "2.13"}}, "packages", "torch"),
    ],
)
def test_a_step_of_the_same_revisions_is_not_the_codes(after: Mapping[str, object], kind: str, said: str) -> None:
    """It is the machine's where a control has it, too, else that of a recorded difference."""
    known = {"controls": {"fixed Python loop": 1.0}, **after} if "controls" in after else after
    found, why = cause_of(known)
    assert found == kind
    assert said in why


def test_a_step_that_no_difference_explains_is_the_machines() -> None:
    """The evidence says so."""
    assert cause_of() == ("machine", "the same revisions changed, and no recorded difference explains it")


def test_only_cases_with_the_pattern_in_their_name_have_a_series() -> None:
    """The pattern may be anywhere in the name, and respects upper and lower case; without one all cases count."""
    times = CaseTimes(1.0, 1.0, 1.0, 9)
    measured = [process(0, 1.0, cases={"speed::a[x-1]": times, "speed::b[x-2]": times})]
    order = [measured[0].revision]
    assert [one.case for one in series_of(measured, order)] == ["speed::a[x-1]", "speed::b[x-2]"]
    assert [one.case for one in series_of(measured, order, "b*2")] == ["speed::b[x-2]"]
    assert series_of(measured, order, "B") == []
    assert series_of(measured, []) == []


def test_a_difference_names_what_only_one_side_has() -> None:
    """They are in the order of their names, and what is alike is left out."""
    assert changed({"b": "1", "c": "3", "d": "4"}, {"a": "2", "c": "3", "d": "5"}) == [
        "a none \N{RIGHTWARDS ARROW} 2",
        "b 1 \N{RIGHTWARDS ARROW} none",
        "d 4 \N{RIGHTWARDS ARROW} 5",
    ]


def test_a_control_explains_a_change_between_few_sessions() -> None:
    """Its noise is that about the levels before and after, as for the case."""
    after = {"controls": {"fixed Python loop": 1.2}}
    (one,) = environment_changes(series(in_groups([0.0, 0.0, 0.0], [0.0, 0.0, 0.2, 0.2], after=after, late=2)), 1)
    assert (one.cause.kind, one.cause.why.partition(",")[0]) == ("machine", "the fixed Python loop")


def test_a_change_of_the_environment_has_to_be_certain_among_all_cases() -> None:
    """The same step is certain in one case, and not as the largest of a million."""
    found = series(in_groups([0.0, 0.0, 0.0], [0.0] * 6 + [0.03] * 6, noise=0.004))
    assert [len(environment_changes(found, cases)) for cases in (1, 10**6)] == [1, 0]


def test_a_series_of_short_calls_names_its_revisions_and_sessions() -> None:
    """Calls of a tenth of a millisecond have the levels that they were measured with; sessions are in their order."""
    levels = [math.log(1e-4), math.log(2e-4)]
    found = series(in_groups(levels, [0.0] * 6)[::-1])
    assert [each.revision for each in found.revisions] == [f"{number:040x}" for number in range(2)]
    assert [statistics.median(each.seconds) for each in found.revisions] == pytest.approx([1e-4, 2e-4], rel=0.01)
    assert [each.measured_at for each in found.sessions] == [
        f"2026-01-01T{number:02}:00:00+00:00" for number in range(6)
    ]
