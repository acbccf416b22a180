"""A frame as the text of a table: Markdown and LaTeX for readers, CSV for programs.

For readers, numbers are rounded and scaled by the unit that their column's name says; CSV has them as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.presentation.csv_text import frame_csv
from benchmarks.presentation.plain_text import (
    NOTHING,
    clean,
    error,
    escape,
    seconds,
    share,
    significant,
    table,
    times,
)

if TYPE_CHECKING:
    import pandas as pd

_ENDINGS: Mapping[str, Callable[[float], str]] = {
    "seconds": seconds,
    "share_of_peak": share,
    "share_of_gemm": share,
    "share_of_attainable": share,
    "elsewhere_share": share,
    "relative_half_width": share,
    **dict.fromkeys(
        (f"{name}{bound}" for name in ("speedup", "slowdown", "lead", "ratio") for bound in ("", "_low", "_high")),
        times,
    ),
    "ratio_allowed": times,
    **dict.fromkeys(("error", "error_output", "error_gradient"), error),
}
"""{ending of a column's name: how its numbers are written}."""


def frame_markdown(frame: pd.DataFrame) -> str:
    """The frame as a Markdown table."""
    shown = for_readers(frame)
    return table(list(map(escape, shown.columns)), ([escape(cell) for cell in row] for row in shown.to_numpy())) + "\n"


def frame_latex(frame: pd.DataFrame) -> str:
    """The frame as a LaTeX table, with the rules of booktabs."""
    shown = for_readers(frame)
    numeric = [frame[name].dtype.kind in "if" for name in frame.columns]
    columns = "".join("r" if right else "l" for right in numeric)
    # The letters that LaTeX has commands for, in place of those that some of its fonts lack.
    latex = shown.to_latex(index=False, escape=True, column_format=columns)
    return latex.replace("\N{MULTIPLICATION SIGN}", r"$\times$").replace(NOTHING, "--").replace("µ", r"\textmu{}")


FORMATS: Mapping[str, Callable[[pd.DataFrame], str]] = {
    "markdown": frame_markdown,
    "latex": frame_latex,
    "csv": frame_csv,
}
"""{format: the function that writes a frame in it}."""


def for_readers(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as text: numbers with three digits in the unit that fits, and nothing for what is missing."""
    shown = frame.astype(object).copy()
    for name in frame.columns:
        write = _writer(str(name)) if frame[name].dtype.kind == "f" else clean
        shown[name] = [NOTHING if _is_missing(value) else write(value) for value in frame[name]]
    return shown


def _writer(column: str) -> Callable[[Any], str]:
    return next((write for ending, write in _ENDINGS.items() if column.endswith(ending)), significant)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
