"""Every verb that writes: the files of the user, and what links lead to, stay and are refused before measuring."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from benchmarks.measuring.checking.call_checking import read_results
from benchmarks.measuring.measure import Wrong
from benchmarks.measuring.sweeping import launch
from benchmarks.store import StoreError, create_run
from tests.precious_files import content, put
from tests.synthetic_runs import run_of, trial, workload
from tests.verbs_in_a_place import MEASURING, measured, refused, run

pytestmark = pytest.mark.usefixtures("place")


PAIR = [trial("nn_rnn", workload(), 2e-3), trial("mine", workload(), 1e-3)]
CASE = "nn_rnn/cpu/inference/T4-B1-I4-H4-L1-tanh-float32"


def test_a_report_leaves_the_users_pictures() -> None:
    """Pictures with names of their own in the report's folder of plots stay."""
    run_of(Path("run"), PAIR)
    Path("paper/plots").mkdir(parents=True)
    Path("paper/plots/figure1.png").write_text("mine")
    for _ in range(2):
        assert run("report", "run", "--out", "paper").exit_code == 0
        assert Path("paper/plots/figure1.png").read_text() == "mine"
    assert Path("paper/plots/speedup.png").read_text() == "speedup"


@pytest.mark.parametrize("link", ["run/plots", "run/plots/speedup.png", "run/report.md"])
def test_a_report_follows_no_link(link: str, pictures: Path) -> None:
    """A link in a run's folder, which may be a stranger's, is refused."""
    run_of(Path("run"), PAIR)
    Path(link).parent.mkdir(exist_ok=True)
    Path(link).symlink_to(pictures if link == "run/plots" else pictures / "speedup.png")
    assert "a link" in refused("report", "run")


def test_a_report_of_several_runs_follows_no_link(pictures: Path) -> None:
    """The folder of a report on several runs, within that of the first, must not be a link."""
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
    """A file of the user's under a name of any report is refused before anything is computed."""
    run_of(Path("run"), PAIR)
    Path("paper/plots").mkdir(parents=True)
    Path("paper", name).write_text("mine")
    monkeypatch.setattr("benchmarks.reporting.analysis.runs_frame", measured)
    assert f"paper holds {name}, where report would write" in refused("report", "run", "--out", "paper")


def test_a_report_by_an_earlier_version_is_replaced() -> None:
    """In a run's folder without a record, files by the names of a report are replaced, and no others."""
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
    """Another program's run.json and report.md are not taken for a run's."""
    run_of(Path("run"), PAIR)
    Path("other").mkdir()
    Path("other/run.json").write_text(record)
    Path("other/report.md").write_text("mine")
    assert "other holds report.md" in refused("report", "run", "--out", "other")


def test_a_report_that_was_written_by_hand_since_is_kept() -> None:
    """A report that the user edited is refused: its bytes are not the report's."""
    run_of(Path("run"), PAIR)
    assert run("report", "run").exit_code == 0
    with Path("run/report.md").open("a") as file:
        file.write("my remarks\n")
    assert "run holds report.md, where report would write; it did not write that, or it was changed" in refused(
        "report", "run"
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
@pytest.mark.usefixtures("project_in_git")
def test_a_file_of_the_users_is_refused_before_anything_is_measured(
    words: list[str], name: str, is_link: bool, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the user's, or a link, in the place of the output is refused at once."""
    for each in MEASURING:
        monkeypatch.setattr(f"benchmarks.{each}", measured)
    place = Path("out", name)
    place.parent.mkdir(parents=True)
    if is_link:
        place.symlink_to(pictures / "new.txt")
    else:
        place.write_text("mine")
    assert Path(name).parts[0] in refused(*words, "--out", "out")


@pytest.mark.usefixtures("project_in_git")
@pytest.mark.parametrize("kept", ["calibration.json", "groups.jsonl"])
def test_a_calibration_is_not_gone_on_with_through_a_link(
    kept: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two data files of a calibration may be read through a link, and are not added to through one."""
    monkeypatch.setattr("benchmarks.regression.calibration.measuring.begun_record", measured)
    record = {"machine": {"key": "a"}, "cases": {}, "costs": {}, "settled_by": 0}
    Path("out").mkdir()
    Path("out/calibration.json").write_text(json.dumps(record))
    Path("out/groups.jsonl").write_text("")
    Path("out", kept).rename(pictures / kept)
    Path("out", kept).symlink_to(pictures / kept)
    assert f"out/{kept} is a link" in refused("calibrate", "--out", "out")


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
    """A dangling link is refused too: it would make a file at its target."""
    Path("run").mkdir()
    Path("run", name).symlink_to(pictures / "new")
    with pytest.raises(StoreError, match=f"run already holds {name}"):
        create_run("run", {})
    assert not (pictures / "new").exists()


@pytest.mark.parametrize(
    ("words", "measuring"),
    [
        (["sweep", "quick", "--impl", "numpy_loop"], "measuring.sweeping.launch.measure_missing"),
        (["profile", CASE], "profiling.profile.profile_repeats"),
        (["train", "--impl", "numpy_loop"], "training.train.reference_losses"),
    ],
    ids=["sweep", "profile", "train"],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_scratch_folder(
    number: signal.Signals, words: list[str], measuring: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal leaves no temporary folder and no empty folder, and gives a shell's exit status."""

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
        assert "is kept: go on with python -m benchmarks sweep --resume results/quick-" in result.output
        assert "what it says so far: python -m benchmarks report results/quick-" in result.output
    else:
        assert list(Path("results").iterdir()) == []


def test_what_a_killed_sweep_left_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of `regress` stay for `regress`, which knows its worktrees; a folder that only has the name stays."""
    monkeypatch.setattr(launch, "measure_missing", lambda *_: True)
    monkeypatch.setattr("benchmarks.commands.speed.show_report", lambda *_: None)
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
