"""The verbs on speed: `list`, `sweep`, `report`, `compare`, `train`, `profile`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.commands import completing
from benchmarks.commands.app import (
    MEASURE,
    UNDERSTAND,
    app,
    check_temporary,
    folder,
    interruptible,
    number,
    numbers,
    whole_number,
    words,
)
from benchmarks.commands.clusters import action, sweep_on_cluster
from benchmarks.commands.endings import INCONCLUSIVE, INTERRUPTED, VERDICT_AGAINST
from benchmarks.commands.terminal import Terminal, echo

_MOST_PROBLEMS = 20
_TABLE = "Show the fastest of each workload, too."


@app.command("list", rich_help_panel=MEASURE)
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the implementations, the devices that each runs on or why it cannot, and the named sweeps.

    Example: python -m benchmarks list --json
    """
    from benchmarks.sweeps import load_sweep, sweep_names
    from rnnimpl.registry import listing, names

    listings = [listing(name) for name in names()]
    sweeps = {name: load_sweep(name).summary for name in sweep_names()}
    if as_json:
        fields = ("summary", "unavailable", "cells", "only_when_named")
        shown = {entry.name: {field: getattr(entry, field) for field in fields} for entry in listings}
        typer.echo(json.dumps({"implementations": shown, "sweeps": sweeps}, indent=2))
        return
    from benchmarks.commands.lists import implementation_lines, sweep_lines

    console = Terminal()
    console.lines([*implementation_lines(listings, console.width), "", *sweep_lines(sweeps, console.width)])


@app.command(rich_help_panel=MEASURE)
def sweep(
    sweep: Annotated[
        str,
        typer.Argument(
            metavar="PRESET|FILE.toml",
            help="A name that `list` shows, or a TOML file.",
            autocompletion=completing.sweeps,
        ),
    ] = "default",
    impl: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|module:Class|LABEL=either|all",
            help="Only this implementation; may be repeated.",
            autocompletion=completing.implementations,
        ),
    ] = None,
    seq_len: Annotated[str | None, typer.Option(metavar="T,...", help="Time steps.")] = None,
    batch: Annotated[str | None, typer.Option(metavar="B,...", help="Sequences in a batch.")] = None,
    hidden: Annotated[str | None, typer.Option(metavar="H,...", help="Hidden units.")] = None,
    layers: Annotated[str | None, typer.Option(metavar="L,...", help="Layers.")] = None,
    input_: Annotated[
        str | None,
        typer.Option("--input", metavar="I,...", help="Input features; as many as hidden units if not given."),
    ] = None,
    cell: Annotated[str | None, typer.Option(metavar="CELL,...", help="tanh, relu, lstm, gru")] = None,
    mode: Annotated[
        str | None, typer.Option(metavar="MODE,...", help="inference, training, streaming, serving, many-lengths")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE,...", help="cpu, cuda; all that are here if not given.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(metavar="DTYPE,...", help="float16, bfloat16, float32, float64")] = None,
    threads: Annotated[str | None, typer.Option(metavar="N,...", help="CPU threads; all cores if not given.")] = None,
    lengths: Annotated[
        str | None, typer.Option(metavar="LENGTHS,...", help="equal, uniform, speech, text, one-long")
    ] = None,
    budget: Annotated[str | None, typer.Option(metavar="TIME", help="Stop after this time: 90s, 5m, 2h.")] = None,
    out: Annotated[Path | None, typer.Option(parser=folder, metavar="DIR", help="The run's folder, a new one.")] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            parser=folder,
            metavar="DIR",
            help="Continue this run; --budget applies, and --impl for your own code.",
        ),
    ] = None,
    cluster: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Measure by jobs of a Slurm cluster: docs/cluster.md.")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="With --cluster: show where each part is.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="With --cluster: cancel the jobs.")] = False,
    print_sbatch: Annotated[
        bool, typer.Option("--print-sbatch", help="With --cluster: write scripts for sbatch and submit nothing.")
    ] = False,
    table: Annotated[bool, typer.Option("--table", help=_TABLE)] = False,
) -> None:
    """Measure implementations over workloads and report which is fastest where.

    Example: python -m benchmarks sweep quick --impl nn_rnn --impl torch_loop --hidden 64,256 --budget 2m
    """
    from benchmarks.measuring.sweeping.launch import resume_sweep, start_sweep
    from benchmarks.measuring.sweeping.sweep_plan import plan_sweep
    from benchmarks.sequence_lengths import LENGTHS
    from benchmarks.workload import DEVICES, MODES
    from rnnimpl.dtypes import DTYPES
    from rnnimpl.interface import CELL_NAMES

    console = Terminal()
    axes: dict[str, Any] = {
        "T": numbers(seq_len, "--seq-len"),
        "B": numbers(batch, "--batch"),
        "H": numbers(hidden, "--hidden"),
        "L": numbers(layers, "--layers"),
        "I": numbers(input_, "--input"),
        "cell": words(cell, "--cell", CELL_NAMES),
        "mode": words(mode, "--mode", MODES),
        "device": words(device, "--device", DEVICES),
        "dtype": words(dtype, "--dtype", DTYPES),
        "threads": numbers(threads, "--threads"),
        "lengths": words(lengths, "--lengths", LENGTHS),
    }
    axes = {axis: values for axis, values in axes.items() if values is not None}
    # module:Class may be in a file of the current folder.
    sys.path.insert(0, str(Path.cwd()))
    check_temporary()
    doing = action(cluster, status=status, cancel=cancel, print_sbatch=print_sbatch)
    if cluster is not None:
        folder_of_campaign = sweep_on_cluster(
            cluster, doing, sweep, implementations=impl or (), axes=axes, budget=budget, out=out, resume=resume
        )
        if folder_of_campaign is not None:
            show_report([folder_of_campaign], console, table=table)
        return
    with console.doing("checking what can run here"):
        plan = None if resume else plan_sweep(sweep, implementations=impl or (), axes=axes, budget=budget)
    try:
        if plan is not None:
            run = start_sweep(plan, out=out, console=console)
        else:
            assert resume is not None
            run = resume_sweep(resume, budget=budget, console=console, implementations=impl or ())
    except KeyboardInterrupt:  # it said what is kept
        raise typer.Exit(INTERRUPTED) from None
    show_report([run.folder], console, table=table)


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
    table: Annotated[bool, typer.Option("--table", help=_TABLE)] = False,
    splice: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md", help="Write the answer of the runs between the marks in this file, only."),
    ] = None,
) -> None:
    """Build tables, plots and report.md again from the trials of one run, or of several side by side.

    Example: python -m benchmarks report results/default-20260101-120000 --subject nn_rnn
    """
    if splice is not None:
        from benchmarks.reporting.splicing import splice_file

        console = Terminal()
        with console.doing("comparing"):
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
    from benchmarks.reporting.analysis import Analysis
    from benchmarks.reporting.page.build import run_data
    from benchmarks.runs.loading import load_runs
    from benchmarks.runs.packing import SUFFIX, write_pack

    target = out or run.absolute().with_name(f"{run.absolute().name}{SUFFIX}")
    console = Terminal()
    with console.doing("packing"):
        size = write_pack(run, run_data(Analysis(load_runs(run))), target)
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
    from benchmarks.reporting.compare import compare_runs
    from benchmarks.reporting.compare_words import comparison_lines, comparison_markdown

    console = Terminal()
    with console.doing("comparing"):
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


@app.command(rich_help_panel=MEASURE)
def train(
    impl: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|module:Class", help="Only this implementation; may be repeated."),
    ] = None,
    cell: Annotated[str, typer.Option(metavar="CELL", help="tanh, relu, lstm or gru")] = "tanh",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32 or float64")] = "float32",
    steps: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Steps of gradient descent.")
    ] = None,
    out: Annotated[Path | None, typer.Option(parser=folder, metavar="DIR", help="A new folder for the files.")] = None,
) -> None:
    """Train implementations on one task by plain gradient descent and compare their loss curves.

    Exit status 1 when a curve leaves the others or does not reach the stated loss, 3 when none could be trained.
    Example: python -m benchmarks train --cell lstm --impl numpy_loop --impl nn_rnn
    """
    from rich.markdown import Markdown

    from benchmarks.training.report import table
    from benchmarks.training.train import train
    from rnnimpl.registry import default_names, listing

    sys.path.insert(0, str(Path.cwd()))
    kind = device.partition(":")[0]
    here = [name for name in default_names() if kind in listing(name).unavailable]
    with interruptible("nothing is kept"):
        result = train(implementations=impl or here, cell=cell, device=device, dtype=dtype, steps=steps, out=out)
    Terminal().print(Markdown(table(result)))
    echo(f"curves, tables and plots: {result.folder}")
    result.check_trained()
    if not result.passed:
        raise typer.Exit(VERDICT_AGAINST)


@app.command(rich_help_panel=UNDERSTAND)
def profile(
    cases: Annotated[list[str], typer.Argument(metavar="CASE...", help="IDs of cases, or of workloads with --impl.")],
    impl: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|module:Class", help="This one too, on the same workloads; may be repeated."),
    ] = None,
    seq_len: Annotated[str | None, typer.Option(metavar="T,...", help="In place of the cases' time steps.")] = None,
    batch: Annotated[str | None, typer.Option(metavar="B,...", help="In place of the cases' batch size.")] = None,
    hidden: Annotated[str | None, typer.Option(metavar="H,...", help="In place of the cases' hidden size.")] = None,
    layers: Annotated[str | None, typer.Option(metavar="L,...", help="In place of the cases' layers.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=folder, metavar="DIR", help="A run's folder, or a new one; the files go to profile/ in it."
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            parser=number, metavar="SECONDS", help="Sample for so long in each repeat at least, and time for as long."
        ),
    ] = 2.0,
    repeats: Annotated[
        int, typer.Option(parser=whole_number, metavar="N", help="Processes for each case, one after another.")
    ] = 3,
) -> None:
    """Show what the time of each case goes to, and how near it comes to the limits of the machine.

    Example: python -m benchmarks profile torch_loop/cpu/inference/T128-B1-I128-H128-L1-tanh-float32 --impl fused_cpu
    """
    from benchmarks.profiling.cases import parse_cases, vary
    from benchmarks.profiling.profile import profile_cases
    from benchmarks.profiling.reporting.summary import summary_lines

    console = Terminal()
    sys.path.insert(0, str(Path.cwd()))

    axes = {
        "T": numbers(seq_len, "--seq-len"),
        "B": numbers(batch, "--batch"),
        "H": numbers(hidden, "--hidden"),
        "L": numbers(layers, "--layers"),
    }
    sizes = {letter: values for letter, values in axes.items() if values is not None}
    check_temporary()
    varied = vary(parse_cases(cases, impl or ()), impl or (), sizes)
    with interruptible("nothing is kept"), console.waiting() as wait:
        path = profile_cases(varied, out=out, seconds=seconds, repeats=repeats, say=wait.say, meanwhile=wait.tick)
    console.lines(summary_lines(path.parent, console.width))
    console.say(f"profile: {path}")


def show_report(
    runs: list[Path], console: Terminal, out: Path | None = None, subject: str | None = None, *, table: bool = False
) -> None:
    """Write the report and show the answer. Raises NothingMeasured, after both, where no case has a time."""
    from benchmarks.reporting.analysis import Analysis
    from benchmarks.reporting.answer_lines import answer_lines
    from benchmarks.reporting.answer_words import plain
    from benchmarks.reporting.cautions import cautions
    from benchmarks.reporting.report import PAGE_FILE, write_report
    from benchmarks.reporting.terminal import without_times, workload_lines
    from benchmarks.reporting.unmeasured import check_measured
    from benchmarks.runs.loading import load_runs

    with console.doing("reading") as say:
        analysis = Analysis(load_runs(runs), subject)
        path = write_report(analysis, out, say)
    _passed_over([problem for run in analysis.runs for problem in run.problems])
    if len(analysis.frame):
        lines = workload_lines(analysis.frame, analysis.winners, console.width) if table else []
        console.lines(lines or without_times(analysis.frame))
    said = [caution for run in analysis.runs for caution in run.cautions]
    said += [caution for doubts in analysis.doubts.values() for caution in cautions(doubts, plain)]
    console.lines(answer_lines(analysis.answers, said, console.width))
    console.say(f"page: {path.with_name(PAGE_FILE)}")
    console.say(f"report: {path}")
    check_measured(analysis.runs)


def _passed_over(problems: Sequence[str]) -> None:
    """Name the lines of runs that could not be read, or as many as leave the rest of the output to be seen."""
    for problem in problems[:_MOST_PROBLEMS]:
        echo(f"caution: {problem}", err=True)
    if len(problems) > _MOST_PROBLEMS:
        echo(f"caution: and {len(problems) - _MOST_PROBLEMS} more lines", err=True)
