"""The control bits of floating point: read, set for a thread, and what they do to numbers."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest

from benchmarks.measuring.conditions.floating_point import (
    control_bits,
    flush_denormals,
    flushes_denormals,
    in_words,
    keeping_denormals,
)

pytestmark = pytest.mark.skipif(control_bits() is None, reason="the control bits of this system are not known")
Found = TypeVar("Found")
DENORMAL = np.full(64, 1e-39, np.float32)


def in_a_thread(function: Callable[[], Found]) -> Found:
    """What a function returns in a thread of its own, whose control bits end with it."""
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        return threads.submit(function).result()


def test_a_thread_that_flushes_takes_denormals_for_zero() -> None:
    """A product of denormal numbers is zero in a thread that flushes, and not in this one, before or after."""

    def flushing() -> tuple[bool, bool, float, float, str]:
        could = flush_denormals()
        bits = control_bits()
        assert bits is not None
        product = float((DENORMAL * np.float32(0.5)).max())
        with keeping_denormals():
            kept = float((DENORMAL * np.float32(0.5)).max())
        again = control_bits()
        assert again == bits
        return could, flushes_denormals(bits), product, kept, in_words(bits)

    could, flushes, product, kept, said = in_a_thread(flushing)
    assert could
    assert flushes
    assert product == 0.0
    assert kept > 0.0
    assert said.endswith("flushes denormals")
    assert float((DENORMAL * np.float32(0.5)).max()) > 0.0


def test_status_bits_are_no_control_bits() -> None:
    """An inexact result, which raises a status flag, leaves the control bits as they are."""
    before = control_bits()
    assert before is not None
    with np.errstate(all="ignore"):
        np.sqrt(np.full(8, 2.0)) / np.zeros(8)
    assert control_bits() == before
    assert not flushes_denormals(before)


def test_a_new_thread_begins_with_the_bits_of_its_starter() -> None:
    """A thread that is started by a flushing one flushes."""

    def flushing() -> bool:
        flush_denormals()
        return in_a_thread(lambda: flushes_denormals(control_bits() or 0))

    assert in_a_thread(flushing)
