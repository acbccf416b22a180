"""Messages and commands in lines that fit a terminal, without a name that is cut or folded."""

from __future__ import annotations

import re
import shlex

from rich.cells import cell_len
from rich.console import Console

from rnnimpl.wrapping import wrapped


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


def message_lines(console: Console, sentence: str, command: str = "") -> list[str]:
    """A message, and the command that it may lead to: in lines that fit a terminal, elsewhere on one line."""
    if not console.is_terminal:
        return [f"{sentence} {command}".strip()]
    return with_command(sentence, command, console.width) if command else wrapped(sentence, console.width)
