"""What one process measured of one revision: the unit that history counts, one line of its file."""

from __future__ import annotations

import dataclasses
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.quoting import quoted
from benchmarks.regression.pairing import undisturbed

LARGEST_SECONDS = 1e15
"""Beyond it a number is no measurement, and would break the arithmetic."""
SCHEMA = 1
"""1: the first."""


@dataclasses.dataclass(frozen=True)
class CaseTimes:
    """One case in one process."""

    low_seconds: float
    """A call when nothing comes between: where the lowest tenth of the rounds ends, the median of the passes."""
    median_seconds: float
    """The median, and the smallest, of the rounds of all passes."""
    min_seconds: float
    rounds: int

    @classmethod
    def of_passes(cls, passes: Sequence[Sequence[float]]) -> CaseTimes:
        """From the seconds of a call in each round of each pass."""
        rounds = [seconds for each in passes for seconds in each]
        low = statistics.median(undisturbed(each) for each in passes)
        return cls(low, statistics.median(rounds), min(rounds), len(rounds))

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> CaseTimes:
        """Raises ValueError or TypeError where the fields are not what the class declares."""
        times = cls(**fields)
        for field in dataclasses.fields(times):
            _check_number(field.name, getattr(times, field.name))
        if not min(times.low_seconds, times.median_seconds, times.min_seconds) > 0:
            raise ValueError("low_seconds, median_seconds, min_seconds: no call takes no time")
        return times


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One fresh process that ran the suite on one revision."""

    revision: str
    """The commit in full."""
    suite: str
    """Where in the project the suite stands, and `suite_digest` what its files held."""
    suite_digest: str
    group: str
    """Processes of one group took turns within each test: what the machine did then, it did to all of them."""
    measured_at: str
    """When the group began: ISO 8601 with the offset from UTC."""
    packages: Mapping[str, str]
    """Version of Python and of every package that was installed but the project itself."""
    system: Mapping[str, str]
    """Operating system, kernel, C library."""
    cases: Mapping[str, CaseTimes]
    controls: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Seconds of work that is no code of the project's, taken beside each of the process's turns: the median."""
    failure: str | None = None
    """Why there are no cases, where there are none: the revision cannot run this suite."""

    def to_json(self) -> dict[str, Any]:
        """The record as a mapping of JSON values, with the schema."""
        return {
            "schema": SCHEMA,
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "packages": dict(self.packages),
            "system": dict(self.system),
            "cases": {name: dataclasses.asdict(times) for name, times in self.cases.items()},
            "controls": dict(self.controls),
        }

    @classmethod
    def from_json(cls, record: Any) -> Measurement:
        """The inverse of `to_json`. Raises ValueError, TypeError or KeyError where the record is none."""
        if not isinstance(record, dict):
            raise ValueError(f"a {type(record).__name__}; expected a mapping")
        if record.get("schema") != SCHEMA:
            raise ValueError(f"schema {quoted(record.get('schema'))}; this version knows {SCHEMA}")
        fields = {field.name: record[field.name] for field in dataclasses.fields(cls)}
        for name in ("revision", "suite", "suite_digest", "group", "measured_at"):
            if not isinstance(fields[name], str):
                raise ValueError(f"{name} is {quoted(fields[name])}; expected a text")
        # It is handed to git, which takes what begins with a dash for an option.
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
