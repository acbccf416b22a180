"""What all verbs share: the application, its exit statuses, wrong use in a sentence, lists in options."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

app = typer.Typer(
    help="Which RNN is fastest on this machine, why, and how far from the limit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

VERDICT_AGAINST = 1
WRONG_USE = 2
INTERRUPTED = 130


@contextmanager
def wrong_use() -> Iterator[None]:
    """Turn what the user got wrong into one sentence and exit status 2; anything else is a fault of ours."""
    from benchmarks.store import StoreError

    try:
        yield
    except (ValueError, TypeError, StoreError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(WRONG_USE) from error


@contextmanager
def interruptible(kept: str) -> Iterator[None]:
    """Answer Ctrl-C with what is kept, in a sentence, and its exit status."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"interrupted: {kept}")
        raise typer.Exit(INTERRUPTED) from None


def numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    """The comma-separated whole numbers of an option."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(f"{option} is {text!r}; expected whole numbers with commas between, such as 16,64") from None


def words(text: str | None) -> tuple[str, ...] | None:
    """The comma-separated words of an option."""
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())
