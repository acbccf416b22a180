"""How fast it is and why: `list`, `sweep`, `report`, `compare`, `train`, `profile`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.commands.app import INTERRUPTED, VERDICT_AGAINST, app, interruptible, numbers, words, wrong_use


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the implementations, where each runs or why it cannot, and the sweeps that have a name.

    Example: python -m benchmarks list --json
    """
    from benchmarks.sweeps import load_sweep, sweep_names
    from rnnimpl.registry import listing, names

    listings = [listing(name) for name in names()]
    sweeps = {name: load_sweep(name).summary for name in sweep_names()}
    if as_json:
        fields = ("summary", "unavailable", "only_when_named")
        shown = {entry.name: {field: getattr(entry, field) for field in fields} for entry in listings}
        typer.echo(json.dumps({"implementations": shown, "sweeps": sweeps}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("implementation", "device", "here", "what it is", title="Implementations")
    for entry in listings:
        yes = f"yes, when named: {entry.only_when_named}" if entry.only_when_named else "yes"
        for number, (device, reason) in enumerate(entry.unavailable.items()):
            first = number == 0
            table.add_row(entry.name if first else "", device, reason or yes, entry.summary if first else "")
    console.print(table)
    presets = Table("sweep", "what it measures", title="Sweeps")
    for name, summary in sweeps.items():
        presets.add_row(name, summary)
    console.print(presets)


@app.command()
def sweep(
    sweep: Annotated[
        str, typer.Argument(metavar="PRESET|FILE.toml", help="A name that `list` shows, or a TOML file.")
    ] = "default",
    impl: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|module:Class|LABEL=either|all", help="Only this implementation; may be repeated."),
    ] = None,
    seq_len: Annotated[str | None, typer.Option(metavar="T,...", help="Time steps.")] = None,
    batch: Annotated[str | None, typer.Option(metavar="B,...", help="Sequences in a batch.")] = None,
    hidden: Annotated[str | None, typer.Option(metavar="H,...", help="Hidden units.")] = None,
    layers: Annotated[str | None, typer.Option(metavar="L,...", help="Layers.")] = None,
    input_: Annotated[
        str | None,
        typer.Option("--input", metavar="I,...", help="Input features; as many as hidden units if not given."),
    ] = None,
    mode: Annotated[str | None, typer.Option(metavar="MODE,...", help="inference, training")] = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE,...", help="cpu, cuda; all that are here if not given.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(metavar="DTYPE,...", help="float16, bfloat16, float32, float64")] = None,
    threads: Annotated[str | None, typer.Option(metavar="N,...", help="CPU threads; all cores if not given.")] = None,
    budget: Annotated[str | None, typer.Option(metavar="TIME", help="Stop after so long: 90s, 5m, 2h.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The run's folder, a new one.")] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Go on with this run; --budget applies, and --impl for code of your own.",
        ),
    ] = None,
) -> None:
    """Measure implementations over workloads and report which is fastest where.

    Example: python -m benchmarks sweep quick --impl nn_rnn --impl torch_loop --hidden 64,256 --budget 2m
    """
    with wrong_use():
        from rich.console import Console

        from benchmarks.measuring.launch import plan_sweep, resume_sweep, start_sweep

        console = Console()
        axes: dict[str, Any] = {
            "T": numbers(seq_len, "--seq-len"),
            "B": numbers(batch, "--batch"),
            "H": numbers(hidden, "--hidden"),
            "L": numbers(layers, "--layers"),
            "I": numbers(input_, "--input"),
            "mode": words(mode),
            "device": words(device),
            "dtype": words(dtype),
            "threads": numbers(threads, "--threads"),
        }
        axes = {axis: values for axis, values in axes.items() if values is not None}
        # With the current folder importable, module:Class may stand in a file there.
        sys.path.insert(0, str(Path.cwd()))
        try:
            if resume is not None:
                run = resume_sweep(resume, budget=budget, console=console, implementations=impl or ())
            else:
                plan = plan_sweep(sweep, implementations=impl or (), axes=axes, budget=budget)
                run = start_sweep(plan, out=out, console=console)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        _report([run.folder], console)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the files go; if not given, the run's folder, or side-by-side/ in the first of several.",
        ),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Set this one against the best of the others; the fastest if not given."),
    ] = None,
) -> None:
    """Build tables, plots and report.md again from the trials of one run, or of several side by side.

    Example: python -m benchmarks report results/default-20260101-120000 --subject nn_rnn
    """
    with wrong_use():
        from rich.console import Console

        _report(runs, Console(), out, subject)


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A run folder.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Another one.")],
    across_machines: Annotated[
        bool, typer.Option("--across-machines", help="Compare also when they were measured on different machines.")
    ] = False,
) -> None:
    """Compare two runs case by case: ratio, interval and verdict; exit status 1 when a case is slower.

    Example: python -m benchmarks compare results/monday results/tuesday
    """
    with wrong_use():
        from rich.console import Console

        from benchmarks.reporting.compare import compare_runs, comparison_table

        compared = compare_runs(old, new, across_machines=across_machines)
        Console().print(comparison_table(compared))
        if (compared["verdict"] == "slower").any():
            raise typer.Exit(VERDICT_AGAINST)


@app.command()
def train(
    impl: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|module:Class", help="Only this implementation; may be repeated."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32 or float64")] = "float32",
    steps: Annotated[int | None, typer.Option(metavar="N", help="Steps of gradient descent.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the files go, a new folder.")] = None,
) -> None:
    """Train implementations on one task by plain gradient descent and lay their loss curves side by side.

    Exit status 1 when a curve leaves the others or does not reach the stated loss.
    Example: python -m benchmarks train --impl numpy_loop --impl nn_rnn
    """
    with wrong_use():
        from rich.console import Console
        from rich.markdown import Markdown

        from benchmarks.training.report import table
        from benchmarks.training.train import STEPS, train
        from rnnimpl.registry import default_names, listing

        sys.path.insert(0, str(Path.cwd()))
        kind = device.partition(":")[0]
        here = [name for name in default_names() if kind in listing(name).unavailable]
        steps = STEPS if steps is None else steps
        with interruptible("nothing is kept"):
            result = train(implementations=impl or here, device=device, dtype=dtype, steps=steps, out=out)
        Console().print(Markdown(table(result)))
        typer.echo(f"curves, tables and plots: {result.folder}")
        if not result.passed:
            raise typer.Exit(VERDICT_AGAINST)


@app.command()
def profile(
    cases: Annotated[list[str], typer.Argument(metavar="CASE...", help="IDs of cases, as a report shows them.")],
    impl: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|module:Class", help="This one too, on the same workloads; may be repeated."),
    ] = None,
    seq_len: Annotated[str | None, typer.Option(metavar="T,...", help="In place of the cases' time steps.")] = None,
    batch: Annotated[str | None, typer.Option(metavar="B,...", help="In place of the cases' batch size.")] = None,
    hidden: Annotated[str | None, typer.Option(metavar="H,...", help="In place of the cases' hidden size.")] = None,
    layers: Annotated[str | None, typer.Option(metavar="L,...", help="In place of the cases' layers.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A run's folder, or a new one; the files go to profile/ in it.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="Look for so long in each repeat at least, and time for as long.")
    ] = 2.0,
    repeats: Annotated[int, typer.Option(help="Processes for each case, one after another.")] = 3,
) -> None:
    """Say what the time of each case goes to and how near it comes to what the machine can do.

    Example: python -m benchmarks profile torch_loop/cpu/inference/T128-B1-I128-H128-L1-tanh-float32 --impl fused_cpu
    """
    with wrong_use():
        from rich.console import Console
        from rich.markdown import Markdown

        from benchmarks.profiling.cases import parse_cases, vary
        from benchmarks.profiling.launch import profile_cases

        console = Console()
        sys.path.insert(0, str(Path.cwd()))

        def say(message: str) -> None:
            console.print(message, highlight=False, markup=False, soft_wrap=True)

        axes = {
            "T": numbers(seq_len, "--seq-len"),
            "B": numbers(batch, "--batch"),
            "H": numbers(hidden, "--hidden"),
            "L": numbers(layers, "--layers"),
        }
        sizes = {letter: values for letter, values in axes.items() if values is not None}
        varied = vary(parse_cases(cases), impl or (), sizes)
        with interruptible("nothing is kept"):
            path = profile_cases(varied, out=out, seconds=seconds, repeats=repeats, say=say)
        lines = path.read_text(encoding="utf-8").split("\n")
        console.print(Markdown("\n".join(line for line in lines if not line.startswith("!["))))
        console.print(f"profile: {path}", highlight=False, soft_wrap=True)


def _report(runs: list[Path], console: Any, out: Path | None = None, subject: str | None = None) -> None:
    from benchmarks.reporting.frames import load_run
    from benchmarks.reporting.report import build_report, terminal_table

    path = build_report(runs, out, subject=subject)
    console.print(terminal_table(load_run(runs)))
    console.print(f"report: {path}", highlight=False, soft_wrap=True)
