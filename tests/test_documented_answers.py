"""The answers of `advise` in docs/advise.md are what the program says of the committed runs."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.advice.question import Input, Question, Share
from benchmarks.advice.verdict import Verdict, judge
from benchmarks.advice.words import answer, terminal_lines
from benchmarks.models.layers import Found, Layer
from benchmarks.models.source import Source
from benchmarks.runs.loading import LoadedRun, load_runs
from benchmarks.statistics import Estimate

ROOT = Path(__file__).parent.parent
RUNS = sorted((ROOT / "results" / "reference-advise").iterdir())


@functools.cache
def documented() -> str:
    return (ROOT / "docs" / "advise.md").read_text(encoding="utf-8")


def question_of(asked: dict[str, Any], run: LoadedRun) -> Question:
    """The question that a run's record holds, with the times of the whole model."""
    workloads = {case.workload.id: case.workload for case in run.cases}
    share = asked["share_of_layers"]
    return Question(
        Input(*asked["input"]),
        asked["mode"],
        asked["threads"],
        {workloads[name]: calls for name, calls in asked["calls"].items()},
        asked["present"],
        None if share is None else Share(asked["whole_seconds"], Estimate(*share)),
        asked["unknown_share"],
        asked.get("is_packed", False),
    )


def answers_of(folder: Path) -> list[tuple[Verdict, Source, Found, Path]]:
    """What is said of the verdicts of a run, as `answer` takes it."""
    model = json.loads((folder / "run.json").read_text(encoding="utf-8"))["model"]
    found = Found(tuple(Layer.from_json(layer) for layer in model["layers"]))
    (run,) = load_runs([folder])
    verdicts = [judge(question_of(asked, run), run) for asked in model["asked"]]
    return [(verdict, Source.parse(model["source"]), found, folder.relative_to(ROOT)) for verdict in verdicts]


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_an_answer_in_the_docs_is_that_of_its_run(folder: Path) -> None:
    for said in answers_of(folder):
        assert answer(*said) in documented()


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_an_answer_fits_a_terminal(folder: Path, width: int) -> None:
    """But for code to be pasted; names and the command are whole, and nothing is left out."""
    for said in answers_of(folder):
        lines = terminal_lines(*said, width)
        assert all(len(each) <= width for each in lines if not each.startswith("do "))
        # A command that goes on in the next line has a backslash before.
        assert " ".join(" ".join(lines).split()).replace("\\ ", "") == " ".join(answer(*said).split())


def test_every_answer_in_the_docs_has_a_run() -> None:
    assert len(RUNS) == documented().count("\n$ python -m benchmarks advise ") > 0
