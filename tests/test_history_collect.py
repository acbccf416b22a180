"""Histories that jobs of a cluster made are added to one, each process once."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cluster.file import MachineKind
from benchmarks.cluster.planning import parts_of_revisions
from benchmarks.history import folder as histories
from tests.synthetic_history import process


def test_processes_are_added_once(tmp_path: Path) -> None:
    """Two jobs measured on zen and one on xeon; what was collected before is not added again."""
    places = [("a", "zen", 1), ("a", "zen", 2), ("b", "zen", 3), ("c", "xeon", 4)]
    for job, machine, number in places:
        histories.append(tmp_path / job, machine, process(number, 1.0))
    jobs = [tmp_path / job for job in "abc"]
    assert histories.collect(jobs[:1], tmp_path / "all") == {"zen": 2}
    assert histories.collect(jobs, tmp_path / "all") == {"zen": 1, "xeon": 1}
    assert histories.collect(jobs, tmp_path / "all") == {}
    read = {
        machine: [each.group for each in histories.read(tmp_path / "all", machine)[0]] for machine in ("zen", "xeon")
    }
    assert read == {"zen": ["1", "2", "3"], "xeon": ["4"]}


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [(1, ["abcde"]), (2, ["abd", "ace"]), (3, ["abe", "ac", "ad"]), (9, ["ab", "ac", "ad", "ae"])],
)
def test_the_first_commit_is_in_every_part(jobs: int, expected: list[str]) -> None:
    parts = parts_of_revisions("abcde", MachineKind(name="zen", partition="x", jobs=jobs))
    assert ["".join(part.revisions) for part in parts] == expected
    assert len({part.name for part in parts}) == len(parts)
