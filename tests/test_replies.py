"""Which answers of a worker are taken: those that have the declared fields, with values that can be."""

from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.measuring.processes.replies import REPLIES, most_bytes, problem
from benchmarks.profiling.replies import PROFILING

PREPARED: dict[str, Any] = {
    "setup_seconds": 0.1,
    "first_call_seconds": 0.2,
    "describe": {"library": "numpy", "threads": 2},
}
WARMED_UP: dict[str, Any] = {"warmup_seconds": 0.3, "calls_per_sample": 3}
BLOCK: dict[str, Any] = {
    "seconds": [1.0, 2.0],
    "backward_seconds": [0.0, 0.0],
    "began": 5.0,
    "ended": 8.5,
    "untimed": 0.1,
    "calls": 6,
}
STREAMED: dict[str, Any] = {
    **dict.fromkeys(("began", "started", "ended", "untimed"), 1.0),
    "calls": 3,
    "position": 0,
}
LENGTHS: dict[str, Any] = {
    **dict.fromkeys(("began", "ended", "untimed"), 1.0),
    "seconds": [0.5, 1.0],
    "repeated_seconds": [0.5, 1.0],
    **dict.fromkeys(("held_bytes", "grown_bytes"), 0),
}
REFUSED: dict[str, Any] = {"status": "failed", "reason": "RuntimeError: no", "errors": {"error_output": math.inf}}


@pytest.mark.parametrize(
    ("request_name", "reply"),
    [
        ("start", {"ready": True}),
        ("prepare", PREPARED),
        ("warm_up", WARMED_UP),
        ("block", BLOCK),
        ("results", {}),
        ("stream", STREAMED),
        ("lengths", LENGTHS),
        ("finish", {"float_modes": {}, "peak_bytes": None}),
        (
            "finish",
            {
                "float_modes": {},
                "peak_bytes": 5,
                "kernel_seconds": None,
                "kernel_launches": 3,
                "device_span_seconds": 0.1,
            },
        ),
        ("peaks", {"peaks": [{"rate": 1}], "problems": ["no compiler"]}),
        *((request, REFUSED) for request in ("start", "prepare", "block", "finish", "peaks")),
    ],
)
def test_what_a_worker_answers_is_accepted(request_name: str, reply: dict[str, Any]) -> None:
    """An answer to each request, and a refusal in its place, are accepted."""
    assert problem(request_name, reply) is None


@pytest.mark.parametrize(
    ("request_name", "reply", "said"),
    [
        ("finish", {"float_modes": None, "peak_bytes": None}, "float_modes None"),
        ("stream", STREAMED | {"calls": 0}, "calls 0"),
        ("stream", STREAMED | {"calls": 10**9}, "calls 1000000000"),
        ("stream", STREAMED | {"started": math.nan}, "started nan"),
        ("lengths", LENGTHS | {"repeated_seconds": [0.0, 1.0]}, "repeated_seconds"),
        ("lengths", LENGTHS | {"seconds": [1.0] * 101}, "seconds"),
        ("lengths", LENGTHS | {"held_bytes": -1}, "held_bytes -1"),
        ("block", [1, 2], "is a list; expected a mapping"),
        ("block", {}, "has no seconds"),
        ("start", {"ready": False}, "ready False"),
        ("finish", {"float_modes": {}, "peak_bytes": None, "seconds": [1.0]}, "'seconds', which is not asked for"),
        ("block", BLOCK | {"seconds": []}, "seconds"),
        ("block", BLOCK | {"seconds": 1.0}, "seconds 1.0"),
        ("block", BLOCK | {"seconds": [0.0, 1.0]}, "seconds"),
        ("block", BLOCK | {"seconds": [math.nan, 1.0]}, "seconds"),
        ("block", BLOCK | {"seconds": [math.inf, 1.0]}, "seconds"),
        ("block", BLOCK | {"seconds": [True, 1.0]}, "seconds"),
        ("block", BLOCK | {"seconds": [-1.0, 1.0]}, "seconds"),
        ("block", BLOCK | {"seconds": [1.0] * 1000}, "seconds"),
        ("block", BLOCK | {"backward_seconds": [0.5]}, "2 samples and 1 parts"),
        ("warm_up", WARMED_UP | {"calls_per_sample": 0}, "calls_per_sample 0"),
        ("warm_up", WARMED_UP | {"calls_per_sample": 10**400}, "calls_per_sample"),
        ("prepare", REFUSED | {"errors": {"status": 1.0}}, "errors"),
        ("block", BLOCK | {"began": math.nan}, "began nan"),
        ("block", BLOCK | {"calls": 0}, "calls 0"),
        ("results", {"y": [1.0]}, "'y', which is not asked for"),
        ("prepare", PREPARED | {"describe": {"a": ["b"]}}, "describe"),
        ("prepare", PREPARED | {"describe": {"a": "\ud800"}}, "describe"),
        ("prepare", REFUSED | {"status": "ok"}, "status 'ok'"),
        ("prepare", REFUSED | {"status": "crashed"}, "status 'crashed'"),
        ("prepare", REFUSED | {"status": ["failed"]}, "status"),
        ("prepare", REFUSED | {"reason": "x" * 100_000}, "reason 'xxx"),
        ("prepare", REFUSED | {"reason": None}, "reason None"),
        ("prepare", REFUSED | {"seconds": [1.0]}, "which is not asked for"),
        ("prepare", {"status": "failed"}, "has no reason"),
    ],
)
def test_what_cannot_be_is_named(request_name: str, reply: Any, said: str) -> None:
    """Field by field, shortened; a worker cannot call itself measured, nor name what the sweep has to settle."""
    found = problem(request_name, reply)
    assert found is not None
    assert said in found
    assert len(found) < 200


@pytest.mark.parametrize("request_name", ["profile", "count_and_trace"])
def test_a_worker_of_another_service_answers_further_requests(request_name: str) -> None:
    """The profiler declares forms of its own for them, and the same forms as a sweep for all others."""
    replies = PROFILING.replies
    assert problem(request_name, {"passes": {"0": [1, 2]}}, replies) is None
    assert problem(request_name, REFUSED, replies) is None
    assert most_bytes(request_name, replies) > most_bytes("block", replies) == most_bytes("block")
    assert request_name not in REPLIES
