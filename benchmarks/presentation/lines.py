"""Sentences and commands in lines that fit a terminal, without a name that is cut or folded."""

from __future__ import annotations

import re
import shlex
import textwrap

from rich.cells import cell_len


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """The text in lines of at most `width` places, broken between words and never within a name."""
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def command_lines(command: str, width: int, indent: int) -> list[str]:
    """A shell's command in lines of at most `width` places, which can be pasted as they are.

    No word is broken; one that is wider has a line of its own.
    """
    if cell_len(command) + indent <= width:
        return [" " * indent + command]
    parts: list[str] = []
    for word in map(shlex.quote, shlex.split(command)):
        # An option stays with its value.
        if parts and re.fullmatch(r"--\S+", parts[-1]):
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    room = width - indent - len(_CONTINUED)
    lines: list[str] = []
    for part in parts:
        if lines and cell_len(lines[-1]) + 1 + cell_len(part) <= room:
            lines[-1] += f" {part}"
        else:
            lines.append(f"  {part}" if lines else part)
    return [" " * indent + line for line in (*(f"{line}{_CONTINUED}" for line in lines[:-1]), lines[-1])]


_CONTINUED = " \\"
"""Ends a line of a command that goes on in the next."""


def with_command(sentence: str, command: str, width: int) -> list[str]:
    """A sentence with the command that it leads to: on one line where there is room, else the command below it."""
    whole = f"{sentence} {command}"
    if cell_len(whole) <= width:
        return [whole]
    return [*wrapped(sentence, width), *command_lines(command, width, indent=2)]
