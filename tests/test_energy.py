"""Energy is read from RAPL's counters where these can be read, and is nothing elsewhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks.machine.energy import Energy, read_energy


def zone(root: Path, name: str, called: str, microjoules: int, span: int = 10_000_000) -> None:
    folder = root / "sys/class/powercap" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in (("name", called), ("energy_uj", microjoules), ("max_energy_range_uj", span)):
        (folder / file).write_text(f"{content}\n")


def used(tmp_path: Path, seconds: float = 2.0) -> Energy:
    """The energy between two readings so many seconds apart: the counters grow by 3 J and 1 J, one over its end."""
    zone(tmp_path, "intel-rapl:0", "package-0", 9_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 1_000_000)
    zone(tmp_path, "intel-rapl:0:1", "dram", 5_000_000)
    zone(tmp_path, "intel-rapl:1", "psys", 0)
    before = read_energy("cpu", tmp_path)
    zone(tmp_path, "intel-rapl:0", "package-0", 2_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 9_000_000)
    zone(tmp_path, "intel-rapl:0:1", "dram", 6_000_000)
    zone(tmp_path, "intel-rapl:1", "psys", 9_000_000)
    energy = Energy()
    energy.add(before, dataclasses.replace(read_energy("cpu", tmp_path), at=before.at + seconds))
    return energy


def test_packages_and_memory_count_also_where_a_counter_begins_again(tmp_path: Path) -> None:
    """Cores are within their package, and psys is the whole computer."""
    assert used(tmp_path).cpu_watts == pytest.approx(2.0)
    assert used(tmp_path).gpu_watts is None


@pytest.mark.parametrize("file", ["energy_uj", "max_energy_range_uj"])
def test_a_counter_that_cannot_be_read_counts_nothing(tmp_path: Path, file: str) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    (tmp_path / "sys/class/powercap/intel-rapl:0" / file).unlink()
    energy = Energy()
    energy.add(read_energy("cpu", tmp_path), read_energy("cpu", tmp_path))
    assert (energy.cpu_watts, energy.gpu_watts) == (None, None)


def test_a_machine_without_counters_has_no_energy(tmp_path: Path) -> None:
    assert read_energy("cpu", tmp_path).zones == {}
