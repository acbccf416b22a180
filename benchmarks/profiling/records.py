"""The records of a profile, a line of `profiles.jsonl` for each case and repeat, and their reading, old ones included.

    case, repeat            the case's ID; the number of the repeat, from 0
    pairs                   a `BlockPair` each, with `kept`
    calls                   the number of unprofiled calls in the kept pairs; of these calls are the next three
    unprofiled_seconds      the median time of a call
    pass_seconds            the median time of its forward pass and of its backward pass, 0 without one
    context_switches        the mean number in a call
    peak_bytes              by how much the memory in use rises in a call; None where it is not known
    launches                on a GPU: kernels, copies and clearings in a call
    passes                  {"1" (forward) or "2" (backward): samples of the profiled calls in the kept pairs}:
      kinds                 {kind of work: samples}; on a GPU, seconds of a call
      preempted             samples that are attributed to no kind
      computing_threads     the mean number at an attributed sample
      functions             [kind, library, function, samples] of those with the most samples
    counts                  in the first repeat: the reply of `count_and_trace`, or `status` and `reason` of its failure

Earlier versions wrote some fields and kinds of work under other names; reading a record gives it the present ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

PASS_NAMES: Mapping[str, str] = MappingProxyType({"1": "forward", "2": "backward"})
"""The passes of a call by their keys in a record."""
GPU = "GPU, microseconds a call"
"""The library that a kernel of a GPU is recorded under: its number is microseconds a call, and not samples."""

OLD_NAMES: Mapping[str, str] = MappingProxyType(
    {
        # Pairs.
        "alone_seconds": "unprofiled_seconds",
        "seen_seconds": "attributed_seconds",
        "alone_taken": "unprofiled_preempted",
        "profiled_taken": "profiled_preempted",
        # Passes.
        "phases": "passes",
        "phase_seconds": "pass_seconds",
        "without_core": "preempted",
        # Counts.
        "further_step": "marginal_step",
        "share_of_no_step": "fixed_time_share",
        "untold": "limitations",
    }
)
"""{former name: name} of the fields of a record that earlier versions wrote under another name."""
_OLD_KINDS = MappingProxyType({"engine": "unattributed"})


def read_records(folder: Path) -> list[dict[str, Any]]:
    """The records in a profile's folder, a case and repeat each, with present names.

    Raises ValueError for a profile without pairs of blocks, as early versions wrote it.
    """
    path = folder / "profiles.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not all("pairs" in record for record in records):
        raise ValueError(f"{path} has no pairs of blocks: an early version wrote it; profile again")
    return [with_present_names(record) for record in records]


def with_present_names(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with the present names of its fields and kinds of work."""
    found = _renamed(record)
    # `counts` is also the name of a record's counts, so this former name of a pair's field is replaced in pairs alone.
    found["pairs"] = [
        {"kept" if name == "counts" else name: value for name, value in pair.items()} for pair in found["pairs"]
    ]
    found["passes"] = {number: _with_present_kinds(samples) for number, samples in found["passes"].items()}
    return found


def _renamed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {OLD_NAMES.get(name, name): _renamed_within(value) for name, value in fields.items()}


def _renamed_within(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _renamed(value)
    return [_renamed_within(each) for each in value] if isinstance(value, list) else value


def _with_present_kinds(samples: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {_OLD_KINDS.get(kind, kind): number for kind, number in samples["kinds"].items()}
    functions = [[_OLD_KINDS.get(kind, kind), *rest] for kind, *rest in samples.get("functions", ())]
    return {**samples, "kinds": kinds, "functions": functions}
