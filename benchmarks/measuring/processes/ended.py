"""The end of a process in words: its exit status, its last line, and whether the kernel killed it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import IO

from benchmarks.files import StoreError, open_to_append

LOG_BYTES = 1 << 16
"""Bytes at the end of a log among which its last line is looked for."""
LONGEST_LAST_WORDS = 300


def how_ended(code: int) -> str:
    """The end of a process in words, from its exit status, or the negative number of a signal."""
    return f"died of signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"ended with exit status {code}"


def last_words(log: Path) -> str:
    """The last line of a log as a clause that continues a sentence; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_BYTES))
            lines = file.read(LOG_BYTES).decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f"; last printed: {printable(lines[-1])[:LONGEST_LAST_WORDS]}" if lines else ""


def opened_log(log: Path) -> IO[bytes]:
    """A log, open for appending. Raises OSError, also where its place holds anything but a regular file."""
    try:
        return open_to_append(log.parent, log.name)
    except StoreError as error:
        raise OSError(str(error)) from error


def printable(text: str) -> str:
    """The text on one line, without terminal control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def was_killed_by_kernel(pid: int) -> bool:
    """Whether the kernel's log says that it killed the process for lack of memory; False where it is not readable."""
    try:
        log = subprocess.run(["dmesg"], capture_output=True, text=True, timeout=10, check=False).stdout  # noqa: S607
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any(f"Killed process {pid} " in line for line in log.splitlines())
