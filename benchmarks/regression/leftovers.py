"""What a process leaves when it ends: children in its group, and daemons that left the group, are ended with it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping

import psutil

_MOST_SEARCHES = 3
"""A process may be forked while the others are searched for; what is found is ended, and searched for again."""


def end_group(leader: int) -> None:
    """Kill the group of a process that was started in a session of its own and whose end is not yet waited for.

    Until then no other process can have its number.
    """
    # macOS answers with PermissionError where only the leader is left, which has ended.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def end_marked(variables: Mapping[str, str]) -> None:
    """Kill this user's processes that were started with these environment variables, or by one that was."""
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
        # It ended meanwhile, or is none that this user may look into.
        return False
    return all(environment.get(name) == value for name, value in variables.items())
