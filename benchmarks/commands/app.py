"""The parts that all verbs share: the application, its panels, the parsers of options, and the answer to Ctrl-C."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import program
from benchmarks.commands.endings import INTERRUPTED, answered
from benchmarks.commands.terminal import echo
from rnnimpl.verbs import PlainVerbs

MOST_VALUES = 10_000
"""The most values that one option takes: more are a mistake, and take long to check."""

MEASURE, UNDERSTAND, MAINTAIN = "Measure", "Understand", "Maintain"
"""What a person wants: the panels of verbs in `--help`, in their order, those of a newcomer first."""
_PANELS = (MEASURE, UNDERSTAND, MAINTAIN)


class Verbs(PlainVerbs):
    """The verbs; each ends with an exit status of `endings`, and with a sentence for every exception."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002  # typer's signature
        """The names of the verbs by their panels, and within a panel as they were added."""
        places = {name: _PANELS.index(getattr(verb, "rich_help_panel", "")) for name, verb in self.commands.items()}
        return sorted(places, key=lambda name: places[name])

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # the context that typer hands to commands
        with answered():
            return super().invoke(ctx)


app = typer.Typer(
    cls=Verbs,
    help="Which RNN is fastest on this machine, why, and how far from the limit.",
    no_args_is_help=True,
    # A shell completes the words of a script, and not those after `python -m`.
    add_completion=program.started_as() == program.SCRIPT,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        echo(f"{program.SCRIPT} {program.version()}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Which RNN is fastest on this machine, why, and how far from the limit."""


@contextmanager
def interruptible(kept: str) -> Iterator[None]:
    """Answer Ctrl-C with its exit status and a sentence on the results that are kept."""
    try:
        yield
    except KeyboardInterrupt:
        echo(f"interrupted: {kept}")
        raise typer.Exit(INTERRUPTED) from None


def folder(text: str) -> Path:
    """The folder that an option or argument names. An empty name is refused: it would be the current folder."""
    if not text.strip():
        raise typer.BadParameter(f"{text!r}; expected a folder's name, or . for the current folder")
    return Path(text)


def whole_number(text: str) -> int:
    """The whole number that an option holds."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{_quoted(text)}; expected a whole number") from None


def number(text: str) -> float:
    """The number that an option holds."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{_quoted(text)}; expected a number") from None


def numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    """The comma-separated whole numbers of an option, each from 1 to the largest size; None without the option."""
    from benchmarks.workload import LARGEST_SIZE

    parts = words(text, option)
    if parts is None:
        return None
    expected = f"whole numbers from 1 to {LARGEST_SIZE} with commas between, such as 16,64"
    try:
        values = tuple(map(int, parts))
    except ValueError:
        raise ValueError(f"{option} is {_quoted(text)}; expected {expected}") from None
    for value in values:
        if not 1 <= value <= LARGEST_SIZE:
            raise ValueError(f"{option} is {_quoted(text)}; expected {expected}: {str(value)[:30]} is none")
    return values


def words(text: str | None, option: str, known: Sequence[str] = ()) -> tuple[str, ...] | None:
    """The comma-separated words of an option, all in `known` where that is given; None without the option."""
    if text is None:
        return None
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    expected = f"one or more of {', '.join(known)}" if known else "one or more values with commas between"
    if not parts:
        raise ValueError(f"{option} is {_quoted(text)}, which is empty; expected {expected}, or the option left out")
    if len(parts) > MOST_VALUES:
        raise ValueError(f"{option} has {len(parts)} values; expected at most {MOST_VALUES}")
    for part in parts:
        if known and part not in known:
            raise ValueError(f"{option} is {_quoted(part)}; expected {expected}")
    return parts


def _quoted(text: str | None) -> str:
    return repr(text if text is None or len(text) <= 80 else f"{text[:79]}…")


def check_temporary() -> None:
    """Raise ValueError where no temporary file can be written, since measuring needs some."""
    named = os.environ.get("TMPDIR")
    try:
        # Where the named folder is missing, Python silently takes another one, without the machine's lock.
        where = named or tempfile.gettempdir()
        with tempfile.TemporaryFile(dir=where) as file:
            # A full disk has room for names and none for content.
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ValueError(
            f"no temporary file can be written ({error.strerror or error}); expected a folder with free space: "
            + (f"TMPDIR is {named!r}" if named else "set TMPDIR to one")
        ) from error
