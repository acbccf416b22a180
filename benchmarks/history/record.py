"""The record of one process that measured one revision: the unit of a history, one line of its file."""

from __future__ import annotations

import dataclasses
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.quoting import quoted
from benchmarks.regression.processes.pairing import first_decile

LARGEST_SECONDS = 1e15
"""The bound of a number that can be a measurement; larger ones would break the arithmetic."""
SCHEMA = 2
"""1: the first, and still that of a record of a revision. 2: a record of a release has `package`, `version` and
`released`, too."""
_SINCE_2 = ("package", "version", "released")


@dataclasses.dataclass(frozen=True)
class CaseTimes:
    """The times of one case in one process."""

    low_seconds: float
    """A call that nothing interrupts: the first decile of the rounds, as the median over repetitions."""
    median_seconds: float
    """The median over the rounds of all repetitions."""
    min_seconds: float
    """The shortest of the rounds of all repetitions."""
    rounds: int

    @classmethod
    def of_repetitions(cls, repetitions: Sequence[Sequence[float]]) -> CaseTimes:
        """The times of a case, from the seconds of a call in each round of each repetition."""
        rounds = [seconds for each in repetitions for seconds in each]
        low = statistics.median(first_decile(each) for each in repetitions)
        return cls(low, statistics.median(rounds), min(rounds), len(rounds))

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> CaseTimes:
        """The times that a record holds. Raises ValueError or TypeError where the fields are not those declared."""
        times = cls(**fields)
        for field in dataclasses.fields(times):
            _check_number(field.name, getattr(times, field.name))
        if not min(times.low_seconds, times.median_seconds, times.min_seconds) > 0:
            raise ValueError("low_seconds, median_seconds, min_seconds: no call takes no time")
        return times


@dataclasses.dataclass(frozen=True)
class Measurement:
    """The record of one fresh process that ran the suite on one revision."""

    revision: str
    """The commit in full."""
    suite: str
    """The path of the suite from the top of the project."""
    suite_digest: str
    """The digest of the suite's files."""
    group: str
    """The name of the group of interleaved processes, which share the effect of their session."""
    measured_at: str
    """The beginning of the group: ISO 8601 with the offset from UTC."""
    packages: Mapping[str, str]
    """The version of Python and of every installed package but the project itself."""
    system: Mapping[str, str]
    """The operating system, kernel and C library."""
    cases: Mapping[str, CaseTimes]
    controls: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Seconds of fixed work that uses no code of the project: the median over the process's turns."""
    failure: str | None = None
    """Why the revision cannot run this suite and has no cases; None where it can."""
    package: str = ""
    """The package of whose release the record is; empty where it is of the revision alone."""
    version: str = ""
    """The release of the package."""
    released: str = ""
    """The day of the release, as 2026-11-30; empty where it is not known."""

    def to_json(self) -> dict[str, Any]:
        """The record as a mapping of JSON values, with the schema."""
        names = [field.name for field in dataclasses.fields(self) if self.package or field.name not in _SINCE_2]
        return {
            "schema": SCHEMA if self.package else 1,
            **{name: getattr(self, name) for name in names},
            "packages": dict(self.packages),
            "system": dict(self.system),
            "cases": {name: dataclasses.asdict(times) for name, times in self.cases.items()},
            "controls": dict(self.controls),
        }

    @classmethod
    def from_json(cls, record: Any) -> Measurement:
        """The inverse of `to_json`. Raises ValueError, TypeError or KeyError for a record of another form."""
        if not isinstance(record, dict):
            raise ValueError(f"a {type(record).__name__}; expected a mapping")
        if record.get("schema") not in (1, SCHEMA):
            raise ValueError(f"schema {quoted(record.get('schema'))}; this version knows 1 to {SCHEMA}")
        if record["schema"] == 1:
            record = {**record, **dict.fromkeys(_SINCE_2, "")}
        fields = {field.name: record[field.name] for field in dataclasses.fields(cls)}
        for name in ("revision", "suite", "suite_digest", "group", "measured_at", *_SINCE_2):
            if not isinstance(fields[name], str):
                raise ValueError(f"{name} is {quoted(fields[name])}; expected a text")
        # git gets it as an argument, and takes a text that begins with a dash for an option.
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", fields["revision"]):
            raise ValueError(
                f"revision is {quoted(fields['revision'])}; expected a commit in full, 40 hexadecimal digits"
            )
        for name in ("packages", "system"):
            if not _is_texts(fields[name]):
                raise ValueError(f"{name}: expected a mapping of texts")
        if not isinstance(fields["failure"], str | None):
            raise ValueError("failure: expected a text or null")
        for name in ("controls", "cases"):
            if not isinstance(fields[name], dict):
                raise ValueError(f"{name} is {quoted(fields[name])}; expected a mapping")
        for name, seconds in fields["controls"].items():
            _check_number(name, seconds)
            if not seconds > 0:
                raise ValueError(f"{quoted(name)}: no work takes no time")
        fields["cases"] = {case: CaseTimes.from_json(times) for case, times in fields["cases"].items()}
        return cls(**fields)


def _check_number(name: str, value: Any) -> None:
    if type(value) not in (int, float) or not 0 <= value < LARGEST_SECONDS:
        raise ValueError(f"{name} is {quoted(value)}; expected a number from 0 to {LARGEST_SECONDS:g}")


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)
