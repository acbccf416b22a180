"""The answers of runs in a file of Markdown, such as README: what stands between two marks is generated.

A block begins with a line `<!-- rnnbench: NAME -->` and ends with `<!-- rnnbench: end -->`. The blocks are `terminal`
(the last lines of a sweep), `picture` (a plot of the run) and `results` (the answer of each run with links). The run
that is named first is shown in full, the others in a sentence each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from benchmarks.files import write
from benchmarks.presentation.plain_text import code, escape
from benchmarks.reading import read_whole
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.answers.ranking import Ranking
from benchmarks.reporting.sections.answer_section import answer_table, explained
from benchmarks.reporting.words.answer_lines import answer_lines
from benchmarks.reporting.words.answer_words import headline, plain
from benchmarks.reporting.words.cautions import cautions, command_that_helps
from benchmarks.reporting.words.provenance import machine_words
from benchmarks.runs.loading import Folder, load_runs
from benchmarks.store import resume_command

END = "<!-- rnnbench: end -->"
WIDTH = 80
"""Places of the terminal in the block `terminal`."""
_LARGEST_FILE = 10_000_000
_MARK = re.compile(r"<!-- rnnbench: (\w+) -->\n")
# A block has no mark in it: where an end is missing, what follows is the user's up to the next mark and beyond.
_BLOCK = re.compile(r"(<!-- rnnbench: (\w+) -->\n)((?:(?!<!-- rnnbench: ).)*)(<!-- rnnbench: end -->)", re.DOTALL)


def splice_file(path: Path, runs: Sequence[Folder]) -> None:
    """Write the blocks of a file again from runs, as `spliced` has them. Raises ValueError as it does."""
    text = read_whole(path, _LARGEST_FILE).decode("utf-8")
    write(path.parent, path.name, spliced(text, runs, path.parent))


def spliced(text: str, runs: Sequence[Folder], beside: Path) -> str:
    """The text with its blocks generated from runs, with links relative to the folder `beside`.

    Raises ValueError for a text without a block, for a block that is unknown, and for one without an end.
    """
    analyses = [Analysis([run]) for run in load_runs(list(runs))]
    blocks: Mapping[str, Callable[[], str]] = {
        "terminal": lambda: _terminal(analyses[0], beside),
        "picture": lambda: _picture(analyses[0], beside),
        "results": lambda: _results(analyses, beside),
    }

    def fill(found: re.Match[str]) -> str:
        begin, name, _, end = found.groups()
        if name not in blocks:
            raise ValueError(f"the block is {name!r}; expected one of {', '.join(blocks)}")
        return f"{begin}{blocks[name]()}\n{end}"

    ended = {found.start() for found in _BLOCK.finditer(text)}
    for mark in _MARK.finditer(text):
        if mark[1] != "end" and mark.start() not in ended:
            raise ValueError(f"the block {mark[1]} has no end before the next block; expected a line {END} after it")
    filled, number = _BLOCK.subn(fill, text)
    if not number:
        raise ValueError(f"the text has no block to fill; expected a line <!-- rnnbench: results --> and one {END}")
    return filled


def _terminal(analysis: Analysis, beside: Path) -> str:
    (run,) = analysis.runs
    (doubts,) = analysis.doubts.values()
    folder = _relative(run.folder, beside)
    helps = command_that_helps(doubts, run.resume_command)
    resumes = [resume_command(folder, run.record.get("implementations", {}))] if helps else []
    lines = [*answer_lines(analysis.answers, cautions(doubts, plain), WIDTH, resumes), f"report: {folder}/report.md"]
    return "\n".join(["```text", *lines, "```"])


def _picture(analysis: Analysis, beside: Path) -> str:
    """The first plot of a run against the best of the others."""
    (run,) = analysis.runs
    rankings: Sequence[Ranking] = analysis.rankings
    names = list(dict.fromkeys(ranking.subject for ranking in rankings))
    title = f"{names[0] if len(names) == 1 else 'The fastest'} against the best of the others, on each workload"
    return f"![{title}]({_link(run.folder / 'plots' / 'ranking.png', beside)})"


def _results(analyses: Sequence[Analysis], beside: Path) -> str:
    first, *others = analyses
    parts = [_run_in_full(first, beside)]
    parts += ["On other machines:\n\n" + "\n".join(_run_in_short(each, beside) for each in others)] if others else []
    return "\n\n".join(parts)


def _run_in_full(analysis: Analysis, beside: Path) -> str:
    (run,) = analysis.runs
    said = [f"{escape(machine_words(run.record))}. {' '.join(headline(analysis.answers, code))}"]
    doubts = [caution for found in analysis.doubts.values() for caution in cautions(found, code)]
    compared = any(answer.leads for answer in analysis.answers)
    said += [answer_table(analysis.answers), explained(analysis.answers)] if compared else []
    said += [" ".join(doubts)] if doubts else []
    return "\n\n".join([*said, f"[The whole report]({_link(run.folder / 'report.md', beside)})"])


def _run_in_short(analysis: Analysis, beside: Path) -> str:
    (run,) = analysis.runs
    doubts = [caution for found in analysis.doubts.values() for caution in cautions(found, code)]
    said = " ".join([*headline(analysis.answers, code), *doubts])
    return f"- [{escape(machine_words(run.record))}]({_link(run.folder / 'report.md', beside)}): {said}"


def _link(path: Path, beside: Path) -> str:
    return quote(_relative(path, beside))


def _relative(path: Path, beside: Path) -> str:
    return Path(os.path.relpath(path, beside)).as_posix()
