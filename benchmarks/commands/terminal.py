"""Text on the terminal: unchanged, but without the control characters that a stranger's file may have.

An escape code in the name of an implementation could rename the window, hide a line or overwrite one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.status import Status

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
        """Print a message on one line, however narrow the terminal is: a command in it can be copied."""
        self.print(text, soft_wrap=True)

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines that are as wide as they should be, each unbroken."""
        for line in lines:
            self.print(line, soft_wrap=True)

    @contextmanager
    def doing(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show what is being done and for how long, on a line that goes when the block ends.

        The block is handed a function that changes the words. Where the output is no terminal nothing is shown.
        """
        if not self.is_terminal:
            yield lambda _: None
            return
        with Status(what, console=self, spinner="line", refresh_per_second=4) as status:
            yield status.update


def printable(text: str) -> str:
    """The text without control characters except line ends; they have no width, so that tables keep their form."""
    if text.isprintable():
        return text
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n")


def echo(text: object, *, err: bool = False) -> None:
    """Print text that may come from a stranger, each line of it cleaned and cut to `LONGEST_LINE` letters."""
    typer.echo("\n".join(clean(line, LONGEST_LINE) for line in str(text).splitlines()), err=err)
