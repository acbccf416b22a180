"""The verb on a user's own model: `advise`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.commands import completing
from benchmarks.commands.app import MEASURE, app, check_temporary, folder, numbers, words
from benchmarks.commands.terminal import Terminal


@app.command(rich_help_panel=MEASURE)
def advise(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="module:factory that returns an nn.Module, or a .pt, .safetensors or .onnx file."
        ),
    ],
    input_: Annotated[
        list[str],
        typer.Option("--input", metavar="T,B[,I]", help="Time steps, batch and input features; may be repeated."),
    ],
    mode: Annotated[str, typer.Option(metavar="MODE,...", help="inference, training")] = "inference",
    threads: Annotated[str | None, typer.Option(metavar="N,...", help="CPU threads; all cores if not given.")] = None,
    may_use: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Implementations that you may use, as `list` shows them, or all; those that are here if not given.",
            autocompletion=completing.implementations,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Measure for this time: 90s, 5m. 45s for each answer if not given."),
    ] = None,
    out: Annotated[Path | None, typer.Option(parser=folder, metavar="DIR", help="The run's folder, a new one.")] = None,
) -> None:
    """Say which implementation your own model should use, by how much it wins, and the line of code that uses it.

    Example: python -m benchmarks advise my_package.my_module:build_model --input 64,16
    """
    from benchmarks.advice.advise import Request, advise, default_threads
    from benchmarks.advice.question import parse_input
    from benchmarks.advice.words import answer, left_out, terminal_lines
    from benchmarks.models.source import Source
    from benchmarks.reporting.analysis import Analysis
    from benchmarks.reporting.report import write_report
    from benchmarks.runs.loading import load_runs
    from benchmarks.sweeps import parse_duration
    from benchmarks.workload import DEFAULT_MODES

    console = Terminal()
    sys.path.insert(0, str(Path.cwd()))
    request = Request(
        Source.parse(source),
        [parse_input(text) for text in input_],
        [known for known in DEFAULT_MODES if known in (words(mode, "--mode", DEFAULT_MODES) or ())],
        numbers(threads, "--threads") or (default_threads(),),
        words(may_use, "--may-use") or (),
        None if budget is None else parse_duration(budget),
    )
    check_temporary()
    advice = advise(request, out=out, console=console, say=console.say)
    with console.doing("writing the report"):
        write_report(Analysis(load_runs([advice.run.folder])))
    for line in left_out(advice.found):
        console.say(line)
    for verdict in advice.verdicts:
        subject = verdict, request.source, advice.found, advice.run.folder
        lines = terminal_lines(*subject, console.width) if console.is_terminal else answer(*subject).splitlines()
        console.lines(["", *lines])
