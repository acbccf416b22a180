"""Compile the C++ source at first use, and keep the library in a folder that only the user can write to."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from rnnimpl.cache import check_private, private_folder
from rnnimpl.interface import Unavailable
from rnnimpl.native.compiling import announced

SOURCE = Path(__file__).parent
API = SOURCE / "api.cpp"
CELLS: Mapping[str, str] = MappingProxyType({"tanh": "Tanh", "relu": "Relu", "lstm": "Lstm", "gru": "Gru"})
"""The C++ type of each cell, defined in the folder `cells`."""
REALS: Mapping[str, str] = MappingProxyType({"float32": "float", "float64": "double"})
"""The C++ type of each dtype."""
FLAGS = (
    *("-std=c++20", "-O3", "-ffp-contract=fast", "-fvisibility=hidden", "-fPIC", "-shared", "-pthread"),
    "-fno-omit-frame-pointer",
)
"""Flags for every machine. Frame pointers let profilers see a function's callers, and cost no time here."""
EXTRA_FLAGS_VARIABLE = "RNNIMPL_CXXFLAGS"
"""The environment variable with flags to add at the end, such as those of a sanitizer."""

COMPILE_SECONDS = 300


@dataclasses.dataclass(frozen=True)
class Library:
    """A compiled library, the version of its compiler, and its file."""

    functions: ctypes.CDLL
    compiler: str
    path: Path


def kernels(cell: str, dtype: str) -> Library:
    """The compiled kernels of a cell for a dtype. Raises what `library` raises."""
    return library(API, (f"-DRNN_CELL={CELLS[cell]}", f"-DRNN_REAL={REALS[dtype]}"), f"the {cell} kernels for {dtype}")


@functools.cache
def library(source: Path, defines: tuple[str, ...] = (), what: str = "") -> Library:
    """The library of a source, compiled for this machine with the headers of this folder; loaded once in a process.

    `what` names it in the message that it is compiled. Raises Unavailable without a compiler, when the compiler fails,
    with its first error, and when there is no safe folder for the result.
    """
    compiler = find_compiler()
    version = _first_line(_run([*compiler, "--version"]).stdout)
    flags = (*FLAGS, *defines, *target_flags(compiler), *shlex.split(os.environ.get(EXTRA_FLAGS_VARIABLE, "")))
    path = private_folder("rnnimpl") / f"{library_name(compiler, version, flags, source)}.so"
    # A dangling link exists, too: check_private refuses it, and nothing is written through it.
    if not os.path.lexists(path):
        with announced(f"{what or source.name} with {compiler[0]}", path.parent) as tick:
            compile_to(path, compiler, flags, source, tick)
    try:
        check_private(path)
        return Library(ctypes.CDLL(str(path)), version, path)
    except OSError as error:
        raise Unavailable(f"the compiled library does not load: {error}; delete {path} to compile again") from error


def find_compiler() -> list[str]:
    """The command of the C++ compiler: $CXX, else c++, g++ or clang++. Raises Unavailable when there is none."""
    given = shlex.split(os.environ.get("CXX", ""))
    for command in [given] if given else [["c++"], ["g++"], ["clang++"]]:
        if shutil.which(command[0]):
            return command
    missing = f"$CXX is {given[0]!r}, which is not there" if given else "there is no c++, g++ or clang++"
    raise Unavailable(f"no C++ compiler: {missing}; install one (apt install g++) or name it in CXX: it is needed once")


def target_flags(compiler: list[str]) -> tuple[str, ...]:
    """The flag with which the compiler uses all of this machine's instructions; none where it has no such flag."""
    for flag in ("-march=native", "-mcpu=native"):
        if _run([*compiler, flag, "-x", "c++", "-E", os.devnull]).returncode == 0:
            return (flag,)
    return ()


def compile_to(
    path: Path, compiler: list[str], flags: tuple[str, ...], source: Path, tick: Callable[[], None] = lambda: None
) -> None:
    """Compile a source to `path`, which appears complete or not at all, also where processes compile at once.

    A file that another process put there meanwhile stays: that process may have loaded it, and its profiles find the
    functions of a loaded library by the file's name. `tick` is called once a second meanwhile.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    os.close(descriptor)
    try:
        done = _run([*compiler, *flags, f"-I{SOURCE}", str(source), "-o", temporary], tick)
        if done.returncode != 0:
            raise Unavailable(f"{compiler[0]} does not compile the source: {_first_error(done.stderr)}")
        # Linkers create their result with a mode by the umask, which often lets a group write.
        Path(temporary).chmod(0o700)
        _move_unless_there(Path(temporary), path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _move_unless_there(file: Path, path: Path) -> None:
    """Give a file the name `path`, in one step, unless another has it."""
    try:
        path.hardlink_to(file)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links.
        if not os.path.lexists(path):
            file.replace(path)


def library_name(compiler: list[str], version: str, flags: tuple[str, ...], source: Path) -> str:
    """A file name for the library that changes with everything that it depends on."""
    digest = hashlib.sha256()
    for path in [*sorted(SOURCE.rglob("*.hpp")), source]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update("\0".join([*compiler, version, *flags, processor()]).encode())
    return digest.hexdigest()[:32]


def processor() -> str:
    """The processor's model and instruction sets, on which -march=native depends: machines may share a home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


def _run(command: list[str], tick: Callable[[], None] = lambda: None) -> subprocess.CompletedProcess[str]:
    """What a command of the compiler gives; `tick` is called once a second meanwhile. Raises Unavailable."""
    try:
        with subprocess.Popen(  # noqa: S603  # the user's own compiler
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
        ) as process:
            try:
                for _ in range(COMPILE_SECONDS):
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        stdout, stderr = process.communicate(timeout=1.0)
                        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
                    tick()
            finally:
                process.kill()
    except OSError as error:
        raise Unavailable(f"the C++ compiler does not run: {error}") from error
    raise Unavailable(f"the C++ compiler does not end: {command[0]} was ended after {COMPILE_SECONDS} s")


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["not known"])[0]


def _first_error(text: str) -> str:
    errors = [line for line in text.splitlines() if "error" in line.lower()]
    return errors[0] if errors else _first_line(text)
