"""A campaign by submitit's local executor: interrupted, cancelled, killed, gone on with, read as one run."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.cluster import front
from benchmarks.cluster.campaigns import find_campaign, make_campaign, with_cores
from benchmarks.cluster.file import read_cluster_file
from benchmarks.cluster.planning import parts_of
from benchmarks.measuring.sweeping.sweep_plan import requested
from benchmarks.runs.campaign import Campaign
from benchmarks.runs.loading import load_runs
from benchmarks.store import open_run
from tests.small_campaigns import IMPLEMENTATIONS, ROOT, assert_measured_once, write_sweep

CLUSTER = """
scheduler = "local"
scratch = "{scratch}"

[kind.here]
"""


def copy_of_this(target: Path, _revision: str, **_options: object) -> Path:
    """The code as it stands here, committed or not, in place of a copy of the commit."""
    for package in ("benchmarks", "rnnimpl"):
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    return target


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """A campaign of one part in the current folder; nothing is compiled for its peaks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CXX", "no compiler")
    monkeypatch.setattr("benchmarks.cluster.campaigns.copy_code", copy_of_this)
    file = tmp_path / "cluster.toml"
    file.write_text(CLUSTER.format(scratch=tmp_path))
    cluster = with_cores(read_cluster_file(file))
    sweep, named = requested(str(write_sweep(tmp_path, batches=(1,), budget="15s")), implementations=IMPLEMENTATIONS)
    parts = parts_of(sweep, cluster.kinds[0])
    return make_campaign(None, cluster, file, parts, named, print, name=sweep.name, sweep=sweep.to_json())


def running_jobs(campaign: Campaign) -> list[psutil.Process]:
    """The processes of jobs of the campaign."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "benchmarks.cluster.job" in words and str(campaign.folder) in words:
            found.append(process)
    return found


def until_there_is(campaign: Campaign, what: str) -> list[psutil.Process]:
    """Wait for a job that has written a file of this pattern, and return its processes."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        jobs = running_jobs(campaign)
        if jobs and any(campaign.folder.glob(what)):
            return jobs
        time.sleep(0.02)
    raise AssertionError(f"no job wrote {what}")


def test_a_campaign_goes_on_whatever_ends_its_jobs(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    said: list[str] = []
    with monkeypatch.context() as interrupted:
        interrupted.setattr("benchmarks.cluster.front.time.sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            front.wait(campaign, said.append)
    until_there_is(campaign, "runs/here-000/owner.json")
    assert front.cancel(campaign) == 1
    until = time.monotonic() + 30
    while any(each.state == "queued" for each in front.status(campaign)) and time.monotonic() < until:
        time.sleep(0.02)

    def kill() -> None:
        for job in until_there_is(campaign, "runs/here-000/*/run.json"):
            job.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    states = front.wait(campaign, said.append)
    killer.join()
    assert [(each.part.name, each.state) for each in states] == [("here-000", "failed")]
    assert said[-1] == "1 part: 1 failed"
    (run,) = load_runs(campaign.folder)
    assert len(run.cautions) == 1
    assert "here-000" in run.cautions[0]
    states = front.wait(campaign, said.append)
    assert {each.state for each in states} == {"finished"}
    assert_measured_once(campaign.folder)
    (folder,) = campaign.run_folders("here-000")
    assert {job["scratch"] for job in open_run(folder).record["jobs"]} == {str(campaign.folder.parent.parent)}


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner(env={"COLUMNS": "200"})


def test_an_interrupt_says_how_to_come_back(
    campaign: Campaign, runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(front, "wait", interrupt)
    resume = ["--cluster", "cluster.toml", "--resume", str(campaign.folder)]
    result = runner.invoke(app, ["sweep", *resume])
    assert result.exit_code == 130
    assert "jobs go on without this" in result.output
    assert " ".join(resume) in result.output


def test_status_shows_each_part_of_the_newest_campaign(campaign: Campaign, runner: CliRunner) -> None:
    assert find_campaign(Path("cluster.toml"), None).folder == campaign.folder
    result = runner.invoke(app, ["sweep", "--cluster", "cluster.toml", "--status"])
    assert result.exit_code == 0
    assert "1 part: 1 not submitted" in result.output
    assert "0 of 1" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--status",), "--status is given without --cluster"),
        (("--cluster", "cluster.toml", "--status", "--cancel"), "expected one of them"),
        (("--cluster", "none.toml"), "none.toml cannot be read"),
        (("--cluster", "cluster.toml", "--status"), "no campaign of `sweep` in results was begun with cluster.toml"),
        (("--cluster", "cluster.toml", "--resume", "."), "holds no campaign.json"),
        (("--cluster", "cluster.toml", "--resume", ".", "--budget", "5m"), "--resume without these"),
        (("--cluster", "cluster.toml", "--threads", "9999"), "threads is 9999; expected at most"),
        (("--cluster", "cluster.toml", "--out", "full"), "full is not empty"),
    ],
)
def test_wrong_use_is_answered(
    words: tuple[str, ...], said: str, place: Path, runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.cluster.campaigns.copy_code", copy_of_this)
    (place / "cluster.toml").write_text(CLUSTER.format(scratch=place))
    (place / "full").mkdir()
    (place / "full" / "mine").touch()
    with contextlib.chdir(place):
        result = runner.invoke(app, ["sweep", *words])
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize("verb", [("sweep", "quick"), ("track", "--rev", "HEAD")])
def test_nothing_is_made_where_nothing_can_be_submitted(
    verb: tuple[str, ...], project_in_git: Path, runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project_in_git / "slurm.toml").write_text('[kind.zen5]\nconstraint = "zen5"\ncores = 4\n')
    suite = ("--suite", "bench/suite") if verb[0] == "track" else ()
    git = shutil.which("git")
    assert git
    (project_in_git / "programs").mkdir()
    (project_in_git / "programs" / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(project_in_git / "programs"))
    result = runner.invoke(app, [*verb, *suite, "--cluster", "slurm.toml"])
    assert result.exit_code == 2
    assert "squeue is not on the path" in result.output
    assert not (project_in_git / "results").exists()
    monkeypatch.setattr("benchmarks.cluster.submitting.find_spec", lambda _name: None)
    result = runner.invoke(app, [*verb, *suite, "--cluster", "slurm.toml"])
    assert result.exit_code == 2
    assert "submitit is not installed" in result.output
