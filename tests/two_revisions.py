"""Two revisions in plain folders, and stand-ins for git and pip, for tests of their environments."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import pytest
from filelock import FileLock, Timeout

from benchmarks.regression.environments.preparing import Preparation
from benchmarks.regression.environments.revisions import Revision
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side

NOTHING = ProcessRecord()


def two_revisions(folder: Path) -> tuple[Revision, Revision]:
    """Two revisions with the same dependencies, and with packages in `src`."""
    made = []
    for name in ("base", "head"):
        top = folder / name
        (top / "src").mkdir(parents=True)
        (top / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n')
        made.append(Revision(name, "0" * 40, dirty=False, folder=top))
    return made[0], made[1]


def without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for git: the revisions are plain folders."""
    monkeypatch.setattr("benchmarks.regression.environments.sources.git_files", lambda *_: ["pyproject.toml"])
    monkeypatch.setattr("benchmarks.regression.environments.preparing.worktrees", lambda _: [])
    monkeypatch.setattr("benchmarks.regression.environments.origins.git_files", lambda *_: [])


def stand_in_for_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands of pip, of which none really runs; during each, the lock of the environment is held.

    The stand-in records, as pip does, that the project is installed from its files.
    """
    commands: list[list[str]] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("benchmarks.regression.environments.preparing.packages_of", lambda python: {"python": python})
    monkeypatch.setattr("benchmarks.regression.environments.preparing.build", lambda *_: None)

    def note(command: list[str], folder: Path, **_: object) -> str:
        if command[2:4] == ["-m", "venv"]:
            Path(command[-1], "bin").mkdir(parents=True, mode=0o700)
            Path(command[-1], "bin", "python").touch(mode=0o700)
            Path(command[-1]).chmod(0o700)
            return ""
        environment = Path(command[0]).parent.parent
        if "install" in command:
            commands.append([*command, str(folder)])
            installed = environment / "lib" / "python3" / "site-packages" / "x-1.dist-info"
            installed.mkdir(parents=True, exist_ok=True)
            (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1\n")
            (installed / "direct_url.json").write_text(f'{{"url": "{folder.as_uri()}", "dir_info": {{}}}}')
            for path in environment.rglob("*"):
                path.chmod(0o700)
        else:
            assert command[-1] == "x"
            shutil.rmtree(environment / "lib" / "python3" / "site-packages" / "x-1.dist-info")
        with pytest.raises(Timeout):
            FileLock(f"{environment}.lock", timeout=0).acquire()
        return ""

    monkeypatch.setattr("benchmarks.regression.environments.kept_environments.failure", note)
    return commands


def both_sides(
    revisions: tuple[Revision, Revision],
    choice: Literal["auto", "shared", "own"],
    said: list[str],
    found: ProcessRecord = NOTHING,
) -> tuple[Side, Side]:
    """Both sides as they are measured."""
    top = revisions[0].folder.parent
    preparation = Preparation(top, "speed", top / "builds", dry_run=lambda _: found, say=said.append)
    base, head = preparation.pair(*revisions, choice)
    return base.side, head.side


def chosen(revisions: tuple[Revision, Revision], choice: Literal["auto", "shared", "own"]) -> tuple[list[str], str]:
    """The interpreters of both sides, and the sentences for the user."""
    said: list[str] = []
    return [side.python for side in both_sides(revisions, choice, said)], "\n".join(said)
