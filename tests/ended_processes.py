"""Whether a process has ended, which takes a moment after it was told to."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psutil

MOST_SECONDS = 30.0


def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds. It fails after `MOST_SECONDS`."""
    deadline = time.monotonic() + MOST_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, also as a zombie."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True
