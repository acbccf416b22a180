"""A worker process seen from outside: started, asked, watched, stopped while idle, killed when it hangs."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import psutil

from benchmarks.files import remove
from benchmarks.measuring.conditions.address_space import fixed_layout
from benchmarks.measuring.environment import worker_environment
from benchmarks.measuring.processes import replies, supervisor
from benchmarks.measuring.processes.channel import LOST_CONNECTION, ChannelError, Closed, SweepEnd
from benchmarks.measuring.processes.compiling_notice import CompilingNotice
from benchmarks.measuring.processes.ended import how_ended, last_words, opened_log, printable, was_killed_by_kernel
from benchmarks.measuring.processes.interference import CoreSeconds, read_core_seconds
from benchmarks.measuring.processes.lost import WorkerLost
from benchmarks.measuring.processes.process_tree import ProcessTree
from benchmarks.measuring.processes.watch import Watch, now

START_SECONDS = 120.0
"""Limit for importing a framework."""
LEAST_START_SECONDS = 5.0
"""Least limit for a worker that was started long ago and is waited for only now."""
POLL_SECONDS = 0.2
LINK_SECONDS = 60.0
"""Limit for the supervisor to start the worker, which takes milliseconds."""
LAST_MESSAGE_SECONDS = 10.0
"""Limit for the end of a process that has closed its connection; a core dump takes a while."""
END_SECONDS = supervisor.KILL_SECONDS + 5.0
LEAST_FREE_SHARE = 0.02
"""A worker is killed when less than this share of memory is free, before the kernel kills a process of its choice."""

TIMED = ("block", "profile")
"""Requests during which this process does little but wait."""


class Meanwhile(Protocol):
    """What is done while an answer is waited for, such as moving a clock."""

    def __call__(self, *, timed: bool = False, note: str = "") -> None:
        """Do it, unless it was done lately. `timed` says that the worker is timing: do it less often then.

        `note` is what the worker is doing beyond the request, such as compiling.
        """


class Worker:
    """One worker process. Between requests it is suspended, so that it cannot spin on another's core.

    `ready` says whether it has imported its framework and answered. Workers with the same `layout` have their code at
    the same addresses, where the system allows it (see `address_space`). `compiled` is a folder that workers share for
    what they compile. `denormals` is as in a workload, `variables` are set in its environment. Workers with another
    `place` each have cores of their own, as far as there are enough. `service` is the module that it runs. Processes
    that the worker starts are suspended and ended with it (see `supervisor`). Raises WorkerLost when it cannot be
    started.
    """

    def __init__(
        self,
        source: str,
        *,
        threads: int,
        precision: str,
        device: str,
        log: Path,
        denormals: str = "kept",
        place: int = 0,
        layout: int = 0,
        compiled: Path | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
        service: replies.Service = replies.MEASURING,
    ) -> None:
        self.source = source
        self.service = service
        self.log = log
        self.device = device
        self.ready = False
        self.meanwhile: Meanwhile | None = None
        """Called several times a second while an answer is waited for."""
        self.suspended_seconds = 0.0
        """Seconds for which this process, and perhaps the worker, did not run during the last wait for an answer."""
        self._started = now()
        self._killed = False
        self._notice = CompilingNotice(log.with_suffix(".compiling").absolute())
        environment = {**worker_environment(threads, compiled=compiled), **variables, **self._notice.variables}
        # The worker can import what this process can, as a module:Class may come from anywhere.
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        cores = _cores(threads, place) if device == "cpu" else "all"
        link, its_link = socket.socketpair()
        channel, its_channel = socket.socketpair()
        command = [sys.executable, "-m", service.module, source, str(threads), precision, denormals, str(layout)]
        command.append(str(its_channel.fileno()))
        supervision = [supervisor.__file__, str(its_link.fileno()), str(its_channel.fileno()), cores]
        self._link = link
        self._channel = SweepEnd(channel)
        try:
            with its_link, its_channel, opened_log(log) as errors, fixed_layout():
                self._popen = subprocess.Popen(  # noqa: S603  # our own module, no shell
                    [sys.executable, "-I", "-S", *supervision, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    env=environment,
                    pass_fds=(its_link.fileno(), its_channel.fileno()),
                    # Ctrl-C and Ctrl-Z in a terminal are for the sweep, which then ends or suspends its workers.
                    start_new_session=True,
                )
        except OSError as error:
            self._close()
            raise WorkerLost("failed", f"its process could not be started: {error}", from_outside=True) from error
        try:
            self.pid = self._worker_pid()
            self.processes = ProcessTree(self._popen.pid, psutil.Process(self.pid))
            self._channel.greet()
        except (OSError, psutil.Error, ValueError):
            last = last_words(self.log)
            self._close()
            self._popen.kill()
            self._popen.wait()
            raise WorkerLost("crashed", f"its process ended at its start{last}", from_outside=True) from None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return not self._killed and self._popen.poll() is None and not _readable(self._link)

    @property
    def most_helpers(self) -> int:
        """The largest number of processes of the worker's own after an answer, since `begin_visit`."""
        return self.processes.most_helpers

    @property
    def unsuspended_seconds(self) -> float:
        """Core time that the worker and its helpers used while suspended, since `begin_visit`."""
        return self.processes.unsuspended_seconds

    def begin_visit(self) -> None:
        """Restart the counts of helpers and of core time used while suspended."""
        self.processes.most_helpers = 0
        self.processes.unsuspended_seconds = 0.0

    def wait_ready(self, most_seconds: float = START_SECONDS) -> dict[str, Any]:
        """Wait until the framework is imported; the reply says `ready`, or why not. Raises WorkerLost."""
        left = min(START_SECONDS, most_seconds) - (now() - self._started)
        reply = self._receive(Watch(max(LEAST_START_SECONDS, left)), "start")
        self.ready = True
        self.processes.suspend()
        return reply

    def ask(self, request: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """Send a request and return its reply, in the form that the worker's `service` declares for it.

        Raises WorkerLost when the worker dies, hangs, exhausts the memory, or sends anything else.
        """
        watch = Watch(timeout_seconds)
        doing = request["do"]
        try:
            self.processes.resume()
            self._channel.send(request, lambda selector: self._wait(selector, watch, doing))
        except (Closed, psutil.Error):
            raise self._lost() from None
        except ChannelError as error:
            raise self._broken(str(error)) from None
        reply = self._receive(watch, doing)
        self.processes.suspend()
        return reply

    def read_interference(self) -> CoreSeconds:
        """The core time so far of the machine and of this worker with all processes that it has started."""
        return read_core_seconds(self.processes)

    def begin_kill(self) -> None:
        """Ask the supervisor to kill the worker and all processes that it has started, without waiting."""
        self._link.close()
        # An implementation may have stopped it to keep itself alive.
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process, suspended or not, with all processes that it has started, and wait until they are gone."""
        self.begin_kill()
        try:
            self._popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            # A supervisor that hangs, for whatever reason, must not hang the sweep.
            self.processes.kill(find=True)
            self._popen.kill()
            self._popen.wait()
        self.processes.kill(find=False)
        self._killed = True
        self._close()
        self._notice.remove()
        # Empty logs are removed; a log that cannot be examined stays.
        with contextlib.suppress(OSError):
            if not self.log.stat().st_size:
                remove(self.log.parent, self.log.name)

    def _close(self) -> None:
        self._link.close()
        self._channel.close()

    def _worker_pid(self) -> int:
        """The ID of the worker's process, as the supervisor sends it. Raises OSError or ValueError when it does not."""
        self._link.settimeout(LINK_SECONDS)
        line = b""
        while not line.endswith(b"\n"):
            byte = self._link.recv(1)
            if not byte:
                raise OSError("the supervisor has ended")
            line += byte
        word, pid = line.split()
        if word != b"started":
            raise ValueError(line)
        return int(pid)

    def _receive(self, watch: Watch, doing: str) -> dict[str, Any]:
        """The answer to the last request; time, life and memory are watched during the wait."""
        try:
            reply = self._channel.receive(
                replies.most_bytes(doing, self.service.replies),
                lambda selector: self._wait(selector, watch, doing),
            )
        except Closed:
            raise self._lost() from None
        except ChannelError as error:
            raise self._broken(str(error)) from None
        finally:
            self.suspended_seconds = watch.suspended_seconds
        problem = replies.problem(doing, reply, self.service.replies)
        if problem:
            raise self._broken(problem)
        answer: dict[str, Any] = reply
        return answer

    def _wait(self, selector: selectors.BaseSelector, watch: Watch, doing: str) -> None:
        """Wait a little for the channel. Raises WorkerLost when no answer can come any more."""
        something = selector.select(POLL_SECONDS)
        if watch.is_over():
            raise self._too_late(watch, doing)
        if something:
            return
        if self.meanwhile is not None:
            timed = doing in TIMED
            self.meanwhile(timed=timed, note="" if timed else self._notice.read())
        if _readable(self._link):
            raise self._lost()
        free = psutil.virtual_memory()
        if self.device == "cpu" and free.available < LEAST_FREE_SHARE * free.total:
            held = 0
            with contextlib.suppress(psutil.Error):
                held = self.processes.worker.memory_info().rss
            self.kill()
            raise WorkerLost(
                "out_of_memory", f"killed at {held / 2**30:.1f} GiB before the memory ran out", from_outside=True
            )

    def _too_late(self, watch: Watch, doing: str) -> WorkerLost:
        with contextlib.suppress(psutil.Error):
            stood = self.processes.worker.status() == psutil.STATUS_STOPPED
            self.kill()
            if stood:
                return WorkerLost(
                    "timeout",
                    f"{doing} was not done in time: the process was stopped by something else, and was killed",
                    from_outside=True,
                )
        self.kill()
        reason = f"{doing} was not done in time; the process was killed after {watch.limit_seconds:.0f} s"
        if watch.suspended_seconds:
            # Whether the worker ran while this process was suspended is unknown.
            reason += f", in which the machine or the sweep was suspended for another {watch.suspended_seconds:.0f} s"
        return WorkerLost("timeout", reason, from_outside=watch.suspended_seconds > 0)

    def _broken(self, problem: str) -> WorkerLost:
        """The loss of a worker that broke the protocol: it is killed, and everything it sent since is dropped."""
        self.kill()
        return WorkerLost("crashed", f"{printable(problem)}; the process was killed{last_words(self.log)}")

    def _lost(self) -> WorkerLost:
        """The reason of the end, from the supervisor's message and the last line that the worker printed."""
        said = self._last_message()
        # A worker that crashed had ended before this signal.
        self.kill()
        last = last_words(self.log)
        if said is None:
            return WorkerLost("crashed", f"it closed its connection to the sweep; the process was killed{last}")
        if not said:
            return WorkerLost(
                "crashed",
                f"the process that watches over it {how_ended(self._popen.returncode)}{last}",
                from_outside=True,
            )
        code = int(said.split()[1])
        if code == LOST_CONNECTION:
            return WorkerLost("crashed", f"its connection to the sweep was closed or replaced from within{last}")
        if code == -signal.SIGKILL and was_killed_by_kernel(self.pid):
            return WorkerLost("out_of_memory", "killed by the kernel, which was out of memory", from_outside=True)
        return WorkerLost(
            "crashed",
            f"{how_ended(code) if code < 0 else f'the process {how_ended(code)}'}{last}",
            from_outside=code in (-signal.SIGKILL, -signal.SIGTERM),
        )

    def _last_message(self) -> bytes | None:
        """The supervisor's message about the end of the worker: empty when it ended itself, None when there is none."""
        self._link.settimeout(LAST_MESSAGE_SECONDS)
        line = b""
        try:
            while not line.endswith(b"\n"):
                byte = self._link.recv(1)
                if not byte:
                    return b""
                line += byte
        except TimeoutError:
            return None
        except OSError:
            return b""
        return line


def _cores(threads: int, place: int) -> str:
    """The cores that a worker is bound to, one a thread, for engines that count cores; all where binding fails.

    Each `place` has others, from the last on: interrupts and this process tend to run on the first.
    """
    if not hasattr(os, "sched_getaffinity"):
        return "all"
    cores = sorted(os.sched_getaffinity(0))
    end = len(cores) - place * threads
    return ",".join(map(str, cores[end - threads : end])) if threads < len(cores) and end >= threads else "all"


def _readable(connection: socket.socket) -> bool:
    """Whether a connection has bytes to read, or has ended."""
    connection.setblocking(False)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
