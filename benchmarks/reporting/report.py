"""The report of one run or several: `report.md`, two tables as CSV and `plots/`, built from trials alone.

The answer comes first, then what shows it, then what could not run, then how it was measured. A section without data is
left out. The same trials give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.files import check_no_link, check_outputs, make_folder, replacing, write
from benchmarks.presentation.csv_text import frame_csv
from benchmarks.presentation.plain_text import code, escape
from benchmarks.reporting import sections
from benchmarks.reporting.all_times import all_times
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.answer import answer, cautions
from benchmarks.reporting.denormal_words import denormal_section
from benchmarks.reporting.latency import latency_cases, latency_frame
from benchmarks.reporting.latency_words import serving_section, streaming_section
from benchmarks.reporting.machine_words import machine_section
from benchmarks.reporting.machines import by_machine
from benchmarks.reporting.many_lengths_words import many_lengths_section
from benchmarks.reporting.plots import Plot, write_plots
from benchmarks.reporting.provenance import how_measured
from benchmarks.reporting.ranking_words import ranking_section
from benchmarks.reporting.scan_words import scan_section
from benchmarks.reporting.terminal import terminal_table
from benchmarks.runs.loading import Folder, LoadedRun, load_runs
from benchmarks.store import REPORT, TOGETHER

__all__ = ["build_report", "terminal_table"]

REPORT_FILE = "report.md"
SUMMARY_FILE = "summary.csv"
RANKING_FILE = "ranking.csv"
LATENCIES_FILE = "latencies.csv"
PLOTS_FOLDER = "plots"


def build_report(
    folders: Folder | Sequence[Folder],
    out: Folder | None = None,
    labels: Sequence[str] | None = None,
    subject: str | None = None,
) -> Path:
    """Write the report of one run, or of several side by side, and return the path of its `report.md`.

    It goes into the run's folder, for several runs into `side-by-side` within the first one's, or to `out`. The files
    of an earlier report there are replaced. `subject` is ranked against the best of the others; by default it is the
    fastest. Raises StoreError when a folder holds no run, cannot be written or has a stranger's files in the report's
    place, ValueError when no run has the subject.
    """
    return write_report(Analysis(load_runs(folders, labels), subject), None if out is None else Path(out))


def write_report(analysis: Analysis, out: Path | None = None) -> Path:
    """Write the report of an analysis and return the path of its `report.md`; `build_report` says where it goes."""
    runs = analysis.runs
    several = len({run.folder for run in runs}) > 1
    target = out if out is not None else runs[0].folder / (TOGETHER if several else "")
    if out is None and several:
        check_no_link(runs[0].folder, TOGETHER)
    check_outputs(target, REPORT)
    summary, rankings = summary_csv(analysis.frame), analysis.rankings
    with replacing(target, REPORT) as staged:
        write(staged, SUMMARY_FILE, summary)
        if rankings:
            write(staged, RANKING_FILE, frame_csv(analysis.ranking_frame))
        latencies = latency_frame(latency_cases(runs))
        if len(latencies):
            write(staged, LATENCIES_FILE, frame_csv(latencies))
        plots = write_plots(analysis, make_folder(staged, PLOTS_FOLDER))
        write(staged, REPORT_FILE, _report(analysis, plots, target))
    return target / REPORT_FILE


def summary_csv(frame: pd.DataFrame) -> str:
    """The frame of `load_run` as CSV."""
    return frame_csv(frame)


def _report(analysis: Analysis, plots: Sequence[Plot], target: Path) -> str:
    runs, frame = analysis.runs, analysis.frame
    parts = [_title(runs), *_problems(runs), *_cautions(analysis), *_answer(analysis)]
    after_plot = {
        "ranking": ranking_section(analysis.rankings),
        "speedup": sections.speedups(frame),
        "share-of-peak": sections.limits(frame),
        "latency-tail": streaming_section(runs),
        "scan": scan_section(analysis.scan_lines),
        "set-up": sections.preparation(frame),
        "device-times": sections.device_times(frame),
    }
    parts += _section("By machine", machine_section(by_machine(runs, frame, analysis.winners)))
    titles = {plot.title: plot.caption for plot in plots}
    for title, caption in titles.items():
        shown = [plot.stem for plot in plots if plot.title == title]
        parts += [f"## {title}", *(_image(stem, title) for stem in shown), caption]
        parts += [after_plot.get(shown[0], "")]
    parts += _section("Every time and error", all_times(frame, analysis.winners))
    parts += _section("A process on each core, or threads", serving_section(runs))
    parts += _section("Signals that decay into denormal numbers", denormal_section(runs))
    parts += _section("A hundred lengths in one process", many_lengths_section(runs))
    parts += _section("Where the time of a case goes", sections.profiles(runs, target))
    parts += _section("What could not run, and why", sections.not_run(frame))
    parts += _section("Noisy cases", sections.noisy(frame))
    parts += _section("The same implementation under two names", sections.same_code(frame))
    parts += _section("Beside DeepBench's published times", sections.published(frame))
    for run in runs:
        name = f": {escape(run.label)}" if len(runs) > 1 else ""
        parts += _section(f"How it was measured{name}", how_measured(run, frame[frame["run"] == run.label]))
    parts += ["Every column of `summary.csv`, and how to read a run with pandas: `docs/results.md` in the project."]
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(runs: Sequence[LoadedRun]) -> str:
    if len(runs) == 1:
        return f"# {escape(runs[0].label)}: which implementation is fastest where"
    return f"# {len(runs)} runs side by side: {', '.join(code(run.label) for run in runs)}"


def _problems(runs: Sequence[LoadedRun]) -> list[str]:
    problems = [f"- {escape(problem)}" for run in runs for problem in run.problems]
    shown = problems[: sections.LONGEST_TABLE]
    return ["Some lines could not be read:", "\n".join(shown)] if problems else []


def _cautions(analysis: Analysis) -> list[str]:
    found = {label: cautions(doubts) for label, doubts in analysis.doubts.items()}
    names = {label: f"{code(label)}: " if len(found) > 1 else "" for label in found}
    of_machines = [escape(caution) for run in analysis.runs for caution in run.cautions]
    said = [f"{names[label]}{caution}" for label, caution in found.items() if caution]
    return [f"> **Caution.** {caution}" for caution in (*of_machines, *said)]


def _answer(analysis: Analysis) -> list[str]:
    found, winners = analysis.findings, analysis.winners
    if not found:
        return ["## The answer", "Nothing was measured."]
    return [
        *("## The answer", answer(found, winners, several_runs=len(analysis.runs) > 1)),
        *("### The fastest by region", sections.by_region(found)),
        *("### The fastest by workload", sections.by_workload(winners)),
        "“As fast” compares median times, with the 95 % interval in parentheses, by blocks of samples that took "
        "turns. Where the interval includes 1, it is too close to call.",
    ]


def _image(stem: str, title: str) -> str:
    return f"![{title}]({PLOTS_FOLDER}/{stem}.png)"


def _section(title: str, body: str) -> list[str]:
    return [f"## {title}", body] if body else []
