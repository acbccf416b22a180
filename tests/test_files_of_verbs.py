"""Every verb that writes: the files of the user, and what links lead to, stay and are refused before measuring."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from benchmarks.__main__ import app
from benchmarks.history import folder as histories
from benchmarks.history.plan import digest
from benchmarks.measuring import launch
from benchmarks.measuring.checking import read_results
from benchmarks.measuring.measure import Wrong
from benchmarks.measuring.sweep_plan import SweepPlan, plan_sweep
from benchmarks.store import StoreError, create_run
from tests.synthetic_history import process
from tests.synthetic_runs import run_of, trial, workload
from tests.test_files import content, put

PAIR = [trial("nn_rnn", workload(), 2e-3), trial("mine", workload(), 1e-3)]
CASE = "nn_rnn/cpu/inference/T4-B1-I4-H4-L1-tanh-float32"
RECORD = ".rnnbench-files.json"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder, temporary files in another, and figures that are not rendered."""
    for name in ("here", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def touch(_figure: object, folder: Path, stem: str) -> None:
        for ending in ("png", "svg"):
            (folder / f"{stem}.{ending}").write_text(stem)

    monkeypatch.setattr("benchmarks.reporting.plots.save", touch)
    return tmp_path / "here"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of the user's outside of the current one."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "holiday.png").write_text("mine")
    (tmp_path / "pictures" / "speedup.png").write_text("mine")
    return tmp_path / "pictures"


def run(*words: str) -> Result:
    """What a command line comes to; a fault of ours is raised."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(words), catch_exceptions=False)


def refused(*words: str) -> str:
    """What a command line is refused with; it has changed nothing."""
    before = content(Path.cwd().parent)
    result = run(*words)
    assert result.exit_code == 2, result.output
    after = content(Path.cwd().parent)
    assert {name: text for name, text in after.items() if not name.startswith("temporary/")} == before
    return " ".join(result.output.split())


def measured(*_: object, **__: object) -> Any:
    raise AssertionError("something was measured")


def git(*words: str) -> str:
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    command = ["git", *identity, *words]  # the git that is on the path
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def project(place: Path) -> Path:
    """The current folder as a project in git, with a suite."""
    (place / "bench" / "suite").mkdir(parents=True)
    (place / "bench" / "suite" / "test_a.py").write_text("def test_a(benchmark): benchmark(sum, [1])\n")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    return place


def test_a_report_leaves_the_users_pictures() -> None:
    """In the folder of plots that `--out` has already, by names of their own."""
    run_of(Path("run"), PAIR)
    Path("paper/plots").mkdir(parents=True)
    Path("paper/plots/figure1.png").write_text("mine")
    for _ in range(2):
        assert run("report", "run", "--out", "paper").exit_code == 0
        assert Path("paper/plots/figure1.png").read_text() == "mine"
    assert Path("paper/plots/speedup.png").read_text() == "speedup"


@pytest.mark.parametrize("link", ["run/plots", "run/plots/speedup.png", "run/report.md"])
def test_a_report_follows_no_link(link: str, pictures: Path) -> None:
    """In a run's folder, which may be a stranger's."""
    run_of(Path("run"), PAIR)
    Path(link).parent.mkdir(exist_ok=True)
    Path(link).symlink_to(pictures if link == "run/plots" else pictures / "speedup.png")
    assert "a link" in refused("report", "run")


def test_a_report_of_several_runs_follows_no_link(pictures: Path) -> None:
    """Its folder lies in that of the first run."""
    for name in ("a", "b"):
        run_of(Path(name), PAIR)
    Path("a/side-by-side").symlink_to(pictures)
    assert "a/side-by-side is a link to " in refused("report", "a", "b")


def test_results_may_be_a_link(place: Path) -> None:
    """The user named it: a run in it has its report, and the link stays."""
    (place.parent / "disk").mkdir()
    Path("results").symlink_to(place.parent / "disk")
    run_of(Path("results/run"), PAIR)
    assert run("report", "results/run").exit_code == 0
    assert (place.parent / "disk" / "run" / "report.md").is_file()
    assert Path("results").is_symlink()


@pytest.mark.parametrize(
    "name", ["report.md", "ranking.csv", "standing.csv", "plots/winner-map.svg", "plots/scan-2.png"]
)
def test_a_report_takes_the_place_of_no_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the user's, whether this report would have it or another; it is said before anything is computed."""
    run_of(Path("run"), PAIR)
    Path("paper/plots").mkdir(parents=True)
    Path("paper", name).write_text("mine")
    monkeypatch.setattr("benchmarks.reporting.analysis.runs_frame", measured)
    assert f"paper holds {name}, where report would write" in refused("report", "run", "--out", "paper")


def test_a_report_by_an_earlier_version_is_replaced() -> None:
    """In a run's folder without a record: files by the names of a report, and no others."""
    run_of(Path("run"), PAIR)
    Path("run/plots").mkdir()
    for name in ("report.md", "summary.csv", "plots/speedup.png", "plots/time-over-T-2.svg", "plots/holiday.png"):
        Path("run", name).write_text("before")
    assert run("report", "run").exit_code == 0
    found = content(Path("run"))
    assert found["plots/holiday.png"] == "before"
    assert "plots/time-over-T-2.svg" not in found
    assert [name for name, text in found.items() if text == "before"] == ["plots/holiday.png"]


@pytest.mark.parametrize("record", ["{}", '{"schema": 2}', "[]", "x"])
def test_a_folder_that_holds_no_run_has_no_earlier_report(record: str) -> None:
    """Another program may have a run.json and a report.md of its own."""
    run_of(Path("run"), PAIR)
    Path("other").mkdir()
    Path("other/run.json").write_text(record)
    Path("other/report.md").write_text("mine")
    assert "other holds report.md" in refused("report", "run", "--out", "other")


def test_a_report_that_was_written_by_hand_since_is_kept() -> None:
    """Its bytes are not the report's."""
    run_of(Path("run"), PAIR)
    assert run("report", "run").exit_code == 0
    with Path("run/report.md").open("a") as file:
        file.write("my remarks\n")
    assert "run holds report.md, where report would write; it did not write that, or it was changed" in refused(
        "report", "run"
    )


MEASURING = (
    *("measuring.launch.measure_peaks", "profiling.profile.measure_peaks", "training.train.reference_losses"),
    *("regression.calibration.measuring.dry_run", "regression.regress.regress", "history.findings.find_history"),
    *("measuring.lock.open_lock_file", "regression.revisions.worktree"),
)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["sweep", "quick", "--impl", "numpy_loop"], "run.json"),
        (["sweep", "quick", "--impl", "numpy_loop"], "trials.jsonl"),
        (["regress", "--base", "HEAD", "--suite", "bench/suite"], "summary.md"),
        (["regress", "--base", "HEAD", "--suite", "bench/suite"], "ratios.png"),
        (["history"], "history.md"),
        (["history"], "series.csv"),
        (["history"], "history-a machine-2.svg"),
        (["profile", CASE], "profile/profile.json"),
        (["profile", CASE], "profile/traces/mine.trace.json.gz"),
        (["profile", CASE], "profile/growth-H.png"),
        (["calibrate"], "calibration.json"),
        (["calibrate"], "groups.jsonl"),
        (["calibrate"], "errors.png"),
        (["train", "--impl", "numpy_loop"], "table.md"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
@pytest.mark.parametrize("is_link", [False, True])
@pytest.mark.usefixtures("project")
def test_a_file_of_the_users_is_refused_before_anything_is_measured(
    words: list[str], name: str, is_link: bool, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so is a link in its place, even one that leads nowhere yet."""
    for each in MEASURING:
        monkeypatch.setattr(f"benchmarks.{each}", measured)
    place = Path("out", name)
    place.parent.mkdir(parents=True)
    if is_link:
        place.symlink_to(pictures / "new.txt")
    else:
        place.write_text("mine")
    assert Path(name).parts[0] in refused(*words, "--out", "out")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("kept", ["calibration.json", "groups.jsonl"])
def test_a_calibration_is_not_gone_on_with_through_a_link(
    kept: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its two files of data are read through one, and not added to."""
    monkeypatch.setattr("benchmarks.regression.calibration.measuring._record", measured)
    record = {"machine": {"key": "a"}, "cases": {}, "costs": {}, "settled_by": 0}
    Path("out").mkdir()
    Path("out/calibration.json").write_text(json.dumps(record))
    Path("out/groups.jsonl").write_text("")
    Path("out", kept).rename(pictures / kept)
    Path("out", kept).symlink_to(pictures / kept)
    assert f"out/{kept} is a link" in refused("calibrate", "--out", "out")


IMPLEMENTATION = """
open("ran", "w").close()
from rnnimpl.impls.numpy_loop import NumpyLoop

class Mine(NumpyLoop):
    {body}
"""


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a run's folder that names code of its own, and keeps what would be measured in `plans`."""
    monkeypatch.setattr("benchmarks.machine.describe_machine", lambda: {"key": "synthetic-2cores-8GiB"})
    monkeypatch.setattr("benchmarks.commands.speed._report", lambda *_: None)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    sweep = plan_sweep("quick", implementations=["numpy_loop"]).sweep.to_json()

    def make(implementations: Any, body: str = "pass") -> Path:
        run_of(Path("stranger"), PAIR, sweep=sweep, implementations=implementations)
        Path("stranger/code.py").write_text(IMPLEMENTATION.format(body=body))
        return Path("stranger")

    return make


@pytest.mark.parametrize("name", ["nn_rnn", "mine"])
@pytest.mark.parametrize("body", ["pass", 'devices = ("cpu",)'])
def test_code_that_a_runs_folder_names_is_not_loaded(
    name: str, body: str, stranger: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is called there; the sentence has the command line that loads it."""
    monkeypatch.setattr(launch, "measure_alone", measured)
    stranger({"numpy_loop": "numpy_loop", name: "stranger.code:Mine"}, body)
    said = refused("sweep", "--resume", "stranger")
    assert f"python -m benchmarks sweep --resume stranger --impl {name}=stranger.code:Mine" in said
    assert not Path("ran").exists()


def test_code_that_the_user_names_again_is_loaded(
    stranger: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on with all its implementations."""
    plans: list[SweepPlan] = []
    monkeypatch.setattr(launch, "measure_alone", lambda _run, plan, _console: plans.append(plan))
    implementations = {"numpy_loop": "numpy_loop", "mine": "stranger.code:Mine"}
    stranger(implementations)
    result = run("sweep", "--resume", "stranger", "--impl", "mine=stranger.code:Mine")
    assert result.exit_code == 0, result.output
    assert plans[0].implementations == implementations


@pytest.mark.parametrize("word", ["mine=other:Class", "numpy_loop=stranger.code:Mine", "nn_rnn", "stranger.code:Mine"])
def test_what_is_named_has_to_be_the_runs(
    word: str, stranger: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another implementation does not belong into a run that goes on."""
    monkeypatch.setattr(launch, "measure_alone", measured)
    stranger({"numpy_loop": "numpy_loop", "mine": "stranger.code:Mine"})
    assert "is not in stranger; expected none, or those of the run" in refused(
        "sweep", "--resume", "stranger", "--impl", word
    )
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "implementations",
    [[], "numpy_loop", {"a": 1}, {"a": None}, {"x=stranger.code:Mine": "numpy_loop"}, {"../../x": "numpy_loop"}],
    ids=str,
)
def test_implementations_that_are_none_are_refused(
    implementations: Any, stranger: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names become those of files, and sources are texts."""
    monkeypatch.setattr(launch, "measure_alone", measured)
    stranger(implementations)
    assert "implementation" in refused("sweep", "--resume", "stranger")
    assert not Path("ran").exists()


def test_the_hint_to_go_on_names_code_of_the_users(
    stranger: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it can be copied."""
    monkeypatch.setattr(launch, "measure_missing", lambda *_: False)
    stranger({"numpy_loop": "numpy_loop", "mine": "stranger.code:Mine"})
    result = run("sweep", "--resume", "stranger", "--impl", "mine=stranger.code:Mine")
    assert result.output.endswith("go on with --resume stranger --impl mine=stranger.code:Mine\n")


@pytest.mark.parametrize("kind", ["link", "hard link", "folder"])
@pytest.mark.parametrize("name", ["trials.jsonl", "run.json", "worker-peaks.log", "report.md"])
def test_a_run_whose_files_are_links_does_not_go_on(
    name: str, kind: str, stranger: Callable[..., Path], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is added would be added elsewhere; it is said before anything is measured."""
    if (name, kind) in (("run.json", "folder"), ("report.md", "hard link"), ("trials.jsonl", "folder")):
        pytest.skip("is no run's, cannot be read, or is replaced under one name")
    monkeypatch.setattr(launch, "measure_alone", measured)
    folder = stranger({"numpy_loop": "numpy_loop"})
    target = pictures / "target"
    if (folder / name).exists():
        (folder / name).rename(target)
    else:
        target.write_text("mine")
    if kind == "link":
        (folder / name).symlink_to(target)
    elif kind == "hard link":
        (folder / name).hardlink_to(target)
    else:
        (folder / name).mkdir()
    assert name in refused("sweep", "--resume", "stranger")


@pytest.mark.parametrize("kind", ["a link", "a dangling link", "a named pipe", "a folder"])
def test_results_of_a_worker_are_a_file_of_their_own(kind: str, pictures: Path) -> None:
    """An implementation may put anything in its place, and what that leads to is neither read nor removed."""
    put(kind, Path("results.npz"), pictures)
    before = content(pictures)
    with pytest.raises(Wrong, match="the results could not be read"):
        read_results(Path("results.npz"), 1000)
    assert content(pictures) == before


@pytest.mark.parametrize("name", ["run.json", "trials.jsonl", "report.md", "plots"])
def test_a_new_run_writes_through_no_link(name: str, pictures: Path) -> None:
    """One that leads nowhere yet would make a file where it leads to."""
    Path("run").mkdir()
    Path("run", name).symlink_to(pictures / "new")
    with pytest.raises(StoreError, match=f"run already holds {name}"):
        create_run("run", {})
    assert not (pictures / "new").exists()


@pytest.mark.parametrize("link", ["history", "history/machine", "history/machine/processes.jsonl"])
def test_a_history_is_added_to_through_no_link(link: str, pictures: Path) -> None:
    """But for the folder itself, which the user names."""
    Path(link).parent.mkdir(parents=True, exist_ok=True)
    target = pictures / "target"
    if link.endswith("jsonl"):
        target.write_text("")
    else:
        target.mkdir()
    Path(link).symlink_to(target)
    before = content(pictures)
    if link == "history":
        histories.append(Path("history"), "machine", process(0, 1.0))
        assert (target / "machine" / "processes.jsonl").is_file()
        return
    with pytest.raises(StoreError, match=f"{link} is a link"):
        histories.append(Path("history"), "machine", process(0, 1.0))
    assert content(pictures) == before


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("link", ["history/machine", "history/machine/processes.jsonl"])
def test_track_does_not_measure_for_a_link(link: str, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured could not be added to the history."""
    for each in MEASURING:
        monkeypatch.setattr(f"benchmarks.{each}", measured)
    monkeypatch.setattr("benchmarks.machine.describe_machine", lambda: {"key": "machine", "system": {}})
    (pictures / "processes.jsonl").write_text("")
    Path(link).parent.mkdir(parents=True)
    Path(link).symlink_to(pictures / "processes.jsonl" if link.endswith("jsonl") else pictures)
    assert f"{link} is a link" in refused("track", "--suite", "bench/suite", "--history", "history")


@pytest.mark.usefixtures("project")
def test_a_file_that_is_no_history_is_not_added_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no record of a process."""
    monkeypatch.setattr("benchmarks.machine.describe_machine", lambda: {"key": "machine", "system": {}})
    Path("history/machine").mkdir(parents=True)
    Path("history/machine/processes.jsonl").write_text("mine\n")
    said = refused("track", "--suite", "bench/suite", "--history", "history")
    assert "holds no record of a process" in said


@pytest.mark.parametrize("link", ["bench", "bench/suite"])
@pytest.mark.usefixtures("project")
def test_track_follows_no_link_out_of_an_old_revision(link: str, pictures: Path) -> None:
    """The user's folder behind it stays, no worktree is left, and nothing is recorded."""
    (pictures / "suite").mkdir()
    (pictures / "suite" / "thesis.txt").write_text("years of work")
    shutil.rmtree(link)
    Path(link).parent.mkdir(exist_ok=True)
    Path(link).symlink_to(pictures)
    git("add", "-A")
    git("commit", "--quiet", "-m", "link")
    Path(link).unlink()
    git("checkout", "--quiet", "HEAD~1", "--", ".")
    git("commit", "--quiet", "-m", "folder")
    kept = content(pictures)
    result = run("track", "--rev", "HEAD~1", "--suite", "bench/suite", "--history", "../history", "--processes", "1")
    assert result.exit_code == 2
    assert "bench/suite leads out of" in result.output
    assert content(pictures) == kept
    assert len(git("worktree", "list").splitlines()) == 1
    assert list(Path("../history").rglob("*")) == []


@pytest.mark.parametrize("suite", [".", "bench/.."])
@pytest.mark.usefixtures("project")
def test_the_whole_checkout_is_no_suite(suite: str) -> None:
    """It would take the place of the code that is to be measured."""
    assert "the whole checkout" in refused("track", "--suite", suite)


@pytest.mark.usefixtures("project")
def test_a_suite_has_its_digest_whatever_lies_in_it() -> None:
    """Named pipes and links that lead nowhere are no part of it, and are not waited for."""
    before = digest(Path("bench/suite"))
    os.mkfifo("bench/suite/pipe.py")
    Path("bench/suite/dangling.py").symlink_to("none.py")
    Path("bench/suite/folder.py").mkdir()
    assert digest(Path("bench/suite")) == before
    assert "which is no regular file" in refused("track", "--suite", "bench/suite/pipe.py")


@pytest.mark.parametrize(
    ("words", "measuring"),
    [
        (["sweep", "quick", "--impl", "numpy_loop"], "measuring.launch.measure_missing"),
        (["profile", CASE], "profiling.profile.profile_repeats"),
        (["train", "--impl", "numpy_loop"], "training.train.reference_losses"),
    ],
    ids=["sweep", "profile", "train"],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_scratch_folder(
    number: signal.Signals, words: list[str], measuring: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor a folder that nothing was written into; the status is that of a shell."""

    def end(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr("benchmarks.profiling.profile.measure_peaks", lambda *_, **__: [])
    monkeypatch.setattr(f"benchmarks.{measuring}", end)
    before = signal.signal(number, lambda *_: pytest.fail("the signal was not heard"))
    try:
        result = run(*words)
    finally:
        signal.signal(number, before)
    assert result.exit_code == 128 + number
    assert [path for path in (tmp_path / "temporary").iterdir() if path.is_dir()] == []
    if words[0] == "sweep":
        assert "stopped; what was measured is kept: go on with --resume results/quick-" in result.output
    else:
        assert list(Path("results").iterdir()) == []


def test_what_a_killed_sweep_left_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of `regress` waits for one that knows its worktrees; what only has the name stays."""
    monkeypatch.setattr(launch, "measure_missing", lambda *_: True)
    monkeypatch.setattr("benchmarks.commands.speed._report", lambda *_: None)
    for name in ("rnnbench-sweep-dead", "rnnbench-revisions-dead"):
        (tmp_path / "temporary" / name).mkdir()
        (tmp_path / "temporary" / name / "rnnbench-owned").touch()
    (tmp_path / "temporary" / "rnnbench-sweep-mine").mkdir()
    result = run("sweep", "quick", "--impl", "numpy_loop")
    assert "rnnbench-sweep-dead, left by a run that was killed" in result.output
    assert sorted(path.name for path in (tmp_path / "temporary").iterdir() if path.is_dir()) == [
        "rnnbench-revisions-dead",
        "rnnbench-sweep-mine",
    ]
