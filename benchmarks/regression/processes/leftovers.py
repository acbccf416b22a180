"""The processes that a process leaves behind: children in its group, and daemons that left the group."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping

import psutil

_MOST_SEARCHES = 3
"""How often processes are searched for: one may be forked during a search, and is found by the next."""


def end_group(leader: int) -> None:
    """Kill the group of a process that was started in a session of its own.

    The caller has not yet waited for the process, so that no other one can have its number.
    """
    # macOS raises PermissionError where only the leader is left, and has ended.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def end_marked(variables: Mapping[str, str]) -> None:
    """Kill the processes of this user that have these environment variables, which their children inherit."""
    for _ in range(_MOST_SEARCHES):
        found = [each for each in psutil.process_iter() if _is_marked(each, variables)]
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if not found:
            return


def _is_marked(process: psutil.Process, variables: Mapping[str, str]) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        environment = process.environ()
    except (psutil.Error, OSError):
        # It has ended, or this user may not read its environment.
        return False
    return all(environment.get(name) == value for name, value in variables.items())
