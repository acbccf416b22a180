"""What a verdict looks like: in a terminal, as Markdown for a job summary, as JSON with every pair, as a plot."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from benchmarks import files
from benchmarks.regression.judging import Judgement
from benchmarks.regression.regress import Result
from benchmarks.reporting.plain_text import clean, code, count, escape, interval, share, table

SCHEMA = 1
_STYLES = {"faster": "green", "slower": "bold red", "cannot tell": "yellow", "broken": "red"}
_COLOURS = {"faster": "#009E73", "slower": "#D55E00", "same": "#666666", "cannot tell": "#E69F00"}
_HEADER = ("case", "verdict", "ratio", "interval, or why none", "pairs", "matters from", "could have seen")
_MOST_DRAWN = 100
_LONGEST_DRAWN = 60


def rows(result: Result) -> list[tuple[str, ...]]:
    """A row a case: verdict, head / base, its interval, pairs, from what on a slowdown matters and could be seen."""
    found: list[tuple[str, ...]] = []
    if result.outcome is not None:
        for case, judgement in result.outcome.final.items():
            each = judgement.estimate
            numbers = (f"{each.ratio:.3f}", interval(each.low, each.high), f"{each.pairs}")
            found.append((case, judgement.verdict, *numbers, share(judgement.gate), share(each.detectable)))
    found += [(case, kind, "", reason, "", "", "") for case, (kind, reason) in result.untold.items()]
    return found


def summary(result: Result) -> str:
    """The verdict in a sentence."""
    if result.unfit:
        return f"The machine was unfit to judge on: {result.unfit}."
    if result.outcome is None:
        return "No case works in both revisions, so nothing was measured."
    slower = result.outcome.slower
    if slower:
        return f"{len(slower)} of {len(result.outcome.final)} cases slower, confirmed in fresh processes."
    return f"No confirmed slowdown in {count(len(result.outcome.final), 'case')}."


def terminal_table(result: Result) -> Table:
    """For a terminal."""
    shown = Table(title=Text(f"time of head / time of base: {result.head} / {result.base}"), title_justify="left")
    for name in _HEADER:
        shown.add_column(name, overflow="fold", justify="right" if name in ("ratio", "pairs") else "left")
    for row in rows(result):
        shown.add_row(*(Text(clean(cell), style=_STYLES.get(row[1], "") if cell == row[1] else "") for cell in row))
    return shown


def markdown(result: Result) -> str:
    """For a job summary: the sentence, the table, and what it rests on."""
    cells = [[code(row[0]), row[1], row[2], escape(row[3]), *row[4:]] for row in rows(result)]
    suspected = result.outcome.suspected if result.outcome else ()
    lines = [
        f"## Is {code(result.head)} slower than {code(result.base)}?",
        escape(summary(result)),
        table(_HEADER, cells),
        f"{len(result.pairs)} pairs of fresh processes in {result.seconds:.0f} s on {escape(result.machine['key'])}.",
        f"{count(len(suspected), 'case')} looked slower and {'was' if len(suspected) == 1 else 'were'} measured again: "
        "ratio, interval and pairs are those of the second measurement alone."
        if suspected
        else "",
        *(escape(line) for line in result.environment),
        *(
            f"{escape(name)}: {each.ratio:.3f} ({interval(each.low, each.high)})"
            for name, each in result.control.items()
        ),
    ]
    return "\n\n".join(line for line in lines if line) + "\n"


def to_json(result: Result) -> dict[str, Any]:
    """Every pair, judgement and setting, as JSON values."""
    content = dataclasses.asdict(result)
    return {"schema": SCHEMA, "exit_status": result.exit_status, "summary": summary(result), **content}


def draw(result: Result, path: Path) -> None:
    """Ratios with their intervals, a line a case, before a band of what does not matter in that case."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from benchmarks.reporting.plot_style import SETTINGS, WIDTH

    assert result.outcome is not None
    drawn = _drawn(result.outcome.final)
    left_out = len(result.outcome.final) - len(drawn)
    with mpl.rc_context(dict(SETTINGS)):  # type: ignore[arg-type]  # the keys are matplotlib's
        figure = Figure(figsize=(WIDTH, 1.6 + 0.3 * len(drawn)), layout="constrained")
        axes = figure.subplots()
        for place, judgement in enumerate(drawn.values()):
            each, colour, gate = judgement.estimate, _COLOURS[judgement.verdict], judgement.gate
            axes.barh(place, 1 + gate - 1 / (1 + gate), left=1 / (1 + gate), height=1.0, color="#EEEEEE", zorder=0)
            axes.plot([each.low, each.high], [place, place], color=colour, linewidth=2.4)
            axes.plot(each.ratio, place, "o", color=colour)
        axes.set_yticks(range(len(drawn)), [f"{_ending(case)}  {each.verdict}" for case, each in drawn.items()])
        axes.set_ylim(len(drawn) - 0.5, -0.5)
        # Of the whole figure: long names leave the axes little room.
        title = f"{clean(result.head, 60)} against {clean(result.base, 60)}"
        title += f"; {left_out} cases that changed less are left out" if left_out else ""
        figure.suptitle(title, x=0.01, ha="left")
        figure.supxlabel("time of head / time of base, with 95 % intervals; grey: what does not matter", fontsize=10)
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=140)
    files.write(path.parent, path.name, png.getvalue())


def _drawn(judged: Mapping[str, Judgement]) -> dict[str, Judgement]:
    """The cases, or those that changed most where a plot cannot hold all, in their order."""
    by_change = sorted(judged, key=lambda case: -abs(math.log(judged[case].estimate.ratio)))
    return {case: judged[case] for case in judged if case in set(by_change[:_MOST_DRAWN])}


def _ending(case: str) -> str:
    """A name as it fits beside a plot: its end, which tells cases of one file apart."""
    name = clean(case)
    return name if len(name) <= _LONGEST_DRAWN else "…" + name[1 - _LONGEST_DRAWN :]


def prepare(folder: Path, job_summary: str | None) -> None:
    """Make the folder. Raises StoreError or ValueError when it, or the job's summary, cannot be written.

    So it does where files that `regress` did not write stand in their place.
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
    """Write regress.json, summary.md and ratios.png in place of an earlier run's; append to the job summary, if any."""
    with files.replacing(folder, FILES) as staged:
        files.write(staged, "regress.json", json.dumps(to_json(result), indent=1))
        files.write(staged, "summary.md", markdown(result))
    # That of an earlier run does not stay beside this one's verdict.
    with files.replacing(folder, PLOT) as staged:
        if result.outcome is not None:
            draw(result, staged / "ratios.png")
    if job_summary:
        with files.explained(Path(job_summary), "add the verdict to"):
            files.append_to_named(Path(job_summary), markdown(result))


def _is_earlier(folder: Path) -> bool:
    """Whether a version without a record of its files wrote a verdict here."""
    try:
        with files.open_to_read(folder, "regress.json") as file:
            content = json.loads(file.read())
    except (OSError, files.StoreError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"schema", "exit_status", "summary", "pairs"} <= content.keys()


FILES = files.Kind("regress", re.compile(r"regress\.json|summary\.md"), is_earlier=_is_earlier)
PLOT = files.Kind("the plot of regress", re.compile(r"ratios\.png"), is_earlier=_is_earlier)
"""Apart from the verdict, which is written before there is a plot."""
