"""A cluster's file becomes kinds of machine; a sweep becomes parts of them; what cannot be is refused in a sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.cluster.file import Cluster, MachineKind, read_cluster_file
from benchmarks.cluster.planning import arrays, parts_of, sweep_of, time_minutes
from benchmarks.sweeps import load_sweep
from tests.small_sweeps import small_sweep

FILE = """
scratch = "/local"
poll = "1m"
jobs = 4
parallel = 2
time = "1h30m"

[kind.zen5]
constraint = "zen5&ib"
cores = 16

[kind.a100]
partition = "gpu"
devices = ["cuda"]
gpus = 1
jobs = 2
sbatch = { account = "ml", overcommit = true, nice = 10 }
"""


def cluster(tmp_path: Path, text: str) -> Cluster:
    (tmp_path / "cluster.toml").write_text(text)
    return read_cluster_file(tmp_path / "cluster.toml")


def test_a_file_describes_kinds_of_machine(tmp_path: Path) -> None:
    found = cluster(tmp_path, FILE)
    zen5 = MachineKind(name="zen5", constraint="zen5&ib", cores=16, jobs=4, parallel=2, time_seconds=5400.0)
    sbatch = {"account": "ml", "overcommit": "", "nice": "10"}
    a100 = MachineKind(
        name="a100", partition="gpu", devices=("cuda",), gpus=1, jobs=2, parallel=2, time_seconds=5400.0, sbatch=sbatch
    )
    assert found == Cluster(kinds=(zen5, a100), scheduler="slurm", scratch="/local", max_jobs=1000, poll_seconds=60.0)
    assert [MachineKind.from_json(kind.name, kind.to_json()) for kind in found.kinds] == [zen5, a100]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no kind of machine"),
        ("kind = 3", "no kind of machine"),
        ("[kind.a]", "none of constraint, partition, nodelist"),
        ("scheduler = 'pbs'\n[kind.a]\npartition='x'", "scheduler is 'pbs'; expected one of slurm, local"),
        ("scratch = 'tmp'\n[kind.a]\npartition='x'", "scratch is 'tmp'; expected an absolute path"),
        ("[kind.'a b']\npartition='x'", "'a b'"),
        ("[kind.a]\npartition=3", "partition is 3"),
        ("[kind.a]\npartition='x'\ncores=0", "cores is 0"),
        ("[kind.a]\npartition='x'\njobs='4'", "jobs is '4'"),
        ("[kind.a]\npartition='x'\ndevices=['gpu']", "devices of a"),
        ("[kind.a]\npartition='x'\ntime='30'", "did you mean 30s or 30m"),
        ("[kind.a]\npartition='x'\nfeature='y'", "'feature' is not known"),
        ("[kind.a]\npartition='x'\nsbatch={exclusive=true}", "'exclusive', which the campaign sets itself"),
        ("[kind.a]\npartition='x'\nsbatch={'--qos'='y'}", "'--qos'"),
        ("[kind.a]\npartition='x'\nsbatch={qos=\"a\\nb\"}", "option qos of a"),
        ("[kind", "cluster.toml"),
    ],
)
def test_a_file_that_describes_no_cluster_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        cluster(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read_cluster_file(tmp_path / "none.toml")


@pytest.mark.parametrize("jobs", [1, 3, 4, 1000])
def test_every_workload_is_in_one_part_and_sizes_are_spread(jobs: int) -> None:
    sweep = load_sweep("default")
    kind = MachineKind(name="zen5", constraint="zen5", cores=8, jobs=jobs)
    parts = parts_of(sweep, kind)
    workloads = sweep.workloads(("cpu",), 8)
    assert sorted(each.id for part in parts for each in part.workloads) == sorted(each.id for each in workloads)
    assert len(parts) == min(jobs, len(workloads))
    sizes = [len(part.workloads) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert {each.threads for part in parts for each in part.workloads} == {8}
    for part in parts:
        assert set(sweep_of(sweep.to_json(), part.workloads, 60.0).workloads(("cpu",), 1)) == set(part.workloads)


@pytest.mark.parametrize(("axes", "said"), [({"threads": (16,)}, "threads is 16"), ({"device": ("cuda",)}, "for cuda")])
def test_what_a_kind_does_not_have_is_refused(axes: dict[str, tuple[object, ...]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parts_of(load_sweep("quick").override(**axes), MachineKind(name="a", partition="x", cores=8))


def test_the_limit_of_a_job_follows_from_the_budget() -> None:
    kind = MachineKind(name="a", partition="x")
    assert time_minutes(kind, small_sweep(budget_seconds=600.0, timeout_seconds=60.0)) == 18
    assert time_minutes(MachineKind(name="a", partition="x", time_seconds=1800.0), small_sweep()) == 30


def test_an_array_has_parts_of_one_kind_and_at_most_so_many() -> None:
    sweep = load_sweep("default")
    parts = [
        part for name in ("a", "b") for part in parts_of(sweep, MachineKind(name=name, partition="x", cores=2, jobs=5))
    ]
    found = [[part.name for part in array] for array in arrays(parts, 3)]
    names = [["a-000", "a-001", "a-002"], ["a-003", "a-004"], ["b-000", "b-001", "b-002"], ["b-003", "b-004"]]
    assert found == names
