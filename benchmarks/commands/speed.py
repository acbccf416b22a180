"""The verbs that measure: `list`, `sweep`, `train`, `profile`."""

from __future__ import annotations

import json
import sys
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
from benchmarks.commands.endings import INTERRUPTED, VERDICT_AGAINST
from benchmarks.commands.reports import TABLE, show_report
from benchmarks.commands.terminal import Terminal, echo


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
    from benchmarks.commands.lists import sweep_lines
    from rnnimpl.listing_text import implementation_lines

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
            metavar="NAME",
            help="Only this one: a name, module:Class, LABEL=either, or all; may be repeated.",
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
    table: Annotated[bool, typer.Option("--table", help=TABLE)] = False,
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


@app.command(rich_help_panel=MEASURE)
def train(
    impl: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|module:Class", help="Only this implementation; may be repeated."),
    ] = None,
    cell: Annotated[str, typer.Option(metavar="CELL", help="tanh, relu, lstm or gru")] = "tanh",
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu, cuda or cuda:N")] = "cpu",
    dtype: Annotated[str, typer.Option(metavar="DTYPE", help="float32 or float64")] = "float32",
    steps: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Steps of gradient descent.")
    ] = None,
    out: Annotated[Path | None, typer.Option(parser=folder, metavar="DIR", help="A new folder for the files.")] = None,
) -> None:
    """Train implementations on one task by plain gradient descent and compare their loss curves.

    Exit status 1 when a curve leaves the others or does not reach the stated loss, 3 when none could be trained.
    Example: python -m benchmarks train --cell lstm --impl numpy_loop --impl nn_rnn
    """
    with Terminal(stderr=True).doing("loading"):
        from benchmarks.training.report import terminal_lines
        from benchmarks.training.train import train
        from rnnimpl.registry import default_names, listing

    sys.path.insert(0, str(Path.cwd()))
    kind = device.partition(":")[0]
    here = [name for name in default_names() if kind in listing(name).unavailable]
    with interruptible("nothing is kept"):
        result = train(implementations=impl or here, cell=cell, device=device, dtype=dtype, steps=steps, out=out)
    console = Terminal()
    console.lines(terminal_lines(result, console.width))
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
    console = Terminal()
    with console.doing("loading"):
        from benchmarks.profiling.cases import parse_cases, vary
        from benchmarks.profiling.profile import profile_cases
        from benchmarks.profiling.reporting.summary import summary_lines

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
