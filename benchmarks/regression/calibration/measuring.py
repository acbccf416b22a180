"""Measure for a calibration: groups of three interleaved processes, each appended to disk as it ends.

A group is the checkout, the same again, and the same with an injected slowdown in every case: one comparison of equal
code and one of a known difference. The sizes rotate from group to group. A calibration can be stopped at any time and
continued: its measured groups are kept.
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
from benchmarks.json_lines import COMPRESSED, lines_of_both
from benchmarks.measuring.environment import worker_environment
from benchmarks.regression.calibration.injection import refined_amounts
from benchmarks.regression.dry_run import dry_run
from benchmarks.regression.environments.kept_environments import import_paths
from benchmarks.regression.measuring import REPETITIONS, SECONDS_A_CASE
from benchmarks.regression.processes.pairing import log_ratios, measure_pair, measure_together, slice_times
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.processes.suite_process import WARM_UP_REPETITIONS

RECORD_FILE = "calibration.json"
GROUPS_FILE = "groups.jsonl"
SUITE = "benchmarks/suite"
PROJECT = Path(__file__).resolve().parents[3]
INJECTION = "benchmarks.regression.calibration.injection"
COSTED = 3
"""How many plain runs, dry runs and pairs are timed, for each number of cases."""
INJECTED_SIZES = tuple(map(str, (0.05, 0.10, 0.02, 0.05, 0.10, 0.20)))
"""The sizes in the order of their rotation: those that an aim is stated for come twice."""
TUNING_GROUPS = 4 * len(INJECTED_SIZES)
"""The number of first groups that settle the amounts of work: each case meets every size in four or eight of them."""
BASE, AGAIN, SLOWED = 0, 1, 2
"""The places of the three processes in a group."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Three interleaved processes: the checkout, the same again, and the same with injected slowdowns.

    The fields are those of a line of groups.jsonl.
    """

    sides: tuple[Mapping[str, tuple[float, ...]], ...]
    """{case: seconds of a call by time slice} of each process."""
    summaries: tuple[Mapping[str, Mapping[str, float]], ...]
    """{case: {mean, min, median}} of each process, in seconds over all counted rounds: pytest-benchmark's own."""
    controls: tuple[tuple[tuple[float, float], ...], ...]
    """The control beside the turns of each process: seconds of the product and of the loop."""
    sizes: Mapping[str, str]
    """{case: injected slowdown}, as a share."""
    amounts: Mapping[str, int]
    """{case: amount of work} by which the slowdown was injected."""
    settled: bool
    """Whether the amounts were settled by groups before."""
    seconds: float
    """How long the group took."""

    def log_ratios(self, below: int, above: int) -> dict[str, float]:
        """log(above / below) of each case, for two of the processes by place."""
        return log_ratios(self.sides[below], self.sides[above])


def measure(folder: Path, seconds: float, say: Callable[[str], None]) -> None:
    """Measure groups into the folder for this many seconds; a folder without a calibration gets a new one.

    Raises ValueError where the folder holds a calibration of another machine.
    """
    files.remove_abandoned("process", say)
    end = time.monotonic() + seconds
    record = begun_record(folder, say)
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
    """{case's ID: {size: amount}} by the slowdowns of the groups; `ids` are {test: case's ID}."""
    measured = [(group.amounts, group.log_ratios(BASE, SLOWED)) for group in groups]
    return {
        case: refined_amounts([(amounts[test], math.expm1(slower[test])) for amounts, slower in measured])
        for test, case in ids.items()
    }


def _is_record(content: Any) -> bool:
    return isinstance(content, dict) and {"machine", "cases", "settled_by"} <= content.keys()


def _is_calibration(folder: Path) -> bool:
    """Whether a folder holds a calibration of any version."""
    try:
        read_record(folder)
    except ValueError:
        return False
    return True


FILES = files.CommandFiles(
    "calibrate", re.compile(r"curves\.csv|table\.md|errors\.(png|svg)"), is_earlier=_is_calibration
)
"""The files that are derived from the data of a calibration, `calibration.json` and `groups.jsonl`."""


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a calibration: machine, cases, costs and amounts of work. Raises ValueError where there is none."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        if not _is_record(record):
            raise ValueError("another program's file")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} holds no calibration ({RECORD_FILE}: {error}); expected one that `calibrate --out` measured "
            "into: measure one by a --budget above 0s"
        ) from None
    return record


def read_groups(folder: Path) -> Iterator[Group]:
    """The groups, in the order in which they were measured; a line that a kill has torn is passed over.

    Raises StoreError when a file cannot be read or unpacked.
    """
    for line in lines_of_both(folder, GROUPS_FILE):
        try:
            content = json.loads(line)
        except json.JSONDecodeError:
            continue
        yield Group(**content)


def begun_record(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """The record of the calibration in a folder, begun where there is none. Raises ValueError for another machine's."""
    if (folder / RECORD_FILE).exists():
        record = read_record(folder)
        here = machine.describe_machine()["key"]
        if record["machine"]["key"] != here:
            raise ValueError(f"{folder} was measured on {record['machine']['key']}; this is {here}: begin a new one")
        return record
    found = dry_run(_side("base"))
    cases = [case for case in found.repetitions if "/cuda/" not in case]
    say(f"{len(cases)} cases; measuring how much work makes each size of slowdown")
    record = {
        "machine": machine.describe_machine(),
        "packages": machine.packages(),
        "commit": machine.commit(),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "repetitions": REPETITIONS,
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
    """Raise StoreError or ValueError where the folder holds other files, or a calibration that cannot be added to."""
    files.check_outputs(folder, FILES)
    groups = [name for name in (GROUPS_FILE, GROUPS_FILE + COMPRESSED) if os.path.lexists(folder / name)]
    if groups and not os.path.lexists(folder / RECORD_FILE):
        raise files.StoreError(
            f"{folder} holds {groups[0]} and no {RECORD_FILE}, so it is no calibration: nothing was changed, "
            "choose another --out"
        )
    for name in (RECORD_FILE, GROUPS_FILE):
        if os.path.lexists(folder / name):
            files.open_to_append(folder, name).close()
    if os.path.lexists(folder / RECORD_FILE):
        read_record(folder)


def _costs(cases: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of plain runs of the suite, of dry runs, and of pairs of one case and of all."""
    say("timing a plain run, a dry run and a pair")
    side, again = _side("base"), _side("again")

    def pair(number: int, at: int) -> None:
        measure_pair(side, again, cases[:number], number=at, repetitions=REPETITIONS, seconds_a_case=SECONDS_A_CASE)

    plain = [sys.executable, "-m", "pytest", SUITE, "--quiet"]
    pairs = {
        str(number): [_seconds(functools.partial(pair, number, at)) for at in range(COSTED)]
        for number in (1, len(cases))
    }
    return {
        "plain_seconds": [
            _seconds(lambda: subprocess.run(plain, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL))  # noqa: S603
            for _ in range(COSTED)
        ],
        "dry_run_seconds": [_seconds(lambda: dry_run(side)) for _ in range(COSTED)],
        "pair_seconds": pairs,
    }


def _seconds(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _first_amounts() -> dict[str, dict[str, int]]:
    command = [sys.executable, "-m", INJECTION]
    done = subprocess.run(  # noqa: S603  # a module of this project
        command, cwd=PROJECT, env=worker_environment(1), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{INJECTION} failed: {done.stderr[-2000:]}")
    found: dict[str, dict[str, int]] = json.loads(done.stdout)
    return found


def _measure_group(record: Mapping[str, Any], number: int) -> Group:
    start = time.monotonic()
    ids: Mapping[str, str] = record["cases"]
    cases = list(ids)
    turns = len(INJECTED_SIZES)
    sizes = {case: INJECTED_SIZES[(place + place // turns + number) % turns] for place, case in enumerate(cases)}
    amounts = {case: record["amounts"][ids[case]][size] for case, size in sizes.items()}
    work = json.dumps({ids[case]: amount for case, amount in amounts.items()})
    variables = {"RNNBENCH_INJECTED_WORK": work}
    slowed = dataclasses.replace(_side("slowed"), options=("-p", INJECTION), variables=variables)
    records, controls = measure_together(
        (_side("base"), _side("again"), slowed),
        cases,
        number=number,
        repetitions=REPETITIONS,
        seconds_a_case=SECONDS_A_CASE,
    )
    for each in records:
        failed = [case for case in cases if not each.passed(case)]
        if failed:
            why = each.outcomes[failed[0]].reason if failed[0] in each.outcomes else "it did not run"
            raise RuntimeError(f"{failed[0]} did not pass: {why}; {each.output[-1000:]}")
    return Group(
        sides=tuple(slice_times(records)),
        summaries=tuple(_summaries(each) for each in records),
        controls=tuple(tuple((one.product, one.loop) for one in side) for side in controls),
        sizes=sizes,
        amounts=amounts,
        settled=bool(record["settled_by"]),
        seconds=time.monotonic() - start,
    )


def _side(name: str) -> Side:
    return Side(name, PROJECT, sys.executable, SUITE, import_paths=import_paths(PROJECT))


def _summaries(record: ProcessRecord) -> dict[str, dict[str, float]]:
    return {
        case: summary([each for rounds in record.seconds(case)[WARM_UP_REPETITIONS:] for each in rounds])
        for case in record.repetitions
    }


def summary(rounds: Sequence[float]) -> dict[str, float]:
    """The three numbers by which pytest-benchmark's compare can fail, from the seconds of each round."""
    return {"mean": statistics.fmean(rounds), "min": min(rounds), "median": statistics.median(rounds)}


def _rounded(value: Any) -> Any:
    """The JSON value with six significant digits in each number, which no measurement is finer than."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, (list, tuple)) else value
