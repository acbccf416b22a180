"""Doubts in words: a sentence each, the one that matters most first."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.reporting.answers.doubts import Doubts, OwnProcesses, TooFast
from benchmarks.reporting.words.answer_words import plain
from benchmarks.reporting.words.cautions import cautions

NONE = Doubts(8, 0, 0, 0, (), None, {}, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"held_back": ("OPENBLAS_CORETYPE=Haswell",)}, "OPENBLAS_CORETYPE=Haswell was set: a library that heeds it"),
        ({"without_interval": 2}, "2 of 8 cases have too few blocks for an interval: give a larger --budget"),
        ({"unfinished": 5}, "The sweep ended before all of its workloads were measured; 5 were: go on with --resume."),
        ({"disturbed": 2}, "Other programs took 10 % or more of the cores in 2 of 8 cases"),
        ({"noisy": 3}, "3 of 8 cases are noisy (interval wider than asked for): go on with --resume."),
        (
            {"too_fast": TooFast(1, "mine", "T1", 1.5)},
            "1 case took less time than the hardware limit allows, most of all mine on T1 with 150 % of it",
        ),
        ({"processes": {"mine": OwnProcesses(3, 0.0)}}, "mine has up to 3 processes of its own at a time"),
        ({"processes": {"mine": OwnProcesses(0, 0.1)}}, "mine used up to 0.1 s of the cores while others"),
        ({"lost": 1}, "Visits to 1 case were cut short from outside"),
    ],
)
def test_each_doubt_is_a_sentence(change: dict[str, object], words: str) -> None:
    (said,) = cautions(dataclasses.replace(NONE, **change), plain)  # type: ignore[arg-type]  # fields by name
    assert said.startswith(words)


def test_without_doubts_there_is_no_caution() -> None:
    assert cautions(NONE, plain) == []
