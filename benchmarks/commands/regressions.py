"""The verbs on slowdowns of code: `regress`, `track`, `history`, `calibrate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from benchmarks import program
from benchmarks.commands.app import MAINTAIN, app, folder, interruptible
from benchmarks.commands.clusters import action, track_on_cluster
from benchmarks.commands.release_tracks import track_releases_of
from benchmarks.commands.terminal import Terminal, echo

_Value = TypeVar("_Value")
OWN_SUITE = "benchmarks/suite"
"""The suite of this project, from the top of a checkout."""


def _need_checkout(verb: str, remedy: str) -> None:
    """Raise ValueError, with the remedy, where rnnbench is installed and not run from a checkout."""
    if not program.is_checkout():
        raise ValueError(
            f"{verb} needs a checkout of rnnbench, with its suites and tests, and this is an installed one: {remedy}"
        )


def _check_suite(verb: str, suite: str) -> None:
    """Raise ValueError where the suite is that of a checkout and this is none."""
    if suite == OWN_SUITE and not Path(suite).exists():
        _need_checkout(
            f"{verb} without --suite",
            f"name a pytest-benchmark suite of the project that you are in, as {verb} --suite tests/benchmarks, or "
            "clone rnnbench and run it there",
        )


_Requirements = Annotated[
    list[str] | None,
    typer.Option(metavar="REQ", help="Install this into the environment of one side: 'six==1.17'; may be repeated."),
]
_Python = Annotated[
    str | None, typer.Option(metavar="PYTHON", help="The Python of one side: 3.13, or the path of an interpreter.")
]
_Variables = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Set a variable for one side: CC=clang; may be repeated.")
]


@app.command(rich_help_panel=MAINTAIN)
def regress(
    base: Annotated[
        str | None,
        typer.Option(metavar="REV", help="The revision to compare with; that of head where only variants differ."),
    ] = None,
    head: Annotated[
        str | None, typer.Option(metavar="REV", help="The revision to judge; the checkout as it stands if not given.")
    ] = None,
    base_with: _Requirements = None,
    head_with: _Requirements = None,
    base_python: _Python = None,
    head_python: _Python = None,
    base_env: _Variables = None,
    head_env: _Variables = None,
    suite: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help=f"A pytest-benchmark suite of the project that the current folder is in; {OWN_SUITE} if not given.",
        ),
    ] = None,
    first: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Cases that matter most, by part of their names; may be repeated, in order."),
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(metavar="SHARE", help="The slowdown that matters: 0.03 is 3 %, if not given.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Stop after this time: 90s; 5m if not given.")
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(
            metavar="auto|shared|own",
            help="Run both in this environment, each in one of its own, or share one for the same dependencies.",
        ),
    ] = None,
    pytest_options: Annotated[
        str | None,
        typer.Option("--pytest", metavar="OPTIONS", help="Further options for pytest on both sides: '--run-slow'."),
    ] = None,
    install: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REQ",
            help="Run both in environments of their own, with this requirement installed; may be repeated: six.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="The configuration; its table in pyproject.toml if not given."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for JSON, Markdown and plot.")] = Path(
        "results/regress"
    ),
) -> None:
    """Judge whether head is slower than base: exit status 1 for a confirmed slowdown, 3 when it cannot be told.

    Example: python -m benchmarks regress --base main
    """
    from benchmarks.measuring.processes.ending import ended_in_order
    from benchmarks.regression import output
    from benchmarks.regression.configuration import configuration_for
    from benchmarks.regression.environments.variants import variant
    from benchmarks.regression.regress import plan, regress
    from benchmarks.regression.verdict_text import summary

    configured = configuration_for(Path.cwd(), config)
    if suite is None and configured.suite is not None:
        suite = str(configured.folder.resolve() / configured.suite)
    suite = OWN_SUITE if suite is None else suite
    _check_suite("regress", suite)
    console = Terminal()
    request = plan(
        base,
        head,
        suite,
        tolerance=_first(tolerance, configured.tolerance, 0.03),
        budget=_first(budget, configured.budget, "5m"),
        environment=_first(environment, configured.environment, "auto"),
        needs=configured.needs(pytest_options, tuple(install or ())),
        variants=(
            variant("base", base_with or (), base_python, base_env or ()),
            variant("head", head_with or (), head_python, head_env or ()),
        ),
        first=first or configured.first,
    )
    job_summary = os.environ.get("GITHUB_STEP_SUMMARY")
    output.prepare(out, job_summary)
    with interruptible("nothing is judged"), ended_in_order(), console.saying() as say:
        result = regress(request, say)
    console.lines(output.terminal_lines(result, console.width))
    console.say(summary(result))
    with console.doing("writing the plot"):
        output.write(result, out, job_summary)
        problem = output.write_plot(result, out)
    console.say(f"every pair, summary and plot: {out}{f' ({problem})' if problem else ''}")
    raise typer.Exit(result.exit_status)


def _first(given: _Value | None, configured: _Value | None, otherwise: _Value) -> _Value:
    """The value of an option: that of the command line, of the configuration, or the default."""
    if given is not None:
        return given
    return otherwise if configured is None else configured


@app.command(rich_help_panel=MAINTAIN)
def track(
    rev: Annotated[
        list[str] | None, typer.Option(metavar="REV", help="Measure this revision; may be repeated. HEAD if not given.")
    ] = None,
    span: Annotated[
        str | None,
        typer.Option("--range", metavar="A..B", help="Measure the commits after A up to B, on first parents."),
    ] = None,
    suite: Annotated[
        str, typer.Option(metavar="PATH", help="The pytest-benchmark suite, as it is here, that measures them all.")
    ] = OWN_SUITE,
    releases: Annotated[
        str | None,
        typer.Option(
            metavar="REQ",
            help="Measure the releases of a package instead, with one revision: 'onnx>=1.17,<2'.",
        ),
    ] = None,
    install: Annotated[
        list[str] | None,
        typer.Option(metavar="REQ", help="With --releases: install this beside each release; may be repeated."),
    ] = None,
    processes: Annotated[int, typer.Option(metavar="N", help="Fresh processes a revision.")] = 5,
    history: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of the history; results/history if not given.")
    ] = None,
    cluster: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Measure by jobs of a Slurm cluster: docs/cluster.md.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(parser=folder, metavar="DIR", help="With --cluster: go on with this campaign.")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="With --cluster: show where each part is.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="With --cluster: cancel the jobs.")] = False,
) -> None:
    """Measure revisions in fresh processes and add them to this machine's history.

    Recorded processes are not measured again: the same command continues after an interrupt.
    Example: python -m benchmarks track --range HEAD~20..HEAD
    """
    from benchmarks.history.plan import plan_track
    from benchmarks.history.track import track
    from benchmarks.measuring.processes.ending import ended_in_order

    _check_suite("track", suite)
    console = Terminal()
    if install and releases is None:
        raise ValueError("--install is for --releases: revisions are measured in this environment")
    if releases is not None:
        track_releases_of(releases, rev or (), span, cluster, suite, processes, install or (), history, console)
        return
    doing = action(cluster, status=status, cancel=cancel, print_sbatch=False)
    plan = plan_track(Path.cwd(), rev or (), span, suite=suite, processes=processes, folder=history)
    if cluster is not None:
        track_on_cluster(cluster, doing, plan, resume)
        return
    kept = "recorded processes are kept, and the same command continues"
    with interruptible(kept), ended_in_order(), console.saying() as say:
        recorded = track(plan, say)
    echo(f"{recorded} processes added to {plan.folder / plan.machine}")


@app.command(rich_help_panel=MAINTAIN)
def history(
    case: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Only cases with this in their name: 'nn_rnn*training'.")
    ] = None,
    history: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of the history; results/history if not given.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for report, tables and plots.")] = Path(
        "results/history-report"
    ),
) -> None:
    """Find the steps in the history of each case: their sizes, commits and likely causes.

    Example: python -m benchmarks history --case nn_rnn
    """
    console = Terminal()
    with console.doing("looking for steps") as begin:
        from benchmarks.files import check_outputs
        from benchmarks.history.findings import find_history
        from benchmarks.history.report import FILES, terminal_lines, write_history

        check_outputs(out, FILES)
        found = find_history(Path.cwd(), history, case)
        begin("writing the report")
        path = write_history(found, out, os.environ.get("GITHUB_STEP_SUMMARY"))
    for machine in found:
        console.lines(terminal_lines(machine, console.width))
        for problem in machine.problems:
            console.print(problem, highlight=False, markup=False, soft_wrap=True)
    console.print(f"report: {path}", highlight=False, soft_wrap=True)


@app.command(rich_help_panel=MAINTAIN)
def calibrate(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the calibration, new or to be continued.")],
    budget: Annotated[str, typer.Option(metavar="TIME", help="Measure for this time; 0s only evaluates.")] = "30m",
) -> None:
    """Measure how often `regress` is wrong on this machine, by equal code and injected slowdowns.

    Example: python -m benchmarks calibrate --out results/calibration --budget 30m
    """
    from benchmarks.files import check_writable
    from benchmarks.measuring.conditions.lock import measuring_alone
    from benchmarks.measuring.processes.ending import ended_in_order
    from benchmarks.regression.calibration.measuring import check_folder, measure
    from benchmarks.regression.calibration.report import write
    from benchmarks.sweeps import parse_duration

    console = Terminal()
    _need_checkout("calibrate", "clone the project, and run it there")
    seconds = 0.0 if budget == "0s" else parse_duration(budget)
    if seconds:
        check_folder(out)
        check_writable("--out", out)
        kept = "the measured groups are kept, and the same command continues"
        with interruptible(kept), ended_in_order(), console.saying() as say, measuring_alone("calibrate", say):
            measure(out, seconds, say)
    with console.doing("evaluating"):
        written = write(out)
    echo(written)
