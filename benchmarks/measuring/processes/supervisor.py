"""The process between a sweep and one worker: what the worker starts ends with it, and it ends with the sweep.

    python -I -S supervisor.py LINK CHANNEL CORES COMMAND...

starts COMMAND on the CORES ("0,1", or "all") with the descriptor CHANNEL, and writes to the socket LINK

    started PID
    ended STATUS

where STATUS is the exit status, or the negative number of a signal. On Linux, orphans of the worker become children of
this process (PR_SET_CHILD_SUBREAPER), whatever their session. When the other end of LINK closes, because the sweep asks
for it or has died, the supervisor kills them all.

It runs outside of the package and imports little, so it starts within milliseconds, and it waits without using a core.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

KILL_SECONDS = 10.0
"""Limit for killing what remains. A process that waits for a device can be killed only when the device is done."""
POLL_SECONDS = 0.01
_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Start the worker, wait until it or the sweep has ended, and kill what remains."""
    link, channel, cores, *command = sys.argv[1:]
    link_descriptor, channel_descriptor = int(link), int(channel)
    os.set_inheritable(link_descriptor, False)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    # Handlers and not SIG_IGN, which the worker would inherit.
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _awake)
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if cores != "all":
        os.sched_setaffinity(0, map(int, cores.split(",")))
    worker = os.fork()
    if worker == 0:
        try:
            os.execv(command[0], command)  # noqa: S606  # no shell is wanted
        finally:
            os._exit(127)
    # Only the worker holds the channel, so its death closes it and the sweep notices.
    os.close(channel_descriptor)
    _say(link_descriptor, f"started {worker}\n")
    poll = select.poll()
    for descriptor in (link_descriptor, wake):
        poll.register(descriptor, select.POLLIN)
    status = None
    while status is None:
        ready = dict(poll.poll())
        if wake in ready:
            os.read(wake, 4096)
        status, _ = _reap(worker)
        if link_descriptor in ready:
            break
    if status is not None:
        _say(link_descriptor, f"ended {os.waitstatus_to_exitcode(status)}\n")
    _end_all(worker)


def _awake(number: int, frame: object) -> None:
    """Do nothing: the signal has ended the wait through the wake-up descriptor."""


def _say(link: int, line: str) -> None:
    # The sweep may have died, which is a reason for this process to end.
    with contextlib.suppress(OSError):
        os.write(link, line.encode())


def _reap(worker: int) -> tuple[int | None, bool]:
    """Reap every child that has ended: the worker's wait status if it was among them, and whether others remain."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found, False
        if pid == 0:
            return found, True
        if pid == worker:
            found = status


def _end_all(worker: int) -> None:
    """Kill all descendants, including the worker, and wait until they are gone."""
    deadline = time.monotonic() + KILL_SECONDS
    _, any_left = _reap(worker)
    while any_left and time.monotonic() < deadline:
        alive = descendants(os.getpid()) or [worker]
        # All are stopped first: a process that forks faster than it can be killed would go on for ever.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in alive:
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
        time.sleep(POLL_SECONDS)
        _, any_left = _reap(worker)


def descendants(root: int) -> list[int]:
    """The processes below a process, at any depth; empty where the system does not list them."""
    found: list[int] = []
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        for child in _children(pid):
            if child not in found:
                found.append(child)
                waiting.append(child)
    return found


def _children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  # pathlib is slow to import
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        # A thread, or the process, may have ended since it was listed.
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123  # as above
            found += map(int, file.read().split())
    return found


if __name__ == "__main__":
    main()
