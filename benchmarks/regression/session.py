"""One process of a pytest-benchmark suite: start it, give it its turns, read what it measured."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from benchmarks.files import open_to_append, scratch_folder, write
from benchmarks.measuring.address_space import SHIFT_BYTES, fixed_layout
from benchmarks.measuring.environment import worker_environment

PLUGIN = Path(__file__).parent / "rnnbench_turns.py"
STRETCH_SECONDS = 0.01
"""How long a side measures before it is the other's turn: some rounds, of which one that another process on the machine
has interrupted is not the lowest; and short beside the time for which a shared core stays at one speed."""
WARM_UP_PASSES = 1
"""A process's first passes, which do not count: its tests measure next to nothing, a turn each. On a virtual machine
whose host takes back memory that lies idle, one that had waited for its first turn ran the same loop 18 % slower from
then on than one that had not. pytest-benchmark also needs its clock undisturbed when it learns how fine it is."""
WITHIN = "."
"""What a process announces that waits in the middle of a test."""


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


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a process gave: {case: [[seconds of each round], ...] by pass}, what failed, and why.

    `stretches` are {case: [[number of the stretch that the round fell in], ...] by pass}, where tests took turns. A
    case is a test's node ID. `outcomes` is {case: (passed, failed or skipped, reason)}, `broken` {path: reason} of what
    could not be collected. `status` is pytest's exit status, `output` the end of what it printed.
    """

    seconds: Mapping[str, Sequence[Sequence[float]]]
    extra_info: Mapping[str, Mapping[str, Any]]
    outcomes: Mapping[str, tuple[str, str]]
    broken: Mapping[str, str]
    machine_info: Mapping[str, Any]
    status: int
    output: str
    stretches: Mapping[str, Sequence[Sequence[int]]] = dataclasses.field(default_factory=dict)


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
        in_turns: bool = True,
        layout: int = 0,
    ) -> None:
        self._held = contextlib.ExitStack()
        self._scratch = self._held.enter_context(scratch_folder("process"))
        write(self._scratch, PLUGIN.name, PLUGIN.read_bytes())
        self._waiting, announce = os.pipe()
        allow, self._allow = os.pipe()
        settings = {
            "only": None if only is None else list(only),
            "report": str(self._scratch / "report.json"),
            "turns": [allow, announce] if in_turns else None,
            "stretch_seconds": STRETCH_SECONDS,
            "warm_up": WARM_UP_PASSES,
            "reserve_bytes": layout * SHIFT_BYTES,
        }
        command = [side.python, "-m", "pytest", "--keep-duplicates", *[side.suite] * passes]
        command += ["--rootdir=.", "-p", PLUGIN.stem, "-p", "no:cacheprovider", "--continue-on-collection-errors"]
        command += ["--benchmark-enable", "--benchmark-only", "--benchmark-quiet"]
        # pytest-benchmark makes this folder even where nothing is kept: not in the user's checkout.
        command += [f"--benchmark-storage=file://{self._scratch / 'kept'}"]
        command += [f"--benchmark-timer={PLUGIN.stem}.timer"] if in_turns else []
        command += [f"--benchmark-json={self._scratch / 'measured.json'}", *side.options, *options]
        self._output = open_to_append(self._scratch, "output.txt")
        with fixed_layout():
            self._process = subprocess.Popen(  # noqa: S603  # the interpreter of the revision that is measured
                command,
                cwd=side.folder,
                env=_environment(side, self._scratch, settings, layout),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                pass_fds=(announce, allow),
                # Ctrl-C is for the one that measures; it ends this process itself.
                start_new_session=True,
            )
        os.close(announce)
        os.close(allow)
        self._announced = os.fdopen(self._waiting, "r", encoding="utf-8")

    def bind(self, core: int) -> None:
        """Keep the process, with the threads it has and will have, on one core."""
        for thread in psutil.Process(self._process.pid).threads():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread.id, {core})

    def next_turn(self) -> str | None:
        """The test that waits for its turn, or `WITHIN`, as soon as it does; None when all have run."""
        return self._announced.readline().rstrip("\n") or None

    def turn(self) -> str | None:
        """Let what waits run, and give what waits then, as `next_turn` does."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._allow, b"\n")
        return self.next_turn()

    def finish(self) -> Measured:
        """Wait for the end, and read what was measured."""
        status = self._process.wait()
        self._output.close()
        return _read(self._scratch, status)

    def __enter__(self) -> SuiteProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._announced.close()
        os.close(self._allow)
        self._output.close()
        self._held.close()


def look(side: Side) -> Measured:
    """Run every test of the suite once, as quickly as pytest-benchmark can: what is there, and what works."""
    quick = ("--benchmark-max-time=0", "--benchmark-min-rounds=1")
    with SuiteProcess(side, options=quick, in_turns=False) as process:
        return process.finish()


def _environment(side: Side, scratch: Path, settings: Mapping[str, Any], layout: int) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    paths = [*map(str, side.import_paths), str(scratch)]
    paths += [inherited["PYTHONPATH"]] if inherited.get("PYTHONPATH") else []
    return {
        **worker_environment(1, inherited),
        # Both sides of a pair hash alike, and every pair in another way.
        "PYTHONHASHSEED": str(layout),
        "PYTHONPATH": os.pathsep.join(paths),
        "RNNBENCH_TURNS": json.dumps(settings),
        **side.variables,
    }


def _read(scratch: Path, status: int) -> Measured:
    report = _json(scratch / "report.json")
    written = _json(scratch / "measured.json")
    seconds: dict[str, list[list[float]]] = {}
    stretches: dict[str, list[list[int]]] = {}
    extra_info: dict[str, dict[str, Any]] = {}
    for entry in written.get("benchmarks", ()):
        case, rounds = entry["fullname"], entry["stats"]["data"]
        seconds.setdefault(case, []).append(rounds)
        stretches.setdefault(case, []).append(_stretches(report, case, len(stretches.get(case, ())), len(rounds)))
        extra_info[entry["fullname"]] = entry["extra_info"]
    return Measured(
        seconds=seconds,
        stretches=stretches,
        extra_info=extra_info,
        outcomes={case: (outcome, reason) for case, (outcome, reason) in report.get("outcomes", {}).items()},
        broken=report.get("broken", {}),
        machine_info=written.get("machine_info", {}),
        status=status,
        output=(scratch / "output.txt").read_text(encoding="utf-8", errors="replace")[-4000:],
    )


def _stretches(report: Mapping[str, Any], case: str, number: int, rounds: int) -> list[int]:
    """The stretch that each round of a pass fell in; all in one where the suite has a timer of its own."""
    passes = report.get("stretches", {}).get(case, ())
    calls: list[int] = passes[number] if number < len(passes) else []
    # The timer is called twice a round. Before come pytest-benchmark's own calls, by which it chooses how many rounds.
    return calls[-2 * rounds :: 2] if len(calls) >= 2 * rounds else [0] * rounds


def _json(path: Path) -> dict[str, Any]:
    """What the file holds; nothing where the process did not come to write it."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content
