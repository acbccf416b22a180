"""The progress of a sweep: a bar on a terminal, a line for each workload elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column


class SweepProgress:
    """A progress bar that is drawn only when `show` is called: a drawing thread would use a core."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._last_done: tuple[int, int] | None = None
        self._bar = Progress(
            BarColumn(bar_width=20, table_column=Column(min_width=20)),
            MofNCompleteColumn(table_column=Column(min_width=5)),
            TextColumn("{task.fields[left]} left", markup=False, table_column=Column(min_width=9, no_wrap=True)),
            # The name of the case takes the rest of the line, and is cut where it is long.
            TextColumn(
                "{task.description}",
                style="dim",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            console=console,
            auto_refresh=False,
            transient=True,
            expand=True,
        )
        self._task = self._bar.add_task("", total=None, left="")

    def __enter__(self) -> SweepProgress:
        if self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, *, done: int, total: int, what: str, seconds_left: float) -> None:
        """Show the number of workloads done, what is being measured, and the time left of the budget."""
        left = format_seconds_left(seconds_left)
        if self.console.is_terminal:
            self._bar.update(self._task, completed=done, total=total, description=what, left=left)
            self._bar.refresh()
        elif (done, total) != self._last_done:
            self.console.print(
                f"{done} of {total} workloads, {left} left: {what}", highlight=False, markup=False, soft_wrap=True
            )
        self._last_done = (done, total)


def format_seconds_left(seconds: float) -> str:
    """Minutes and seconds, never below zero."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
