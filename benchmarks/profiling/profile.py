"""From cases to a folder with their profile: each repeat of a case is measured in a process of its own."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine, program
from benchmarks.files import (
    CommandFiles,
    StoreError,
    check_outputs,
    folder_for,
    make_folder,
    open_to_read,
    remove_abandoned,
    replacing,
    scratch_folder,
    write,
)
from benchmarks.limits.peak import Peak
from benchmarks.measuring.checking.call_checking import Expected, prepare
from benchmarks.measuring.checking.expectations import Expectations
from benchmarks.measuring.conditions.lock import measuring_alone
from benchmarks.measuring.processes.ending import ended_in_order
from benchmarks.measuring.processes.lost import WorkerLost
from benchmarks.measuring.processes.process import Meanwhile, Worker
from benchmarks.measuring.sweeping.peak_processes import PEAK_SECONDS, measure_peaks
from benchmarks.presentation.clock import ticking
from benchmarks.profiling.replies import PROFILING
from benchmarks.profiling.reporting.report import write_report
from benchmarks.profiling.sampling.blocks import most_seconds
from benchmarks.trial import NothingMeasured
from benchmarks.workload import Case

RESULTS = Path("results")
FOLDER = "profile"
TRACES = "traces"
TIMEOUT_SECONDS = 300.0


def profile_cases(
    cases: Sequence[Case],
    *,
    out: Path | None,
    seconds: float,
    repeats: int,
    say: Callable[[str], None],
    meanwhile: Meanwhile | None = None,
    peak_seconds: float = PEAK_SECONDS,
) -> Path:
    """Profile cases `repeats` times and write the report; returns its path.

    `seconds` is how long a case is sampled in each repeat at least, and timed without the sampler for as long.
    `meanwhile` is called while something is waited for. `peak_seconds` is how long the peaks that bound the cases are
    measured, for each setting of the machine. `out` is the folder of a run, or a new one. Raises ValueError for seconds
    or repeats out of their range, NothingMeasured with each case's reason where no case could be profiled, and
    StoreError where nothing can be written or files of others have the names of a profile's. ValueError and StoreError
    are raised before anything is measured.
    """
    if not 0 < seconds <= 60:
        raise ValueError(f"--seconds is {seconds}; expected more than 0 and at most 60")
    if not 1 <= repeats <= 100:
        raise ValueError(f"--repeats is {repeats}; expected 1 to 100")
    started = datetime.now(UTC)
    # Asked before files of this run can make the checkout look changed.
    commit = machine.commit()
    run = out or RESULTS / f"profile-{started:%Y%m%d-%H%M%S}"
    folder = run / FOLDER
    check_outputs(run, FILES)
    with (
        ended_in_order(),
        folder_for("--out", run),
        measuring_alone(f"profile {folder}", say, waiting=lambda: ticking(meanwhile)),
        scratch_folder(FOLDER) as scratch,
    ):
        remove_abandoned(FOLDER, say)
        say(f"measuring what the machine can do at most: about {peak_seconds:.0f} s for each setting")
        workloads = dict.fromkeys(case.workload for case in cases)
        peaks = measure_peaks(workloads, seconds=peak_seconds, log=scratch / "peaks.log", say=say, meanwhile=meanwhile)
        records, refused = profile_repeats(cases, repeats, seconds, scratch, say, meanwhile)
        if not records:
            raise NothingMeasured(
                "; ".join(f"{case} could not be profiled ({reason})" for case, reason in refused.items())
            )
        about = {
            "machine": machine.describe_machine(),
            "packages": machine.packages(),
            "commit": commit,
            "command": program.command(*sys.argv[1:]),
            "started_at": started.isoformat(timespec="seconds"),
            "refused": refused,
            "peaks": peaks,
        }
        say("writing the report")
        with ticking(meanwhile), replacing(run, FILES) as staged:
            into = make_folder(staged, FOLDER)
            make_folder(into, TRACES)
            for trace in sorted(scratch.glob("*.json.gz")):
                write(into, f"{TRACES}/{trace.name}", trace.read_bytes())
            write(into, "profile.json", json.dumps(about, indent=2, default=str) + "\n")
            write(into, "profiles.jsonl", "".join(json.dumps(record) + "\n" for record in records))
            report = write_report(into, records, refused, [Peak.from_json(peak) for peak in peaks])
    return folder / report.name


def profile_repeats(
    cases: Sequence[Case],
    repeats: int,
    seconds: float,
    scratch: Path,
    say: Callable[[str], None],
    meanwhile: Meanwhile | None = None,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The records of all repeats, and {case: reason why it could not be profiled}.

    Traces of the first repeat go to `scratch`.
    """
    expectations = Expectations()
    records: list[dict[str, Any]] = []
    refused: dict[str, str] = {}
    for repeat in range(repeats):
        for case in cases:
            if case.id in refused:
                continue
            number = repeat * len(cases) + cases.index(case) + 1
            say(f"{number} of {repeats * len(cases)}: {case.id}, about {most_seconds(seconds):.0f} s at most")
            try:
                with ticking(meanwhile):
                    expected = expectations.get(case.workload)
                reply = profile_once(case, expected, seconds, scratch, with_traces=repeat == 0, meanwhile=meanwhile)
            except WorkerLost as lost:
                reply = {"status": lost.status, "reason": lost.reason}
            if "status" in reply:
                refused[case.id] = f"{reply['status']}: {reply['reason']}"
            else:
                records.append({"case": case.id, "repeat": repeat, **reply})
    return records, refused


def _is_earlier(folder: Path) -> bool:
    """Whether a folder has the profile of a version that kept no list of its files."""
    try:
        with open_to_read(folder, f"{FOLDER}/profile.json") as file:
            content = json.loads(file.read())
    except (OSError, StoreError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"machine", "command", "peaks"} <= content.keys()


FILES = CommandFiles(
    "profile",
    re.compile(
        rf"{FOLDER}/(profile\.json|profiles\.jsonl|profile\.md|(breakdown|counts|functions|limits)\.csv|"
        rf"(breakdown|roofline)(-\d+)?\.(png|svg)|growth-[A-Z]\.(png|svg)|"
        rf"{TRACES}/[\w.-]+\.(trace|speedscope)\.json\.gz)"
    ),
    folders=(FOLDER, f"{FOLDER}/{TRACES}"),
    is_earlier=_is_earlier,
)


def profile_once(
    case: Case,
    expected: Expected,
    seconds: float,
    scratch: Path,
    *,
    with_traces: bool,
    meanwhile: Meanwhile | None = None,
) -> Mapping[str, Any]:
    """The record of one repeat, in a new process, or the status and reason of its failure.

    `with_traces` has the case counted and traced after its profile. `meanwhile` is called while an answer is waited
    for.
    """
    workload = case.workload
    worker = Worker(
        case.implementation,
        threads=workload.threads,
        precision=workload.precision,
        device=workload.device,
        log=scratch / "worker.log",
        service=PROFILING,
    )
    worker.meanwhile = meanwhile

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        return worker.ask(request, TIMEOUT_SECONDS)

    try:
        reply = worker.wait_ready()
        if "status" not in reply:
            reply = prepare(ask, workload, expected, scratch / "results.npz")
        if "status" in reply:
            return reply
        profile = worker.ask({"do": "profile", "seconds": seconds}, TIMEOUT_SECONDS + most_seconds(seconds))
        if "status" in profile or not with_traces:
            return profile
        # A profile is kept where counting or tracing after it fails.
        request = {"do": "count_and_trace", "folder": str(scratch), "stem": stem_of(case), "passes": profile["passes"]}
        try:
            counts = ask(request)
        except WorkerLost as lost:
            counts = {"status": lost.status, "reason": lost.reason}
        return {**profile, "counts": counts}
    finally:
        worker.kill()


def stem_of(case: Case) -> str:
    """The name of a case's trace and flame graph, without their endings."""
    return re.sub(r"[^\w.-]+", "_", case.id)
