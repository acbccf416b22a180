"""A cluster from a TOML file: its kinds of machine, and how jobs are submitted to it.

    scheduler = "slurm"          # or "local": jobs on this machine, one after another, to try a file out
    scratch = "/tmp"             # a folder on the node's own disk, for locks and compile caches
    jobs = 4                     # jobs for each kind of machine: the workloads are divided among them
    parallel = 2                 # of which as many run at a time
    time = "30m"                 # limit of a job; by the sweep's budget if left out
    max_jobs = 200               # the most jobs in the queue at a time
    poll = "30s"                 # how often Slurm is asked: every 10 s if left out

    [kind.zen5]                  # a kind of machine, by a name of your own
    constraint = "zen5"          # one or more of: constraint, partition, nodelist
    cores = 16                   # physical cores; Slurm is asked if left out

    [kind.a100]
    partition = "gpu"
    devices = ["cuda"]           # which devices are measured: cpu if left out
    gpus = 1
    sbatch = { account = "ml", qos = "normal" }   # any other option of sbatch

`jobs`, `parallel` and `time` may also stand in a kind.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from benchmarks.quoting import quoted
from benchmarks.reading import read_whole
from benchmarks.runs.campaign import NAME
from benchmarks.sweeps import parse_duration
from benchmarks.sweeps.file import LARGEST_FILE
from benchmarks.sweeps.grid import check_key
from benchmarks.workload import DEVICES, Device

Scheduler = Literal["slurm", "local"]
SCHEDULERS: tuple[Scheduler, ...] = get_args(Scheduler)

MOST_JOBS = 100_000
MOST_TIMEOUTS = 20
"""A job whose time is over is queued again so many times: one that makes no progress ends, too."""
SCRATCH = "/tmp"  # noqa: S108  # the default of every cluster for a node's own disk
PLACES = ("constraint", "partition", "nodelist")
"""The options of sbatch that select nodes."""
_OPTION = re.compile(r"[a-z][a-z0-9_-]*")
_OWN = ("array", "chdir", "error", "exclusive", "job-name", "nodes", "ntasks", "ntasks-per-node", "output", "wrap")
"""Options of sbatch that are the campaign's own."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MachineKind:
    """A kind of machine: how Slurm finds its nodes, and what they have."""

    name: str
    constraint: str | None = None
    partition: str | None = None
    nodelist: str | None = None
    cores: int | None = None
    """Physical cores of a node; None: as Slurm says."""
    devices: tuple[Device, ...] = ("cpu",)
    gpus: int | None = None
    jobs: int = 1
    parallel: int = 4
    time_seconds: float | None = None
    """Limit of a job; None: by the budget."""
    sbatch: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further options of sbatch, without the dashes; an empty text is a switch."""

    def to_json(self) -> dict[str, Any]:
        """A mapping of JSON values without what is not given."""
        fields = dataclasses.asdict(dataclasses.replace(self, sbatch={})) | {"sbatch": dict(self.sbatch)}
        return {name: value for name, value in fields.items() if value not in (None, {}) and name != "name"}

    @classmethod
    def from_json(cls, name: str, table: Mapping[str, Any]) -> MachineKind:
        """The kind that `to_json` wrote. Raises ValueError or TypeError where it is none."""
        fields = {field.name for field in dataclasses.fields(cls)}
        known = {key: value for key, value in table.items() if key in fields}
        return cls(**known | {"name": name, "devices": tuple(known.get("devices", ("cpu",)))})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster as its file says."""

    kinds: tuple[MachineKind, ...]
    scheduler: Scheduler = "slurm"
    scratch: str = SCRATCH
    max_jobs: int = 1000
    poll_seconds: float = 10.0


_CLUSTER_KEYS = ("scheduler", "scratch", "jobs", "parallel", "time", "max_jobs", "poll", "kind")
_KIND_KEYS = (*PLACES, "cores", "devices", "gpus", "jobs", "parallel", "time", "sbatch")


def read_cluster_file(path: Path) -> Cluster:
    """The cluster that a TOML file describes. Raises ValueError, naming the file and what is wrong in it."""
    try:
        content = read_whole(path, LARGEST_FILE).decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"cluster file {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"cluster file {path} is no UTF-8 text of a few lines: {error}") from error
    try:
        return _from_document(tomllib.loads(content))
    except RecursionError as error:
        raise ValueError(f"cluster file {path}: its tables are nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError is one
        raise ValueError(f"cluster file {path}: {error}") from error


def _from_document(document: Mapping[str, Any]) -> Cluster:
    for key in document:
        check_key(key, _CLUSTER_KEYS, "key", {"executor": "scheduler", "kinds": "kind", "tmp": "scratch"})
    scheduler = document.get("scheduler", "slurm")
    if scheduler not in SCHEDULERS:
        raise ValueError(f"scheduler is {quoted(scheduler)}; expected one of {', '.join(SCHEDULERS)}")
    scratch = document.get("scratch", SCRATCH)
    if not isinstance(scratch, str) or not scratch.startswith("/"):
        raise ValueError(f"scratch is {quoted(scratch)}; expected an absolute path on the node's own disk")
    tables = document.get("kind")
    if not isinstance(tables, dict) or not tables:
        raise ValueError("there is no kind of machine; expected one or more: a line [kind.NAME], below it constraint")
    shared = {key: document[key] for key in ("jobs", "parallel", "time") if key in document}
    return Cluster(
        scheduler=scheduler,
        scratch=scratch,
        max_jobs=_whole(document, "max_jobs", MOST_JOBS) or Cluster.max_jobs,
        poll_seconds=_seconds(document, "poll") or Cluster.poll_seconds,
        kinds=tuple(_kind(name, table, shared, scheduler) for name, table in tables.items()),
    )


def _kind(name: str, table: Any, shared: Mapping[str, Any], scheduler: Scheduler) -> MachineKind:
    if not NAME.fullmatch(name):
        raise ValueError(f"kind {quoted(name)}; expected a name of letters, digits, dots, dashes and underscores")
    if not isinstance(table, dict):
        raise ValueError(f"kind {name} is {quoted(table)}; expected a table: a line [kind.{name}]")
    for key in table:
        check_key(key, _KIND_KEYS, f"key of kind {name}", {"features": "constraint", "nodes": "nodelist"})
    options = {**shared, **table}
    places = {key: _text(options, key) for key in PLACES}
    if scheduler == "slurm" and not any(places.values()):
        raise ValueError(f"kind {name} has none of {', '.join(PLACES)}; expected one that selects its nodes")
    devices = options.get("devices", ["cpu"])
    if not isinstance(devices, list) or not devices or any(each not in DEVICES for each in devices):
        raise ValueError(f"devices of {name} is {quoted(devices)}; expected a list of {', '.join(DEVICES)}")
    return MachineKind(
        name=name,
        **places,
        cores=_whole(options, "cores", 4096),
        devices=tuple(devices),
        gpus=_whole(options, "gpus", 64),
        jobs=_whole(options, "jobs", MOST_JOBS) or MachineKind.jobs,
        parallel=_whole(options, "parallel", MOST_JOBS) or MachineKind.parallel,
        time_seconds=_seconds(options, "time"),
        sbatch=MappingProxyType(_sbatch(name, options.get("sbatch", {}))),
    )


def _sbatch(kind: str, table: Any) -> dict[str, str]:
    if not isinstance(table, dict):
        raise ValueError(f"sbatch of {kind} is {quoted(table)}; expected a table: sbatch = {{ account = 'ml' }}")
    found = {}
    for name, value in table.items():
        if not _OPTION.fullmatch(name) or name in _OWN:
            own = ", which the campaign sets itself" if name in _OWN else ""
            raise ValueError(f"sbatch of {kind} has {quoted(name)}{own}; expected an option of sbatch without dashes")
        if value is not True and not (type(value) is int or (isinstance(value, str) and value.isprintable())):
            raise ValueError(f"sbatch option {name} of {kind} is {quoted(value)}; expected text, a number or true")
        found[name] = "" if value is True else str(value)
    return found


def _text(options: Mapping[str, Any], key: str) -> str | None:
    value = options.get(key)
    if value is not None and not (isinstance(value, str) and value.strip() and value.isprintable()):
        raise ValueError(f"{key} is {quoted(value)}; expected text in quotes")
    return value


def _whole(options: Mapping[str, Any], key: str, most: int) -> int | None:
    value = options.get(key)
    if value is not None and not (type(value) is int and 1 <= value <= most):
        raise ValueError(f"{key} is {quoted(value)}; expected a whole number from 1 to {most}")
    return value


def _seconds(options: Mapping[str, Any], key: str) -> float | None:
    value = options.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"{key} is {quoted(value)}; expected a duration such as '30m'")
    return parse_duration(value, key)
