"""What Slurm says is read, its limits are kept, and its refusals are told; `nox -s cluster` asks a real one."""

from __future__ import annotations

import re
import shlex
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster import front, slurm, submitting
from benchmarks.cluster.campaigns import record_submission, submissions
from benchmarks.cluster.file import MachineKind
from benchmarks.cluster.node import describe_job
from benchmarks.runs.campaign import Campaign
from benchmarks.runs.node_cautions import node_cautions
from tests.small_sweeps import small_sweep
from tests.synthetic_campaigns import campaign_of
from tests.synthetic_runs import workload

SayOf = Callable[..., None]


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SayOf:
    """Put programs on the path that print what they are given, and note their arguments beside them."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=":")

    def put(**outputs: str) -> None:
        for name, output in outputs.items():
            file = programs / name
            file.write_text(f'#!/bin/sh\necho "$@" >> {file}.calls\ncat <<"END"\n{output}\nEND\n')
            file.chmod(file.stat().st_mode | stat.S_IXUSR)

    return put


def calls(tmp_path: Path, program: str) -> list[list[str]]:
    """The arguments of each call of a program."""
    file = tmp_path / "programs" / f"{program}.calls"
    return [shlex.split(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_the_queue_is_read(says: SayOf) -> None:
    says(squeue="12|12|N/A|RUNNING|n1|None\n17|14|3|PENDING||Priority")
    assert slurm.queued() == {
        "12": slurm.QueuedJob("12", "running", "n1"),
        "14_3": slurm.QueuedJob("14_3", "pending", "Priority"),
    }


def test_the_longest_array_is_read(says: SayOf) -> None:
    says(scontrol="Configuration data as of today\nMaxArraySize            = 1001\nMaxJobCount = 5")
    assert slurm.most_array_tasks() == 1001


@pytest.mark.parametrize(
    ("constraint", "nodes", "expected"),
    [
        ("zen5", "2|8|zen5,ib\n1|4|xeon", 16),
        ("zen5&ib", "2|8|zen5,ib\n1|4|zen5", 16),
        (None, "2|8|(null)\n2|8|(null)", 16),
        ("zen5", "2|8|zen5\n1|4|zen5", "nodes of 4 and 16 cores of kind k; expected `cores = N` in [kind.k]"),
        (
            "zen6",
            "2|8|zen5,ib",
            "no node of kind k, with constraint 'zen6' and partition 'all'; features that nodes have",
        ),
        ("zen5|zen6", "2|8|zen5", "is more than features joined by &"),
    ],
)
def test_the_cores_of_a_kind_are_those_of_its_nodes(
    says: SayOf, constraint: str | None, nodes: str, expected: int | str
) -> None:
    says(sinfo=nodes)
    kind = MachineKind(name="k", constraint=constraint, partition="all")
    if isinstance(expected, int):
        assert slurm.cores_of(kind) == expected
    else:
        with pytest.raises(slurm.SlurmError, match=re.escape(expected)):
            slurm.cores_of(kind)


def test_a_machine_without_slurm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(slurm.SlurmError, match="squeue is not on the path"):
        slurm.queued()


def test_what_slurm_says_when_it_refuses_is_told(says: SayOf, tmp_path: Path) -> None:
    says(scancel="")
    program = tmp_path / "programs" / "scancel"
    program.write_text("#!/bin/sh\necho 'no controller' >&2\nexit 1\n")
    with pytest.raises(slurm.SlurmError, match="scancel failed: no controller"):
        slurm.cancel(["1"])


@pytest.mark.parametrize(("share", "exclusive"), [("NO", True), ("OK", False), ("YES", False), ("USER", False)])
def test_a_job_knows_whether_its_node_is_its_own(says: SayOf, tmp_path: Path, share: str, exclusive: bool) -> None:
    """Job 7 shares n1 with job 9, and the caution says so."""
    says(scontrol=f"JobId=7 OverSubscribe={share} Features=zen5 Comment=a=b", squeue="7\n9")
    environment = {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1", "SLURM_CPUS_ON_NODE": "16", "SLURM_RESTART_COUNT": "2"}
    job = describe_job(tmp_path, environment)
    assert (job["id"], job["node"], job["restarts"], job["cpus_allocated"]) == ("7", "n1", 2, 16)
    assert (job["exclusive"], job["other_jobs"], job["constraint"]) == (exclusive, 1, "zen5")
    said = [sentence for _, sentence in node_cautions({}, [("n1", {"jobs": [job]})])]
    assert ("n1 was not exclusive to job 7: other jobs could run there" in said) is not exclusive
    assert "1 other job ran on n1 beside job 7" in said


def test_a_script_asks_for_a_whole_node_of_the_kind() -> None:
    kind = MachineKind(name="a100", partition="gpu", gpus=1, parallel=2, sbatch={"account": "ml", "mem": "1G"})
    text = submitting.script(Path("/shared/c c"), "c", kind, 30, [("python", "-m", "x", "a b"), ("python", "y")])
    options = dict(
        line.removeprefix("#SBATCH --").partition("=")[::2] for line in text.splitlines() if "SBATCH" in line
    )
    assert options == {
        "job-name": "rnnbench-c",
        "array": "0-1%2",
        "time": "30",
        "signal": "USR2@90",
        "open-mode": "append",
        "output": "'/shared/c c/jobs/%A_%a.log'",
        "nodes": "1",
        "ntasks-per-node": "1",
        "exclusive": "",
        "requeue": "",
        "partition": "gpu",
        "gpus-per-node": "1",
        "mem": "1G",
        "account": "ml",
    }


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    """Seven parts of one kind and two of another, of which nothing is submitted."""
    parts = {f"{kind}-{at:03d}": [workload(H=at + 1)] for kind, number in (("a", 7), ("b", 2)) for at in range(number)}
    made = campaign_of(tmp_path / "c", parts, a={"partition": "x"}, b={"partition": "y"})
    record = {"scheduler": "slurm", "scratch": str(tmp_path), "max_jobs": 6, "poll_seconds": 0.1}
    return Campaign(made.folder, "c", small_sweep().to_json(), made.implementations, made.kinds, made.parts, record)


class Sbatch:
    """A stand-in for submission, which refuses arrays that are too long and more jobs than `room`."""

    def __init__(self, longest: int, room: int, refusal: str) -> None:
        self.longest, self.room, self.refusal = longest, room, refusal
        self.arrays: list[int] = []

    def __call__(self, *_: Any) -> list[str]:
        commands: Sequence[Any] = _[-1]
        if len(commands) > min(self.longest, self.room):
            raise slurm.SlurmError(f"{submitting.REFUSED}: {self.refusal}")
        self.room -= len(commands)
        self.arrays.append(len(commands))
        return [f"{len(self.arrays)}_{at}" for at in range(len(commands))]


@pytest.mark.parametrize(
    ("array_size", "longest", "room", "expected"),
    [(1000, 1000, 1000, [6]), (4, 1000, 1000, [4, 2]), (1000, 4, 1000, [3]), (1000, 1000, 2, [1]), (3, 3, 4, [3, 1])],
)
def test_no_more_is_submitted_than_limits_allow(
    campaign: Campaign,
    says: SayOf,
    monkeypatch: pytest.MonkeyPatch,
    array_size: int,
    longest: int,
    room: int,
    expected: list[int],
) -> None:
    """At most 6 jobs of the campaign; arrays of MaxArraySize; where the account has less room, as many as pass."""
    says(scontrol=f"MaxArraySize = {array_size}", squeue="")
    sbatch = Sbatch(longest, room, "Job violates accounting/QOS policy (job submit limit, user's size)")
    monkeypatch.setattr(submitting, "submit", sbatch)
    states = front.status(campaign)
    submitted = front.submit_missing(campaign, states, ())
    assert sbatch.arrays == expected
    assert submitted == [part.name for part in campaign.parts][: sum(expected)]
    assert list(submissions(campaign)) == submitted


@pytest.mark.parametrize(("room", "refusal"), [(0, "job submit limit"), (9, "invalid partition specified: x")])
def test_a_refusal_that_waiting_does_not_mend_is_told(
    campaign: Campaign, says: SayOf, monkeypatch: pytest.MonkeyPatch, room: int, refusal: str
) -> None:
    says(scontrol="MaxArraySize = 9", squeue="")
    monkeypatch.setattr(submitting, "submit", Sbatch(0, room, refusal))
    with pytest.raises(slurm.SlurmError, match=re.escape(refusal)):
        front.wait(campaign, print)


def test_parts_are_where_the_queue_and_their_folders_say(campaign: Campaign, says: SayOf) -> None:
    parts = campaign.parts
    for part, job in zip(parts[:4], ("5_0", "5_1", "5_2", "5_3"), strict=True):
        record_submission(campaign, part, job)
    record_submission(campaign, parts[3], "6")
    (campaign.folder / "runs" / parts[0].name).mkdir(parents=True)
    (campaign.folder / "runs" / parts[0].name / "finished.json").write_text("{}")
    (campaign.folder / "jobs").mkdir()
    (campaign.folder / "jobs" / "5_2_0_log.err").write_text(
        "at first\nkilled by somebody\nsrun: error: n1: task 0: Exited with exit code 1\n"
    )
    says(squeue="8|5|1|PENDING||Resources\n6|6|N/A|RUNNING|n3|None")
    states = front.status(campaign)
    assert [each.state for each in states[:5]] == ["finished", "queued", "failed", "queued", "not submitted"]
    assert [each.detail for each in states[1:4:2]] == ["pending, Resources", "running, n3"]
    assert states[2].detail.startswith("killed by somebody (")
    assert front.summary(states) == "9 parts: 1 finished, 1 running, 1 pending, 1 failed, 5 not submitted"


@pytest.mark.parametrize(("line", "status", "said"), [("exit 3", 3, ""), ("kill -9 $$", 137, "ended by signal 9")])
def test_a_job_fails_as_its_program_does(
    line: str, status: int, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as failed:
        submitting.Measure(("sh", "-c", line), str(tmp_path))()
    assert failed.value.code == status
    assert said in capfd.readouterr().err


def test_the_jobs_of_a_campaign_are_cancelled_alone(campaign: Campaign, says: SayOf, tmp_path: Path) -> None:
    for part, job in zip(campaign.parts[:2], ("5_0", "5_1"), strict=True):
        record_submission(campaign, part, job)
    says(squeue="8|5|1|PENDING||Resources\n9|9|N/A|RUNNING|n3|None", scancel="")
    assert front.cancel(campaign) == 1
    assert calls(tmp_path, "scancel") == [["--quiet", "5_1"]]
