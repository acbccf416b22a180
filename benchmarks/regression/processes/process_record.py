"""What one pytest process recorded of its tests, read as far as it was written."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.regression.processes.loaded import Loaded
from benchmarks.regression.processes.outcomes import PASSED, Outcome, TestStatus

_BY_SEVERITY: tuple[TestStatus, ...] = ("passed", "skipped", "failed")
_LONGEST_OUTPUT = 4000


class Round(NamedTuple):
    """One round of pytest-benchmark: the seconds of a call in it, above 0, and the time slice that it began in.

    Time slices count from 0 within a repetition. A suite that sets a timer of its own has a single one.
    """

    seconds: float
    time_slice: int


@dataclasses.dataclass(frozen=True)
class ProcessRecord:
    """What one pytest process did. A case is the node ID of a test that uses pytest-benchmark's fixture."""

    repetitions: Mapping[str, Sequence[Sequence[Round]]] = dataclasses.field(default_factory=dict)
    """The rounds of each repetition over each case that has any."""
    extra_info: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """pytest-benchmark's `extra_info` of each case that ended."""
    outcomes: Mapping[str, Outcome] = dataclasses.field(default_factory=dict)
    """How each test ended: the worst outcome of all its parts and repetitions."""
    broken: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Why a path could not be collected; the path is empty where pytest ended before it had collected any."""
    unmeasured: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Why a benchmark was collected and did not run."""
    status: int = 0
    """The exit status of pytest; negative for the signal that ended it."""
    output: str = ""
    """The end of what pytest printed."""
    collected: tuple[str, ...] = ()
    """The cases that were to run."""
    stopped: str = ""
    """Why `regress` ended the process; empty where it did not."""
    start_seconds: float = 0.0
    """The time until the first test could begin."""
    turn_seconds: float = 0.0
    """The time of the longest turn."""
    loaded: Loaded | None = dataclasses.field(default_factory=Loaded)
    """The files that a dry run loaded; None where the process ended before it wrote them, or was no dry run."""

    def passed(self, case: str) -> bool:
        """Whether the case ran and passed."""
        return case in self.outcomes and self.outcomes[case].status == "passed"

    @property
    def any_passed(self) -> bool:
        """Whether a test passed."""
        return any(outcome.status == "passed" for outcome in self.outcomes.values())

    @property
    def failures(self) -> dict[str, str]:
        """The reason of each test that failed."""
        return {case: outcome.reason for case, outcome in self.outcomes.items() if outcome.status == "failed"}

    def seconds(self, case: str) -> list[list[float]]:
        """The seconds of a call in each round, repetition by repetition."""
        return [[each.seconds for each in rounds] for rounds in self.repetitions.get(case, ())]

    def merged(self, later: ProcessRecord) -> ProcessRecord:
        """The record of this process and of a later one, which ran other cases of the same suite."""
        return dataclasses.replace(
            later,
            repetitions={**self.repetitions, **later.repetitions},
            extra_info={**self.extra_info, **later.extra_info},
            outcomes={**self.outcomes, **later.outcomes},
            broken={**self.broken, **later.broken},
            unmeasured=self.unmeasured,
            collected=self.collected,
            start_seconds=max(self.start_seconds, later.start_seconds),
            turn_seconds=max(self.turn_seconds, later.turn_seconds),
            loaded=self._loaded_with(later),
        )

    def _loaded_with(self, later: ProcessRecord) -> Loaded | None:
        """The files that both processes loaded; None where a process ran tests to their end and wrote none."""
        if self.loaded is not None and later.loaded is not None:
            return self.loaded.merged(later.loaded)
        without, other = (self, later) if self.loaded is None else (later, self)
        return None if without.any_passed else other.loaded


def read_record(record: Path, output: Path, status: int, stopped: str = "") -> ProcessRecord:
    """The record of a process that has ended; the test that it ended in has failed.

    `record` is the file that the plugin `rnnbench_turns` wrote, `output` what pytest printed, `status` its exit status
    and `stopped` why `regress` ended it, if it did.
    """
    repetitions: dict[str, list[list[Round]]] = {}
    extra_info: dict[str, Mapping[str, Any]] = {}
    outcomes: dict[str, Outcome] = {}
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
            case ["outcome", str(case), ("passed" | "skipped" | "failed") as word, str(reason)]:
                outcomes[case] = _worse(outcomes.get(case), Outcome(word, reason))
            case ["rounds", str(case), list(rounds), extra]:
                repetitions.setdefault(case, []).append(_rounds(rounds))
                extra_info[case] = extra if isinstance(extra, dict) else {}
            case ["done"]:
                done = True
    if began is not None and outcomes.get(began, PASSED).status != "failed":
        outcomes[began] = Outcome("failed", stopped or ending(status))
    elif not done and not collected and (stopped or status < 0):
        broken.setdefault("", stopped or f"pytest {ending(status)} before it had collected the tests")
    return ProcessRecord(
        repetitions={case: each for case, each in repetitions.items() if any(each)},
        extra_info={case: extra_info.get(case, {}) for case in outcomes},
        outcomes=outcomes,
        broken=broken,
        unmeasured=unmeasured,
        status=status,
        output=_end_of(output),
        collected=tuple(collected),
        stopped=stopped,
    )


def ending(status: int) -> str:
    """How a process ended, as a clause, by the exit status that the operating system gives."""
    if status >= 0:
        return f"ended its process with status {status}"
    try:
        return f"ended its process by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended its process by signal {-status}"


def _worse(first: Outcome | None, second: Outcome) -> Outcome:
    """The more severe of two outcomes of one test; the first of two alike."""
    return second if first is None else max(first, second, key=lambda each: _BY_SEVERITY.index(each.status))


def _rounds(entries: Sequence[Any]) -> list[Round]:
    """The rounds with a time: a suite's own timer may stand still, go back, or give what is no number."""
    found = []
    for entry in entries:
        match entry:
            case [int() | float() as seconds, int(time_slice)] if 0 < seconds < math.inf:
                found.append(Round(float(seconds), time_slice))
    return found


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
    """The last letters of a file, however long it is."""
    with output.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _LONGEST_OUTPUT))
        return file.read().decode(errors="replace")
