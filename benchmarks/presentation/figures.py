"""Matplotlib as the project's figures use it: on the Agg canvas, with its own defaults, whatever the user has set.

A user's MPLBACKEND may name a backend that only a notebook has, which fails on import; a matplotlibrc may have all text
set by LaTeX. So every module that draws imports matplotlib from this one.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Final

_BACKEND: Final = "MPLBACKEND"


@contextlib.contextmanager
def _backend_set_aside() -> Iterator[None]:
    """Remove the user's choice of a backend for the block, and restore it for processes that are started later."""
    chosen = os.environ.pop(_BACKEND, None)
    try:
        yield
    finally:
        if chosen is not None:
            os.environ[_BACKEND] = chosen


with _backend_set_aside():
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

__all__ = [
    "Axes",
    "Figure",
    "FigureCanvasAgg",
    "FixedFormatter",
    "FixedLocator",
    "FuncFormatter",
    "Line2D",
    "MaxNLocator",
    "NullFormatter",
    "NullLocator",
    "Rectangle",
    "mpl",
    "own_settings",
]


@contextlib.contextmanager
def own_settings(settings: Mapping[str, Any]) -> Iterator[None]:
    """Draw with matplotlib's defaults and these settings in the block; the user's settings are restored after it.

    Letters that the font lacks become boxes, without a warning: names are a stranger's.
    """
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)  # type: ignore[arg-type]  # the keys are matplotlib's
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        yield
