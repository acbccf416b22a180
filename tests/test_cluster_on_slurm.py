"""A campaign on a real Slurm whose jobs, processes and nodes are killed at random: `nox -s cluster`."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.cluster import slurm
from benchmarks.cluster.file import MachineKind
from benchmarks.history import folder as histories
from benchmarks.runs.frames import load_run
from benchmarks.runs.loading import load_runs
from tests.own_code_projects import git
from tests.slurm_on_this_machine import MAX_ARRAY_SIZE, SmallSlurm, small_slurm
from tests.small_campaigns import assert_measured_once, checkout, chosen, command, environment, write_sweep
from tests.tracked_project import eight_commits

pytestmark = pytest.mark.slurm

NODES = {"zen1": "zen", "zen2": "zen", "xeon1": "xeon", "xeon2": "xeon"}
CLUSTER = """
scratch = "{scratch}"
jobs = {jobs}
parallel = 2
time = "5m"
max_jobs = 6
poll = "1s"

[kind.zen]
constraint = "zen"

[kind.xeon]
constraint = "xeon"
sbatch = {{ comment = "of a test" }}
"""
JOBS = MAX_ARRAY_SIZE + 1


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallSlurm]:
    with small_slurm(tmp_path_factory.mktemp("slurm"), NODES) as running:
        yield running


@pytest.fixture
def cluster_file(tmp_path: Path, nodes: SmallSlurm) -> Path:
    assert nodes.nodes
    checkout(tmp_path)
    (tmp_path / "cluster.toml").write_text(CLUSTER.format(scratch=tmp_path, jobs=JOBS))
    return tmp_path / "cluster.toml"


def test_slurm_says_how_many_cores_a_kind_has(nodes: SmallSlurm) -> None:
    assert nodes.nodes
    assert slurm.cores_of(MachineKind(name="zen", constraint="zen")) == 1
    assert slurm.most_array_tasks() == MAX_ARRAY_SIZE
    with pytest.raises(slurm.SlurmError, match="no node of kind none"):
        slurm.cores_of(MachineKind(name="none", constraint="none"))


def test_scripts_for_sbatch_measure_without_submitit(tmp_path: Path, nodes: SmallSlurm, cluster_file: Path) -> None:
    """Each part runs when the printed scripts are submitted by hand, and --status knows."""
    folder, sweep = tmp_path / "campaign", write_sweep(tmp_path)
    words = ["--cluster", str(cluster_file), str(sweep), *chosen(), "--out", str(folder)]
    printed = command(*words, "--print-sbatch", tmp_path=tmp_path).stdout
    assert printed.count("#SBATCH --exclusive") == 2
    for script in sorted(folder.glob("jobs/*.sbatch")):
        nodes.run("sbatch", str(script))
    until = time.monotonic() + 200
    while slurm.queued() and time.monotonic() < until:
        time.sleep(1)
    states = command("--cluster", str(cluster_file), "--resume", str(folder), "--status", tmp_path=tmp_path).stdout
    assert "4 parts: 4 finished" in states
    assert_measured_once(folder)
    cautions = [caution for run in load_runs(folder) for caution in run.cautions]
    assert not [caution for caution in cautions if "machine of its own" not in caution]


def test_nothing_is_lost_or_measured_twice_whatever_a_cluster_does(
    tmp_path: Path, nodes: SmallSlurm, cluster_file: Path, kills: int, record_property: Callable[[str, object], None]
) -> None:
    """Random scancel, requeue, SIGKILL of jobs' processes and of slurmd; --resume after each front that ends."""
    folder, generator = tmp_path / "campaign", random.Random(1)
    sweep = write_sweep(tmp_path, batches=tuple(range(1, 3 * JOBS + 1)), budget="40s")
    disturbances = {"scancel": cancel, "requeue": requeue, "kill job": kill_job, "kill slurmd": kill_slurmd}
    kept: set[bytes] = set()
    done: list[str] = []
    words = [str(sweep), *chosen(), "--out", str(folder)]
    turns = [name for name in disturbances for _ in range(kills)]
    generator.shuffle(turns)
    for _ in range(10 + 4 * kills):
        with (tmp_path / "front.txt").open("ab") as log:
            front = subprocess.Popen(
                [sys.executable, "-m", "benchmarks", "sweep", "--cluster", str(cluster_file), *words],
                cwd=tmp_path,
                env=environment(tmp_path),
                stdout=log,
                stderr=log,
            )
        while front.poll() is None:
            time.sleep(generator.uniform(0.5, 3.0))
            kept |= written(folder)
            nodes.start_waiting()
            if turns and disturbances[turns[-1]](nodes, generator):
                done.append(turns.pop())
        assert front.returncode == 0, (tmp_path / "front.txt").read_text()
        words = ["--resume", str(folder)]
        states = command("--cluster", str(cluster_file), *words, "--status", tmp_path=tmp_path).stdout
        if f"{2 * JOBS} parts: {2 * JOBS} finished" in states:
            break
    record_property("disturbances", len(done))
    print(f"{len(done)} disturbances: {', '.join(done)}")
    campaign = assert_measured_once(folder)
    assert kept <= written(folder)
    assert len(campaign.parts) == 2 * JOBS
    frame = load_run(folder)
    assert frame.groupby(frame["machine"].str.split().str[0]).size().to_dict() == {"zen": 6 * JOBS, "xeon": 6 * JOBS}
    assert (folder / "report.md").exists()
    assert not turns, "the campaign ended before every disturbance; give it more workloads"


def written(folder: Path) -> set[bytes]:
    """The whole lines of trials of all run folders so far."""
    lines = (line for file in folder.glob("runs/*/*/trials.jsonl") for line in file.read_bytes().splitlines(True))
    return {line for line in lines if line.endswith(b"\n")}


def running(nodes: SmallSlurm) -> list[str]:
    """The ids of the jobs that run now."""
    return nodes.run("squeue", "--noheader", "--states=running", "--format=%A").split()


def cancel(nodes: SmallSlurm, generator: random.Random) -> bool:
    jobs = running(nodes)
    if jobs:
        nodes.run("scancel", generator.choice(jobs))
    return bool(jobs)


def requeue(nodes: SmallSlurm, generator: random.Random) -> bool:
    jobs = running(nodes)
    if jobs:
        # The job may have ended since.
        with contextlib.suppress(subprocess.CalledProcessError):
            nodes.run("scontrol", "requeue", generator.choice(jobs))
            return True
    return False


def kill_job(_nodes: SmallSlurm, generator: random.Random) -> bool:
    """SIGKILL to the program of a job, to what started it, or to one of its workers."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.info["cmdline"] or [])
            if "SLURM_JOB_ID" in process.environ() and ("benchmarks." in words or "submitit" in words):
                found.append(process)
    if found:
        generator.choice(found).kill()
    return bool(found)


def kill_slurmd(nodes: SmallSlurm, generator: random.Random) -> bool:
    """SIGKILL to the daemon of a node with a job; it comes back at once, or after Slurm has given the node up."""
    busy = nodes.run("squeue", "--noheader", "--states=running", "--format=%N").split()
    if not busy:
        return False
    node = generator.choice(busy)
    nodes.kill_node(node)
    time.sleep(generator.choice((0.5, 0.5, 20.0)))
    nodes.start_node(node)
    return True


def test_a_range_of_commits_is_tracked_by_jobs(tmp_path: Path, nodes: SmallSlurm, cluster_file: Path) -> None:
    """Each commit is measured on one node of each kind, and all are in one history."""
    project = eight_commits(tmp_path / "project")
    words = ["--cluster", str(cluster_file), "--range", "HEAD~3..HEAD", "--suite", "speed", "--processes", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "track", *words],
        cwd=project,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (machine,) = histories.machines(project / "results/history")
    processes, problems = histories.read(project / "results/history", machine)
    assert problems == []
    anchor, *others = git(project, "rev-list", "--reverse", "HEAD~3..HEAD").split()
    counts = Counter(each.revision for each in processes)
    kinds = len(set(nodes.nodes.values()))
    assert counts == {anchor: 2 * len(others) * kinds} | dict.fromkeys(others, 2 * kinds)
