"""The progress of a sweep: a few lines that move on a terminal; elsewhere a line whenever a workload is done.

Elsewhere there is also a line after half a minute without one: a workload may take longer.
"""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from benchmarks.presentation.clock import is_due

MOST_SECONDS_BETWEEN_LINES = 30.0
"""Without a terminal: after how many seconds without a line the next step is shown, whatever is done."""


class SweepProgress:
    """Lines that are redrawn only when something asks for it: a drawing thread would use a core.

    `show` and `show_ahead` say what is done and what is ahead, `tick` lets the clock advance in between. `left` are
    seconds of the budget.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._last_done: tuple[int, int] | None = None
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._stage = self._what = self._note = self._ahead = ""
        self._deadline = self._drawn = self._printed = 0.0

    def __enter__(self) -> SweepProgress:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, *, done: int, total: int, what: str, seconds_left: float) -> None:
        """Show the number of workloads done, what is being measured, and the time left of the budget."""
        self._note = ""
        self._stage, self._what = f"{done} of {total} workloads", what
        self._deadline = time.monotonic() + seconds_left
        if self.console.is_terminal:
            self._draw()
        elif (done, total) != self._last_done or time.monotonic() - self._printed >= MOST_SECONDS_BETWEEN_LINES:
            self._printed = time.monotonic()
            self.console.print(
                f"{self._stage}, {format_seconds_left(seconds_left)} left: {what}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        self._last_done = (done, total)

    def show_ahead(self, ahead: str) -> None:
        """Say what is ahead so far; it is shown from the next drawing on."""
        self._ahead = ahead

    def tick(self, *, timed: bool = False, note: str = "") -> None:
        """Let the clock advance on a terminal, if it was not drawn lately; `timed` says that something is timed.

        `note` is added to what is being measured.
        """
        if self.console.is_terminal and is_due(self._drawn, timed=timed):
            self._note = note
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        left = format_seconds_left(self._deadline - self._drawn)
        # Whole lines, broken between words: no name is cut.
        what = f"{self._what}; {self._note}" if self._note else self._what
        lines = [Text(f"{self._stage}, {left} of the budget left"), Text(what, style="dim")]
        lines += [Text(self._ahead)] if self._ahead else []
        self._live.update(Text("\n").join(lines), refresh=True)


def format_seconds_left(seconds: float) -> str:
    """Minutes and seconds, never below zero."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
