"""The native library is compiled once, kept where only the user can write, and missing with a reason."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from rnnimpl.interface import Unavailable
from rnnimpl.native import build

COMPILER = """#!/bin/sh
case "$*" in
    *--version*) echo "fake 1.0" ;;
    *-E*) ;;
    *) {action} ;;
esac
"""
# The last argument is the path of the result.
WRITES = 'for path; do :; done; printf "half" > "$path"; printf " and half" >> "$path"'
FAILS = 'echo "api.cpp:1:1: warning: odd" >&2; echo "api.cpp:2:1: error: no such thing" >&2; exit 1'


def fake_compiler(folder: Path, action: str) -> str:
    path = folder / "compiler"
    path.write_text(COMPILER.format(action=action))
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no settings from outside."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv(build.EXTRA_FLAGS_VARIABLE, raising=False)
    return tmp_path / "cache" / "rnnimpl"


def load() -> build.Library:
    """As `library`, which a process does once."""
    return build.library.__wrapped__()


def test_the_folder_is_the_users_own(cache: Path) -> None:
    assert build.cache_folder() == cache
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_can_write_is_refused(cache: Path, mode: int) -> None:
    cache.mkdir(parents=True)
    cache.chmod(mode)
    with pytest.raises(Unavailable, match=r"can be written by others.*chmod 700"):
        build.cache_folder()


def test_a_folder_of_another_user_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(parents=True, mode=0o700)
    owner = cache.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(Unavailable, match=f"belongs to user {owner}"):
        build.cache_folder()


def test_a_link_is_refused(cache: Path, tmp_path: Path) -> None:
    cache.parent.mkdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match="is a link or no folder"):
        build.cache_folder()


def test_a_folder_that_cannot_be_made_is_said(cache: Path) -> None:
    cache.parent.write_text("a file in the way")
    with pytest.raises(Unavailable, match="set XDG_CACHE_HOME"):
        build.cache_folder()


def test_without_a_compiler_it_says_what_would_help(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match=r"no C\+\+ compiler: there is no c\+\+, g\+\+ or clang\+\+; install one"):
        load()
    assert not cache.exists()


def test_a_compiler_that_is_named_and_not_there_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler -O1")
    with pytest.raises(Unavailable, match=r"\$CXX is 'no-such-compiler', which is not there"):
        load()
    assert not cache.exists()


def test_a_failed_compile_shows_the_first_error_and_leaves_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, FAILS))
    with pytest.raises(Unavailable, match=r"does not compile the source: api\.cpp:2:1: error: no such thing"):
        load()
    assert list(cache.iterdir()) == []


def test_a_result_that_does_not_load_names_the_file(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, WRITES))
    with pytest.raises(Unavailable, match=rf"does not load.*delete {cache}/\w+\.so"):
        load()


def test_the_name_changes_with_whatever_the_result_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        build._key(["c++"], "g++ 12", ("-O3",)),
        build._key(["clang++"], "g++ 12", ("-O3",)),
        build._key(["c++"], "g++ 13", ("-O3",)),
        build._key(["c++"], "g++ 12", ("-O2",)),
    ]
    monkeypatch.setattr(build, "_processor", lambda: "another processor")
    names.append(build._key(["c++"], "g++ 12", ("-O3",)))
    assert len(set(names)) == len(names)


def test_it_is_compiled_once(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process finds what the first has compiled, even where there is no source of trouble left to hide."""
    compiled = build.library().path
    copies = f'for path; do :; done; cp "{compiled}" "$path"'
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, f"{copies}; echo compiled >> {tmp_path}/log"))
    first, second = load(), load()
    assert first.path == second.path
    assert first.compiler == "fake 1.0"
    assert (tmp_path / "log").read_text() == "compiled\n"
    assert first.path.parent == cache


def test_processes_that_compile_at_once_leave_one_whole_file(cache: Path, tmp_path: Path) -> None:
    folder = build.cache_folder()
    compiler = fake_compiler(tmp_path, WRITES)
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=build.compile_to, args=(folder / "same.so", [compiler], ("-O3",))) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert [path.name for path in cache.iterdir()] == ["same.so"]
    assert (cache / "same.so").read_text() == "half and half"
