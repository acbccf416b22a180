"""The verb on tables for papers and programs: `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.commands import completing
from benchmarks.commands.app import UNDERSTAND, app, folder
from benchmarks.commands.terminal import Terminal


@app.command(rich_help_panel=UNDERSTAND)
def export(
    runs: Annotated[
        list[Path],
        typer.Argument(parser=folder, metavar="RUN...", help="Run folders.", autocompletion=completing.run_folders),
    ],
    table: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="fastest, ranking, times, speedups, limits, errors, set-up or cases.",
            autocompletion=completing.tables,
        ),
    ] = "fastest",
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="markdown, latex or csv.")] = "markdown",
    subject: Annotated[
        str | None, typer.Option(metavar="NAME", help="The implementation of `ranking`; the fastest if not given.")
    ] = None,
) -> None:
    """Print one table of a run, or of several side by side, as Markdown, LaTeX or CSV.

    Example: python -m benchmarks export results/default-20260101-120000 --table ranking --format latex
    """
    from benchmarks.presentation.table_text import FORMATS

    if format_ not in FORMATS:
        raise ValueError(f"--format is {format_!r}; expected one of {', '.join(FORMATS)}")
    with Terminal().doing("reading"):
        from benchmarks.reporting.analysis import Analysis
        from benchmarks.reporting.tables import table as table_of
        from benchmarks.runs.loading import load_runs

        text = FORMATS[format_](table_of(Analysis(load_runs(runs), subject), table))
    typer.echo(text, nl=False)
