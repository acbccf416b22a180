"""Names beside lines, placed without overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.presentation.figures import Axes, Line2D
from benchmarks.presentation.plain_text import clean
from benchmarks.presentation.plot_style import TEXT, Style

LONGEST_LABEL = 24
"""Letters of a name beside a panel: every name of this project has room, a longer one of a stranger is cut."""
LINE_INCHES = 0.165
"""Height of a line of label text."""


def label(name: str) -> str:
    """An implementation's name, cut to fit beside a panel."""
    return clean(name, LONGEST_LABEL)


def with_close(name: str, close: Sequence[str]) -> str:
    """The name, and with ≈ the one that is too close to it to call, or how many are."""
    if not close:
        return label(name)
    return f"{label(name)} ≈ {label(close[0]) if len(close) == 1 else f'{len(close)} others'}"


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Positions in 0..1 nearest to those wanted, in their order, with a gap between neighbours.

    Least squares by pooling adjacent violators (Barlow et al. 1972). Wanted must ascend and fit: len * gap <= 1.
    """
    blocks: list[tuple[float, int]] = []  # (mean of wanted - rank * gap, members)
    for rank, position in enumerate(wanted):
        mean, members = position - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean = (mean * members + before * count) / (members + count)
            members += count
        blocks.append((mean, members))
    means = [mean for mean, members in blocks for _ in range(members)]
    highest = 1 - (len(wanted) - 1) * gap
    return [min(max(mean, 0.0), highest) + rank * gap for rank, mean in enumerate(means)]


def end_labels(axes: Axes, ends: Mapping[str, tuple[float, float]], styles: Mapping[str, Style], inches: float) -> None:
    """Write each implementation's name beside the panel, at the height where its line ends or its point is.

    `ends` are positions in data coordinates, `inches` the panel's height. Where labels do not fit, a legend has the
    names.
    """
    gap = LINE_INCHES / inches
    width = axes.get_position().width * axes.get_figure(root=True).get_figwidth()  # type: ignore[union-attr]  # axes have one
    to_fraction = axes.transData + axes.transAxes.inverted()
    heights = {name: float(to_fraction.transform(end)[1]) for name, end in ends.items()}
    order = sorted(heights, key=lambda name: (heights[name], name))
    if len(order) * gap > 1 + gap:
        axes.legend(
            handles=[_handle(name, styles[name]) for name in sorted(order)],
            loc="upper left",
            bbox_to_anchor=(1.01, 1.02),
            frameon=False,
            fontsize=6,
            labelspacing=0.15,
        )
        return
    for name, height in zip(order, spread([heights[name] for name in order], gap), strict=True):
        style = styles[name]
        axes.annotate(
            "",
            xy=ends[name],
            xycoords="data",
            xytext=(1 + 0.12 / width, height),
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "color": style.colour, "linewidth": 0.7, "alpha": 0.6, "shrinkB": 3},
            annotation_clip=False,
        )
        marker: dict[str, Any] = {"marker": style.marker, "color": style.colour, "markersize": 5, "clip_on": False}
        axes.plot(1 + 0.16 / width, height, transform=axes.transAxes, **marker)
        axes.text(
            1 + 0.25 / width, height, label(name), transform=axes.transAxes, va="center", fontsize=8.5, color=TEXT
        )


def _handle(name: str, style: Style) -> Any:
    return Line2D(
        [], [], color=style.colour, marker=style.marker, linestyle=style.line, label=label(name), markersize=4
    )
