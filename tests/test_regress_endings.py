"""How `regress` ends on a signal: its processes and folders are removed, at once or by the next run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.files.scratch import abandoned, scratch_folder
from benchmarks.measuring.processes.ending import ended_in_order
from benchmarks.regression.environments.installing import failure
from benchmarks.regression.environments.revisions import remove_abandoned
from tests.ended_processes import is_gone, until

ROOT = Path(__file__).parent.parent
HOLDS = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from benchmarks.files.scratch import scratch_folder
with scratch_folder("revisions") as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""
WAITS = """
import os, signal, sys

def test_waits(benchmark):
    print(os.getpid(), file=open(os.environ["SUITE_STARTED"], "w"), flush=True)
    signal.pause()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder that belongs to the test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def holder(temporary: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process, and the scratch folder that it holds."""
    command = [sys.executable, "-c", HOLDS, str(temporary)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def git(folder: Path, *words: str) -> str:
    """The answer of git, which has an identity for commits."""
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    command = ["git", *identity, *words]  # the git that is on the path
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in git whose benchmark waits for ever."""
    folder = tmp_path / "project"
    (folder / "speed").mkdir(parents=True)
    (folder / "speed" / "test_waits.py").write_text(WAITS)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def _reset_signals() -> None:
    """Reset the signals as in a terminal: a process that runs the tests may ignore some, as under nohup."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def worktrees(folder: Path) -> int:
    """The number of worktrees that git lists, with the checkout."""
    return len(git(folder, "worktree", "list").splitlines())


def test_a_folder_whose_owner_lives_is_not_abandoned(holder: tuple[subprocess.Popen[str], Path]) -> None:
    """A folder whose owner was killed is abandoned, and is removed."""
    process, folder = holder
    assert list(abandoned()) == []
    assert folder.is_dir()
    process.kill()
    process.wait()
    assert list(abandoned()) == [folder]
    assert not folder.exists()


def test_files_and_folders_with_only_the_name_are_left_alone(temporary: Path) -> None:
    """They are a folder without a mark, one whose mark is a link, a link to a folder, and a file."""
    with scratch_folder("here") as marked:
        abandoned_elsewhere = shutil.copytree(marked, temporary / "elsewhere")
        kept = [temporary / f"rnnbench-{name}" for name in ("folder", "link", "file", "linked-mark")]
        kept[0].mkdir()
        kept[1].symlink_to(abandoned_elsewhere)
        kept[2].touch()
        kept[3].mkdir()
        (kept[3] / "rnnbench-owned").symlink_to(abandoned_elsewhere / "rnnbench-owned")
        assert list(abandoned()) == []
        assert all(path.exists() for path in kept)


def test_a_scratch_folder_is_removed_with_its_files(temporary: Path) -> None:
    """It is removed after an interrupt, too."""

    def interrupted() -> None:
        with scratch_folder("here") as folder:
            (folder / "more").mkdir()
            (folder / "more" / "file").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(temporary.iterdir()) == []


def test_a_folder_has_its_mark_only_once_it_is_held(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise another run could take it for abandoned."""
    files: list[list[str]] = []

    def list_files(*_: object) -> None:
        files.append([path.name for path in temporary.glob("*/*")])

    monkeypatch.setattr("fcntl.flock", list_files)
    with scratch_folder("here") as folder:
        assert files == [["new"]]
        assert [path.name for path in folder.iterdir()] == ["rnnbench-owned"]


def test_no_file_stays_open_after_a_search(holder: tuple[subprocess.Popen[str], Path]) -> None:
    """The search meets folders of a live run, of a killed run, and of this process."""
    process, _ = holder
    files = psutil.Process().num_fds()
    assert list(abandoned()) == []
    process.kill()
    process.wait()
    assert len(list(abandoned())) == 1
    with scratch_folder("here"):
        pass
    assert psutil.Process().num_fds() == files


@pytest.mark.usefixtures("temporary")
def test_a_folder_of_another_user_is_left_alone(
    holder: tuple[subprocess.Popen[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are not those of this user's runs."""
    process, folder = holder
    process.kill()
    process.wait()
    monkeypatch.setattr("os.getuid", lambda: folder.stat().st_uid + 1)
    assert list(abandoned()) == []
    assert folder.is_dir()


def test_worktrees_of_a_killed_run_are_removed_by_the_next(
    holder: tuple[subprocess.Popen[str], Path], project: Path, tmp_path: Path
) -> None:
    """They may be locked, since git was making them, and their repository may be gone."""
    process, folder = holder
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(project), str(other))
    git(project, "worktree", "add", "--quiet", "--detach", str(folder / "base"))
    git(project, "worktree", "add", "--quiet", "--detach", "--lock", str(folder / "head"))
    git(other, "worktree", "add", "--quiet", "--detach", str(folder / "lost"))
    other.rename(tmp_path / "moved")
    process.kill()
    process.wait()
    said: list[str] = []
    remove_abandoned(said.append)
    assert not folder.exists()
    assert worktrees(project) == 1
    assert said == [f"removing {folder}, left by a run that was killed"]


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -signal.SIGKILL)],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else "",
)
def test_a_signal_ends_processes_and_removes_worktrees(
    number: signal.Signals, status: int, project: Path, temporary: Path, tmp_path: Path
) -> None:
    """A test waits for ever; the worktrees of a killed run are removed by the next one."""
    os.mkfifo(tmp_path / "started")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(temporary),
        "SUITE_STARTED": str(tmp_path / "started"),
    }
    words = ("--base", "HEAD", "--suite", "speed", "--out", str(tmp_path / "out"))
    command = [sys.executable, "-m", "benchmarks", "regress", *words]
    with subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.DEVNULL, preexec_fn=_reset_signals
    ) as process:
        try:
            child = psutil.Process(int((tmp_path / "started").read_text()))
            assert worktrees(project) == 2
            process.send_signal(number)
            assert process.wait(timeout=60) == status
        finally:
            process.kill()
    gone, _ = psutil.wait_procs([child], timeout=20)
    assert gone
    if number == signal.SIGKILL:
        remove_abandoned(lambda _: None)
    assert worktrees(project) == 1
    assert not [path for path in temporary.iterdir() if path.is_dir()]


def test_a_second_signal_does_not_interrupt_the_cleanup_of_the_first() -> None:
    """`timeout` sends two signals: to the process, and to its group."""
    order: list[str] = []

    def ended() -> None:
        with ended_in_order():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                order.append("went on")
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                order.append("put in order")

    with pytest.raises(SystemExit, match="143"):
        ended()
    assert order == ["put in order"]


def test_a_signal_that_is_ignored_stays_so() -> None:
    """Under nohup a closed terminal ends nothing, and all handlers are restored afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    closed = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_in_order():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGTERM) is not before
        assert signal.getsignal(signal.SIGTERM) is before
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, closed)


def test_an_interrupt_ends_the_build_of_an_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that it has started end, too."""
    os.mkfifo(tmp_path / "started")
    script = f"sleep 1000 & echo $! > {tmp_path / 'started'}; wait"
    started: list[psutil.Process] = []

    def interrupted(*_: object, **__: object) -> None:
        started.append(psutil.Process(int((tmp_path / "started").read_text())))
        raise KeyboardInterrupt

    monkeypatch.setattr("subprocess.Popen.communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        failure(["sh", "-c", script], tmp_path)
    gone, _ = psutil.wait_procs(started, timeout=20)
    assert gone == started


def test_a_build_that_fails_says_why(tmp_path: Path) -> None:
    """The reason is its output, or its status where it has none."""
    assert failure(["sh", "-c", "echo no such package >&2; exit 1"], tmp_path) == "no such package"
    assert failure(["sh", "-c", "exit 3"], tmp_path) == "it ended with 3"
    assert failure(["sh", "-c", "echo a warning >&2"], tmp_path) == ""
    assert (
        failure(["sh", "-c", "echo no such package >&2; echo note: of pip >&2; exit 1"], tmp_path) == "no such package"
    )


OF_A_COMPILER = """
  error: subprocess-exited-with-error

  x Building wheel for bad (pyproject.toml) did not run successfully.
  │ exit code: 1
  ╰─> [5 lines of output]
      building 'bad' extension
      bad.c:1:10: fatal error: nothere.h: No such file or directory
          1 | #include <nothere.h>
      compilation terminated.
      error: command 'gcc' failed with exit code 1
      [end of output]

  note: This error originates from a subprocess, and is likely not a problem with pip.
  ERROR: Failed building wheel for bad
error: failed-wheel-build-for-install
"""
OF_A_BACKEND = """
  ╰─> [1 lines of output]
      no such tool: foo
      [end of output]
ERROR: Failed to build 'bad' when getting requirements to build wheel
"""
OF_PIP = """
  WARNING: Built wheel for bad is invalid: Wheel has unexpected file name: expected '1', got '1.dev0'
error: failed-wheel-build-for-install
"""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (OF_A_COMPILER, "bad.c:1:10: fatal error: nothere.h: No such file or directory"),
        (OF_A_BACKEND, "no such tool: foo"),
        (OF_PIP, "Built wheel for bad is invalid: Wheel has unexpected file name: expected '1', got '1.dev0'"),
    ],
)
def test_the_reason_of_a_failed_build_is_the_build_backends(said: str, reason: str, tmp_path: Path) -> None:
    """The last lines of pip only say that a build failed."""
    (tmp_path / "said").write_text(said)
    assert failure(["sh", "-c", "cat said >&2; exit 1"], tmp_path).endswith(reason)


def test_a_build_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """It is ended after its time limit, with the processes that it started."""
    script = f"sleep 1000 & echo $! > {tmp_path / 'started'}; wait"
    assert failure(["sh", "-c", script], tmp_path, seconds=0.3) == "sh did not end within 0 s"
    started = int((tmp_path / "started").read_text())
    until(lambda: is_gone(started))
