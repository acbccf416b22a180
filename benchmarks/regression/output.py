"""What a verdict looks like: in a terminal, as Markdown for a job summary, as JSON with every pair, as a plot."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from benchmarks.regression.regress import Result
from benchmarks.reporting.plain_text import clean, code, escape, interval, share, table

SCHEMA = 1
_STYLES = {"faster": "green", "slower": "bold red", "cannot tell": "yellow", "broken": "red"}
_COLOURS = {"faster": "#009E73", "slower": "#D55E00", "same": "#666666", "cannot tell": "#E69F00"}
_HEADER = ("case", "verdict", "ratio", "interval", "pairs", "could have seen")


def rows(result: Result) -> list[tuple[str, ...]]:
    """A row a case: case, verdict, head / base, its interval, pairs, the smallest slowdown that could be seen."""
    found: list[tuple[str, ...]] = []
    if result.outcome is not None:
        for case, judgement in result.outcome.final.items():
            each = judgement.estimate
            verdict: str = judgement.verdict
            if verdict == "slower" and case not in result.outcome.slower:
                verdict = "cannot tell"
            found.append(
                (
                    case,
                    verdict,
                    f"{each.ratio:.3f}",
                    interval(each.low, each.high),
                    f"{each.pairs}",
                    share(each.detectable),
                )
            )
    found += [(case, kind, "", reason, "", "") for case, (kind, reason) in result.untold.items()]
    return found


def summary(result: Result) -> str:
    """The verdict in a sentence."""
    if result.unfit:
        return f"The machine was unfit to judge on: {result.unfit}."
    if result.outcome is None:
        return "No case is in both revisions, so nothing was measured."
    slower = result.outcome.slower
    if slower:
        return f"{len(slower)} of {len(result.outcome.final)} cases slower, confirmed in fresh processes."
    return f"No confirmed slowdown in {len(result.outcome.final)} cases."


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
    cells = [[code(row[0]), escape(row[1]), row[2], escape(row[3]), row[4], row[5]] for row in rows(result)]
    floors = {judgement.gate for judgement in result.outcome.final.values()} if result.outcome else set()
    lines = [
        f"## Is `{clean(result.head)}` slower than `{clean(result.base)}`?",
        escape(summary(result)),
        table(_HEADER, cells),
        f"A change matters from {share(min(floors))} on." if floors else "",
        f"{len(result.pairs)} pairs of fresh processes in {result.seconds:.0f} s on {escape(result.machine['key'])}. "
        "The ratio of a case that was suspected is that of its confirmation alone.",
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
    """Ratios with their intervals, a line a case."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from benchmarks.reporting.plot_style import SETTINGS, WIDTH

    assert result.outcome is not None
    judged = result.outcome.final
    with mpl.rc_context(dict(SETTINGS)):  # type: ignore[arg-type]  # the keys are matplotlib's
        figure = Figure(figsize=(WIDTH, 1.2 + 0.3 * len(judged)), layout="constrained")
        axes = figure.subplots()
        for place, judgement in enumerate(judged.values()):
            each, colour = judgement.estimate, _COLOURS[judgement.verdict]
            axes.plot([each.low, each.high], [place, place], color=colour, linewidth=2.4)
            axes.plot(each.ratio, place, "o", color=colour)
        gate = max(judgement.gate for judgement in judged.values())
        axes.axvspan(1 / (1 + gate), 1 + gate, color="#EEEEEE", zorder=0)
        axes.set_yticks(range(len(judged)), [f"{clean(case, 90)}  {each.verdict}" for case, each in judged.items()])
        axes.invert_yaxis()
        axes.set_xlabel("time of head / time of base, with 95 % intervals; grey: changes that do not matter")
        figure.savefig(path, dpi=140)


def write(result: Result, folder: Path, job_summary: str | None) -> None:
    """Write regress.json, summary.md and ratios.png into the folder; append to the job summary where there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(to_json(result), indent=1)
    (folder / "regress.json").write_text(content, encoding="utf-8")
    (folder / "summary.md").write_text(markdown(result), encoding="utf-8")
    if result.outcome is not None:
        draw(result, folder / "ratios.png")
    if job_summary:
        with Path(job_summary).open("a", encoding="utf-8") as file:
            file.write(markdown(result))
