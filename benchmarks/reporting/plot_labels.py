"""Names beside lines and points, placed without overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.presentation.figures import Affine2D, Axes, Line2D
from benchmarks.presentation.plain_text import clean
from benchmarks.presentation.plot_style import TEXT, WIDTH, Style

LONGEST_LABEL = 18
LINE_INCHES = 0.165
"""Height of a line of label text."""


def label(name: str) -> str:
    """An implementation's name, cut to fit beside a panel."""
    return clean(name, LONGEST_LABEL)


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
    width = axes.get_position().width * WIDTH
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
        axes.text(1 + 0.25 / width, height, label(name), transform=axes.transAxes, va="center", fontsize=9, color=TEXT)


def point_labels(
    axes: Axes, points: Mapping[str, tuple[float, float]], styles: Mapping[str, Style], size: tuple[float, float]
) -> None:
    """Write each implementation's name beside its point, where it covers no other point and no other name.

    `size` is the panel's width and height in inches. Axes must have their final limits.
    """
    to_inches = axes.transData + axes.transAxes.inverted() + Affine2D().scale(*size)
    places = {name: tuple(map(float, to_inches.transform(point))) for name, point in points.items()}
    occupied = [(x - 0.08, y - 0.08, x + 0.08, y + 0.08) for x, y in places.values()]
    for name in sorted(places, key=lambda name: (places[name][1], name)):
        x, y = places[name]
        width = 0.078 * len(label(name))
        shifts = [(at, 0.17 * row) for row in (0, 1, -1, 2, -2, 3, -3) for at in (0.13, -0.13 - width, -width / 2)]
        boxes = [(x + dx, y + dy - 0.08, x + dx + width, y + dy + 0.08) for dx, dy in shifts]
        free = [box for box in boxes if _inside(box, size) and not any(_overlap(box, other) for other in occupied)]
        left, bottom, _, top = box = (free or boxes)[0]
        occupied.append(box)
        axes.annotate(
            label(name),
            xy=points[name],
            xytext=(left / size[0], (bottom + top) / 2 / size[1]),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": styles[name].colour, "linewidth": 0.7, "alpha": 0.6},
        )


def _inside(box: tuple[float, float, float, float], size: tuple[float, float]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] + 0.3 and box[3] <= size[1]


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _handle(name: str, style: Style) -> Any:
    return Line2D(
        [], [], color=style.colour, marker=style.marker, linestyle=style.line, label=label(name), markersize=4
    )
