"""The native library is compiled once and kept where only the user can write; without it there is a reason."""

from __future__ import annotations

import io
import multiprocessing
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnimpl.cache import private_folder
from rnnimpl.interface import Unavailable
from rnnimpl.native import build
from rnnimpl.native.compiling import NOTICE

COMPILER = """#!/bin/sh
case "$*" in
    *--version*) echo "{version}" ;;
    *-E*) ;;
    *) {action} ;;
esac
"""
# The last argument is the path of the result.
LAST = "for path; do :; done"
WRITES = f'{LAST}; printf "half" > "$path"; printf " and half" >> "$path"'
FAILS = 'echo "api.cpp:1:1: warning: odd" >&2; echo "api.cpp:2:1: error: no such thing" >&2; exit 1'


def fake_compiler(folder: Path, action: str, *, name: str = "compiler", version: str = "fake 1.0") -> str:
    path = folder / name
    path.write_text(COMPILER.format(action=action, version=version))
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no settings from outside."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv(build.EXTRA_FLAGS_VARIABLE, raising=False)
    return tmp_path / "cache" / "rnnimpl"


@pytest.fixture(scope="module")
def compiled() -> Path:
    """The library that the compiler of this machine makes, in the user's cache."""
    return build.kernels("tanh", "float32").path


@pytest.fixture
def copying(compiled: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a compiler that copies the library of this machine at once."""
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, f'{LAST}; cp "{compiled}" "$path"'))
    return cache


def load() -> build.Library:
    """As `build.library`, without its cache of loaded libraries."""
    return build.library.__wrapped__(build.API)


def test_a_library_that_others_can_write_is_not_loaded(copying: Path) -> None:
    """A library with group write permission is refused, also in a folder of the user's alone: it may be another's."""
    path = load().path
    path.chmod(0o770)
    with pytest.raises(Unavailable, match=rf"{path} can be written by others: its mode is 770.*remove {copying}, "):
        load()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_library_of_another_user_is_not_loaded(copying: Path) -> None:
    path = load().path
    os.chown(path, 12345, 12345)
    with pytest.raises(Unavailable, match=rf"{path} belongs to user 12345.*remove {copying}, "):
        load()


@pytest.mark.usefixtures("copying")
def test_a_library_that_is_a_link_is_not_loaded(tmp_path: Path) -> None:
    """A link in place of the library is refused, and nothing is compiled through a dangling one."""
    path = load().path
    for target in (path.rename(tmp_path / "elsewhere.so"), tmp_path / "nothing.so"):
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        with pytest.raises(Unavailable, match=rf"{path} is a link.*remove {path}, "):
            load()
    assert not (tmp_path / "nothing.so").exists()


@pytest.mark.usefixtures("cache")
def test_a_compiled_library_is_the_users_alone_whatever_the_linker_and_the_umask_do(
    compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mode is 700 also after a linker that creates its result with mode 777."""
    compiler = fake_compiler(tmp_path, f'{LAST}; rm -f "$path"; cp "{compiled}" "$path"; chmod 777 "$path"')
    monkeypatch.setenv("CXX", compiler)
    assert stat.S_IMODE(load().path.stat().st_mode) == 0o700


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


@pytest.mark.usefixtures("cache")
def test_each_thing_that_the_library_depends_on_has_a_library_of_its_own(
    compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another compiler, version, flag, source or processor gives another file."""
    copies = f'{LAST}; cp "{compiled}" "$path"'

    def library(name: str = "compiler", version: str = "fake 1.0", defines: tuple[str, ...] = ()) -> Path:
        monkeypatch.setenv("CXX", fake_compiler(tmp_path, copies, name=name, version=version))
        return build.library.__wrapped__(build.API, defines).path

    usual = library()
    paths = [usual, library(name="other"), library(version="fake 2.0"), library(defines=("-DX",))]
    monkeypatch.setenv(build.EXTRA_FLAGS_VARIABLE, "-O1")
    paths.append(library())
    monkeypatch.delenv(build.EXTRA_FLAGS_VARIABLE)
    source = tmp_path / "api.cpp"
    source.write_text("another source", encoding="utf-8")
    paths.append(build.library.__wrapped__(source).path)
    monkeypatch.setattr(build, "processor", lambda: "another processor")
    paths.append(library())
    assert len(set(paths)) == len(paths)


def test_it_is_compiled_once(compiled: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second load finds the file of the first one."""
    copies = f'{LAST}; cp "{compiled}" "$path"'
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, f"{copies}; echo compiled >> {tmp_path}/log"))
    first, second = load(), load()
    assert first.path == second.path
    assert first.compiler == "fake 1.0"
    assert (tmp_path / "log").read_text() == "compiled\n"
    assert first.path.parent == cache


@pytest.mark.parametrize("links", [True, False])
def test_a_library_that_another_process_compiled_meanwhile_stays(
    cache: Path, tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That process may have loaded it. A file system may have no hard links."""

    def no_links(*_: object) -> None:
        raise PermissionError("no links here")

    private_folder("rnnimpl")
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    compiler = fake_compiler(tmp_path, WRITES)
    build.compile_to(cache / "one.so", [compiler], (), build.API)
    first = (cache / "one.so").stat()
    build.compile_to(cache / "one.so", [compiler], (), build.API)
    assert (cache / "one.so").stat().st_ino == first.st_ino
    assert [path.name for path in cache.iterdir()] == ["one.so"]


def test_processes_that_compile_at_once_leave_one_whole_file(cache: Path, tmp_path: Path) -> None:
    folder = private_folder("rnnimpl")
    compiler = fake_compiler(tmp_path, WRITES)
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=build.compile_to, args=(folder / "same.so", [compiler], ("-O3",), build.API))
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert [path.name for path in cache.iterdir()] == ["same.so"]
    assert (cache / "same.so").read_text() == "half and half"


def test_kernels_of_a_cell_and_a_dtype_are_compiled_alone(
    compiled: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An LSTM in float32 does not wait for the kernels of a GRU or of float64."""
    log = tmp_path / "log"
    action = f'echo "$*" >> "{log}"; {LAST}; cp "{compiled}" "$path"'
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, action))
    monkeypatch.setattr(build, "library", build.library.__wrapped__)
    first = build.kernels("lstm", "float32")
    (command,) = log.read_text().splitlines()
    assert "-DRNN_CELL=Lstm -DRNN_REAL=float " in command
    others = {build.kernels("gru", "float32").path, build.kernels("lstm", "float64").path}
    assert len(others | {first.path}) == 3
    assert {path.parent for path in others} == {cache}


class Screen(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def slow(compiled: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As `copying`, with a compiler that takes more than a second."""
    compiler = fake_compiler(tmp_path, f'{LAST}; sleep 1.2; cp "{compiled}" "$path"', name="slow")
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setattr(build, "library", build.library.__wrapped__)
    return cache


def test_a_terminal_shows_what_is_compiled_and_for_how_long(slow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one line, which the time that it took replaces; nothing is said of a library that is there."""
    screen = Screen()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "__stderr__", screen)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 24)))
    build.kernels("lstm", "float32")
    text = screen.getvalue()
    begun, *clock, done = text.split("\r")[1:]
    assert begun.startswith("compiling the lstm kernels for float32 with ")
    assert len(clock) >= 1
    assert all(len(line) < 60 for line in (begun, *clock))
    assert re.fullmatch(r"\x1b\[Kcompiled the lstm kernels for float32 with \S+ in [1-9] s, once: .*\n", done)
    assert str(slow) in done
    build.kernels("lstm", "float32")
    assert screen.getvalue() == text


@pytest.mark.usefixtures("copying")
def test_a_log_gets_a_line_for_each_library(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "library", build.library.__wrapped__)
    for cell in ("lstm", "lstm", "gru"):
        build.kernels(cell, "float32")
    shown = capsys.readouterr().err.splitlines()
    assert [line.partition(" with ")[0] for line in shown] == [
        "compiling the lstm kernels for float32",
        "compiling the gru kernels for float32",
    ]


@pytest.mark.usefixtures("slow")
def test_a_program_that_shows_progress_is_told_by_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is there while it is compiled, and standard error stays empty."""
    notice = tmp_path / "notice"
    monkeypatch.setenv(NOTICE, str(notice))
    seen: list[str] = []
    compile_to = build.compile_to

    def watched(*given: Any) -> None:
        seen.append(notice.read_text())
        compile_to(*given)

    monkeypatch.setattr(build, "compile_to", watched)
    build.kernels("lstm", "float32")
    assert seen[0].startswith("compiling the lstm kernels for float32 with ")
    assert not notice.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_clang_takes_the_source(cell: str) -> None:
    """Where it is installed; of gcc and clang, each takes some code that the other refuses."""
    compiler = shutil.which("clang++")
    if compiler is None:
        pytest.skip("clang++ is not installed: apt-get install clang")
    defines = f"-DRNN_CELL={build.CELLS[cell]}", "-DRNN_REAL=float"
    command = [compiler, "-std=c++20", "-march=native", "-fsyntax-only", *defines, str(build.API)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
