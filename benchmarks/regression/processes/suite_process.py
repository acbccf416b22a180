"""One process of a pytest-benchmark suite: it is started, given its turns, and its record is read."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import psutil

from benchmarks.files import open_to_append, scratch_folder, write
from benchmarks.measuring.conditions.address_space import SHIFT_BYTES, fixed_layout
from benchmarks.regression.processes.leftovers import end_group, end_marked
from benchmarks.regression.processes.loaded import read_loaded
from benchmarks.regression.processes.process_record import ProcessRecord, read_record
from benchmarks.regression.processes.pytest_command import PLUGINS, Side, command_line, environment

TIME_SLICE_SECONDS = 0.01
"""How long a side measures before the other side's turn: some rounds, so that an interrupted one is not the lowest, and
short beside the time for which a shared core keeps one speed."""
WARM_UP_REPETITIONS = 1
"""The first repetitions in a process do not count: each test measures next to nothing in them. A process that has only
waited can run slower for its whole life; pytest-benchmark measures the resolution of its clock in them."""
WITHIN_A_TEST = "."
"""The announcement of a process that waits in the middle of a test."""
_SETTINGS = "RNNBENCH_TURNS"
"""The environment variable that names the file of settings, and marks all that the process starts."""
_POLL_SECONDS = 0.05
"""The time between two checks of a process on systems that do not announce its end."""
_LONGEST_END_SECONDS = 30.0
"""How long pytest may take to end after its last test."""


class BudgetOver(Exception):
    """The budget ended during a wait for a process; the text is the test that the process was in."""


@dataclasses.dataclass(frozen=True)
class TimeLimits:
    """How long a process may take; one that exceeds the first or second limit is ended, and its test fails."""

    start_seconds: float = 600.0
    """The time until the first test can begin."""
    turn_seconds: float = 600.0
    """The time of one turn."""
    deadline: float = math.inf
    """The time of `time.monotonic` at which a wait raises BudgetOver."""


UNLIMITED = TimeLimits()
"""No deadline, and generous limits."""


class SuiteProcess:
    """A pytest process that runs only in its turns: it waits before each test, and after each time slice within one.

    `only` are the tests to run, all if None; `repetitions` is how often each runs. Processes of one `layout` hash
    strings alike and have their libraries at the same addresses (see `address_space`). Raises ValueError where the
    process cannot be started.
    """

    def __init__(
        self,
        side: Side,
        *,
        only: Sequence[str] | None = None,
        repetitions: int = 1,
        options: Sequence[str] = (),
        plugins: Sequence[Path] = PLUGINS,
        layout: int = 0,
        limits: TimeLimits = UNLIMITED,
    ) -> None:
        self._limits = limits
        self._stopped = ""
        self._ended = False
        self._test = ""
        self._received = b""
        self._longest = {"start_seconds": 0.0, "turn_seconds": 0.0}
        try:
            with contextlib.ExitStack() as held:
                self._scratch = held.enter_context(scratch_folder("process"))
                self._start(held, side, only, repetitions, options, plugins, layout)
                self._held = held.pop_all()
        except OSError as error:
            raise ValueError(
                f"a process of {side.name} cannot be started: {error}; expected {side.python} to run, and room in the "
                "temporary folder, which TMPDIR names"
            ) from error

    def _start(
        self,
        held: contextlib.ExitStack,
        side: Side,
        only: Sequence[str] | None,
        repetitions: int,
        options: Sequence[str],
        plugins: Sequence[Path],
        layout: int,
    ) -> None:
        for plugin in plugins:
            write(self._scratch, plugin.name, plugin.read_bytes())
        with contextlib.ExitStack() as child_ends:
            allow, self._allow = _pipe(child_ends, held)
            announce, self._waiting = reversed(_pipe(held, child_ends))
            settings = {
                "only": None if only is None else list(only),
                "record": str(self._scratch / "record.jsonl"),
                "turns": [allow, announce],
                "time_slice_seconds": TIME_SLICE_SECONDS,
                "warm_up_repetitions": WARM_UP_REPETITIONS,
                "reserve_bytes": layout * SHIFT_BYTES,
            }
            # A file: the IDs of many tests are longer than an environment variable may be.
            write(self._scratch, "settings.json", json.dumps(settings))
            self._marks = {_SETTINGS: str(self._scratch / "settings.json")}
            output = child_ends.enter_context(open_to_append(self._scratch, "output.txt"))
            with fixed_layout():
                self._process = subprocess.Popen(  # noqa: S603  # the interpreter of the revision that is measured
                    [*command_line(side, self._scratch, repetitions, plugins), *options],
                    cwd=side.folder,
                    env=environment(side, self._scratch, layout) | self._marks,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(announce, allow),
                    # Ctrl-C goes to this process alone, which then ends the other.
                    start_new_session=True,
                )
        held.callback(self._end)
        self._poll = select.poll()
        self._poll.register(self._waiting, select.POLLIN)
        self._announces_end = False
        # Only Linux has it, and some containers forbid it.
        with contextlib.suppress(AttributeError, OSError):
            process = os.pidfd_open(self.pid)
            held.callback(os.close, process)
            self._poll.register(process, select.POLLIN)
            self._announces_end = True

    @property
    def pid(self) -> int:
        """The process's number in the operating system."""
        return self._process.pid

    def bind(self, core: int) -> None:
        """Keep the process on one core, with the threads that it has and will have."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for thread in psutil.Process(self.pid).threads():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, {core})

    def next_turn(self) -> str | None:
        """Wait for the process to ask for a turn: the test that asks, or `WITHIN_A_TEST`.

        None where all tests have run, or the process exceeded a limit and was ended. Raises BudgetOver.
        """
        return self._next("start_seconds", "its pytest had not begun the first test after")

    def turn(self) -> str | None:
        """Give the process a turn, and return what asks for the next one, as `next_turn` does."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._allow, b"\n")
        return self._next("turn_seconds", "it had not ended after")

    def finish(self) -> ProcessRecord:
        """Wait for the end of the process, and read its record. Raises BudgetOver."""
        if not self._stopped:
            # A child of the process may hold the pipe longer than the process lives.
            self._poll.unregister(self._waiting)
            with contextlib.suppress(TimeoutError):
                self._wait(time.monotonic() + min(_LONGEST_END_SECONDS, self._limits.turn_seconds))
        self._end()
        record, output = self._scratch / "record.jsonl", self._scratch / "output.txt"
        return dataclasses.replace(
            read_record(record, output, self._process.returncode, self._stopped),
            loaded=read_loaded(self._scratch),
            start_seconds=self._longest["start_seconds"],
            turn_seconds=self._longest["turn_seconds"],
        )

    def __enter__(self) -> SuiteProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.close()

    def _next(self, limit: str, too_long: str) -> str | None:
        """Wait for the next announcement, no longer than the limit of this name; `too_long` says what exceeded it."""
        began = time.monotonic()
        allowed: float = getattr(self._limits, limit)
        try:
            line = self._line(began + allowed)
        except TimeoutError:
            self._stopped = f"{too_long} {allowed:.0f} s, and was stopped"
            self._end()
            return None
        self._longest[limit] = max(self._longest[limit], time.monotonic() - began)
        if line is not None and line != WITHIN_A_TEST:
            line = self._test = str(json.loads(line))
        return line

    def _line(self, end: float) -> str | None:
        """The next line of the process; None at its end. Raises TimeoutError at the time `end`, or BudgetOver."""
        while b"\n" not in self._received:
            if self._stopped or self._wait(end) == "ended":
                return None
            received = os.read(self._waiting, 65536)
            if not received:
                return None
            self._received += received
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()

    def _wait(self, end: float) -> str:
        """Wait until the process has "announced" something or has "ended". Raises TimeoutError, or BudgetOver."""
        while True:
            now = time.monotonic()
            if now >= self._limits.deadline:
                raise BudgetOver(self._test)
            if now >= end:
                raise TimeoutError
            longest = min(end, self._limits.deadline) - now
            longest = longest if self._announces_end else min(longest, _POLL_SECONDS)
            ready = [file for file, _ in self._poll.poll(math.ceil(longest * 1000))]
            if self._waiting in ready:
                return "announced"
            if ready or (not self._announces_end and self._process.poll() is not None):
                return "ended"

    def _end(self) -> None:
        """End the process, if it has not ended, and all that it started."""
        if not self._ended:
            self._ended = True
            end_group(self.pid)
            self._process.wait()
            end_marked(self._marks)


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """The two ends of a pipe; each is closed with its stack."""
    ends = os.pipe()
    for end, stack in zip(ends, (reader, writer), strict=True):
        stack.callback(os.close, end)
    return ends
