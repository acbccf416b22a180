"""Say what is compiled: on a terminal with a clock, in a log in one line, or in a file that another program reads."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NOTICE = "RNNIMPL_COMPILING"
"""The environment variable with a file that says what is being compiled, in place of standard error; else it is not
there. A program that shows the progress of others sets it."""


@contextmanager
def announced(what: str, folder: Path) -> Iterator[Callable[[], None]]:
    """Say that `what` is being compiled into `folder` until the block ends, which is handed a function to call often.

    A terminal shows for how long on a line of its own, which then says how long it took.
    """
    notice = os.environ.get(NOTICE)
    kept = f"once: the result is kept in {folder}"
    if notice:
        with _written(Path(notice), f"compiling {what}"):
            yield lambda: None
    elif not _is_terminal():
        if sys.stderr is not None:
            print(f"compiling {what}, {kept}", file=sys.stderr, flush=True)
        yield lambda: None
    else:
        started = time.monotonic()

        def show() -> None:
            text = f"compiling {what}: {time.monotonic() - started:.0f} s"
            # A line that is broken could not be replaced.
            print(f"\r{text[: shutil.get_terminal_size().columns - 1]}", end="", file=sys.stderr, flush=True)

        show()
        try:
            yield show
        except BaseException:
            print(file=sys.stderr, flush=True)
            raise
        print(f"\r\x1b[Kcompiled {what} in {time.monotonic() - started:.0f} s, {kept}", file=sys.stderr, flush=True)


@contextmanager
def _written(path: Path, text: str) -> Iterator[None]:
    """A file with this text while the block lasts; none where it cannot be written."""
    with suppress(OSError):
        path.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def _is_terminal() -> bool:
    """Whether standard error is a terminal whose lines can be replaced, and no program has put its own in its place."""
    own = sys.__stderr__
    return own is not None and sys.stderr is own and own.isatty() and os.environ.get("TERM") != "dumb"
