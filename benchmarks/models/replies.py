"""What the process that holds a user's model may answer to each request."""

from __future__ import annotations

from typing import Any

from benchmarks import program
from benchmarks.measuring.processes.replies import (
    KIB,
    Form,
    Service,
    is_count,
    is_seconds,
    is_short_text,
    list_of,
    maybe,
)
from benchmarks.models.layers import Layer, LeftOut

MOST_LAYERS = 1000
"""Recurrent layers of a model, and their calls in one call of it."""


def _is_layer(value: Any) -> bool:
    try:
        Layer.from_json(value)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return all(is_short_text(value[name]) for name in ("name", "device", "assumed"))


def _is_left_out(value: Any) -> bool:
    return (
        isinstance(value, dict) and {*value} == {*LeftOut.__annotations__} and all(map(is_short_text, value.values()))
    )


def _is_call(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and is_short_text(value[0])
        and all(is_count(size) and size > 0 for size in value[1:])
    )


MODEL = Service(
    f"{program.PACKAGE}.models.worker",
    {
        "start": Form({"ready": lambda value: value is True}, KIB),
        "find": Form(
            {
                "layers": list_of(_is_layer, most=MOST_LAYERS),
                "left_out": list_of(_is_left_out, most=MOST_LAYERS),
                "within": list_of(is_short_text),
                "runs": lambda value: isinstance(value, bool),
            },
            4 * KIB**2,
        ),
        "run": Form(
            {
                "calls": list_of(_is_call, most=MOST_LAYERS),
                "packed": lambda value: isinstance(value, bool),
                "problem": maybe(is_short_text),
            },
            KIB**2,
        ),
        "time": Form({"whole": list_of(is_seconds, least=1), "layers": list_of(is_seconds, least=1)}, KIB**2),
    },
)
