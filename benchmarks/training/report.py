"""The files of a training: losses.csv, summary.csv, table.md, losses.png and losses.svg."""

from __future__ import annotations

import io
import math
import os
import platform
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.files import write
from benchmarks.presentation.csv_text import frame_csv
from benchmarks.presentation.plain_text import clean, escape
from benchmarks.training.learning_curve import (
    FINAL_STEPS,
    FIRST_STEPS,
    REFERENCE,
    Curve,
    TrainResult,
    final_loss,
    relative_deviation,
)
from benchmarks.training.task import Task
from rnnimpl.text_table import Column, text_table
from rnnimpl.wrapping import wrapped

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def write_report(result: TrainResult) -> None:
    """Write all files into the result's folder, which exists; the plots only where there is a loss to show.

    Raises StoreError where one of them exists.
    """
    files: dict[str, str | bytes] = {
        "losses.csv": frame_csv(losses_frame(result)),
        "summary.csv": frame_csv(summary_frame(result)),
        "table.md": table(result),
    }
    if any(np.isfinite(curve.losses).any() for curve in result.curves):
        from benchmarks.presentation.figures import own_settings

        with own_settings({}):
            figure = plot(result)
            for name in ("losses.png", "losses.svg"):
                drawn = io.BytesIO()
                figure.savefig(drawn, format=name.rpartition(".")[2], dpi=150)
                files[name] = drawn.getvalue()
    for name, content in files.items():
        write(result.folder, name, content, replace=False)


def losses_frame(result: TrainResult) -> pd.DataFrame:
    """One row a step: implementation, step (from 1), loss (before the step's update)."""
    import pandas as pd

    rows = [
        (curve.implementation, number, step.loss)
        for curve in result.curves
        for number, step in enumerate(curve.steps, start=1)
    ]
    return pd.DataFrame(rows, columns=["implementation", "step", "loss"])


def summary_frame(result: TrainResult) -> pd.DataFrame:
    """One row an implementation; deviations are relative and over the first steps, seconds are medians."""
    import pandas as pd

    return pd.DataFrame([_summary(curve, result) for curve in result.curves])


_HEADER = ("implementation", "status", "final loss", "largest deviation", "ms a step", "of it building", "reason")


def table(result: TrainResult) -> str:
    """The summary as Markdown, with an explanation."""
    rows = [[escape(cell) for cell in row] for row in _rows(result)]
    lines = [f"# {_title(result)}", "", f"{_setting(result)}.", "", f"| {' | '.join(_HEADER)} |"]
    lines += ["|---|---|---:|---:|---:|---:|---|", *(f"| {' | '.join(row)} |" for row in rows), ""]
    return "\n".join([*lines, *(f"- {note}" for note in _notes(result)), ""])


def terminal_lines(result: TrainResult, width: int) -> list[str]:
    """The same for a terminal of `width` places, without a cut name."""
    rows = [[clean(cell) for cell in row] for row in _rows(result)]
    columns = [
        Column(name, [row[at] for row in rows], right=2 <= at < 6, dropped=_DROPPED.get(name, 0))
        for at, name in enumerate(_HEADER)
        if name != "reason"
    ]
    lines = [*wrapped(f"{_title(result)}: {_setting(result)}.", width), *text_table(columns, width, indent=2)]
    for row in rows:
        lines += wrapped(f"{row[0]}: {row[-1]}", width, first="  ", rest="    ") if row[-1] else []
    return [*lines, *(line for note in _notes(result) for line in wrapped(note, width))]


_DROPPED = {"of it building": 1, "ms a step": 2}
"""What a narrow terminal leaves out first: the times, which are not what the curves are for."""


def _title(result: TrainResult) -> str:
    return f"Training {result.task.cell} on {result.device} in {result.dtype}"


def _setting(result: TrainResult) -> str:
    task = result.task
    return (
        f"{task.summary}: T {task.T}, B {task.B}, H {task.H}, one {task.cell} layer; "
        f"plain SGD, learning rate {task.learning_rate}, {result.reference.size} steps"
    )


def _rows(result: TrainResult) -> list[list[str]]:
    """The cells of each implementation, as `_HEADER` names them; names and reasons are as a stranger wrote them."""
    return [
        [
            str(row["implementation"]),
            str(row["status"]),
            _shown(row["final_loss"], "{:.6f}"),
            _shown(row["largest_deviation"], "{:.1e}"),
            _shown(row["seconds_per_step"], "{:.2f}", 1e3),
            _shown(row["setup_seconds_per_step"], "{:.2f}", 1e3),
            str(row["reason"]),
        ]
        for row in (_summary(curve, result) for curve in result.curves)
    ]


def _notes(result: TrainResult) -> list[str]:
    """What the numbers are, a sentence or a few for each."""
    task = result.task
    judged = "" if result.reference.size >= task.steps_to_learn else f"; asked for from {task.steps_to_learn} steps on"
    known = "; ".join(f"{what} costs {loss:.4f}" for what, loss in task.known_losses.items())
    return [
        f"Final loss: mean over the last {FINAL_STEPS} steps, each on sequences not seen before. To reach: less "
        f"than {task.target_loss:.4f}, {task.target_meaning}{judged}. To compare with: {known}.",
        f"Largest deviation: of the loss from {REFERENCE}'s on the CPU, relative, over the first {FIRST_STEPS} "
        f"steps. Allowed: {result.tolerance:.1e}, what rounding in {result.dtype} explains.",
        "Times are medians of one training that builds the network again at each step, on "
        f"{platform.system()} {platform.machine()} with {os.cpu_count()} CPUs; they are not a comparison of speed.",
    ]


def plot(result: TrainResult) -> Figure:
    """Losses above, deviations from the plain loop below, both on logarithmic axes."""
    # The object-oriented interface on the Agg canvas makes no window and leaves no figure in pyplot.
    from benchmarks.presentation.figures import Figure, FigureCanvasAgg

    figure = Figure(figsize=(10, 7), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    shown = [curve for curve in result.curves if np.isfinite(curve.losses).any()]
    _plot_losses(above, shown, result.task)
    _plot_deviations(below, shown, result)
    agree = result.passed and len(shown) > 1
    claim = f"{len(shown)} implementations, one curve" if agree else "the loss of each implementation"
    figure.suptitle(
        f"Gradient descent with {result.task.cell}: {claim} ({result.device}, {result.dtype})",
        fontsize=15,
        x=0.01,
        ha="left",
    )
    return figure


def _plot_losses(axes: Axes, curves: list[Curve], task: Task) -> None:
    from benchmarks.presentation.plot_style import choose_styles

    styles = choose_styles(curve.implementation for curve in curves)
    for number, curve in enumerate(curves):
        # Curves that agree overlap: the first is drawn widest, so that it shows on both sides of the later
        # ones, and markers take turns.
        axes.plot(
            np.arange(1, len(curve.steps) + 1),
            curve.losses,
            color=styles[curve.implementation].colour,
            linewidth=1.2 + 1.2 * (len(curves) - 1 - number),
            solid_capstyle="butt",
            marker=styles[curve.implementation].marker,
            markersize=8,
            markeredgecolor="white",
            markevery=_turns(number, len(curves)),
            label=curve.implementation,
        )
    for name, loss in {**task.known_losses, "to reach": task.target_loss}.items():
        axes.axhline(loss, color="0.45", linewidth=1, linestyle=(0, (1, 2)), zorder=0)
        axes.annotate(
            f"{name}  {loss:#.2g}",
            (0.99, loss),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            color="0.3",
        )
    axes.set(xscale="log", yscale="log", ylabel="mean squared error\non new sequences")
    axes.legend(loc="lower left", framealpha=1, edgecolor="none", title="drawn from wide to narrow", borderpad=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def _plot_deviations(axes: Axes, curves: list[Curve], result: TrainResult) -> None:
    from benchmarks.presentation.plot_style import choose_styles

    styles = choose_styles(curve.implementation for curve in curves)
    for number, curve in enumerate(curves):
        largest = np.maximum.accumulate(relative_deviation(curve.losses, result.reference))
        # The plain loop itself deviates by nothing, which a logarithmic axis cannot show.
        if not (largest > 0).any():
            continue
        axes.plot(
            np.arange(1, largest.size + 1),
            np.where(largest > 0, largest, np.nan),
            color=styles[curve.implementation].colour,
            linewidth=1.5 + 0.5 * (len(curves) - 1 - number),
            solid_capstyle="butt",
            drawstyle="steps-post",
            marker=styles[curve.implementation].marker,
            markersize=7,
            markeredgecolor="white",
            markevery=_turns(number, len(curves)),
        )
    axes.hlines(result.tolerance, 1, min(FIRST_STEPS, result.reference.size), color="0.3", linewidth=2)
    axes.annotate(
        f"allowed over the first {FIRST_STEPS} steps: what rounding explains",
        (1, result.tolerance),
        xytext=(2, 4),
        textcoords="offset points",
        color="0.3",
    )
    # Steps are written 1, 10, 100 rather than as powers.
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(yscale="log", xlabel="steps of plain SGD", ylabel=f"largest relative deviation\nfrom {REFERENCE} so far")
    axes.spines[["top", "right"]].set_visible(False)


def _turns(number: int, curves: int) -> tuple[float, float]:
    """The first marker of a curve and the distance of its markers, so that the curves' markers alternate."""
    every = 0.15
    return every * number / curves, every


def _summary(curve: Curve, result: TrainResult) -> dict[str, str | float]:
    deviation = relative_deviation(curve.losses, result.reference)[:FIRST_STEPS]
    return {
        "implementation": curve.implementation,
        "cell": result.task.cell,
        "status": curve.status,
        "reason": curve.reason or "",
        "final_loss": final_loss(curve.losses),
        "largest_deviation": float(deviation.max()) if deviation.size else math.nan,
        "allowed_deviation": result.tolerance,
        "seconds_per_step": _median([step.seconds for step in curve.steps]),
        "setup_seconds_per_step": _median([step.setup_seconds for step in curve.steps]),
        "steps": len(curve.steps),
        "device": result.device,
        "dtype": result.dtype,
        "describe": ", ".join(f"{key}: {value}" for key, value in curve.describe.items()),
    }


def _median(values: list[float]) -> float:
    return float(np.median(values)) if values else math.nan


def _shown(value: str | float, form: str, scale: float = 1.0) -> str:
    number = float(value)
    return "" if math.isnan(number) else form.format(number * scale)
