"""The style of plots: one colour and marker an implementation, plain numbers on axes, small files.

Colours are Okabe and Ito's (2008), which people with any kind of colour vision can distinguish, then darker ones of
Paul Tol's muted set, then those that are farthest from both; markers distinguish implementations without colour.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.files import write
from benchmarks.presentation.figures import (
    Figure,
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    mpl,
)
from benchmarks.presentation.plain_text import TIMES, seconds, significant
from rnnimpl.registry import names

DPI = 140
WIDTH = 11.0
"""Inches of every figure."""
TEXT = "#222222"
MUTED = "#666666"
GRID = "#DDDDDD"
SETTINGS: Mapping[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": TEXT,
    "text.parse_math": False,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "svg.fonttype": "none",
    "svg.hashsalt": "rnnbench",
    "path.simplify": True,
}


@dataclasses.dataclass(frozen=True)
class Style:
    """Colour, marker and line of one implementation."""

    colour: str
    marker: str
    line: Any = "-"
    """A line style of matplotlib's."""
    width: float = 1.6


_FIXED = {
    "fused_cpu": Style("#882255", "*", width=2.4),
    "nn_rnn": Style("#000000", "o", width=2.4),
    "torch_loop": Style("#0072B2", "s"),
    "torch_hoisted": Style("#56B4E9", "D"),
    "torchscript_loop": Style("#009E73", "^"),
    "numpy_loop": Style("#E69F00", "v"),
    "numpy_hoisted": Style("#D55E00", "P"),
}
_FURTHER = (
    *(Style("#CC79A7", "X"), Style("#332288", "<"), Style("#999933", ">")),
    *(Style("#661100", "h"), Style("#117733", "p"), Style("#AA4499", "d"), Style("#7F7F7F", "8")),
)
"""As many as this project has implementations without a fixed style."""
_STRANGERS = (
    *(Style("#228888", "s"), Style("#AA6644", "D"), Style("#66AA00", "^"), Style("#4455EE", "v")),
    *(Style("#EE6666", "P"), Style("#AA66FF", "X"), Style("#EE1188", "<"), Style("#444400", ">")),
)
_GOLDEN = (math.sqrt(5) - 1) / 2


def choose_styles(strangers: Iterable[str]) -> dict[str, Style]:
    """A style for each implementation of this project and each of the strangers, no colour twice.

    An implementation without a fixed style takes one of the further ones that its name chooses, or the next free one.
    The project's own come first, so that a style does not depend on the others in a run. A second name of an
    implementation is a stranger, too.
    """
    chosen = dict(_FIXED)
    sets = _further_sets()
    free: dict[int, Style] = {}
    size = 0
    for name in dict.fromkeys([*names(), *sorted(strangers)]):
        if name in chosen:
            continue
        if not free:
            free = dict(enumerate(next(sets)))
            size = len(free)
        start = zlib.crc32(name.encode()) % size
        chosen[name] = free.pop(min(free, key=lambda slot: (slot - start) % size))
    return chosen


def _further_sets() -> Iterator[Sequence[Style]]:
    """Sets of styles that are free, each handed out before the next; from the third set on lines are dashed."""
    yield _FURTHER
    yield _STRANGERS
    for turn in itertools.count(1):
        hues = [(turn * len(_STRANGERS) + slot) * _GOLDEN % 1 for slot in range(len(_STRANGERS))]
        colours = [mpl.colors.to_hex(tuple(mpl.colors.hsv_to_rgb((hue, 0.7, 0.65)))) for hue in hues]
        yield [
            dataclasses.replace(style, colour=colour, line=(0, (4, 1 + turn)))
            for style, colour in zip(_STRANGERS, colours, strict=True)
        ]


def lighter(colour: str, towards_white: float) -> tuple[float, float, float]:
    """A colour mixed with white; `towards_white` is the share of white."""
    red, green, blue = mpl.colors.to_rgb(colour)
    return tuple(part + (1 - part) * towards_white for part in (red, green, blue))  # type: ignore[return-value]


_STEPS: tuple[tuple[float, ...], ...] = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), tuple(range(1, 10)))


def log_axis(axis: Any, low: float, high: float, text: Callable[[float], str]) -> None:
    """Label a logarithmic axis between two values with plain numbers, at decades or finer when there are few.

    Of labels that would touch, those of decades stay; where these would touch, every second or third decade with 1.
    """
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for chosen in _STEPS:
        ticks = [step * 10.0**decade for decade in decades for step in chosen]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(ticks) >= 3:
            break
    else:
        ticks = [float(tick) for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]
    axis.set_major_locator(FixedLocator(_apart(axis, ticks, (low, high), text)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


_LETTER_INCHES, _LINE_INCHES = 0.08, 0.2
"""The width of a digit and the height of a line in labels of ticks."""


def _apart(axis: Any, ticks: Sequence[float], ends: tuple[float, float], text: Callable[[float], str]) -> list[float]:
    """The ticks of a logarithmic axis between two values whose labels do not touch."""
    width, height = axis.axes.figure.get_size_inches()
    box = axis.axes.get_position()
    across = axis.axis_name == "x"
    inches = (box.width * width if across else box.height * height) / math.log(ends[1] / ends[0])

    def are_close(one: float, other: float) -> bool:
        letters = (len(text(one)) + len(text(other))) / 2 + 1
        return bool(abs(math.log(one / other)) * inches < (letters * _LETTER_INCHES if across else _LINE_INCHES))

    decades = [tick for tick in ticks if _decade(tick) is not None]
    kept, step = decades, 1
    while any(are_close(*pair) for pair in itertools.pairwise(kept)):
        step += 1
        kept = [tick for tick in decades if (_decade(tick) or 0) % step == 0]
    for tick in ticks if step == 1 else ():
        if not any(are_close(tick, other) for other in kept):
            kept = [*kept, tick]
    return sorted(kept)


def _decade(tick: float) -> int | None:
    """The exponent of a power of ten; None for other numbers."""
    exponent = round(math.log10(tick))
    return exponent if math.isclose(tick, 10.0**exponent) else None


_NEAREST_SIZES = 0.1
"""The least distance of neighbouring labels on an axis of sizes, as a share of its length."""


def size_axis(axis: Any, sizes: Iterable[int]) -> None:
    """Label a logarithmic axis with the measured sizes, without labels that would touch."""
    distinct = sorted(set(sizes))
    nearest = math.log(distinct[-1] / distinct[0]) * _NEAREST_SIZES
    ticks = distinct[:1]
    for size in distinct[1:-1]:
        if math.log(size / ticks[-1]) >= nearest and math.log(distinct[-1] / size) >= nearest:
            ticks.append(size)
    axis.set_major_locator(FixedLocator([*ticks, distinct[-1]]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def plain_seconds(value: float) -> str:
    """A tick's time: 50 µs, 0.1 ms, 1 s."""
    if 1e-4 * 0.999 <= value < 1:
        return f"{value * 1e3:g} ms"
    return f"{significant(value, 1)} s" if value >= 1 else seconds(value).replace(".00", "").replace(".0 ", " ")


def plain_share(value: float) -> str:
    """A tick's share: 0.1 %, 10 %."""
    return f"{100 * value:g} %"


def plain_times(value: float) -> str:
    """A tick's ratio: 0.5×, 2×."""
    return f"{value:g}{TIMES}"


def panel_heading(figure: Figure, left: float, bottom: float, title: str, finding: str, *, has_room: bool) -> None:
    """A panel's title with its finding below; `left` and `bottom` are inches of the figure.

    `has_room` is whether the title stands above a line for a finding, also where there is none.
    """
    width, height = figure.get_figwidth(), figure.get_figheight()
    at = (left / width, bottom / height)
    figure.text(*at, finding, fontsize=9, va="bottom")
    above = 0.19 / height if has_room else 0.0
    figure.text(at[0], at[1] + above, title, fontsize=10, fontweight="bold", va="bottom")


def heading(figure: Figure, title: str, subtitle: str) -> None:
    """A title, and below it what is fixed, at the upper left."""
    width, height = figure.get_figwidth(), figure.get_figheight()
    figure.text(0.12 / width, 1 - 0.12 / height, title, fontsize=14, fontweight="bold", va="top")
    figure.text(0.12 / width, 1 - 0.42 / height, subtitle, fontsize=9, color=MUTED, va="top")


def save(figure: Figure, folder: Path, stem: str) -> None:
    """Write PNG and SVG, the same bytes each time.

    The PNG has a palette, which halves it: every colour that the figure names exactly, and between them the commonest
    of the blends at edges.
    """
    rendered, png, svg = io.BytesIO(), io.BytesIO(), io.BytesIO()
    figure.savefig(rendered, format="png", dpi=DPI, metadata={"Software": None})
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    with Image.open(rendered) as image:
        named = sorted(set(_NAMED_COLOUR.findall(svg.getvalue().decode())))
        _with_palette(image.convert("RGB"), named).save(png, format="PNG", optimize=True)
    write(folder, f"{stem}.png", png.getvalue())
    write(folder, f"{stem}.svg", svg.getvalue())


_NAMED_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_PALETTE = 128
"""Colours of a PNG."""
_LEAST_BLENDS = 64
"""Places in a palette that are left for blends, however many colours a figure names."""


def _with_palette(image: Image.Image, named: Sequence[str]) -> Image.Image:
    """An RGB image with a palette that has the named colours exactly; every pixel has the nearest entry."""
    kept = named[: _PALETTE - _LEAST_BLENDS]
    exact = np.array([[int(name[at : at + 2], 16) for at in (1, 3, 5)] for name in kept], int).reshape(-1, 3)
    blends = np.array(image.quantize(_PALETTE - len(exact)).getpalette(), int).reshape(-1, 3)
    palette = np.vstack([exact, blends])[:_PALETTE]
    pixels = np.asarray(image).reshape(-1, 3).astype(np.int64)
    colours, places = np.unique(pixels[:, 0] << 16 | pixels[:, 1] << 8 | pixels[:, 2], return_inverse=True)
    split = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1)
    # The squared distance without the colour's own square. Of equally near entries the first wins: an exact one.
    nearest = np.argmin((palette**2).sum(axis=1) - 2 * split @ palette.T, axis=1)
    indexed = Image.fromarray(nearest[places].reshape(image.height, image.width).astype(np.uint8), mode="P")
    indexed.putpalette(palette.astype(np.uint8).ravel().tolist())
    return indexed
