"""`track --releases`: the history of a package over its releases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands.app import interruptible
from benchmarks.commands.terminal import Terminal, echo


def track_releases_of(
    releases: str,
    rev: Sequence[str],
    span: str | None,
    cluster: Path | None,
    suite: str,
    processes: int,
    install: Sequence[str],
    history: Path | None,
    console: Terminal,
) -> None:
    """Do what the options of `track` say where `--releases` is among them.

    Raises ValueError for options that do not go with it.
    """
    from benchmarks.history.track_releases import plan_releases, track_releases
    from benchmarks.measuring.processes.ending import ended_in_order
    from benchmarks.regression.configuration import configuration_for
    from benchmarks.regression.environments.releases import releases_of

    if span is not None or cluster is not None or len(rev) > 1:
        raise ValueError(
            "--releases measures the releases of a package with one revision, on this machine: expected it without "
            "--range and --cluster, and with one --rev at most"
        )
    configured = configuration_for(Path.cwd())
    with console.saying() as say:
        found = releases_of(releases, say)
    plan = plan_releases(
        Path.cwd(),
        found,
        rev=rev[0] if rev else None,
        suite=suite,
        processes=processes,
        needs=configured.needs(install=tuple(install)),
        folder=history,
    )
    kept = "recorded processes are kept, and the same command continues"
    with interruptible(kept), ended_in_order(), console.saying() as say:
        recorded = track_releases(plan, say)
    echo(f"{recorded} processes added to {plan.folder / plan.machine}")
