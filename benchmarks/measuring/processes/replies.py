"""The form of a worker's answer to each request: its fields, their types, and its largest size.

An implementation can change its process, and so its answers. They are checked here once, on arrival, and the rest of a
sweep relies on them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks.measuring.measure import SAMPLES_PER_BLOCK
from benchmarks.measuring.modes.many_lengths import LENGTHS
from benchmarks.measuring.modes.stream import MOST_CALLS
from benchmarks.quantity import QuantityKind, WorkerRequest
from benchmarks.trial import QUANTITIES, Status

REFUSALS: tuple[Status, ...] = ("unavailable", "unsupported", "wrong", "out_of_memory", "failed")
"""The statuses that a worker may report; the others are the sweep's."""
LONGEST_REASON = 10_000
LARGEST = 2**53
"""The least number from which a float no longer holds every whole number; no measurement is as large."""
KIB = 1024

ValueCheck = Callable[[Any], bool]


@dataclasses.dataclass(frozen=True)
class Form:
    """The fields of an answer, each with a check of its value, and the answer's largest size in bytes."""

    fields: Mapping[str, ValueCheck]
    most_bytes: int
    optional: Mapping[str, ValueCheck] = dataclasses.field(default_factory=dict)
    is_open: bool = False
    """Whether other fields are allowed too."""


def is_text(value: Any) -> bool:
    """Whether it is a text that UTF-8 can encode: half of a surrogate pair cannot be stored or shown."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def is_seconds(value: Any) -> bool:
    """Whether it is a finite number from 0."""
    return _is_number(value) and 0 <= value < LARGEST


def is_count(value: Any) -> bool:
    """Whether it is a whole number from 0."""
    return type(value) is int and 0 <= value < LARGEST


def is_errors(value: Any) -> bool:
    """Whether it maps the names of errors to numbers, infinite ones and NaN included, or to None."""
    return isinstance(value, dict) and all(
        name in ("error_output", "error_gradient") and (error is None or _is_number(error))
        for name, error in value.items()
    )


def is_short_text(value: Any) -> bool:
    """Whether it is a text of at most `LONGEST_REASON` characters."""
    return is_text(value) and len(value) <= LONGEST_REASON


def maybe(check: ValueCheck) -> ValueCheck:
    """A check that accepts None too."""
    return lambda value: value is None or check(value)


def list_of(check: ValueCheck, *, least: int = 0, most: int | None = None) -> ValueCheck:
    """A check for a list of values that pass `check`, of a length between two bounds."""
    return lambda value: (
        isinstance(value, list)
        and least <= len(value)
        and (most is None or len(value) <= most)
        and all(map(check, value))
    )


def mapping_of(check: ValueCheck) -> ValueCheck:
    """A check for a mapping from texts to values that pass `check`."""
    return lambda value: isinstance(value, dict) and all(map(is_text, value)) and all(map(check, value.values()))


def is_plain(value: Any) -> bool:
    """Whether it is a text, a number, a truth value or None."""
    return value is None or isinstance(value, bool) or _is_number(value) or is_text(value)


def _is_number(value: Any) -> bool:
    # A larger whole number does not fit a float.
    return (type(value) is float) or (type(value) is int and abs(value) < LARGEST)


def _is_sample(value: Any) -> bool:
    return is_seconds(value) and value > 0


_CHECKS: Mapping[QuantityKind, ValueCheck] = {"number": is_seconds, "count": is_count, "mapping": mapping_of(is_plain)}


def _quantities(answer: WorkerRequest, *, is_cuda_only: bool = False) -> dict[str, ValueCheck]:
    """The fields of an answer that are quantities of a trial, each with its check."""
    return {
        name: _CHECKS[each.kind]
        for name, each in QUANTITIES.items()
        if each.answer == answer and each.is_cuda_only == is_cuda_only
    }


def _maybe_each(fields: Mapping[str, ValueCheck]) -> dict[str, ValueCheck]:
    return {name: maybe(check) for name, check in fields.items()}


REPLIES: Mapping[str, Form] = {
    "start": Form({"ready": lambda value: value is True}, KIB),
    "prepare": Form(_quantities("prepare"), 64 * KIB),
    "warm_up": Form(_quantities("warm_up") | {"calls_per_sample": lambda value: is_count(value) and value >= 1}, KIB),
    # A number is at most 25 characters long.
    "block": Form(
        {
            "seconds": list_of(_is_sample, least=1, most=SAMPLES_PER_BLOCK),
            "backward_seconds": list_of(is_seconds, least=1, most=SAMPLES_PER_BLOCK),
            **dict.fromkeys(("began", "ended", "untimed"), is_seconds),
            "calls": lambda value: is_count(value) and value >= 1,
        },
        4 * KIB + 2 * 32 * SAMPLES_PER_BLOCK,
    ),
    # Arrays go through a file.
    "results": Form(fields={}, most_bytes=KIB),
    "stream": Form(
        {
            **dict.fromkeys(("began", "started", "ended", "untimed"), is_seconds),
            "calls": lambda value: is_count(value) and 1 <= value <= MOST_CALLS,
            "position": is_count,
        },
        KIB,
    ),
    "streamed": Form({}, KIB),
    "lengths": Form(
        {
            **dict.fromkeys(("seconds", "repeated_seconds"), list_of(_is_sample, least=1, most=LENGTHS)),
            **dict.fromkeys(("held_bytes", "grown_bytes"), is_count),
            **dict.fromkeys(("began", "ended", "untimed"), is_seconds),
        },
        4 * KIB + 2 * 32 * LENGTHS,
    ),
    "of_length": Form({}, KIB),
    "finish": Form(
        # Every trial has a mapping, which may be empty.
        _maybe_each(_quantities("finish")) | {"float_modes": _CHECKS["mapping"]},
        4 * KIB,
        optional=_maybe_each(_quantities("finish", is_cuda_only=True)),
    ),
    # A sweep has at most thousands of workloads, with some peaks for each.
    "peaks": Form({"peaks": list_of(lambda value: isinstance(value, dict)), "problems": list_of(is_text)}, 16 * KIB**2),
}
"""The form of the answer to each request; `start` is the worker's first message, once its framework is imported."""


class Service(NamedTuple):
    """The module that a worker process runs, and the forms of its answers."""

    module: str
    """Run as `python -m MODULE`: its `main` serves the requests."""
    replies: Mapping[str, Form]


MEASURING = Service("benchmarks.measuring.processes.worker", REPLIES)

REFUSAL = Form(
    {"status": lambda value: value in REFUSALS, "reason": is_short_text},
    64 * KIB,
    optional={"errors": is_errors},
)
"""The answer, to any request, of a worker that cannot continue with its case."""


def most_bytes(request: str, replies: Mapping[str, Form] = REPLIES) -> int:
    """The largest size of an answer to a request, a refusal included."""
    return max(replies[request].most_bytes, REFUSAL.most_bytes)


def problem(request: str, reply: Any, replies: Mapping[str, Form] = REPLIES) -> str | None:
    """Why an answer does not have the form of its request, in a clause; None where it does."""
    if not isinstance(reply, dict):
        return f"its answer to {request} is a {type(reply).__name__}; expected a mapping"
    form = REFUSAL if "status" in reply else replies[request]
    for name, check in form.fields.items():
        if name not in reply:
            return f"its answer to {request} has no {name}"
        if not check(reply[name]):
            return _unexpected(request, name, reply[name])
    for name in reply.keys() - form.fields.keys():
        if name in form.optional:
            if not form.optional[name](reply[name]):
                return _unexpected(request, name, reply[name])
        elif not form.is_open:
            return f"its answer to {request} has the field {str(name)[:40]!r}, which is not asked for"
    if "backward_seconds" in form.fields and len(reply["seconds"]) != len(reply["backward_seconds"]):
        return f"its answer to {request} has {len(reply['seconds'])} samples and {len(reply['backward_seconds'])} parts"
    return None


def _unexpected(request: str, name: str, value: Any) -> str:
    shown = repr(value)
    return f"its answer to {request} has {name} {shown[:60]}{'…' if len(shown) > 60 else ''}, which cannot be"
