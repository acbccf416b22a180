"""Sweeps of tiny workloads, measured for real."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measuring.sweeping.runner import Sweeper
from benchmarks.store import Run, create_run
from benchmarks.sweeps.grid import Grid, Sweep


class Said:
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts: list[tuple[int, int]] = []
        """(workloads done, all of them), beside each line of `show`, without repetitions."""

    def show(self, *, done: int, total: int, what: str, seconds_left: float) -> None:  # a Progress
        """Remember what is being measured."""
        self.lines.append(what)
        if self.counts[-1:] != [(done, total)]:
            self.counts.append((done, total))

    def show_ahead(self, ahead: str) -> None:
        """Remember what is ahead."""
        self.lines.append(ahead)

    def tick(self, *, timed: bool = False, note: str = "") -> None:
        """Nothing."""


def small_sweep(
    *, budget_seconds: float = 600.0, target_interval: float = 0.99, timeout_seconds: float = 60.0
) -> Sweep:
    """Two tiny workloads, measured well enough after one visit unless the target is narrow."""
    grid = Grid(mode=("inference", "training"), T=(3,), B=(2,), I=(4,), H=(5,), threads=(1,), device=("cpu",))
    return Sweep(
        name="small",
        summary="for a test",
        grids=(grid,),
        budget_seconds=budget_seconds,
        target_interval=target_interval,
        stop_interval=target_interval,
        timeout_seconds=timeout_seconds,
    )


def measure(run: Run, sweep: Sweep, implementations: dict[str, str], tmp_path: Path) -> tuple[bool, Said]:
    """Run the sweep; whether it visited every workload, and what it said."""
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    said = Said()
    workloads = sweep.workloads(("cpu",), 1)
    sweeper = Sweeper(run, sweep, workloads, implementations, scratch=scratch, progress=said)
    return sweeper.measure(), said


def new_run(tmp_path: Path, sweep: Sweep, implementations: dict[str, str]) -> Run:
    """A run folder for it."""
    return create_run(tmp_path / "run", {"sweep": sweep.to_json(), "implementations": implementations})
