"""The run folder: `run.json` says what was measured and where, `trials.jsonl` holds one trial a line.

What is read is data only: JSON, checked field by field, nothing executed. A trial is on disk when `append`
returns. A line that a kill tore is passed over on reading, and the next one never glues to it.

`run.json` is one mapping: schema, name, sweep, implementations, machine, allocator, address_space, packages, commit,
command, started_at, finished_at, peaks, activity_seconds; `docs/results.md` says what each holds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.quoting import quoted
from benchmarks.reading import LARGEST_FILE, lines_of, open_regular, parse_json, read_whole
from benchmarks.trial import SCHEMA, Trial

Record = TypeVar("Record")

RUN_FILE = "run.json"
TRIALS_FILE = "trials.jsonl"
DERIVED = ("summary.csv", "standing.csv", "report.md", "plots")
"""What `report` writes into the folder and may write again."""

_LARGEST = 2**53
"""Sizes and counts beyond what a float holds exactly are no measurement and would break the arithmetic."""


_LONGEST_NAME = 1000
"""Letters of an implementation's name: tables and plots have it in every row."""


class StoreError(Exception):
    """A run folder cannot be read or written; the message names it, what was found and what to do."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """What `trials.jsonl` held: the trials in written order, and a sentence for each line that is none."""

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
        """What the record holds under a name, in the mapping of that name's own, and so on.

        Raises StoreError where it does not: `run.json` was written by something else, or changed.
        """
        found: Any = self._record
        for name in names:
            if not isinstance(found, Mapping) or name not in found:
                raise StoreError(
                    f"{self.folder / RUN_FILE} does not say {'.'.join(names)}; expected it as a sweep writes it: "
                    "restore the file from a copy, or sweep anew"
                )
            found = found[name]
        return found

    def known_texts(self, name: str) -> dict[str, str]:
        """The mapping of texts that the record holds under a name. Raises StoreError where it holds none."""
        found = self.known(name)
        if not isinstance(found, dict) or not found or not all(isinstance(text, str) for text in found.values()):
            raise StoreError(
                f"{self.folder / RUN_FILE} has {name} {quoted(found)}; expected a mapping of texts, as a sweep writes: "
                "restore the file from a copy, or sweep anew"
            )
        return found

    def activity_seconds(self) -> dict[str, float]:
        """Seconds by activity; what is no number in a record that something else wrote is left out."""
        found = self._record.get("activity_seconds")
        pairs = found.items() if isinstance(found, dict) else ()
        return {name: float(value) for name, value in pairs if _is_number(value)}

    def update(self, **fields: Any) -> None:
        """Set fields of the record and rewrite `run.json` in one step: a reader sees the old or the new.

        Raises StoreError when the folder cannot be written; the file is then as it was.
        """
        record = self._record | fields
        _write_record(self.folder, record)
        self._record = record

    def append(self, trial: Trial) -> None:
        """Add one trial; it is on disk on return. Raises StoreError when it cannot be written."""
        append_line(self.folder / TRIALS_FILE, trial.to_json(), "a trial")

    def read(self) -> Reading:
        """Every trial, and every line that is none; only a torn last line is passed over in silence.

        Raises StoreError when the file cannot be read. A file that is not there holds no trials.
        """
        return Reading(*read_lines(self.folder / TRIALS_FILE, _read_trial, "a trial"))

    def trials(self) -> list[Trial]:
        """The trials alone; `read` also says which lines are broken."""
        return self.read().trials


def append_line(path: Path, record: Mapping[str, Any], what: str) -> None:
    """Add one record to a file of JSON lines; it is on disk on return.

    Raises StoreError, which calls the record `what`, when it cannot be written.
    """
    line = _to_json(record).encode() + b"\n"
    with explained(path, f"write {what} to"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # a kill or a full disk tore the line before
            while line:
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_lines(path: Path, parse: Callable[[Any], Record], what: str) -> tuple[list[Record], list[str]]:
    """What `parse` makes of each line's JSON, and a sentence for each line that is not `what`, but a torn last one.

    `parse` raises ValueError, TypeError, LookupError, AttributeError or ArithmeticError for what it does not take. A
    file that is not there holds nothing. Raises StoreError when the file cannot be read.
    """
    found: list[Record] = []
    problems: list[str] = []
    if not path.exists():
        return found, problems
    with explained(path, "read"), open_regular(path) as file:
        for number, line in enumerate(lines_of(file), start=1):
            if not line.strip():
                continue
            try:
                found.append(parse(parse_json(line)))
            except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
                if line.endswith(b"\n") or len(line) >= LARGEST_FILE:
                    reason = f"{type(error).__name__}: {error}"
                    problems.append(f"{path}, line {number}: not {what}, passed over ({reason[:200]})")
    return found, problems


def create_run(folder: str | os.PathLike[str], record: Mapping[str, Any]) -> Run:
    """Begin a run in a folder, which is made when it is not there; `record` becomes `run.json`, with the schema.

    Raises StoreError when the folder already holds a run, or cannot be written.
    """
    path = Path(folder)
    with explained(path, "create"):
        path.mkdir(parents=True, exist_ok=True)
        present = [name for name in (RUN_FILE, TRIALS_FILE, *DERIVED) if (path / name).exists()]
    if present:
        raise StoreError(
            f"{path} already holds {', '.join(present)}; expected a new folder: nothing was changed, "
            "choose another --out or go on with this run by --resume"
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
    _check_record(file, record)
    return Run(path, record)


def _check_record(file: Path, record: Any) -> None:
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
    """Write beside, force to disk, then put in place: a kill at any moment leaves one whole file."""
    temporary = folder / f".{RUN_FILE}.{os.getpid()}"
    content = _to_json(record, indent=2) + "\n"
    with explained(folder / RUN_FILE, "write"):
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(folder / RUN_FILE)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def check_writable(option: str, folder: Path) -> None:
    """Make the folder that an option names. Raises StoreError when nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(
            f"{option} is {folder}, where nothing can be written: {error.strerror or error}; expected a folder"
        ) from error


@contextlib.contextmanager
def folder_for(option: str, folder: Path) -> Iterator[None]:
    """Make the folder that an option names, and take it away again where the block ends by raising and left it empty.

    Raises StoreError when nothing can be written there.
    """
    is_new = not folder.exists()
    check_writable(option, folder)
    try:
        yield
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def explained(path: Path, action: str) -> Iterator[None]:
    """Turn an OSError of the block into a StoreError that says what could not be done, why, and what helps."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and action.startswith("write") and not path.parent.exists():
            raise StoreError(
                f"cannot {action} {path}: its folder is gone, and what was measured with it; expected that nothing "
                "removes a run while it is measured, which one of its implementations may have done: sweep anew"
            ) from error
        raise StoreError(
            f"cannot {action} {path}: {error.strerror or error}. What was written before is whole: "
            "free space or allow writing, or choose another folder, and go on with --resume"
        ) from error


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(_finite(value), indent=indent, allow_nan=False, default=_as_builtin)


def _finite(value: Any) -> Any:
    """JSON has no infinity and no NaN: they are written as strings that float() reads."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _as_builtin(value: Any) -> Any:
    """NumPy's scalars as Python's; anything else (a path, a version) as its text."""
    return _finite(value.item()) if hasattr(value, "item") else str(value)


def _read_trial(record: Any) -> Trial:
    trial = Trial.from_json(record)
    _check_trial(trial)
    return trial


_TEXTS = ("source", "started_at", "finished_at")
_NUMBERS = (
    *("setup_seconds", "first_call_seconds", "check_seconds", "warmup_seconds", "sampling_seconds"),
    *(
        "peak_bytes",
        "checked_steps",
        "input_seed",
        "device_span_seconds",
        "kernel_seconds",
        "kernel_launches",
        "elsewhere_share",
        "helper_processes",
        "unsuspended_seconds",
    ),
)
_MAPPINGS = ("describe", "gpu_before", "gpu_after")


def _check_trial(trial: Trial) -> None:
    """Raise ValueError where a field is not what `Trial` declares: a stranger's file may hold anything."""
    workload = trial.case.workload
    texts = {name: getattr(trial, name) for name in _TEXTS} | {"implementation": trial.case.implementation}
    texts |= {name: text for name in ("reason", "lost") if (text := getattr(trial, name)) is not None}
    numbers = {name: getattr(trial, name) for name in _NUMBERS if getattr(trial, name) is not None}
    numbers |= {name: getattr(workload, name) for name in ("T", "B", "I", "H", "L", "threads")}
    _expect(all(isinstance(value, str) for value in texts.values()), f"{', '.join(texts)}: expected texts")
    _expect(all(_is_number(value) for value in numbers.values()), f"{', '.join(numbers)}: expected numbers from 0")
    _expect(
        all(isinstance(getattr(trial, name), dict) for name in _MAPPINGS), f"{', '.join(_MAPPINGS)}: expected mappings"
    )
    name = trial.case.implementation
    _expect(0 < len(name) <= _LONGEST_NAME, f"implementation: expected a name of at most {_LONGEST_NAME} letters")
    _expect(isinstance(trial.round, int) and 0 <= trial.round < _LARGEST, "round: expected a whole number from 0")
    _expect(isinstance(trial.calls_per_sample, int) and trial.calls_per_sample >= 1, "calls_per_sample: expected 1 up")
    _expect(_are_numbers(trial.seconds), "seconds: expected numbers from 0")
    _expect(_are_numbers(trial.backward_seconds), "backward_seconds: expected numbers from 0")
    _expect(0.0 not in trial.seconds, "seconds: no call takes no time")
    whole = all(isinstance(size, int) and size >= 1 for size in trial.blocks)
    _expect(whole and sum(trial.blocks) == len(trial.seconds), "blocks: expected to add up to the samples")
    _expect(len(trial.backward_seconds) in (0, len(trial.seconds)), "backward_seconds: expected one for each sample")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < _LARGEST


def _are_numbers(values: tuple[Any, ...]) -> bool:
    """The same of many values, a type and a bound at a time; NaN is not between any bounds, nor is its sum."""
    if not {*map(type, values)} <= {int, float}:
        return False
    return not values or (min(values) >= 0 and max(values) < _LARGEST and not math.isnan(sum(values)))


def _expect(holds: bool, expectation: str) -> None:
    if not holds:
        raise ValueError(expectation)
