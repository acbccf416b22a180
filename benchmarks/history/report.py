"""The files of `history`: history.md, steps.csv, series.csv and the plots."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.files import CommandFiles, StoreError, append_to_named, explained, open_to_read, replacing, write
from benchmarks.history.findings import CaseHistory, CodeChange, MachineHistory
from benchmarks.history.plot import draw_history
from benchmarks.history.steps import FALSE_ALARMS, LEAST_STEP, SHORTEST
from benchmarks.history.words import commits_around, short_names, smallest_step_text, step_text
from benchmarks.presentation.csv_text import rows_csv
from benchmarks.presentation.plain_text import NOTHING, clean, code, count, escape, seconds, share, table
from rnnimpl.text_table import GAP, Column, text_table
from rnnimpl.wrapping import wrapped

_STEP_COLUMNS = ("machine", "case", "ratio", "low", "high", "last_before", "first_after", "commits", "cause", "why")
"""The columns of steps.csv.

`last_before` and `first_after` are revisions; for a step that is not the code's they are the times of two sessions."""
_SERIES_COLUMNS = ("machine", "case", "revision", "interleaved", "process", "seconds")
"""The columns of series.csv, a row a process; `interleaved`: whether it took turns with other revisions' processes."""
_MOST_COMMITS = 12
"""Commits that are listed of those around a step."""


def write_history(histories: Sequence[MachineHistory], folder: Path, job_summary: str | None = None) -> Path:
    """Write all files into the folder, over those of an earlier report, and return the path of history.md.

    `job_summary` is a further file that the report is added to, such as CI names in `GITHUB_STEP_SUMMARY`. Raises
    StoreError where files that `history` did not write have the names of its own.
    """
    with replacing(folder, FILES) as staged:
        plots = {each.title: draw_history(each, staged, each.stem) for each in histories}
        write(staged, "steps.csv", rows_csv(_STEP_COLUMNS, _step_rows(histories)))
        write(staged, "series.csv", rows_csv(_SERIES_COLUMNS, _series_rows(histories)))
        text = markdown(histories, plots)
        write(staged, "history.md", text)
    if job_summary:
        with explained(Path(job_summary), "add the history to"):
            append_to_named(Path(job_summary), text)
    return folder / "history.md"


def _is_earlier(folder: Path) -> bool:
    """Whether a version that kept no record of its files wrote a history here."""
    try:
        with open_to_read(folder, "history.md") as report, open_to_read(folder, "steps.csv") as steps:
            return report.readline() == b"# History\n" and steps.readline().decode() == rows_csv(_STEP_COLUMNS, ())
    except (OSError, StoreError, ValueError):
        return False


FILES = CommandFiles(
    "history",
    re.compile(r"history\.md|steps\.csv|series\.csv|history-[^/]+\.(png|svg)", re.DOTALL),
    is_earlier=_is_earlier,
)


def markdown(histories: Sequence[MachineHistory], plots: dict[str, list[str]]) -> str:
    """The report as Markdown; `plots` are the stems of each history's figures."""
    parts = ["# History"]
    for history in histories:
        names = short_names([case.series.case for case in history.cases])
        steps = [(case, change) for case in history.cases for change in case.changes]
        parts += [f"## {escape(history.title)}", _answer(history)]
        if steps:
            header = ("case", "time after / before", "between", "made by")
            parts.append(table(header, [_step_cells(names, case, change) for case, change in steps]))
            parts += [_between(history, names, case, change) for case, change in steps]
        parts += _environment_changes(history, names)
        parts += [f"![Time of each case over {_noun(history)}s]({stem}.png)" for stem in plots[history.title]]
        parts += _release_days(history)
        columns = ("case", f"{_noun(history)}s", "processes", "latest", "noise", "smallest step to be found")
        parts.append(table(columns, [_case_cells(names, case) for case in history.cases]))
        notes = [*history.problems, *(f"cannot run the suite: {failure}" for failure in history.failures)]
        parts += ["\n".join(f"- {escape(note)}" for note in notes)] if notes else []
    parts.append(_method())
    return "\n\n".join(part for part in parts if part) + "\n"


def terminal_lines(history: MachineHistory, width: int) -> list[str]:
    """The steps of a machine as a table for a terminal of `width` places, under a title that counts them."""
    names = short_names([case.series.case for case in history.cases])
    rows: list[tuple[str, ...]] = []
    for case in history.cases:
        for change in case.changes:
            rows.append((names[case.series.case], step_text(change.step), *commits_around(case, change), change.kind))
    for case in history.cases:
        for each in case.environment_changes:
            sessions = (case.series.sessions[each.step.last_before], case.series.sessions[each.step.first_after])
            times = (session.measured_at for session in sessions)
            rows.append((names[case.series.case], step_text(each.step), *times, f"{each.cause.kind}: {each.cause.why}"))
    header = ("case", "change", "last before", "first after", "made by")
    columns = [Column(name, [clean(row[place]) for row in rows]) for place, name in enumerate(header)]
    return [*wrapped(f"{clean(history.title)}: {_answer(history)}", width), *text_table(columns, width, indent=GAP)]


def _noun(history: MachineHistory) -> str:
    return "release" if history.package else "revision"


def _release_days(history: MachineHistory) -> list[str]:
    """A sentence with the day of each release, as far as they are known."""
    days = ", ".join(f"{escape(version)} ({escape(day)})" for version, day in history.released.items())
    return [f"Releases of {code(history.package)}: {days}."] if days else []


def _answer(history: MachineHistory) -> str:
    """A sentence with the numbers of steps, cases and revisions."""
    steps = sum(len(case.changes) for case in history.cases)
    revisions = {each.revision for case in history.cases for each in case.series.revisions}
    searched = f"{count(len(history.cases), 'case')} over {count(len(revisions), _noun(history))}"
    return f"{count(steps, 'step') if steps else 'No step'} in {searched}."


def _step_cells(names: dict[str, str], case: CaseHistory, change: CodeChange) -> list[str]:
    before, after = commits_around(case, change)
    between = f"{code(before)} and {code(after)}"
    return [code(names[case.series.case]), step_text(change.step), between, change.kind]


def _environment_changes(history: MachineHistory, names: dict[str, str]) -> list[str]:
    """A sentence and a table of the steps that are not the code's; empty where there is none."""
    rows = [
        [
            code(names[case.series.case]),
            step_text(each.step),
            f"{case.series.sessions[each.step.last_before].measured_at} and "
            f"{case.series.sessions[each.step.first_after].measured_at}",
            each.cause.kind,
            escape(each.cause.why),
        ]
        for case in history.cases
        for each in case.environment_changes
    ]
    if not rows:
        return []
    header = ("case", "time after / before", "between", "likely cause", "evidence")
    what = "Changes that are not the code's: from one session on, the same revisions took another time."
    return [f"{what} No step above comes from them.", table(header, rows)]


def _between(history: MachineHistory, names: dict[str, str], case: CaseHistory, change: CodeChange) -> str:
    """What lies between the revisions around a step: commits, or packages that differ."""
    return _package_list(history, names, case, change) if history.package else _commit_list(names, case, change)


def _package_list(history: MachineHistory, names: dict[str, str], case: CaseHistory, change: CodeChange) -> str:
    """The packages that came along with a release, and the command that measures the two releases once more."""
    before, after = (f"{history.package}=={version}" for version in commits_around(case, change))
    command = code(f"python -m benchmarks regress --base-with {before} --head-with {after}")
    title = (
        f"{code(names[case.series.case])}, {step_text(change.step)}: {count(len(change.commits), 'package')} differ:"
    )
    listed = [f"- {escape(line)}" for line in change.commits]
    return "\n".join([title, "", *listed, "", f"To measure the two against each other once more: {command}"])


def _commit_list(names: dict[str, str], case: CaseHistory, change: CodeChange) -> str:
    """The commits that a step lies in, the newest first."""
    shown = [f"- {code(line[:10].split()[0])} {escape(line.partition(' ')[2])}" for line in change.commits]
    if len(shown) > _MOST_COMMITS:
        shown = [*shown[:_MOST_COMMITS], f"- and {len(shown) - _MOST_COMMITS} more"]
    title = f"{code(names[case.series.case])}, {step_text(change.step)}: {count(len(change.commits), 'commit')}"
    before, after = commits_around(case, change)
    command = code(f"python -m benchmarks regress --base {before} --head {after}")
    again = f"To measure the two against each other once more: {command}"
    return "\n".join([f"{title}:", "", *shown, "", again]) if shown else f"{title}."


def _case_cells(names: dict[str, str], case: CaseHistory) -> list[str]:
    revisions = case.series.revisions
    latest = math.exp(sum(map(math.log, revisions[-1].seconds)) / len(revisions[-1].seconds))
    return [
        code(names[case.series.case]),
        f"{len(revisions)}",
        f"{sum(len(each.seconds) for each in revisions)}",
        seconds(latest),
        NOTHING if case.noise is None else share(case.noise.deviation),
        smallest_step_text(case),
    ]


def _method() -> str:
    """A paragraph on how the times were corrected and the steps found."""
    return (
        "A revision's time is corrected for the sessions in which it was measured, by the revisions that were "
        f"interleaved with it. A step is a change of level that at least {SHORTEST} revisions on each side show, of "
        f"{share(LEAST_STEP)} or more, and larger than noise makes with a probability of {share(FALSE_ALARMS)} in all "
        "cases together. Noise is the standard deviation of a revision's value: that of its processes, or that between "
        "the revisions of a level where it is larger. Intervals have a confidence of 95 %. The named commits include "
        "the change with the same confidence."
    )


def _step_rows(histories: Sequence[MachineHistory]) -> Iterable[Sequence[object]]:
    for history in histories:
        for case in history.cases:
            revisions, sessions = case.series.revisions, case.series.sessions
            for change in case.changes:
                step = change.step
                yield (
                    *(history.title, case.series.case, step.ratio, step.low, step.high),
                    *(revisions[step.last_before].revision, revisions[step.first_after].revision),
                    *(len(change.commits), change.kind, ""),
                )
            for each in case.environment_changes:
                step = each.step
                yield (
                    *(history.title, case.series.case, step.ratio, step.low, step.high),
                    *(sessions[step.last_before].measured_at, sessions[step.first_after].measured_at),
                    *("", each.cause.kind, each.cause.why),
                )


def _series_rows(histories: Sequence[MachineHistory]) -> Iterable[Sequence[object]]:
    for history in histories:
        for case in history.cases:
            for each in case.series.revisions:
                for number, of_process in enumerate(each.seconds):
                    yield history.title, case.series.case, each.revision, each.interleaved, number, of_process
