"""Measure for a calibration: groups of three processes in turns, each appended to disk as it ends.

A group is the checkout, the same again, and the same with work planted in every case: one comparison of equal things
and one of a known difference. The sizes go round from group to group. What was measured stays, so a calibration can be
stopped at any time and goes on where it was.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import files, machine
from benchmarks.measuring.environment import worker_environment
from benchmarks.regression.calibration.planting import amounts_in_turns
from benchmarks.regression.environments import import_paths
from benchmarks.regression.measuring import PASSES, SECONDS_A_CASE
from benchmarks.regression.pairing import log_ratios, measure_pair, measure_together, times
from benchmarks.regression.session import WARM_UP_PASSES, Side, look
from benchmarks.regression.session_record import Measured

RECORD_FILE = "calibration.json"
GROUPS_FILE = "groups.jsonl"
SUITE = "benchmarks/suite"
PROJECT = Path(__file__).resolve().parents[3]
PLANTING = "benchmarks.regression.calibration.planting"
COSTED = 3
"""Plain runs, looks and pairs of each number of cases whose time is taken."""
PLANTED = tuple(map(str, (0.05, 0.10, 0.02, 0.05, 0.10, 0.20)))
"""The sizes in the order they go round in: those that there is something to reach for come twice."""
TUNING_GROUPS = 4 * len(PLANTED)
"""The first groups settle how much work is planted: every size four times or eight in each case."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Three processes that took turns: {case: time by stretch}, what pytest-benchmark's compare reads, and controls.

    `sides` and `summaries` are of the checkout, the same again, and the planted one; `sizes` is {case: planted size},
    `amounts` the work that was done for it, and `settled` says that it had been settled by groups before.
    `summaries` are {case: {mean, min, median}} in seconds over all rounds of a process that count.
    """

    sides: tuple[Mapping[str, tuple[float, ...]], ...]
    summaries: tuple[Mapping[str, Mapping[str, float]], ...]
    controls: tuple[tuple[tuple[float, float], ...], ...]
    sizes: Mapping[str, str]
    amounts: Mapping[str, int]
    settled: bool
    seconds: float

    def log_ratios(self, below: int, above: int) -> dict[str, float]:
        """log(above / below) of each case, for two of the sides by number."""
        return log_ratios(self.sides[below], self.sides[above])


def measure(folder: Path, seconds: float, say: Callable[[str], None]) -> None:
    """Go on measuring into the folder for so long, and make it when it is new."""
    files.remove_abandoned("process", say)
    end = time.monotonic() + seconds
    record = _record(folder, say)
    groups = list(read_groups(folder))
    longest = 0.0
    while time.monotonic() + longest < end:
        if len(groups) >= TUNING_GROUPS and not record["settled_by"]:
            record |= {"amounts": settle(record["cases"], groups), "settled_by": len(groups)}
            _write(record, folder)
        start = time.monotonic()
        groups.append(_measure_group(record, len(groups)))
        longest = max(longest, time.monotonic() - start)
        line = json.dumps(_rounded(dataclasses.asdict(groups[-1]))) + "\n"
        with files.explained(folder / GROUPS_FILE, "write a group to"):
            files.append(folder, GROUPS_FILE, line.encode())
        say(f"group {len(groups)}: {groups[-1].seconds:.0f} s")


def settle(ids: Mapping[str, str], groups: Sequence[Group]) -> dict[str, dict[str, int]]:
    """{case's ID: {size: amount}} by what the groups measured; `ids` are {test: case's ID}."""
    measured = [(group.amounts, group.log_ratios(0, 2)) for group in groups]
    return {
        case: amounts_in_turns([(amounts[test], math.expm1(slower[test])) for amounts, slower in measured])
        for test, case in ids.items()
    }


def _is_record(content: Any) -> bool:
    return isinstance(content, dict) and {"machine", "cases", "settled_by"} <= content.keys()


def _is_calibration(folder: Path) -> bool:
    """Whether a folder holds a calibration, by whichever version."""
    try:
        read_record(folder)
    except ValueError:
        return False
    return True


FILES = files.Kind("calibrate", re.compile(r"curves\.csv|table\.md|errors\.(png|svg)"), is_earlier=_is_calibration)
"""What is made of a calibration's two files of data, `calibration.json` and `groups.jsonl`."""


def read_record(folder: Path) -> dict[str, Any]:
    """What a calibration measured on, and what was planted. Raises ValueError where there is none."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        if not _is_record(record):
            raise ValueError("another program's")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} holds no calibration ({RECORD_FILE}: {error}); expected one that `calibrate --out` measured "
            "into: measure one by a --budget above 0s"
        ) from None
    return record


def read_groups(folder: Path) -> Iterator[Group]:
    """The groups in the order they were measured in; a torn last line is none."""
    path = folder / GROUPS_FILE
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            content = json.loads(line)
        except json.JSONDecodeError:
            continue
        yield Group(**content)


def _record(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    if (folder / RECORD_FILE).exists():
        record = read_record(folder)
        here = machine.describe_machine()["key"]
        if record["machine"]["key"] != here:
            raise ValueError(f"{folder} was measured on {record['machine']['key']}; this is {here}: begin a new one")
        return record
    found = look(_side("base"))
    cases = [case for case in found.seconds if "/cuda/" not in case]
    say(f"{len(cases)} cases; finding out how much work to plant at first")
    record = {
        "machine": machine.describe_machine(),
        "packages": machine.packages(),
        "commit": machine.commit(),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "passes": PASSES,
        "seconds_a_case": SECONDS_A_CASE,
        "cases": {case: found.extra_info[case]["case"] for case in cases},
        "amounts": _first_amounts(),
        "settled_by": 0,
        "costs": _costs(cases, say),
    }
    _write(record, folder)
    return record


def _write(record: Mapping[str, Any], folder: Path) -> None:
    with files.explained(folder / RECORD_FILE, "write"):
        files.make_named(folder)
        files.write(folder, RECORD_FILE, json.dumps(record, indent=1), durable=True)


def check_folder(folder: Path) -> None:
    """Raise StoreError or ValueError where what stands in the folder is not a calibration's, or cannot be added to."""
    files.check_outputs(folder, FILES)
    if not os.path.lexists(folder / RECORD_FILE) and os.path.lexists(folder / GROUPS_FILE):
        raise files.StoreError(
            f"{folder} holds {GROUPS_FILE} and no {RECORD_FILE}, so it is no calibration: nothing was changed, "
            "choose another --out"
        )
    for name in (RECORD_FILE, GROUPS_FILE):
        if os.path.lexists(folder / name):
            files.open_to_append(folder, name).close()
    if os.path.lexists(folder / RECORD_FILE):
        read_record(folder)


def _costs(cases: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of plain runs of the suite, of looks at it, and of pairs of all cases and of one."""
    say("taking the time of a plain run, a look and a pair")
    side, again = _side("base"), _side("again")

    def pair(number: int, at: int) -> None:
        measure_pair(side, again, cases[:number], number=at, passes=PASSES, seconds_a_case=SECONDS_A_CASE)

    plain = [sys.executable, "-m", "pytest", "benchmarks", "--quiet"]
    pairs = {
        str(number): [_seconds(functools.partial(pair, number, at)) for at in range(COSTED)]
        for number in (1, len(cases))
    }
    return {
        "plain_seconds": [
            _seconds(lambda: subprocess.run(plain, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL))  # noqa: S603
            for _ in range(COSTED)
        ],
        "look_seconds": [_seconds(lambda: look(side)) for _ in range(COSTED)],
        "pair_seconds": pairs,
    }


def _seconds(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _first_amounts() -> dict[str, dict[str, int]]:
    command = [sys.executable, "-m", PLANTING]
    done = subprocess.run(  # noqa: S603  # our own module
        command, cwd=PROJECT, env=worker_environment(1), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{PLANTING} failed: {done.stderr[-2000:]}")
    found: dict[str, dict[str, int]] = json.loads(done.stdout)
    return found


def _measure_group(record: Mapping[str, Any], number: int) -> Group:
    start = time.monotonic()
    ids: Mapping[str, str] = record["cases"]
    cases = list(ids)
    turns = len(PLANTED)
    sizes = {case: PLANTED[(place + place // turns + number) % turns] for place, case in enumerate(cases)}
    amounts = {case: record["amounts"][ids[case]][size] for case, size in sizes.items()}
    plants = json.dumps({ids[case]: amount for case, amount in amounts.items()})
    planted = dataclasses.replace(_side("planted"), options=("-p", PLANTING), variables={"RNNBENCH_PLANTS": plants})
    measured, controls = measure_together(
        (_side("base"), _side("again"), planted),
        cases,
        number=number,
        passes=PASSES,
        seconds_a_case=SECONDS_A_CASE,
    )
    for each in measured:
        failed = [case for case in cases if each.outcomes.get(case, ("missing",))[0] != "passed"]
        if failed:
            raise RuntimeError(f"{failed[0]} did not pass: {each.outcomes.get(failed[0])} {each.output[-1000:]}")
    return Group(
        sides=tuple(times(measured)),
        summaries=tuple(_summaries(each) for each in measured),
        controls=tuple(tuple((one.product, one.loop) for one in side) for side in controls),
        sizes=sizes,
        amounts=amounts,
        settled=bool(record["settled_by"]),
        seconds=time.monotonic() - start,
    )


def _side(name: str) -> Side:
    return Side(name, PROJECT, sys.executable, SUITE, import_paths=import_paths(PROJECT))


def _summaries(measured: Measured) -> dict[str, dict[str, float]]:
    return {
        case: summary([each for rounds in passes[WARM_UP_PASSES:] for each in rounds])
        for case, passes in measured.seconds.items()
    }


def summary(rounds: Sequence[float]) -> dict[str, float]:
    """What pytest-benchmark's compare looks at."""
    return {"mean": statistics.fmean(rounds), "min": min(rounds), "median": statistics.median(rounds)}


def _rounded(value: Any) -> Any:
    """The same with six significant digits, which is finer than any of it is known."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, (list, tuple)) else value
