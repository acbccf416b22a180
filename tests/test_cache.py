"""Code is kept in, and loaded from, folders and files of the user's to which nobody else can write."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import NoReturn

import pytest

from rnnimpl import RnnConfig, Unavailable, Weights
from rnnimpl.cache import check_private, private_folder
from rnnimpl.impls.fused_cpu import FusedCpu
from rnnimpl.native import build


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def _no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and without an entry in passwd, as of `docker run --user 12345`."""

    def no_entry(uid: int) -> NoReturn:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_entry)


def test_every_folder_that_is_made_is_the_users_alone(home: Path) -> None:
    """The mode of every folder is 700 under any umask."""
    before = os.umask(0)
    try:
        assert private_folder("one/two") == home / "one" / "two"
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home / "one", home / "one" / "two")] == [0o700, 0o700]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", ["one", "one/two"])
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_can_write_is_refused(name: str, mode: int) -> None:
    """The folder and all below it are refused, and the remedy is to remove it with what others wrote there."""
    folder = private_folder(name)
    folder.chmod(mode)
    with pytest.raises(
        Unavailable, match=rf"{folder} can be written by others: its mode is {mode:o}; .*remove {folder}, "
    ) as said:
        private_folder("one/two")
    assert "chmod" not in str(said.value)


@pytest.mark.usefixtures("home")
def test_a_folder_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = private_folder("one").stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(Unavailable, match=f"belongs to user {owner}; .*set XDG_CACHE_HOME to a folder of your own"):
        private_folder("one")


def test_a_link_to_a_folder_is_refused(home: Path, tmp_path: Path) -> None:
    """A link is refused, because the user who made it chooses its target."""
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    home.mkdir()
    (home / "one").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match=f"{home}/one is a link"):
        private_folder("one/two")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_cache_itself_may_be_a_link(home: Path, tmp_path: Path) -> None:
    """The user may link the cache itself to another place, such as a larger disk."""
    (tmp_path / "disk").mkdir()
    home.symlink_to(tmp_path / "disk")
    assert private_folder("one").resolve() == tmp_path / "disk" / "one"


@pytest.mark.parametrize("where", [".", "one", "one/two"])
def test_a_file_in_the_way_is_named(home: Path, where: str) -> None:
    path = home / where
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text("a file in the way")
    with pytest.raises(Unavailable, match=rf"{path}.*set XDG_CACHE_HOME"):
        private_folder("one/two")


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(Unavailable, match="is neither a file nor a folder"):
        check_private(tmp_path / "pipe")


@pytest.mark.usefixtures("_no_home")
def test_without_a_home_it_says_which_variable_would_help() -> None:
    with pytest.raises(Unavailable, match=r"HOME is not set and passwd has no entry; set XDG_CACHE_HOME"):
        private_folder("one")


@pytest.mark.parametrize("value", ["", "relative/home"])
def test_a_relative_cache_is_ignored_and_a_relative_home_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths would make the loaded code depend on the current folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", "somewhere")
    with pytest.raises(Unavailable, match=r"HOME is 'somewhere'; expected an absolute path"):
        private_folder("one")


@pytest.mark.usefixtures("_no_home")
def test_an_implementation_that_compiles_is_unavailable_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable to set."""
    monkeypatch.setattr(build, "library", build.library.__wrapped__)
    config = RnnConfig(input_size=2, hidden_size=3)
    with pytest.raises(Unavailable, match="set XDG_CACHE_HOME"):
        FusedCpu(config, Weights.init(config, 0))
