"""A worker process seen from outside: started, asked, watched, stopped while idle, killed when it hangs."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measuring.address_space import fixed_layout
from benchmarks.measuring.environment import worker_environment
from benchmarks.measuring.interference import Reading, read
from benchmarks.trial import Status

START_SECONDS = 120.0
"""How long importing a framework may take."""
POLL_SECONDS = 0.2
STOP_SECONDS = 1.0
LEAST_FREE_SHARE = 0.02
"""A worker is killed before less than this share of memory is left: the kernel's choice of victim may be another."""


class WorkerLost(Exception):
    """The worker is gone: `status` and `reason` as a trial has them."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Worker:
    """One worker process. Between requests it is suspended, so that it cannot spin on the core of another.

    `ready` says whether it has imported its framework and answered. Workers with the same `layout` have their code at
    the same addresses, where the system allows it (see `address_space`). In `compiled`, if given, it finds what workers
    before it have compiled.
    """

    def __init__(
        self,
        source: str,
        *,
        threads: int,
        precision: str,
        device: str,
        log: Path,
        layout: int = 0,
        compiled: Path | None = None,
    ) -> None:
        self.source = source
        self.log = log
        self.device = device
        self.ready = False
        environment = worker_environment(threads, compiled=compiled)
        # What this process can import, the worker can: a module:Class may come from anywhere.
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        with log.open("ab") as errors, fixed_layout():
            self._popen = subprocess.Popen(  # noqa: S603  # our own module, no shell
                [sys.executable, "-m", "benchmarks.measuring.worker", source, str(threads), precision, str(layout)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
            )
        self._process = psutil.Process(self._popen.pid)
        if device == "cpu":
            self._bind(threads)
        self._selector = selectors.DefaultSelector()
        assert self._popen.stdout is not None
        self._selector.register(self._popen.stdout, selectors.EVENT_READ)
        self._received = b""

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._popen.poll() is None

    @property
    def pid(self) -> int:
        """The process."""
        return self._popen.pid

    def wait_ready(self) -> dict[str, Any]:
        """Wait until the framework is imported; the reply says `ready`, or why not. Raises WorkerLost."""
        reply = self._receive(time.monotonic() + START_SECONDS, "start")
        self.ready = True
        self._suspend()
        return reply

    def ask(self, request: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """Send a request and wait for its reply. Raises WorkerLost when it dies, hangs or eats the memory."""
        assert self._popen.stdin is not None
        try:
            self._resume()
            self._popen.stdin.write(json.dumps(request).encode() + b"\n")
            self._popen.stdin.flush()
        except (BrokenPipeError, psutil.NoSuchProcess):
            raise self._lost() from None
        reply = self._receive(time.monotonic() + timeout_seconds, request["do"])
        self._suspend()
        return reply

    def read_interference(self) -> Reading:
        """What the machine and this worker have done so far."""
        return read(self._process)

    def kill(self) -> None:
        """End the process, suspended or not, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.kill()
        self._popen.wait()
        self._selector.close()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        if self.log.exists() and not self.log.stat().st_size:
            self.log.unlink()

    def _bind(self, threads: int) -> None:
        """Give the process as many cores as it has threads, for engines that count cores and not variables."""
        if not hasattr(os, "sched_setaffinity"):
            return
        cores = sorted(os.sched_getaffinity(0))
        if threads < len(cores):
            # The last ones: interrupts and this process tend to the first.
            os.sched_setaffinity(self.pid, cores[-threads:])

    def _receive(self, deadline: float, doing: str) -> dict[str, Any]:
        """The next line from the worker, while watching the time, its life and the memory."""
        assert self._popen.stdout is not None
        while b"\n" not in self._received:
            if self._selector.select(POLL_SECONDS):
                chunk = os.read(self._popen.stdout.fileno(), 1 << 20)
                if not chunk:
                    raise self._lost()
                self._received += chunk
                continue
            if time.monotonic() > deadline:
                self.kill()
                raise WorkerLost("timeout", f"{doing} was not done in time; the process was killed")
            free = psutil.virtual_memory()
            if self.device == "cpu" and free.available < LEAST_FREE_SHARE * free.total:
                held = self._process.memory_info().rss
                self.kill()
                raise WorkerLost("out_of_memory", f"killed at {held / 2**30:.1f} GiB before the memory ran out")
        line, _, self._received = self._received.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _lost(self) -> WorkerLost:
        """Why the process ended, from its exit status and the last line it printed."""
        code = self._popen.wait()
        self.kill()
        last = self._last_words()
        if code == -signal.SIGKILL and _kernel_killed(self.pid):
            return WorkerLost("out_of_memory", "killed by the kernel, which was out of memory")
        if code < 0:
            return WorkerLost("crashed", f"died of signal {-code} ({signal.strsignal(-code)}){last}")
        return WorkerLost("crashed", f"the process ended with exit status {code}{last}")

    def _last_words(self) -> str:
        if not self.log.exists():
            return ""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"; last printed: {lines[-1][:300]}" if lines else ""

    def _suspend(self) -> None:
        """Stop the process, and wait until it stands: the signal takes effect a moment after it is sent."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.suspend()
            deadline = time.monotonic() + STOP_SECONDS
            while self._process.status() != psutil.STATUS_STOPPED and time.monotonic() < deadline:
                pass

    def _resume(self) -> None:
        self._process.resume()


def _kernel_killed(pid: int) -> bool:
    """Whether the kernel's log says that it killed the process for want of memory; False where it is not readable."""
    try:
        log = subprocess.run(["dmesg"], capture_output=True, text=True, timeout=10, check=False).stdout  # noqa: S607
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any(f"Killed process {pid} " in line for line in log.splitlines())
