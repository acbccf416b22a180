"""The run folder: `run.json` says what was measured and where, `trials.jsonl` holds one trial a line.

A run that is kept may have its trials in `trials.jsonl.xz`; what is measured afterwards is added to `trials.jsonl`.

Only data are read: JSON, checked field by field, nothing executed. A trial is on disk when `append` returns. A line
that a kill tore is passed over on reading, and the next line is never joined to it.

`run.json` is one mapping: schema, name, sweep, implementations, machine, allocator, address_space, packages, commit,
command, started_at, finished_at, peaks, activity_seconds; `docs/results.md` says what each holds.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import program
from benchmarks.files import CommandFiles, check_outputs, make_named, open_to_append, write
from benchmarks.files import StoreError as StoreError
from benchmarks.files import explained as explained
from benchmarks.json_lines import COMPRESSED, append_line, compress_lines, read_lines, to_json
from benchmarks.quoting import quoted
from benchmarks.reading import parse_json, read_whole
from benchmarks.stored_trial import is_number, parse_trial
from benchmarks.trial import SCHEMA, Trial
from rnnimpl.registry import names

RUN_FILE = "run.json"
TRIALS_FILE = "trials.jsonl"
COMPRESSED_FILE = TRIALS_FILE + COMPRESSED
DERIVED = (
    *("answer.csv", "ratios.csv", "summary.csv", "ranking.csv", "standing.csv", "latencies.csv", "lengths.csv"),
    *("report.html", "report.md", "plots"),
)
"""Names that `report` writes, or wrote, into the folder: earlier versions call `ranking.csv` `standing.csv`."""

TOGETHER = "side-by-side"
"""The folder, within the first run's, of a report on several runs: each run keeps its own report."""


@dataclasses.dataclass(frozen=True)
class StoredTrials:
    """The trials of a run in written order, and a sentence for each line that is no trial."""

    trials: list[Trial]
    problems: list[str]


class Run:
    """One run folder, open for reading and for adding trials; made by `create_run` and `open_run`."""

    def __init__(self, folder: Path, record: Mapping[str, Any]) -> None:
        self.folder = folder
        self._record = dict(record)

    @property
    def record(self) -> Mapping[str, Any]:
        """The mapping that `run.json` holds."""
        return self._record

    def known(self, *names: str) -> Any:
        """The value in the record under a name, under the next name in that value, and so on.

        Raises StoreError where there is none: `run.json` was written by something else, or changed.
        """
        found: Any = self._record
        for name in names:
            if not isinstance(found, Mapping) or name not in found:
                raise StoreError(
                    f"{self.folder / RUN_FILE} does not say {'.'.join(names)}; expected it as a sweep writes it: "
                    "restore the file from a copy, or sweep again"
                )
            found = found[name]
        return found

    def known_texts(self, name: str) -> dict[str, str]:
        """The mapping of texts that the record holds under a name. Raises StoreError where it holds none."""
        found = self.known(name)
        if not isinstance(found, dict) or not found or not all(isinstance(text, str) for text in found.values()):
            raise StoreError(
                f"{self.folder / RUN_FILE} has {name} {quoted(found)}; expected a mapping of texts, as a sweep writes: "
                "restore the file from a copy, or sweep again"
            )
        return found

    def activity_seconds(self) -> dict[str, float]:
        """{activity: seconds} of the record; values that are no numbers are left out."""
        found = self._record.get("activity_seconds")
        pairs = found.items() if isinstance(found, dict) else ()
        return {name: float(value) for name, value in pairs if is_number(value)}

    def update(self, **fields: Any) -> None:
        """Set fields of the record and rewrite `run.json` in one step: a reader sees the old or the new.

        Raises StoreError when the folder cannot be written; the file is then unchanged.
        """
        record = self._record | fields
        _write_record(self.folder, record)
        self._record = record

    def check_writable(self) -> None:
        """Raise StoreError where the run's files cannot be extended, or a report would replace a stranger's files."""
        check_outputs(self.folder, REPORT)
        for path in (self.folder / RUN_FILE, self.folder / TRIALS_FILE, *self.folder.glob("worker-*.log")):
            with explained(path, "write"):
                if os.path.lexists(path):
                    open_to_append(self.folder, path.name).close()

    def append(self, trial: Trial) -> None:
        """Add one trial; it is on disk on return. Raises StoreError when it cannot be written."""
        append_line(self.folder / TRIALS_FILE, trial.to_json(), "a trial")

    def read(self) -> StoredTrials:
        """Every trial, and a sentence for every broken line but a torn last one.

        Raises StoreError when a file cannot be read. A missing file holds no trials.
        """
        trials, problems = read_lines(self.folder / COMPRESSED_FILE, parse_trial, "a trial")
        added, problems_of_added = read_lines(self.folder / TRIALS_FILE, parse_trial, "a trial")
        # A kill in `compress` can leave trials in both files.
        known = {_visit(trial) for trial in trials} if added else set()
        trials += [trial for trial in added if _visit(trial) not in known]
        return StoredTrials(trials, problems + problems_of_added)

    def compress(self) -> int:
        """Move the trials of `trials.jsonl` to `trials.jsonl.xz`; the bytes of that file.

        Raises StoreError where a line is no trial, which would be lost, or a file cannot be read or written. After a
        kill every trial is in at least one of the files, and is read once.
        """
        problems = self.read().problems
        if problems:
            raise StoreError(f"{problems[0]}: nothing was changed; remove the line to compress the rest")
        return compress_lines(self.folder, TRIALS_FILE)

    def trials(self) -> list[Trial]:
        """The trials alone; `read` also reports broken lines."""
        return self.read().trials


def resume_command(folder: str | os.PathLike[str], implementations: Mapping[str, object]) -> str:
    """The command that goes on with a run, whose implementations are {name: source}.

    It names those again that are not in the registry: a run's folder is not trusted to name code that is imported.
    """
    own = {
        name: source for name, source in implementations.items() if isinstance(source, str) and source not in names()
    }
    return program.command("sweep", "--resume", os.fspath(folder), *program.implementation_options(own))


def create_run(folder: str | os.PathLike[str], record: Mapping[str, Any]) -> Run:
    """Begin a run in a folder, which is made when it is not there; `record` becomes `run.json`, with the schema.

    Raises StoreError when the folder already holds a run, or cannot be written.
    """
    path = Path(folder)
    with explained(path, "create"):
        make_named(path)
        present = [name for name in (RUN_FILE, TRIALS_FILE, COMPRESSED_FILE, *DERIVED) if os.path.lexists(path / name)]
    if present:
        raise StoreError(
            f"{path} already holds {', '.join(present)}; expected a new folder: nothing was changed, choose another "
            f"--out or go on with this run: {program.command('sweep', '--resume', str(path))}"
        )
    complete = {"schema": SCHEMA, **record}
    _write_record(path, complete)
    return Run(path, complete)


def open_run(folder: str | os.PathLike[str]) -> Run:
    """Open the run that a folder holds.

    Raises StoreError when the folder is not there, holds no run, its `run.json` is broken or was written by a
    later version. Nothing is changed.
    """
    path = Path(folder)
    if not path.is_dir():
        found = "is a file" if path.exists() else "does not exist"
        raise StoreError(f"{path} {found}; expected a run folder, as `python -m benchmarks sweep` writes")
    file = path / RUN_FILE
    if not file.exists():
        within = sorted(str(inner.parent) for inner in path.glob(f"*/{RUN_FILE}"))[:5]
        remedy = f"name one of the runs in it: {', '.join(within)}" if within else "name the folder that holds it"
        raise StoreError(f"{path} holds no {RUN_FILE}, so it is no run folder: {remedy}")
    try:
        with explained(file, "read"):
            content = read_whole(file)
        record = parse_json(content)
    except ValueError as error:
        raise StoreError(
            f"{file} is not JSON ({error}): restore it from a copy; the trials in {TRIALS_FILE} are not touched"
        ) from error
    check_record(file, record)
    return Run(path, record)


def _visit(trial: Trial) -> tuple[str, int, str, str]:
    """The case, the round and the times of a visit, which no other has."""
    return trial.case.id, trial.round, trial.started_at, trial.finished_at


def _holds_run(folder: Path) -> bool:
    """Whether a folder holds a run, or is the folder of a report on several runs within one."""
    try:
        record = open_run(folder.parent if folder.name == TOGETHER else folder).record
    except (StoreError, OSError):
        return False
    return "sweep" in record and "implementations" in record


REPORT = CommandFiles(
    "report",
    re.compile(
        r"report\.(html|md)|(answer|ratios|summary|ranking|standing|latencies|lengths)\.csv|"
        r"plots/(device-times|error-against-time|latency-tail|limit|padding|ranking|roofline|scaling|scan|scan-steps|set-up|share-of-peak|speedup|standing|"
        r"time-over-[A-Za-z]+|winner-map)(-\d+)?\.(png|svg)"
    ),
    folders=("plots",),
    is_earlier=_holds_run,
)
"""The files of a report. A run's folder may hold one by an earlier version."""


def check_record(file: Path, record: Any) -> None:
    """Raise StoreError where this is no record of a run, or one by a later version; `file` holds it."""
    if not isinstance(record, dict):
        raise StoreError(f"{file} holds a {type(record).__name__}; expected a mapping, as a sweep writes it")
    schema = record.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
        raise StoreError(f"{file} has schema {quoted(schema)}; expected a whole number from 1 to {SCHEMA}")
    if schema > SCHEMA:
        raise StoreError(
            f"{file} has schema {schema}, later than the {SCHEMA} that this version knows: "
            "nothing was changed, use the version that wrote it or a later one"
        )


def _write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write `run.json` in one step: after a kill it is the old file or the new one."""
    with explained(folder / RUN_FILE, "write"):
        write(folder, RUN_FILE, to_json(record, indent=2) + "\n", durable=True)
