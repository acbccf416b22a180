"""A trial from a line of `trials.jsonl`, checked field by field: a stranger's file may hold anything."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.trial import QUANTITIES, Trial

_LARGEST = 2**53
"""Sizes and counts that a float does not hold exactly are no measurement and would break the arithmetic."""

_LONGEST_NAME = 1000
"""Letters of an implementation's name, which every row of a table has."""


def parse_trial(record: Any) -> Trial:
    """The trial of a line's JSON. Raises as `read_lines` lists it for anything that is no trial."""
    trial = Trial.from_json(record)
    _check_trial(trial)
    return trial


_TEXTS = ("source", "started_at", "finished_at")
_NUMBERS = tuple(name for name, each in QUANTITIES.items() if each.kind in ("number", "count"))
_MAPPINGS = tuple(name for name, each in QUANTITIES.items() if each.kind == "mapping")


def _check_trial(trial: Trial) -> None:
    """Raise ValueError where a field is not what `Trial` declares: a stranger's file may hold anything."""
    workload = trial.case.workload
    texts = {name: getattr(trial, name) for name in _TEXTS} | {"implementation": trial.case.implementation}
    texts |= {name: text for name in ("reason", "lost") if (text := getattr(trial, name)) is not None}
    numbers = {name: getattr(trial, name) for name in _NUMBERS if getattr(trial, name) is not None}
    numbers |= {name: getattr(workload, name) for name in ("T", "B", "I", "H", "L", "threads", "processes")}
    _expect(all(isinstance(value, str) for value in texts.values()), f"{', '.join(texts)}: expected texts")
    _expect(all(is_number(value) for value in numbers.values()), f"{', '.join(numbers)}: expected numbers from 0")
    _expect(
        all(isinstance(getattr(trial, name), dict) for name in _MAPPINGS), f"{', '.join(_MAPPINGS)}: expected mappings"
    )
    name = trial.case.implementation
    _expect(0 < len(name) <= _LONGEST_NAME, f"implementation: expected a name of at most {_LONGEST_NAME} letters")
    _expect(isinstance(trial.round, int) and 0 <= trial.round < _LARGEST, "round: expected a whole number from 0")
    _expect(isinstance(trial.calls_per_sample, int) and trial.calls_per_sample >= 1, "calls_per_sample: expected 1 up")
    _expect(_are_numbers(trial.seconds), "seconds: expected numbers from 0")
    _expect(_are_numbers(trial.backward_seconds), "backward_seconds: expected numbers from 0")
    _expect(0.0 not in trial.seconds, "seconds: no call takes no time")
    whole = all(isinstance(size, int) and size >= 1 for size in trial.blocks)
    _expect(whole and sum(trial.blocks) == len(trial.seconds), "blocks: expected to add up to the samples")
    _expect(len(trial.backward_seconds) in (0, len(trial.seconds)), "backward_seconds: expected one for each sample")
    _expect(_are_numbers(trial.repeated_seconds), "repeated_seconds: expected numbers from 0")
    _expect(len(trial.repeated_seconds) in (0, len(trial.seconds)), "repeated_seconds: expected one for each sample")
    _expect(len(trial.latencies) in (0, len(trial.blocks)), "latencies: expected one for each block")
    _expect(all(isinstance(text, str) for text in trial.latencies), "latencies: expected texts")
    if trial.latencies:
        # Only now: runs without them are read without its imports.
        from benchmarks.latencies import Latencies

        Latencies.decode(trial.latencies)


def is_number(value: Any) -> bool:
    """Whether it is a number from 0, below what a float holds exactly."""
    return type(value) in (int, float) and 0 <= value < _LARGEST


def _are_numbers(values: tuple[Any, ...]) -> bool:
    """Whether all are finite numbers from 0, checked at once; the sum finds a NaN."""
    if not {*map(type, values)} <= {int, float}:
        return False
    return not values or (min(values) >= 0 and max(values) < _LARGEST and not math.isnan(sum(values)))


def _expect(holds: bool, expectation: str) -> None:
    if not holds:
        raise ValueError(expectation)
