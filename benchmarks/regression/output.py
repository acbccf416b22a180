"""The result of a comparison as people read it: in a terminal, as Markdown, as JSON with every pair, as a plot."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import files
from benchmarks.presentation.plain_text import LONGEST, clean
from benchmarks.regression.judging.verdicts import Judgement
from benchmarks.regression.regress import Result
from benchmarks.regression.verdict_text import HEADER, comment, markdown, rows, summary
from rnnimpl.text_table import GAP, Column, text_table
from rnnimpl.wrapping import wrapped

SCHEMA = 3
"""The form of regress.json.

1: the first.
2: `decision` was `outcome`, its `confirmation_log_ratios` were `again`, a judgement's `threshold` was `gate`, and
`excluded` was `untold`.
3: `installed` and `variants` are new; a case may be excluded as `not judged`.
"""
_COLOURS = {"faster": "#009E73", "slower": "#D55E00", "same": "#666666", "cannot tell": "#E69F00"}
_REASON = HEADER.index("interval, or why none")
MOST_DRAWN = 100
_LONGEST_DRAWN = 60


def terminal_lines(result: Result, width: int) -> list[str]:
    """The result as a table for a terminal of `width` places.

    A case that was not compared has its reason in a column of its own.
    """
    title = f"time of head / time of base: {clean(result.head)} / {clean(result.base)}"
    found = rows(result)
    columns = [
        Column(name, [clean(row[place]) for row in found], right=name in ("ratio", "pairs"))
        for place, name in enumerate(HEADER)
    ]
    if any(row[0] in result.excluded for row in found):
        reasons = [clean(row[_REASON]) if row[0] in result.excluded else "" for row in found]
        intervals = ["" if reason else clean(row[_REASON]) for row, reason in zip(found, reasons, strict=True)]
        columns[_REASON] = Column("interval", intervals)
        columns.append(Column("why none", reasons))
    return [*wrapped(title, width), *text_table(columns, width, indent=GAP)]


def to_json(result: Result) -> dict[str, Any]:
    """The whole result as JSON values, with the schema, the exit status and the summary."""
    content = dataclasses.asdict(result)
    return {"schema": SCHEMA, "exit_status": result.exit_status, "summary": summary(result), **content}


def draw(result: Result, path: Path) -> None:
    """Draw the ratio and its interval of each case, before a band of the changes that do not matter in it."""
    from benchmarks.presentation.figures import Figure, own_settings
    from benchmarks.presentation.plot_style import SETTINGS, WIDTH

    assert result.decision is not None
    drawn = _drawn(result.decision.final)
    left_out = len(result.decision.final) - len(drawn)
    with own_settings(SETTINGS):
        figure = Figure(figsize=(WIDTH, 1.6 + 0.3 * len(drawn)), layout="constrained")
        axes = figure.subplots()
        for place, judgement in enumerate(drawn.values()):
            each, colour, highest = judgement.estimate, _COLOURS[judgement.verdict], 1 + judgement.threshold
            axes.barh(place, highest - 1 / highest, left=1 / highest, height=1.0, color="#EEEEEE", zorder=0)
            axes.plot([each.low, each.high], [place, place], color=colour, linewidth=2.4)
            axes.plot(each.ratio, place, "o", color=colour)
        axes.set_yticks(range(len(drawn)), [f"{_ending(case)}  {each.verdict}" for case, each in drawn.items()])
        axes.set_ylim(len(drawn) - 0.5, -0.5)
        # Title and label belong to the figure: long names leave the axes little room.
        title = f"{clean(result.head, 60)} against {clean(result.base, 60)}"
        title += f"; {left_out} cases that changed less are left out" if left_out else ""
        figure.suptitle(title, x=0.01, ha="left")
        figure.supxlabel("time of head / time of base, with 95 % intervals; grey: what does not matter", fontsize=10)
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=140)
    files.write(path.parent, path.name, png.getvalue())


def _drawn(judged: Mapping[str, Judgement]) -> dict[str, Judgement]:
    """The cases in their order; where a plot cannot hold all, those that changed most."""
    by_change = sorted(judged, key=lambda case: -abs(math.log(judged[case].estimate.ratio)))
    return {case: judged[case] for case in judged if case in set(by_change[:MOST_DRAWN])}


def _ending(case: str) -> str:
    """A name short enough to stand beside a plot: its end, in which the cases of one file differ."""
    name = clean(case)
    return name if len(name) <= _LONGEST_DRAWN else "…" + name[1 - _LONGEST_DRAWN :]


def prepare(folder: Path, job_summary: str | None) -> None:
    """Make the folder.

    Raises StoreError or ValueError where the folder or the job's summary cannot be written, and where files that
    `regress` did not write have the names of its own.
    """
    for kind in (FILES, PLOT):
        files.check_outputs(folder, kind)
    files.check_writable("--out", folder)
    if job_summary:
        try:
            files.append_to_named(Path(job_summary), "")
        except OSError as error:
            raise ValueError(
                f"GITHUB_STEP_SUMMARY is {job_summary}, which cannot be written: {error.strerror}; expected a file, "
                "or the variable unset"
            ) from error


def write(result: Result, folder: Path, job_summary: str | None) -> None:
    """Write regress.json, summary.md and comment.md over those of an earlier run; append to the job summary, if any."""
    # The plot of an earlier run is not to stand beside this verdict.
    with files.replacing(folder, PLOT):
        pass
    with files.replacing(folder, FILES) as staged:
        files.write(staged, "regress.json", json.dumps(to_json(result), indent=1))
        files.write(staged, "summary.md", markdown(result))
        files.write(staged, "comment.md", comment(result))
    if job_summary:
        with files.explained(Path(job_summary), "add the verdict to"):
            files.append_to_named(Path(job_summary), markdown(result))


def write_plot(result: Result, folder: Path) -> str:
    """Write ratios.png over that of an earlier run, where a case was judged; why it failed, or an empty text.

    It comes after `write`: the verdict is kept, whatever a drawing library raises.
    """
    problem = ""
    with files.replacing(folder, PLOT) as staged:
        if result.decision is not None:
            try:
                draw(result, staged / "ratios.png")
            except Exception as error:  # noqa: BLE001  # fonts, settings and versions of another project's libraries
                problem = clean(f"no plot: {type(error).__name__}: {error}", LONGEST)
    return problem


def _is_earlier(folder: Path) -> bool:
    """Whether a version that kept no record of its files wrote a verdict here."""
    try:
        with files.open_to_read(folder, "regress.json") as file:
            content = json.loads(file.read())
    except (OSError, files.StoreError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"schema", "exit_status", "summary", "pairs"} <= content.keys()


FILES = files.CommandFiles("regress", re.compile(r"regress\.json|summary\.md|comment\.md"), is_earlier=_is_earlier)
PLOT = files.CommandFiles("the plot of regress", re.compile(r"ratios\.png"), is_earlier=_is_earlier)
"""The plot is a kind of its own, since the verdict is written before it."""
