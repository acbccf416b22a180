"""The commands that measure and profile a case again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.workload import Workload

PROGRAM = "python -m benchmarks"

_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "cell": "--cell",
        "mode": "--mode",
        "T": "--seq-len",
        "B": "--batch",
        "I": "--input",
        "H": "--hidden",
        "L": "--layers",
        "device": "--device",
        "dtype": "--dtype",
        "threads": "--threads",
    }
)
"""{field of a workload: the option of `sweep` that sets it}."""


def measure_options(workload: Workload) -> str:
    """The options of `sweep` that measure this workload alone; empty where it takes a sweep file instead.

    `sweep` has no options for some fields, such as the bias: a workload in which one of these has another value than
    the default takes a sweep file.
    """
    others = (field for field in dataclasses.fields(workload) if field.name not in _OPTIONS)
    if any(getattr(workload, field.name) != field.default for field in others):
        return ""
    return " ".join(f"{option} {getattr(workload, name)}" for name, option in _OPTIONS.items())


def measure_file(workload: Workload) -> str:
    """The sweep file (TOML) that measures this workload alone."""
    fields = {field.name: getattr(workload, field.name) for field in dataclasses.fields(workload)}
    return "\n".join(["[[grid]]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items())]) + "\n"
