"""Code of others in this process must not end the program silently with its own exit status."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from benchmarks.raised import by_statement, by_us


class Exited(SystemExit):
    """Code of others called `os._exit`."""


def ends_the_program(error: BaseException) -> bool:
    """Whether an exception from the code of others is meant for the program: Ctrl-C, or a signal to end.

    SystemExit and KeyboardInterrupt by a statement of that code are failures of it.
    """
    if isinstance(error, KeyboardInterrupt):
        return not by_statement(error)
    return isinstance(error, SystemExit) and not isinstance(error, Exited) and by_us(error)


@contextmanager
def exits_raised() -> Iterator[None]:
    """Have `os._exit` raise SystemExit within the block. In processes forked meanwhile it ends them."""
    leave, owner = os._exit, os.getpid()

    def instead(status: int) -> NoReturn:
        if os.getpid() != owner:
            leave(status)
        raise Exited(status)

    os._exit = instead
    try:
        yield
    finally:
        os._exit = leave
