"""What `history` writes: history.md with the steps first, steps.csv, series.csv and the plots."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from benchmarks.files import Kind, StoreError, append_to_named, explained, open_to_read, replacing, write
from benchmarks.history.findings import CaseHistory, Change, MachineHistory
from benchmarks.history.plot import draw_history
from benchmarks.history.steps import FALSE_ALARMS, LEAST_STEP, SHORTEST
from benchmarks.history.words import commits, short_names, size, visible
from benchmarks.reporting.csv_text import rows_csv
from benchmarks.reporting.plain_text import NOTHING, clean, code, count, escape, seconds, share, table

_STEP_COLUMNS = ("machine", "case", "ratio", "low", "high", "last_before", "first_after", "commits", "cause", "why")
"""Columns of the table of steps.

`last_before` and `first_after` are revisions; for a step that the code did not make, when they were measured."""
_SERIES_COLUMNS = ("machine", "case", "revision", "beside_others", "process", "seconds")
_MOST_COMMITS = 12


def write_history(histories: Sequence[MachineHistory], folder: Path, job_summary: str | None = None) -> Path:
    """Write all files into the folder, over those of an earlier report, and return the path of `history.md`.

    Raises StoreError where files that `history` did not write stand in their place.
    `job_summary` is a further file that the report is added to, as CI names one in `GITHUB_STEP_SUMMARY`.
    """
    with replacing(folder, FILES) as staged:
        plots = {each.machine: draw_history(each, staged, f"history-{each.machine}") for each in histories}
        write(staged, "steps.csv", rows_csv(_STEP_COLUMNS, _step_rows(histories)))
        write(staged, "series.csv", rows_csv(_SERIES_COLUMNS, _series_rows(histories)))
        text = markdown(histories, plots)
        write(staged, "history.md", text)
    if job_summary:
        with explained(Path(job_summary), "add the history to"):
            append_to_named(Path(job_summary), text)
    return folder / "history.md"


def _is_earlier(folder: Path) -> bool:
    """Whether a version without a record of its files wrote a history here."""
    try:
        with open_to_read(folder, "history.md") as report, open_to_read(folder, "steps.csv") as steps:
            return report.readline() == b"# History\n" and steps.readline().decode() == rows_csv(_STEP_COLUMNS, ())
    except (OSError, StoreError, ValueError):
        return False


FILES = Kind(
    "history",
    re.compile(r"history\.md|steps\.csv|series\.csv|history-[^/]+\.(png|svg)", re.DOTALL),
    is_earlier=_is_earlier,
)


def markdown(histories: Sequence[MachineHistory], plots: dict[str, list[str]]) -> str:
    """The report; `plots` are the stems of each machine's figures."""
    parts = ["# History"]
    for history in histories:
        names = short_names([case.series.case for case in history.cases])
        steps = [(case, change) for case in history.cases for change in case.changes]
        parts += [f"## {escape(history.machine)}", _answer(history)]
        if steps:
            header = ("case", "time after / before", "between", "made by")
            parts.append(table(header, [_step_cells(names, case, change) for case, change in steps]))
            parts += [_commit_list(names, case, change) for case, change in steps]
        parts += _elsewhere(history, names)
        parts += [f"![Time of each case over revisions]({stem}.png)" for stem in plots[history.machine]]
        columns = ("case", "revisions", "processes", "latest", "noise", "least step to be seen")
        parts.append(table(columns, [_case_cells(names, case) for case in history.cases]))
        notes = [*history.problems, *(f"cannot run the suite: {failure}" for failure in history.failures)]
        parts += ["\n".join(f"- {escape(note)}" for note in notes)] if notes else []
    parts.append(_how())
    return "\n\n".join(part for part in parts if part) + "\n"


def terminal_table(history: MachineHistory) -> Table:
    """The steps of a machine, or that there is none."""
    shown = Table(title=Text(f"{clean(history.machine)}: {_answer(history)}"), title_justify="left")
    names = short_names([case.series.case for case in history.cases])
    for name in ("case", "change", "last before", "first after", "made by"):
        shown.add_column(name, overflow="fold")
    for case in history.cases:
        for change in case.changes:
            cells = (names[case.series.case], size(change.step), *commits(case, change), change.kind)
            shown.add_row(*(Text(clean(cell)) for cell in cells))
    for case in history.cases:
        for each in case.elsewhere:
            moments = (case.series.moments[each.step.last_before], case.series.moments[each.step.first_after])
            times = (moment.measured_at for moment in moments)
            told = (names[case.series.case], size(each.step), *times, f"{each.cause.kind}: {each.cause.why}")
            shown.add_row(*(Text(clean(cell)) for cell in told))
    return shown


def _answer(history: MachineHistory) -> str:
    steps = sum(len(case.changes) for case in history.cases)
    revisions = {point.revision for case in history.cases for point in case.series.points}
    looked = f"{count(len(history.cases), 'case')} over {count(len(revisions), 'revision')}"
    return f"{count(steps, 'step') if steps else 'No step'} in {looked}."


def _step_cells(names: dict[str, str], case: CaseHistory, change: Change) -> list[str]:
    before, after = commits(case, change)
    between = f"{code(before)} and {code(after)}"
    return [code(names[case.series.case]), size(change.step), between, change.kind]


def _elsewhere(history: MachineHistory, names: dict[str, str]) -> list[str]:
    """The steps that are not the code's: by a table, where there are any."""
    rows = [
        [
            code(names[case.series.case]),
            size(each.step),
            f"{case.series.moments[each.step.last_before].measured_at} and "
            f"{case.series.moments[each.step.first_after].measured_at}",
            each.cause.kind,
            escape(each.cause.why),
        ]
        for case in history.cases
        for each in case.elsewhere
    ]
    if not rows:
        return []
    header = ("case", "time after / before", "between", "likely cause", "why it is thought so")
    said = "What is not the code's: the same revisions took another time from one moment on. No step above comes of it."
    return [said, table(header, rows)]


def _commit_list(names: dict[str, str], case: CaseHistory, change: Change) -> str:
    """The commits that a step lies in, the newest first."""
    shown = [f"- {code(line[:10].split()[0])} {escape(line.partition(' ')[2])}" for line in change.commits]
    if len(shown) > _MOST_COMMITS:
        shown = [*shown[:_MOST_COMMITS], f"- and {len(shown) - _MOST_COMMITS} more"]
    told = f"{code(names[case.series.case])}, {size(change.step)}: {count(len(change.commits), 'commit')}"
    before, after = commits(case, change)
    command = code(f"python -m benchmarks regress --base {before} --head {after}")
    again = f"To measure the two against each other once more: {command}"
    return "\n".join([f"{told}:", "", *shown, "", again]) if shown else f"{told}."


def _case_cells(names: dict[str, str], case: CaseHistory) -> list[str]:
    points = case.series.points
    latest = math.exp(sum(map(math.log, points[-1].seconds)) / len(points[-1].seconds))
    return [
        code(names[case.series.case]),
        f"{len(points)}",
        f"{sum(len(point.seconds) for point in points)}",
        seconds(latest),
        NOTHING if case.noise is None else share(case.noise.deviation),
        visible(case),
    ]


def _how() -> str:
    return (
        "A revision's time is that beside the others that took turns with it, so the machine's moments are not in it. "
        f"A step is a change of level that at least {SHORTEST} revisions on each side show, of {share(LEAST_STEP)} or "
        f"more, and larger than noise makes with a probability of {share(FALSE_ALARMS)} in all cases together. "
        "Noise is the standard deviation of a revision's value: that by its processes, or of the revisions "
        "of a level where that is larger. Intervals are of 95 %. The commits named hold the change with the same "
        "confidence."
    )


def _step_rows(histories: Sequence[MachineHistory]) -> Iterable[Sequence[object]]:
    for history in histories:
        for case in history.cases:
            points, moments = case.series.points, case.series.moments
            for change in case.changes:
                step = change.step
                yield (
                    *(history.machine, case.series.case, step.ratio, step.low, step.high),
                    *(points[step.last_before].revision, points[step.first_after].revision),
                    *(len(change.commits), change.kind, ""),
                )
            for each in case.elsewhere:
                step = each.step
                yield (
                    *(history.machine, case.series.case, step.ratio, step.low, step.high),
                    *(moments[step.last_before].measured_at, moments[step.first_after].measured_at),
                    *("", each.cause.kind, each.cause.why),
                )


def _series_rows(histories: Sequence[MachineHistory]) -> Iterable[Sequence[object]]:
    for history in histories:
        for case in history.cases:
            for point in case.series.points:
                for number, taken in enumerate(point.seconds):
                    yield history.machine, case.series.case, point.revision, point.beside, number, taken
