"""The record of a campaign: one sweep on several kinds of machine, in parts that are jobs of a cluster.

A campaign's folder holds `campaign.json` and, for each part, a run folder of each node that measured some of it:
`runs/PART/NODE`. Only data are read: JSON, checked field by field, nothing executed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.files import explained, write
from benchmarks.json_lines import to_json
from benchmarks.presentation.plain_text import clean
from benchmarks.quoting import quoted
from benchmarks.reading import parse_json, read_whole
from benchmarks.store import RUN_FILE, StoreError
from benchmarks.workload import Workload

CAMPAIGN_FILE = "campaign.json"
RUNS = "runs"
SCHEMA = 1
"""1: the first."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
"""Names of kinds, parts and nodes, which become names of folders."""


@dataclasses.dataclass(frozen=True)
class Part:
    """What one job measures: workloads on a node of a kind of machine, all implementations of a workload together."""

    name: str
    kind: str
    workloads: tuple[Workload, ...] = ()
    revisions: tuple[str, ...] = ()
    """The commits to measure, in a campaign that tracks a history; the first is in every part of a kind of machine."""

    def to_json(self) -> dict[str, Any]:
        """A mapping of JSON values."""
        measured = {"workloads": [each.id for each in self.workloads], "revisions": list(self.revisions)}
        return {"name": self.name, "kind": self.kind, **{name: each for name, each in measured.items() if each}}


@dataclasses.dataclass(frozen=True)
class Campaign:
    """One sweep on several kinds of machine, as it was planned. Where its parts stand, their run folders say."""

    folder: Path
    name: str
    sweep: Mapping[str, Any]
    """The sweep in the form of `Sweep.to_json`; its budget is that of each part. Empty of a campaign that tracks."""
    implementations: Mapping[str, str]
    """{name in the campaign: argument of `rnnimpl.load`}; none of a campaign that tracks."""
    kinds: Mapping[str, Mapping[str, Any]]
    """{kind of machine: its table in the cluster's file}."""
    parts: tuple[Part, ...]
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What else is recorded: commit, command, started_at, and the settings of the cluster's file."""

    def part(self, name: str) -> Part:
        """The part of a name. Raises StoreError where there is none."""
        for part in self.parts:
            if part.name == name:
                return part
        raise StoreError(f"{self.folder} has no part {quoted(name)}; expected one of its {len(self.parts)} parts")

    def run_folder(self, part: str, node: str) -> Path:
        """The folder of the run that a node makes of a part."""
        return self.folder / RUNS / part / node

    def run_folders(self, part: str) -> list[Path]:
        """The run folders of a part, in the order of their names."""
        return sorted(file.parent for file in (self.folder / RUNS / part).glob(f"*/{RUN_FILE}"))

    def of_kind(self, kind: str) -> Iterator[Part]:
        """The parts of a kind of machine."""
        return (part for part in self.parts if part.kind == kind)

    def write(self) -> None:
        """Write `campaign.json`. Raises StoreError where that is not possible, or where there is one already."""
        content = {
            "schema": SCHEMA,
            "name": self.name,
            **self.record,
            "sweep": dict(self.sweep),
            "implementations": dict(self.implementations),
            "kinds": {kind: dict(options) for kind, options in self.kinds.items()},
            "parts": [part.to_json() for part in self.parts],
        }
        with explained(self.folder / CAMPAIGN_FILE, "write"):
            write(self.folder, CAMPAIGN_FILE, to_json(content, indent=1) + "\n", replace=False, durable=True)


def is_campaign(folder: Path) -> bool:
    """Whether a folder holds a campaign."""
    return (folder / CAMPAIGN_FILE).is_file()


def open_campaign(folder: Path) -> Campaign:
    """The campaign that a folder holds. Raises StoreError where it holds none, or one of a later version."""
    file = folder / CAMPAIGN_FILE
    if not file.exists():
        raise StoreError(f"{folder} holds no {CAMPAIGN_FILE}; expected a folder as `sweep --cluster` makes")
    try:
        with explained(file, "read"):
            content = parse_json(read_whole(file))
        return _parsed(folder, content)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"[:300]
        raise StoreError(f"{file} is no record of a campaign ({said}): restore it from a copy") from error


def _parsed(folder: Path, content: Any) -> Campaign:
    """The campaign of a file's JSON. Raises ValueError, TypeError or LookupError where it is none."""
    content = dict(_mapping(content, "the file"))
    schema = content.pop("schema")
    if type(schema) is not int or schema < 1:
        raise ValueError(f"schema is {quoted(schema)}; expected a whole number")
    if schema > SCHEMA:
        raise ValueError(f"schema is {schema}, later than the {SCHEMA} that this version knows: use a later version")
    implementations = _mapping(content.pop("implementations"), "implementations")
    sweep = _mapping(content.pop("sweep"), "sweep")
    if bool(implementations) != bool(sweep) or not all(isinstance(text, str) for text in implementations.values()):
        raise ValueError(f"implementations are {quoted(implementations)}; expected a mapping of texts")
    kinds = {_name(kind): _mapping(table, kind) for kind, table in _mapping(content.pop("kinds"), "kinds").items()}
    parts = tuple(_part(each, kinds) for each in _list(content.pop("parts"), "parts"))
    if len({part.name for part in parts}) != len(parts):
        raise ValueError("two parts have one name")
    return Campaign(
        folder=folder,
        name=clean(content.pop("name"), 200),
        sweep=sweep,
        implementations=MappingProxyType(dict(implementations)),
        kinds=MappingProxyType(kinds),
        parts=parts,
        record=MappingProxyType(content),
    )


def _part(content: Any, kinds: Mapping[str, Any]) -> Part:
    found = _mapping(content, "a part")
    name, kind = _name(found["name"]), _name(found["kind"])
    if kind not in kinds:
        raise ValueError(f"part {name} is of kind {kind}; expected one of {', '.join(kinds)}")
    workloads = tuple(Workload.parse(each) for each in _list(found.get("workloads", []), "workloads"))
    revisions = tuple(_list(found.get("revisions", []), "revisions"))
    if bool(workloads) == bool(revisions) or any(not re.fullmatch("[0-9a-f]{40,64}", str(each)) for each in revisions):
        raise ValueError(f"part {name} has revisions {quoted(revisions)}; expected workloads, or commits in full")
    return Part(name, kind, workloads, revisions)


def _name(text: Any) -> str:
    if not isinstance(text, str) or not NAME.fullmatch(text):
        raise ValueError(f"name is {quoted(text)}; expected up to 80 letters, digits, dots, dashes or underscores")
    return text


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is {quoted(value)}; expected a mapping")
    return value


def _list(value: Any, what: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{what} is {quoted(value)}; expected a list")
    return value
