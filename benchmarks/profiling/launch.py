"""From the case IDs of the command line to a folder of profiles: everything is checked before anything is measured."""

from __future__ import annotations

import difflib
import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.counts import too_large
from benchmarks.measuring.expectations import Expectations
from benchmarks.measuring.lock import measuring_alone
from benchmarks.measuring.process import Worker, WorkerLost
from benchmarks.profiling.report import write_report
from benchmarks.store import explained
from benchmarks.workload import Case
from rnnimpl.registry import listing, names

RESULTS = Path("results")
FOLDER = "profile"
TIMEOUT_SECONDS = 300.0


def parse_cases(texts: Sequence[str]) -> tuple[Case, ...]:
    """The cases that IDs name. Raises ValueError, with the nearest implementation, where one names none."""
    cases = tuple(dict.fromkeys(Case.parse(text) for text in texts))
    for case in cases:
        source = case.implementation
        if ":" not in source and source not in names():
            nearest = difflib.get_close_matches(source, names(), n=1, cutoff=0.3)
            hint = f"did you mean {Case(nearest[0], case.workload).id}? " if nearest else ""
            raise ValueError(f"case is {case.id!r}; {hint}Known implementations: {', '.join(names())}")
        listing(source)
        if case.workload.device != "cpu":
            raise ValueError(f"case is {case.id!r}; expected device cpu: the profile looks at processors, not at GPUs")
        if case.workload.threads > machine.usable_cores():
            raise ValueError(
                f"case is {case.id!r}; expected at most {machine.usable_cores()} threads, as many as cores"
            )
        available = machine.available_bytes("cpu")
        refusal = None if available is None else too_large(case.workload, available)
        if refusal:
            raise ValueError(refusal)
    return cases


def profile_cases(
    cases: Sequence[Case], *, out: Path | None, seconds: float, repeats: int, say: Callable[[str], None]
) -> Path:
    """Profile cases and write the report; its path. Each repeat of a case has a process of its own.

    `out` is a run's folder or a new one. Raises ValueError where no case could be profiled, with each one's reason.
    """
    if not 0 < seconds <= 60:
        raise ValueError(f"--seconds is {seconds}; expected more than 0 and at most 60")
    if not 1 <= repeats <= 100:
        raise ValueError(f"--repeats is {repeats}; expected 1 to 100")
    started = datetime.now(UTC)
    folder = (out or RESULTS / f"profile-{started:%Y%m%d-%H%M%S}") / FOLDER
    records: list[dict[str, Any]] = []
    refused: dict[str, str] = {}
    with measuring_alone(f"profile {folder}", say), tempfile.TemporaryDirectory(prefix="rnnbench-") as scratch:
        expectations = Expectations(Path(scratch))
        for repeat in range(repeats):
            for case in cases:
                if case.id in refused:
                    continue
                say(f"{repeat + 1} of {repeats}: {case.id}")
                try:
                    reply = _profile(case, *expectations.get(case.workload), seconds, Path(scratch) / "worker.log")
                except WorkerLost as lost:
                    reply = {"status": lost.status, "reason": lost.reason}
                if "status" in reply:
                    refused[case.id] = f"{reply['status']}: {reply['reason']}"
                else:
                    records.append({"case": case.id, "repeat": repeat, **reply})
    if not records:
        raise ValueError("; ".join(f"{case} could not be profiled ({reason})" for case, reason in refused.items()))
    with explained(folder, "write the profile to"):
        folder.mkdir(parents=True, exist_ok=True)
        about = {
            "machine": machine.describe_machine(),
            "packages": machine.packages(),
            "commit": machine.commit(),
            "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
            "started_at": started.isoformat(timespec="seconds"),
            "refused": refused,
        }
        (folder / "profile.json").write_text(json.dumps(about, indent=2, default=str) + "\n", encoding="utf-8")
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (folder / "profiles.jsonl").write_text(lines, encoding="utf-8")
        return write_report(folder, records, refused)


def _profile(case: Case, expectation: Path, checked_steps: int, seconds: float, log: Path) -> Mapping[str, Any]:
    """One repeat: built, checked, warmed up and looked at in a fresh process."""
    workload = case.workload
    worker = Worker(case.implementation, threads=workload.threads, precision=workload.precision, device="cpu", log=log)
    try:
        reply = worker.wait_ready()
        if "status" not in reply:
            prepare = {"do": "prepare", "workload": workload.id, "expectation": str(expectation)}
            reply = worker.ask(prepare | {"checked_steps": checked_steps}, TIMEOUT_SECONDS)
        return reply if "status" in reply else worker.ask({"do": "profile", "seconds": seconds}, TIMEOUT_SECONDS)
    finally:
        worker.kill()
