"""Text on the terminal: unchanged, but without the control characters that a stranger's file may have.

An escape code in the name of an implementation could rename the window, hide a line or overwrite one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.segment import Segment

from benchmarks.presentation.clock import Elapsed, doing, is_due, ticking
from benchmarks.presentation.lines import message_lines
from benchmarks.presentation.plain_text import clean

LONGEST_LINE = 2000
"""The most letters of a line: an error may quote a value of any length."""


class Terminal(Console):
    """A rich console for text of strangers: no markup, no emoji codes, and no control characters but rich's own."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            # rich moves the cursor and asks for colours by control segments and styles, never by their text.
            yield segment if segment.control else Segment(printable(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        # rich would exit with status 1, which is a verdict here.
        raise BrokenPipeError

    def say(self, text: str) -> None:
        """Print a message: on a terminal in lines that fit, broken between words, elsewhere on one line."""
        self.lines(message_lines(self, text))

    def say_command(self, text: str, command: str) -> None:
        """Print a message and the command that it leads to, which can be pasted as it stands."""
        self.lines(message_lines(self, text, command))

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines that are as wide as they should be, each unbroken."""
        for line in lines:
            self.print(line, soft_wrap=True)

    @contextmanager
    def doing(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show what is being done and for how long, on a line that goes when the block ends.

        The block is handed a function that changes the words. Where the output is no terminal nothing is shown.
        """
        with doing(self, what) as begin:
            yield begin

    @contextmanager
    def waiting(self) -> Iterator[Waiting]:
        """Print messages while something is measured, and below the last one for how long it has been true."""
        live = Live(console=self, auto_refresh=False, transient=True)
        if self.is_terminal:
            live.start()
        try:
            yield Waiting(self, live)
        finally:
            live.stop()

    @contextmanager
    def saying(self) -> Iterator[Callable[[str], None]]:
        """Hand the block a function that prints a message, as `waiting` does; the clock below it advances by itself."""
        with self.waiting() as wait, ticking(partial(wait.tick, timed=True)):
            yield wait.say


class Waiting:
    """Messages, and a clock below them that advances on a terminal when `tick` is called."""

    def __init__(self, console: Terminal, live: Live) -> None:
        self._console, self._live, self._elapsed = console, live, Elapsed()
        self._drawn = 0.0

    def say(self, text: str) -> None:
        """Print a message and restart the clock."""
        self._console.say(text)
        self._elapsed.begin("")

    def tick(self, *, timed: bool = False, note: str = "") -> None:
        """Let the clock advance on a terminal, if it was not drawn lately; `timed` says that something is timed.

        `note` stands before it, such as what is being compiled.
        """
        if self._console.is_terminal and is_due(self._drawn, timed=timed):
            self._elapsed.what = note
            self._drawn = time.monotonic()
            self._live.update(self._elapsed.text(), refresh=True)


def printable(text: str) -> str:
    """The text without control characters except line ends; they have no width, so that tables keep their form."""
    if text.isprintable():
        return text
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n")


def echo(text: object, *, err: bool = False) -> None:
    """Print text that may come from a stranger, each line of it cleaned and cut to `LONGEST_LINE` letters."""
    typer.echo("\n".join(clean(line, LONGEST_LINE) for line in str(text).splitlines()), err=err)
