"""The report of one run or several: `report.md`, its tables as CSV and `plots/`, built from trials alone.

The answer comes first, then what shows it, then what could not run, then how it was measured. A section without data is
left out. The same trials give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.files import check_no_link, check_outputs, make_folder, replacing, write
from benchmarks.presentation.csv_text import frame_csv
from benchmarks.presentation.plain_text import code, escape
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.answers.doubts import Doubts
from benchmarks.reporting.answers.machines import by_machine
from benchmarks.reporting.page.build import page
from benchmarks.reporting.plots.plot_pages import Plot
from benchmarks.reporting.plots.report_plots import write_plots
from benchmarks.reporting.sections import case_sections, setting_tables
from benchmarks.reporting.sections.all_times import all_times
from benchmarks.reporting.sections.answer_section import answer_section
from benchmarks.reporting.sections.denormal_section import denormal_section
from benchmarks.reporting.sections.latency_section import serving_section, streaming_section
from benchmarks.reporting.sections.lengths_section import lengths_section
from benchmarks.reporting.sections.machine_section import machine_section
from benchmarks.reporting.sections.many_lengths_section import many_lengths_section
from benchmarks.reporting.sections.scan_section import scan_section
from benchmarks.reporting.sections.subject_section import subject_section
from benchmarks.reporting.topics.latency import latency_cases, latency_frame
from benchmarks.reporting.topics.lengths import lengths_cases, lengths_frame
from benchmarks.reporting.words.cautions import LONGER, cautions, command_that_helps
from benchmarks.reporting.words.price import accuracy, prices
from benchmarks.reporting.words.provenance import LONGEST_COMMAND, how_measured
from benchmarks.reporting.words.same_code_words import same_code_sentences
from benchmarks.runs.loading import Folder, LoadedRun, load_runs
from benchmarks.store import REPORT, TOGETHER

REPORT_FILE = "report.md"
PAGE_FILE = "report.html"
PLOTS_FOLDER = "plots"
RANKING_FILE = "ranking.csv"
LATENCIES_FILE = "latencies.csv"
LENGTHS_FILE = "lengths.csv"
MOST_PROBLEMS = 30


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


def write_report(analysis: Analysis, out: Path | None = None, say: Callable[[str], None] = lambda _: None) -> Path:
    """Write the report of an analysis and return the path of its `report.md`; `build_report` says where it goes.

    `say` is told what is being done, before each part that takes a while.
    """
    runs = analysis.runs
    several = len({run.folder for run in runs}) > 1
    target = out if out is not None else runs[0].report_folder / (TOGETHER if several else "")
    if out is None and several:
        check_no_link(runs[0].report_folder, TOGETHER)
    check_outputs(target, REPORT)
    say("comparing")
    tables = {
        "summary.csv": analysis.frame,
        "answer.csv": analysis.answers_frame,
        "ratios.csv": analysis.ratios_frame,
        **({RANKING_FILE: analysis.ranking_frame} if analysis.rankings else {}),
    }
    latencies = latency_frame(latency_cases(runs))
    tables |= {LATENCIES_FILE: latencies} if len(latencies) else {}
    lengths = lengths_frame(lengths_cases(runs))
    tables |= {LENGTHS_FILE: lengths} if len(lengths) else {}
    with replacing(target, REPORT) as staged:
        for name, frame in tables.items():
            write(staged, name, frame_csv(frame))
        say("writing the page")
        write(staged, PAGE_FILE, page(analysis))
        plots = write_plots(analysis, make_folder(staged, PLOTS_FOLDER), say)
        write(staged, REPORT_FILE, report_text(analysis, plots, target))
    return target / REPORT_FILE


def report_text(analysis: Analysis, plots: Sequence[Plot], target: Path) -> str:
    """The text of `report.md` with these plots, in the folder `target`."""
    runs, frame = analysis.runs, analysis.frame
    parts = [_title(runs), *_problems(runs), *_cautions(analysis), "## The answer", answer_section(analysis.answers)]
    parts += [_price(analysis)]
    after_plot = {
        "ranking": "" if analysis.subject is None else subject_section(analysis.rankings),
        "speedup": setting_tables.speedups(frame),
        "latency-tail": streaming_section(runs),
        "padding": lengths_section(lengths_cases(runs)),
        "scan": scan_section(analysis.scan_lines),
        "set-up": case_sections.set_up(frame, analysis.once),
        "device-times": case_sections.device_times(frame),
    }
    parts += _section("By machine", machine_section(by_machine(runs, frame, analysis.winners)))
    for title, caption in {plot.title: plot.caption for plot in plots}.items():
        shown = [plot for plot in plots if plot.title == title]
        parts += [f"## {title}", *(_image(plot) for plot in shown), caption, after_plot.get(shown[0].stem, "")]
    if not any(plot.stem == "padding" for plot in plots):
        parts += _section("What padding costs", lengths_section(lengths_cases(runs)))
    parts += _folded("Every time", all_times(frame, analysis.winners))
    parts += _section("A process on each core, or threads", serving_section(runs))
    parts += _section("Signals that decay into denormal numbers", denormal_section(runs))
    parts += _section("A hundred lengths in one process", many_lengths_section(runs))
    parts += _section("Where the time of a case goes", case_sections.profiles(runs, target))
    parts += _section("What could not run, and why", case_sections.not_run(frame))
    parts += _section("The same implementation under two names", "\n\n".join(same_code_sentences(frame, code)))
    parts += _section("Beside DeepBench's published times", case_sections.published(frame))
    for run in runs:
        name = f": {escape(run.label)}" if len(runs) > 1 else ""
        parts += _folded(f"How it was measured{name}", how_measured(run, frame[frame["run"] == run.label]))
    return "\n\n".join(part for part in [*parts, _files(analysis)] if part) + "\n"


def _files(analysis: Analysis) -> str:
    ranked = "`ranking.csv` (against the best of the others), " if analysis.rankings else ""
    return (
        "Beside this: `answer.csv` (the table above), `ratios.csv` (every two implementations on each workload), "
        f"{ranked}`summary.csv` (every case). Their columns: `docs/results.md` in the project."
    )


def _title(runs: Sequence[LoadedRun]) -> str:
    if len(runs) == 1:
        return f"# {escape(runs[0].label)}: which implementation is fastest where"
    return f"# {len(runs)} runs side by side: {', '.join(code(run.label) for run in runs)}"


def _problems(runs: Sequence[LoadedRun]) -> list[str]:
    problems = [f"- {escape(problem)}" for run in runs for problem in run.problems]
    return ["Some lines could not be read:", "\n".join(problems[:MOST_PROBLEMS])] if problems else []


def _cautions(analysis: Analysis) -> list[str]:
    found = {run.label: caution_sentences(run, analysis.doubts[run.label]) for run in analysis.runs}
    names = {label: f"{code(label)}: " if len(found) > 1 else "" for label in found}
    of_machines = [escape(caution) for run in analysis.runs for caution in run.cautions]
    by_run = [f"{names[label]}{' '.join(said)}" for label, said in found.items() if said]
    return [f"> **Caution.** {caution}" for caution in (*of_machines, *by_run)]


def caution_sentences(run: LoadedRun, doubts: Doubts) -> list[str]:
    """The cautions of a run in Markdown, the last with the command that measures longer."""
    longer = command_that_helps(doubts, run.resume_command)
    return [*cautions(doubts, code), *([f"{LONGER} {code(longer, LONGEST_COMMAND)}."] if longer else [])]


def _price(analysis: Analysis) -> str:
    said = prices(analysis.answers, analysis.measured, analysis.once, code)
    found = accuracy(analysis.measured, code)
    price = f"**Price.** {' '.join(said)}" if said else ""
    return " ".join(part for part in (price, f"**Accuracy.** {found}" if found else "") if part)


def _image(plot: Plot) -> str:
    return f"![{plot.alternative}]({PLOTS_FOLDER}/{plot.stem}.png)"


def _section(title: str, body: str) -> list[str]:
    return [f"## {title}", body] if body else []


def _folded(title: str, body: str) -> list[str]:
    return [f"## {title}", f"<details><summary>Show</summary>\n\n{body}\n\n</details>"] if body else []
