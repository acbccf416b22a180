"""A clock on the terminal: for how long something has been done, so that nothing is silent for two seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

LEAST_SECONDS, LEAST_TIMED_SECONDS = 1.0, 1.6
"""Between two drawings of a clock, and between two while something is timed.

A drawing uses a core for half a millisecond. So what takes less than the second is timed without one, and what takes
longer loses less than a thousandth.
"""
_POLL_SECONDS = 0.2


def is_due(drawn: float, *, timed: bool = False) -> bool:
    """Whether a clock that was drawn at this time, in seconds of `time.monotonic`, should be drawn again."""
    return time.monotonic() - drawn >= (LEAST_TIMED_SECONDS if timed else LEAST_SECONDS)


class Elapsed:
    """What is being done, and for how long."""

    def __init__(self, what: str = "") -> None:
        self.begin(what)

    def begin(self, what: str) -> None:
        """Begin with something else."""
        self.what, self._since = what, time.monotonic()

    def text(self) -> Text:
        """What is being done and the seconds since it began."""
        return Text(f"{self.what} {time.monotonic() - self._since:.0f} s".strip(), style="dim")


@contextmanager
def doing(console: Console, what: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done and for how long, on a line that goes when the block ends.

    The block is handed a function that changes the words. Where the output is no terminal nothing is shown.
    """
    if not console.is_terminal:
        yield lambda _: None
        return
    done = Elapsed(what)
    with Live(get_renderable=done.text, console=console, refresh_per_second=1 / LEAST_SECONDS, transient=True):
        yield done.begin


@contextmanager
def ticking(tick: Callable[[], None] | None) -> Iterator[None]:
    """Call `tick`, where there is one, several times a second until the block ends, which has nobody else to call it.

    It is called from a thread; it draws only when that is due.
    """
    if tick is None:
        yield
        return
    over = threading.Event()

    def run() -> None:
        while not over.wait(_POLL_SECONDS):
            tick()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
