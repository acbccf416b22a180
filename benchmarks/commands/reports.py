"""The verbs on runs that were measured: `report`, `pack`, `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.commands import completing
from benchmarks.commands.app import UNDERSTAND, app, folder
from benchmarks.commands.endings import INCONCLUSIVE, VERDICT_AGAINST
from benchmarks.commands.terminal import Terminal, echo
from rnnimpl.wrapping import wrapped

TABLE = "Show the fastest of each workload, too."
"""The help of the option `--table`."""
_MOST_PROBLEMS = 20


@app.command(rich_help_panel=UNDERSTAND)
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(parser=folder, metavar="RUN...", help="Run folders.", autocompletion=completing.run_folders),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            parser=folder,
            metavar="DIR",
            help="The folder for the files; if not given, the run's folder, or side-by-side/ in the first of several.",
        ),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Compare this one with the best of the others; the fastest if not given."),
    ] = None,
    table: Annotated[bool, typer.Option("--table", help=TABLE)] = False,
    splice: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md", help="Write the answer of the runs between the marks in this file, only."),
    ] = None,
) -> None:
    """Build tables, plots and report.md again from the trials of one run, or of several side by side.

    Example: python -m benchmarks report results/default-20260101-120000 --subject nn_rnn
    """
    if splice is not None:
        console = Terminal()
        with console.doing("comparing"):
            from benchmarks.reporting.splicing import splice_file

            splice_file(splice, runs)
        console.say(f"spliced: {splice}")
        return
    show_report(runs, Terminal(), out, subject, table=table)


@app.command(rich_help_panel=UNDERSTAND)
def pack(
    run: Annotated[Path, typer.Argument(parser=folder, metavar="RUN", help="A run folder.")],
    out: Annotated[
        Path | None,
        typer.Option(parser=folder, metavar="FILE", help="The new file, ending in .rnnbench.gz; else beside the run."),
    ] = None,
) -> None:
    """Pack a run into one file for others: `report` reads it beside their runs, and the page of a report takes it in.

    Example: python -m benchmarks pack results/default-20260101-120000
    """
    console = Terminal()
    with console.doing("packing"):
        from benchmarks.reporting.analysis import Analysis
        from benchmarks.reporting.page.build import run_data
        from benchmarks.runs.loading import load_runs
        from benchmarks.runs.packing import SUFFIX, write_pack

        target = out or run.absolute().with_name(f"{run.absolute().name}{SUFFIX}")
        size = write_pack(run, run_data(Analysis(load_runs(run)), is_for_others=True), target)
    console.say(f"packed: {target} ({size / 1e6:.2f} MB)")


@app.command(rich_help_panel=UNDERSTAND)
def compare(
    old: Annotated[
        Path,
        typer.Argument(parser=folder, metavar="OLD", help="A run folder.", autocompletion=completing.run_folders),
    ],
    new: Annotated[
        Path,
        typer.Argument(parser=folder, metavar="NEW", help="Another one.", autocompletion=completing.run_folders),
    ],
    across_machines: Annotated[
        bool, typer.Option("--across-machines", help="Compare also when they were measured on different machines.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Show every case, and not the largest changes alone.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:
    """Compare two runs: the largest changes, the mean change of each implementation, and how many cases changed.

    A run is a folder, or a file that `pack` made. Exit status 1 when a case is slower, 3 when no case can be told.
    Example: python -m benchmarks compare results/monday results/tuesday
    """
    console = Terminal()
    with console.doing("comparing"):
        from benchmarks.reporting.answers.compare import compare_runs
        from benchmarks.reporting.words.compare_words import comparison_lines, comparison_markdown

        compared = compare_runs(old, new, across_machines=across_machines, say=_passed_over)
    if markdown:
        echo(comparison_markdown(compared, every=every))
    else:
        for line in comparison_lines(compared, console.width, every=every):
            console.say(line)
    verdicts = set(compared["verdict"])
    if "slower" in verdicts:
        raise typer.Exit(VERDICT_AGAINST)
    if verdicts == {"cannot tell"}:
        echo("no case can be told: the intervals are wider than what matters; sweep both again with a larger --budget")
        raise typer.Exit(INCONCLUSIVE)


def show_report(
    runs: list[Path], console: Terminal, out: Path | None = None, subject: str | None = None, *, table: bool = False
) -> None:
    """Write the report and show the answer. Raises NothingMeasured, after both, where no case has a time."""
    # Importing pandas and matplotlib takes a second, and several on a machine at work.
    with console.doing("reading") as say:
        from benchmarks.reporting.analysis import Analysis
        from benchmarks.reporting.report import PAGE_FILE, write_report
        from benchmarks.reporting.words.answer_lines import answer_lines
        from benchmarks.reporting.words.answer_words import plain
        from benchmarks.reporting.words.cautions import cautions, command_that_helps
        from benchmarks.reporting.words.same_code_words import same_code_sentences
        from benchmarks.reporting.words.unmeasured import check_measured
        from benchmarks.reporting.words.workload_lines import without_times, workload_lines
        from benchmarks.runs.loading import load_runs

        analysis = Analysis(load_runs(runs), subject)
        path = write_report(analysis, out, say)
    _passed_over([problem for run in analysis.runs for problem in run.problems])
    if len(analysis.frame):
        lines = workload_lines(analysis.frame, analysis.winners, console.width) if table else []
        console.lines(lines or without_times(analysis.frame, console.width))
    said = [caution for run in analysis.runs for caution in run.cautions]
    several = len(analysis.doubts) > 1
    for label, doubts in analysis.doubts.items():
        said += [f"{label}: {caution}" if several else caution for caution in cautions(doubts, plain)]
    longer = dict.fromkeys(command_that_helps(analysis.doubts[run.label], run.resume_command) for run in analysis.runs)
    console.lines(answer_lines(analysis.answers, said, console.width, list(filter(None, longer))))
    for sentence in same_code_sentences(analysis.frame, plain):
        console.lines(wrapped(sentence, console.width))
    console.say(f"page: {path.with_name(PAGE_FILE)}")
    console.say(f"report: {path}")
    check_measured(analysis.runs)


def _passed_over(problems: Sequence[str]) -> None:
    """Name the lines of runs that could not be read, or as many as leave the rest of the output to be seen."""
    for problem in problems[:_MOST_PROBLEMS]:
        echo(f"caution: {problem}", err=True)
    if len(problems) > _MOST_PROBLEMS:
        echo(f"caution: and {len(problems) - _MOST_PROBLEMS} more lines", err=True)
