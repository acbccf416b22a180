"""The exit statuses of commands, and the sentence and status of each exception; `docs/command_line.md` has the table.

No exception ends with a traceback and status 1, since 1 is a verdict.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import NoReturn

import typer

from benchmarks import program
from benchmarks.raised import by_us, is_ours

VERDICT_AGAINST = 1
WRONG_USE = 2
INCONCLUSIVE = 3
FAULT = 70
"""EX_SOFTWARE of sysexits.h."""
INTERRUPTED = 130
BROKEN_PIPE = 141
"""The status of a program that SIGPIPE ends: `report RUN | head -1`."""

_REMEDIES: Mapping[int, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (errno.ENOSPC, errno.EDQUOT),
            "free space there, or name another folder: TMPDIR says where temporary files go, --out where results do",
        ),
        **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "allow it, or name another folder"),
        errno.ENOENT: "expected it to be there: make it, or name another",
        errno.ENAMETOOLONG: "give a shorter name",
        **dict.fromkeys((errno.EMFILE, errno.ENFILE), "close other programs or raise the limit: ulimit -n"),
        **dict.fromkeys((errno.ENOMEM, errno.EAGAIN), "end other programs"),
    }
)


@contextmanager
def answered() -> Iterator[None]:
    """Turn every exception of the block into a sentence and an exit status."""
    from benchmarks.commands.terminal import echo

    try:
        yield
        # A failed flush raises here, and not while the interpreter ends.
        sys.stdout.flush()
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except SystemExit as error:
        if by_us(error):  # a signal that ends a measurement in order
            raise
        _end(
            WRONG_USE,
            f"error: code that was imported ended the interpreter by exit({error.code!r}): expected it to be imported "
            "and called without that",
        )
    except BrokenPipeError:
        _silence_stdout()
        raise typer.Exit(BROKEN_PIPE) from None
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own: an option that is missing, unknown or of another type
            error.message = echoable(getattr(error, "message", ""))  # type: ignore[attr-defined]
            raise
        status, sentence = ending_of(error)
        if status == FAULT:
            sentence += f"; {_kept(error)}"
        _end(status, f"error: {sentence}", error)


def _end(status: int, sentence: str, cause: BaseException | None = None) -> NoReturn:
    from benchmarks.commands.terminal import echo

    with suppress(OSError):  # where standard error is closed or full, the status alone can tell
        echo(sentence, err=True)
    raise typer.Exit(status) from cause


def ending_of(error: Exception) -> tuple[int, str]:
    """The exit status that an exception has and the sentence that says why."""
    from benchmarks.store import StoreError
    from benchmarks.trial import NothingMeasured
    from rnnimpl import Unavailable, Unsupported

    said = str(error)
    if isinstance(error, NothingMeasured):
        return INCONCLUSIVE, said
    if isinstance(error, StoreError | Unavailable | Unsupported):
        return WRONG_USE, said
    if isinstance(error, ValueError | TypeError) and by_us(error):
        return WRONG_USE, said
    if isinstance(error, OSError):
        return WRONG_USE, _system_error(error)
    if isinstance(error, MemoryError):
        return (
            WRONG_USE,
            f"there is not enough memory ({said or 'none is left'}): end other programs, or make it smaller",
        )
    if isinstance(error, UnicodeError):
        return WRONG_USE, f"a name or a file is no UTF-8 text ({said}): rename it, or convert it to UTF-8"
    if isinstance(error, ModuleNotFoundError) and error.name and not is_ours(error.name):
        return WRONG_USE, f"{error.name} is not installed: pip install it into the environment of {sys.executable}"
    return FAULT, f"this is a fault of rnnbench, not of yours: {type(error).__name__}: {said}"


def _system_error(error: OSError) -> str:
    """The file, the system's reason and a remedy, in a clause."""
    where = f"{error.filename}: " if error.filename is not None else ""
    remedy = _REMEDIES.get(error.errno or 0, "mend that and start again")
    return f"{where}{error.strerror or error or type(error).__name__}; {remedy}"


def _kept(error: Exception) -> str:
    """Write the command and the traceback to a file; a clause that asks the user to report it."""
    text = "\n".join(
        [
            program.command(*sys.argv[1:]),
            f"Python {platform.python_version()}, {platform.platform()}",
            "".join(traceback.format_exception(error)),
        ]
    )
    try:
        descriptor, name = tempfile.mkstemp(prefix="rnnbench-fault-", suffix=".txt", text=True)
        with open(descriptor, "w", encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # a descriptor has no path
            file.write(text)
    except OSError:
        return f"please report it with what follows\n{text}"
    return f"please report it with the command and the traceback, which are in {name}"


def _silence_stdout() -> None:
    """Direct the rest of standard output to nowhere: the interpreter would report a failed flush at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def echoable(text: object) -> str:
    """A message of the option parser without control characters."""
    from benchmarks.commands.terminal import LONGEST_LINE
    from benchmarks.presentation.plain_text import clean

    return clean(text, LONGEST_LINE)
