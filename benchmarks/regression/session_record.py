"""What a pytest process recorded of itself (see the plugin `rnnbench_turns`), read as far as it came."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.regression.loaded import Loaded

_RANK = {"passed": 0, "skipped": 1, "failed": 2}
_LONGEST_OUTPUT = 4000


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a process gave: {case: [[seconds of each round], ...] by pass}, above 0, what failed, and why.

    `stretches` are {case: [[number of the stretch that the round fell in], ...] by pass}, where tests took turns. A
    case is a test's node ID. `outcomes` is {case: (passed, failed or skipped, reason)}, `broken` {path: reason} of what
    could not be collected, `unmeasured` {case: reason} of benchmarks that were collected and not run. `status` is
    pytest's exit status, `output` the end of what it printed. `collected` are all cases that were to run, and `stopped`
    says why the process was ended from outside, if it was. `start_seconds` passed until the first test could begin, and
    `turn_seconds` is the longest turn.
    """

    seconds: Mapping[str, Sequence[Sequence[float]]]
    extra_info: Mapping[str, Mapping[str, Any]]
    outcomes: Mapping[str, tuple[str, str]]
    broken: Mapping[str, str]
    unmeasured: Mapping[str, str]
    status: int
    output: str
    stretches: Mapping[str, Sequence[Sequence[int]]] = dataclasses.field(default_factory=dict)
    collected: tuple[str, ...] = ()
    stopped: str = ""
    start_seconds: float = 0.0
    turn_seconds: float = 0.0
    loaded: Loaded | None = dataclasses.field(default_factory=Loaded)
    """The files that a dry run loaded; None where the process ended before it told, or was no dry run."""

    def merged(self, later: Measured) -> Measured:
        """This process and a later one, which ran other cases."""
        return dataclasses.replace(
            later,
            seconds={**self.seconds, **later.seconds},
            extra_info={**self.extra_info, **later.extra_info},
            outcomes={**self.outcomes, **later.outcomes},
            broken={**self.broken, **later.broken},
            unmeasured=self.unmeasured,
            stretches={**self.stretches, **later.stretches},
            collected=self.collected,
            start_seconds=max(self.start_seconds, later.start_seconds),
            turn_seconds=max(self.turn_seconds, later.turn_seconds),
            loaded=self._loaded_with(later),
        )

    def _loaded_with(self, later: Measured) -> Loaded | None:
        """What both processes loaded; None where one of them ran tests to their end and did not tell."""
        if self.loaded is not None and later.loaded is not None:
            return self.loaded.merged(later.loaded)
        silent, told = (self, later) if self.loaded is None else (later, self)
        ran = any(outcome == "passed" for outcome, _ in silent.outcomes.values())
        return None if ran else told.loaded


def read_record(record: Path, output: Path, status: int, stopped: str = "") -> Measured:
    """What was recorded until the process ended, with the test that it ended in failed."""
    seconds: dict[str, list[list[float]]] = {}
    stretches: dict[str, list[list[int]]] = {}
    extra_info: dict[str, Mapping[str, Any]] = {}
    outcomes: dict[str, tuple[str, str]] = {}
    broken: dict[str, str] = {}
    unmeasured: dict[str, str] = {}
    collected: dict[str, None] = {}
    began = None
    done = False
    for event in _events(record):
        match event:
            case ["collected", str(case)]:
                collected[case] = None
            case ["unmeasured", str(case), str(reason)]:
                unmeasured[case] = reason
            case ["broken", str(path), str(reason)]:
                broken[path] = reason
            case ["began", str(case)]:
                began = case
            case ["ended", str()]:
                began = None
            case ["outcome", str(case), str(outcome), str(reason)] if outcome in _RANK:
                if case not in outcomes or _RANK[outcome] > _RANK[outcomes[case][0]]:
                    outcomes[case] = (outcome, reason)
            case ["rounds", str(case), list(rounds), list(turns), extra] if len(rounds) == len(turns):
                # A suite's own timer may stand still, go back, or give what is no number.
                kept = [
                    (float(each), int(turn)) for each, turn in zip(rounds, turns, strict=True) if 0 < each < math.inf
                ]
                seconds.setdefault(case, []).append([each for each, _ in kept])
                stretches.setdefault(case, []).append([turn for _, turn in kept])
                extra_info[case] = extra if isinstance(extra, dict) else {}
            case ["done"]:
                done = True
    if began is not None and outcomes.get(began, ("passed", ""))[0] != "failed":
        outcomes[began] = ("failed", stopped or ending(status))
    elif not done and not collected and (stopped or status < 0):
        broken.setdefault("", stopped or f"pytest {ending(status)} before it had collected the tests")
    return Measured(
        seconds={case: passes for case, passes in seconds.items() if any(passes)},
        extra_info={case: extra_info.get(case, {}) for case in outcomes},
        outcomes=outcomes,
        broken=broken,
        unmeasured=unmeasured,
        status=status,
        output=_end_of(output),
        stretches=stretches,
        collected=tuple(collected),
        stopped=stopped,
    )


def ending(status: int) -> str:
    """How a process ended, by the status that the operating system gives."""
    if status >= 0:
        return f"ended its process with status {status}"
    try:
        return f"ended its process by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended its process by signal {-status}"


def _events(record: Path) -> Iterator[list[Any]]:
    """The lines that are JSON lists; a kill may have torn the last one."""
    if not record.exists():
        return
    with record.open("rb") as file:
        for line in file:
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, list):
                yield event


def _end_of(output: Path) -> str:
    """The last letters that were printed, however much it was."""
    with output.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _LONGEST_OUTPUT))
        return file.read().decode(errors="replace")
