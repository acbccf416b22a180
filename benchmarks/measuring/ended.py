"""What can be said of a process that has ended: its exit status in words, what it printed last, who killed it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import IO

from benchmarks.files import StoreError, open_to_append

LOG_BYTES = 1 << 16
"""How much of the end of a log is read for what was printed last."""
LONGEST_LAST_WORDS = 300


def how_ended(code: int) -> str:
    """How a process ended, by its exit status, or the signal's number below 0."""
    return f"died of signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"ended with exit status {code}"


def last_words(log: Path) -> str:
    """The last line of a log as a clause to go on with; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_BYTES))
            lines = file.read(LOG_BYTES).decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f"; last printed: {printable(lines[-1])[:LONGEST_LAST_WORDS]}" if lines else ""


def opened_log(log: Path) -> IO[bytes]:
    """A log, to add to. Raises OSError, also where something else than a file of its own stands in its place."""
    try:
        return open_to_append(log.parent, log.name)
    except StoreError as error:
        raise OSError(str(error)) from error


def printable(text: str) -> str:
    """On one line, without what would steer a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def was_killed_by_kernel(pid: int) -> bool:
    """Whether the kernel's log says that it killed the process for want of memory; False where it is not readable."""
    try:
        log = subprocess.run(["dmesg"], capture_output=True, text=True, timeout=10, check=False).stdout  # noqa: S607
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any(f"Killed process {pid} " in line for line in log.splitlines())
