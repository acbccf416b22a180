"""One process of a pytest-benchmark suite: start it, give it its turns, read what it measured."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import psutil

from benchmarks.files import open_to_append, scratch_folder, write
from benchmarks.measuring.address_space import SHIFT_BYTES, fixed_layout
from benchmarks.measuring.environment import worker_environment
from benchmarks.regression.leftovers import end_group, end_marked
from benchmarks.regression.loaded import PLUGIN as ORIGINS
from benchmarks.regression.loaded import read_loaded
from benchmarks.regression.session_record import Measured, ending, read_record

PLUGINS = tuple(Path(__file__).parent / f"{name}.py" for name in ("rnnbench_turns", "rnnbench_options"))
STRETCH_SECONDS = 0.01
"""How long a side measures before it is the other's turn: some rounds, of which one that another process on the machine
has interrupted is not the lowest; and short beside the time for which a shared core stays at one speed."""
WARM_UP_PASSES = 1
"""A process's first passes, which do not count: its tests measure next to nothing, a turn each. On a virtual machine
whose host takes back memory that lies idle, one that had waited for its first turn ran the same loop 18 % slower from
then on than one that had not. pytest-benchmark also needs its clock undisturbed when it learns how fine it is."""
WITHIN = "."
"""What a process announces that waits in the middle of a test."""
_SETTINGS = "RNNBENCH_TURNS"
"""The environment variable that names the file of settings, and marks what the process starts as its own."""
_KEPT_OF_PYTEST = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")
"""What a user's environment may say to pytest; the other variables of such names are those of a pytest that runs."""
_LONGEST_SLEEP_SECONDS = 0.05
"""How often the end of a process is looked for on systems that do not announce it."""
_LONGEST_END_SECONDS = 30.0
"""How long pytest may take to end when all its tests have."""


class BudgetOver(Exception):
    """The time for all that is measured ended while a process was waited for; the text is the test that it was in."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """How long a process may take: until its first test can begin, for a turn, and until when all has to be measured.

    `deadline` is a time of `time.monotonic`. Whoever exceeds the first two is ended, and its test fails; the third
    raises BudgetOver.
    """

    start_seconds: float = 600.0
    turn_seconds: float = 600.0
    deadline: float = math.inf


UNLIMITED = Limits()
"""No deadline; a wait is ended where nobody would go on waiting."""


@dataclasses.dataclass(frozen=True)
class Side:
    """Where one revision can be measured: the top of its files, the interpreter, and what goes before PYTHONPATH."""

    name: str
    folder: Path
    python: str
    suite: str
    import_paths: tuple[Path, ...] = ()
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further environment variables."""
    options: tuple[str, ...] = ()
    """Further words for pytest."""
    inherits_python_path: bool = True
    """Whether PYTHONPATH of this process is in force: it belongs to the environment of this process."""


class SuiteProcess:
    """A pytest process that waits before each test, and again and again within, until `turn` lets it run.

    Processes with the same `layout` hash alike and have their libraries at the same addresses (see `address_space`).
    """

    def __init__(
        self,
        side: Side,
        *,
        only: Sequence[str] | None = None,
        passes: int = 1,
        options: Sequence[str] = (),
        plugins: Sequence[Path] = PLUGINS,
        layout: int = 0,
        limits: Limits = UNLIMITED,
    ) -> None:
        self._limits = limits
        self._stopped = ""
        self._over = False
        self._test = ""
        self._heard = b""
        self._longest = {"start_seconds": 0.0, "turn_seconds": 0.0}
        try:
            with contextlib.ExitStack() as held:
                self._scratch = held.enter_context(scratch_folder("process"))
                self._start(held, side, only, passes, options, plugins, layout)
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
        passes: int,
        options: Sequence[str],
        plugins: Sequence[Path],
        layout: int,
    ) -> None:
        for plugin in plugins:
            write(self._scratch, plugin.name, plugin.read_bytes())
        with contextlib.ExitStack() as of_the_process:
            allow, self._allow = _pipe(of_the_process, held)
            announce, self._waiting = reversed(_pipe(held, of_the_process))
            settings = {
                "only": None if only is None else list(only),
                "record": str(self._scratch / "record.jsonl"),
                "turns": [allow, announce],
                "stretch_seconds": STRETCH_SECONDS,
                "warm_up": WARM_UP_PASSES,
                "reserve_bytes": layout * SHIFT_BYTES,
            }
            # A file: the IDs of many tests are longer than an environment variable may be.
            write(self._scratch, "settings.json", json.dumps(settings))
            self._marks = {_SETTINGS: str(self._scratch / "settings.json")}
            output = of_the_process.enter_context(open_to_append(self._scratch, "output.txt"))
            with fixed_layout():
                self._process = subprocess.Popen(  # noqa: S603  # the interpreter of the revision that is measured
                    [side.python, "-m", "pytest", *_words(side, self._scratch, passes, plugins), *options],
                    cwd=side.folder,
                    env=_environment(side, self._scratch, layout) | self._marks,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(announce, allow),
                    # Ctrl-C is for the one that measures; it ends this process itself.
                    start_new_session=True,
                )
        held.callback(self._end)
        self._sight = select.poll()
        self._sight.register(self._waiting, select.POLLIN)
        self._announces_end = False
        # Not everywhere, and not allowed in every container.
        with contextlib.suppress(AttributeError, OSError):
            process = os.pidfd_open(self._process.pid)
            held.callback(os.close, process)
            self._sight.register(process, select.POLLIN)
            self._announces_end = True

    def bind(self, core: int) -> None:
        """Keep the process, with the threads it has and will have, on one core."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for thread in psutil.Process(self._process.pid).threads():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, {core})

    def next_turn(self) -> str | None:
        """The test that waits for its turn, or `WITHIN`, as soon as it does; None when all have run.

        None, too, when the process is ended for taking too long. Raises BudgetOver.
        """
        return self._next("start_seconds", "its pytest had not begun the first test after")

    def turn(self) -> str | None:
        """Let what waits run, and give what waits then, as `next_turn` does."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._allow, b"\n")
        return self._next("turn_seconds", "it had not ended after")

    def finish(self) -> Measured:
        """Wait for the end, and read what was measured. Raises BudgetOver."""
        if not self._stopped:
            # What the process forked may hold the pipe for longer than it lives.
            self._sight.unregister(self._waiting)
            with contextlib.suppress(TimeoutError):
                self._wait(time.monotonic() + min(_LONGEST_END_SECONDS, self._limits.turn_seconds))
        self._end()
        record, output = self._scratch / "record.jsonl", self._scratch / "output.txt"
        measured = read_record(record, output, self._process.returncode, self._stopped)
        start, turn = self._longest["start_seconds"], self._longest["turn_seconds"]
        loaded = read_loaded(self._scratch)
        return dataclasses.replace(measured, loaded=loaded, start_seconds=start, turn_seconds=turn)

    def __enter__(self) -> SuiteProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.close()

    def _next(self, limit: str, too_long: str) -> str | None:
        """The next line of the process, waited for as long as the limit of this name allows."""
        began = time.monotonic()
        allowed: float = getattr(self._limits, limit)
        try:
            line = self._line(began + allowed)
        except TimeoutError:
            self._stopped = f"{too_long} {allowed:.0f} s, and was stopped"
            self._end()
            return None
        self._longest[limit] = max(self._longest[limit], time.monotonic() - began)
        if line is not None and line != WITHIN:
            line = self._test = str(json.loads(line))
        return line

    def _line(self, end: float) -> str | None:
        """The next line; None where the process or what it has to say ended. Raises TimeoutError, or BudgetOver."""
        while b"\n" not in self._heard:
            if self._stopped or self._wait(end) == "ended":
                return None
            said = os.read(self._waiting, 65536)
            if not said:
                return None
            self._heard += said
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()

    def _wait(self, end: float) -> str:
        """Wait until the process says something or has "ended". Raises TimeoutError, or BudgetOver."""
        while True:
            now = time.monotonic()
            if now >= self._limits.deadline:
                raise BudgetOver(self._test)
            if now >= end:
                raise TimeoutError
            longest = min(end, self._limits.deadline) - now
            longest = longest if self._announces_end else min(longest, _LONGEST_SLEEP_SECONDS)
            ready = [file for file, _ in self._sight.poll(math.ceil(longest * 1000))]
            if self._waiting in ready:
                return "said"
            if ready or (not self._announces_end and self._process.poll() is not None):
                return "ended"

    def _end(self) -> None:
        """End the process, if it has not ended, with all that it started."""
        if not self._over:
            self._over = True
            end_group(self._process.pid)
            self._process.wait()
            end_marked(self._marks)


def look(side: Side, limits: Limits = UNLIMITED) -> Measured:
    """Run every test of the suite once, as quickly as pytest-benchmark can: what is there, what works, what it loads.

    A test that ends its process, or is ended for taking too long, fails, and the others run in a process without it.
    Raises BudgetOver.
    """
    found = _look(side, None, limits)
    while left := [case for case in found.collected if case not in found.outcomes]:
        later = _look(side, left, limits)
        found = found.merged(later)
        if not set(left) & set(later.outcomes):
            reason = later.stopped or f"pytest {ending(later.status)} before it"
            found = dataclasses.replace(found, outcomes={**found.outcomes, **dict.fromkeys(left, ("failed", reason))})
    return found


def _look(side: Side, only: Sequence[str] | None, limits: Limits) -> Measured:
    quick = ("--benchmark-max-time=0", "--benchmark-min-rounds=1")
    with SuiteProcess(side, only=only, options=quick, plugins=(*PLUGINS, ORIGINS), limits=limits) as process:
        waiting = process.next_turn()
        while waiting:
            waiting = process.turn()
        return process.finish()


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe's two ends, each closed with its stack."""
    ends = os.pipe()
    for end, stack in zip(ends, (reader, writer), strict=True):
        stack.callback(os.close, end)
    return ends


def _words(side: Side, scratch: Path, passes: int, plugins: Sequence[Path]) -> list[str]:
    """The command line of pytest: the suite, then what is taken back of a project's options, then further ones."""
    words = ["--keep-duplicates", *[side.suite] * passes, "--rootdir=.", "--continue-on-collection-errors"]
    for plugin in (*(each.stem for each in plugins), "benchmark"):
        words += ["-p", plugin]
    # All tests, in one run.
    words += ["-m", "", "-k", "", "--maxfail=0"]
    # What pytest and pytest-benchmark keep is not for the user's checkout, nor for both sides at once.
    words += ["-o", f"cache_dir={scratch / 'cache'}", f"--basetemp={scratch / 'tmp'}"]
    words += [f"--benchmark-storage=file://{scratch / 'kept'}"]
    words += side.options
    return [
        *words,
        *("--benchmark-enable", "--benchmark-only", "--benchmark-quiet", f"--benchmark-timer={PLUGINS[0].stem}.timer"),
    ]


def _environment(side: Side, scratch: Path, layout: int) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if (not name.startswith("PYTEST_") or name in _KEPT_OF_PYTEST) and name != "CODSPEED_ENV"
    }
    paths = [*map(str, side.import_paths), str(scratch)]
    paths += [inherited["PYTHONPATH"]] if side.inherits_python_path and inherited.get("PYTHONPATH") else []
    return {
        **worker_environment(1, inherited),
        # Both sides of a pair hash alike, and every pair in another way.
        "PYTHONHASHSEED": str(layout),
        "PYTHONPATH": os.pathsep.join(paths),
        **side.variables,
    }
