"""What `--cluster` does for `sweep` and `track`: begin a campaign or find it, and submit, wait, show or cancel."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from benchmarks import program
from benchmarks.commands.endings import INTERRUPTED
from benchmarks.commands.terminal import Terminal, echo

if TYPE_CHECKING:
    from benchmarks.history.plan import TrackPlan
    from benchmarks.runs.campaign import Campaign

Action = Literal["measure", "status", "cancel", "print"]


def action(cluster: Path | None, *, status: bool, cancel: bool, print_sbatch: bool) -> Action:
    """What the options ask for. Raises ValueError for more than one, and for one without --cluster."""
    chosen = [name for name, given in (("status", status), ("cancel", cancel), ("print-sbatch", print_sbatch)) if given]
    if len(chosen) > 1:
        raise ValueError(f"--{' and --'.join(chosen)} are given; expected one of them")
    if chosen and cluster is None:
        raise ValueError(f"--{chosen[0]} is given without --cluster; expected --cluster FILE.toml with it")
    names: Mapping[str, Action] = {"status": "status", "cancel": "cancel", "print-sbatch": "print"}
    return names[chosen[0]] if chosen else "measure"


def sweep_on_cluster(
    cluster_file: Path,
    doing: Action,
    sweep: str,
    *,
    implementations: Sequence[str],
    axes: Mapping[str, Any],
    budget: str | None,
    out: Path | None,
    resume: Path | None,
) -> Path | None:
    """The folder of a campaign that is measured as far as it can be; None where nothing is to be reported.

    Raises ValueError and StoreError for wrong use, typer.Exit for an interrupt.
    """
    from benchmarks.cluster.campaigns import find_campaign, make_campaign, with_cores
    from benchmarks.cluster.file import read_cluster_file
    from benchmarks.cluster.planning import parts_of
    from benchmarks.cluster.submitting import check_can_submit
    from benchmarks.measuring.sweeping.sweep_plan import requested
    from benchmarks.presentation.plain_text import count

    say = Terminal().say
    if resume is not None and (implementations or axes or budget or out):
        raise ValueError(f"{resume} has its workloads, --impl, --budget and --out; expected --resume without these")
    if doing in ("status", "cancel") or resume is not None:
        campaign = find_campaign(cluster_file, resume)
    else:
        cluster = with_cores(read_cluster_file(cluster_file))
        if doing == "measure":
            check_can_submit(cluster)
        chosen, named = requested(sweep, implementations=implementations, axes=axes, budget=budget)
        campaign = make_campaign(
            out,
            cluster,
            cluster_file,
            [part for kind in cluster.kinds for part in parts_of(chosen, kind)],
            named,
            say,
            name=chosen.name,
            sweep=chosen.to_json(),
        )
        say(f"{chosen.name} in {count(len(campaign.parts), 'part')} on {', '.join(campaign.kinds)}: {campaign.folder}")
    if doing == "status":
        show_status(campaign)
        return None
    if doing == "cancel":
        cancel(campaign, cluster_file)
        return None
    if doing == "print":
        print_scripts(campaign, cluster_file)
        return None
    measure(campaign, cluster_file)
    return campaign.folder


def track_on_cluster(cluster_file: Path, doing: Action, plan: TrackPlan, resume: Path | None) -> None:
    """Have jobs measure the revisions of a `TrackPlan`, and add what they measured to its history.

    Raises ValueError and StoreError for wrong use, typer.Exit for an interrupt.
    """
    from benchmarks.cluster.campaigns import find_campaign, make_campaign
    from benchmarks.cluster.file import read_cluster_file
    from benchmarks.cluster.parts import histories
    from benchmarks.cluster.planning import parts_of_revisions
    from benchmarks.cluster.submitting import check_can_submit
    from benchmarks.history.folder import collect
    from benchmarks.presentation.plain_text import count

    say = Terminal().say
    if doing in ("status", "cancel") or resume is not None:
        campaign = find_campaign(cluster_file, resume, tracks=True)
    else:
        cluster = read_cluster_file(cluster_file)
        check_can_submit(cluster)
        parts = [part for kind in cluster.kinds for part in parts_of_revisions(plan.revisions, kind)]
        settings = {"suite": plan.suite, "processes": plan.processes}
        campaign = make_campaign(
            None, cluster, cluster_file, parts, {}, say, name="track", project=plan.top, history=True, **settings
        )
        divided = f"{count(len(plan.revisions), 'revision')} in {count(len(parts), 'part')}"
        say(f"{divided} on {', '.join(campaign.kinds)}: {campaign.folder}")
    if doing == "status":
        show_status(campaign)
        return
    if doing == "cancel":
        cancel(campaign, cluster_file, "track")
        return
    measure(campaign, cluster_file, "track")
    for machine, number in collect(histories(campaign), plan.folder).items():
        say(f"{number} processes added to {plan.folder / machine}")


def measure(campaign: Campaign, cluster_file: Path, verb: str = "sweep") -> None:
    """Submit what is missing, wait, and say what failed. Raises typer.Exit for an interrupt."""
    from benchmarks.cluster.front import wait

    console = Terminal()
    with _left_alone(campaign, cluster_file, verb), console.saying() as say:
        states = wait(campaign, say)
    failed = [each for each in states if each.state == "failed"]
    for each in failed:
        echo(f"caution: {each.part.name} failed: {each.detail}", err=True)
    if failed:
        console.say_command("submit these again by", _again(campaign, cluster_file, verb))


def show_status(campaign: Campaign) -> None:
    """Show where each part is."""
    from benchmarks.cluster.front import measured_workloads, status, summary
    from benchmarks.presentation.plain_text import clean, count
    from rnnimpl.text_table import Column, text_table

    states, measured = status(campaign), measured_workloads(campaign)
    rows = []
    for each in states:
        workloads, revisions = len(each.part.workloads), len(each.part.revisions)
        size = f"{measured[each.part.name]} of {workloads}" if workloads else f"of {count(revisions, 'revision')}"
        rows.append([clean(cell) for cell in (each.part.name, each.state, size, each.detail)])
    header = ("part", "state", "measured", "where, or why")
    console = Terminal()
    console.say(str(campaign.folder))
    columns = [Column(name, [row[at] for row in rows]) for at, name in enumerate(header)]
    console.lines(text_table(columns, console.width))
    console.say(summary(states))


def cancel(campaign: Campaign, cluster_file: Path, verb: str = "sweep") -> None:
    """Cancel the jobs of a campaign."""
    from benchmarks.cluster.front import cancel
    from benchmarks.presentation.plain_text import count

    echo(
        f"{count(cancel(campaign), 'job')} cancelled; what was measured is kept: {_again(campaign, cluster_file, verb)}"
    )


def print_scripts(campaign: Campaign, cluster_file: Path) -> None:
    """Write a script for each kind of machine into the campaign's folder, and print them."""
    from benchmarks.cluster.front import write_scripts

    paths = write_scripts(campaign)
    for path in paths:
        typer.echo(path.read_text(encoding="utf-8"))
    echo(f"submit by: {' && '.join(shlex.join(['sbatch', str(path)]) for path in paths)}", err=True)
    echo(f"then: {_again(campaign, cluster_file, 'sweep')} --status", err=True)


@contextlib.contextmanager
def _left_alone(campaign: Campaign, cluster_file: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        echo(f"interrupted: jobs go on without this; come back by {_again(campaign, cluster_file, verb)}")
        raise typer.Exit(INTERRUPTED) from None


def _again(campaign: Campaign, cluster_file: Path, verb: str) -> str:
    return program.command(verb, "--cluster", str(cluster_file), "--resume", str(campaign.folder))
