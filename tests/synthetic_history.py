"""Processes as a history keeps them, of one case."""

from __future__ import annotations

from benchmarks.history.record import CaseTimes, Measurement

CASE = "speed/test_work.py::test_work"


def process(number: int, seconds: float, **fields: object) -> Measurement:
    """A process that measured the revision of this number, in a group of its own."""
    known: dict[str, object] = {
        "revision": f"{number:040x}",
        "suite": "speed",
        "suite_digest": "one",
        "group": f"{number}",
        "measured_at": f"2026-01-01T00:{number:02}:00+00:00",
        "packages": {"torch": "2.12"},
        "system": {"kernel": "6.1"},
        "cases": {CASE: CaseTimes(seconds, seconds, seconds, 9)},
        "controls": {"fixed matrix product": 1.0, "fixed Python loop": 1.0},
    }
    return Measurement(**{**known, **fields})  # type: ignore[arg-type]  # the fields are the class's
