"""The findings of a history in words, in the report, in the tables and in the plots."""

from __future__ import annotations

import csv
import dataclasses
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from benchmarks.history.causes import Cause, EnvironmentChange, changed
from benchmarks.history.findings import CaseHistory, CodeChange, MachineHistory
from benchmarks.history.plot import draw_history
from benchmarks.history.report import markdown, terminal_lines, write_history
from benchmarks.history.series import CaseSeries, RevisionTimes, Session
from benchmarks.history.steps import find_steps, levels_end, noise_of
from benchmarks.history.words import finding, short_names
from benchmarks.presentation.plain_text import share

SESSIONS = tuple(Session(f"2026-01-{day:02}", 1.0, {}, {}, "one", {}) for day in range(1, 9))


def history_of(
    levels: Sequence[float], name: str = "speed/test_a.py::test_a", *, interleaved: bool = True, noise: float = 0.005
) -> CaseHistory:
    """A case with a time of exp(level) in each revision, from three processes with noise."""
    draw = random.Random(0)
    seconds = [tuple(math.exp(level + draw.gauss(0.0, noise)) for _ in range(3)) for level in levels]
    series = CaseSeries(
        name, tuple(RevisionTimes(f"{at:040x}", each, interleaved) for at, each in enumerate(seconds)), SESSIONS
    )
    steps = find_steps(series.processes)
    changes = tuple(
        CodeChange(
            step, interleaved, tuple(f"{at:07x} change {at}" for at in range(step.first_after, step.last_before, -1))
        )
        for step in steps
    )
    return CaseHistory(series, noise_of(series.processes, levels_end(steps)), changes, (), 1)


def machine_of(*cases: CaseHistory, **fields: Any) -> MachineHistory:
    """The history of a machine with these cases."""
    return dataclasses.replace(MachineHistory("a machine", cases, (), ()), **fields)


STEADY = history_of([0.0] * 8)
SLOWER = history_of([0.0] * 4 + [0.2] * 4)


def test_a_finding_is_the_latest_step_and_how_many_were_before() -> None:
    """It has the interval, the commits and the origin of the step."""
    twice = history_of([0.0] * 4 + [0.2] * 4 + [0.1] * 4, interleaved=False)
    assert finding(SLOWER).startswith("+2")
    assert finding(SLOWER).endswith("), 0000000 to 0000000: code")
    assert finding(twice).startswith("-9.")
    assert finding(twice).endswith(": code or machine; 1 before")


def test_a_finding_of_nothing_says_what_would_have_been_seen() -> None:
    """It says so where three revisions, or processes without known noise, are too few for any."""
    moving = history_of([0.0] * 8, noise=0.02)
    assert moving.least_visible is not None
    assert finding(moving) == f"no step; one of {share(math.expm1(moving.least_visible))} would have been found"
    assert finding(history_of([0.0] * 3)) == "too few to tell: 3 revisions, 9 processes"
    assert finding(dataclasses.replace(STEADY, noise=None)) == "too few to tell: 8 revisions, 24 processes"


def test_the_least_step_that_would_be_seen_is_seen() -> None:
    """In the middle it is found, and one of half the size is not. It grows with the number of cases."""
    moving = history_of([0.0] * 8, noise=0.02)
    least, among_many = moving.least_visible, dataclasses.replace(moving, cases=100).least_visible
    assert least is not None
    assert among_many is not None
    for size, steps in ((1.5 * least, 1), (0.5 * least, 0)):
        shifted = [[one * math.exp(size) for one in seconds] for seconds in moving.series.processes[4:]]
        assert len(find_steps([*moving.series.processes[:4], *shifted])) == steps
    assert among_many > least


def test_no_step_would_be_seen_that_is_too_small_to_be_reported() -> None:
    """The least is 2 %, however little noise there is."""
    assert finding(history_of([0.0] * 8, noise=1e-4)) == "no step; one of 2.0 % would have been found"


def test_names_are_as_short_as_they_can_be() -> None:
    """They are the parameters where all are of one test, and lack the file that all share."""
    assert short_names(["a.py::test[x-1]", "a.py::test[y]"]) == {"a.py::test[x-1]": "x-1", "a.py::test[y]": "y"}
    assert short_names(["a.py::one[x]", "a.py::two"]) == {"a.py::one[x]": "one[x]", "a.py::two": "two"}
    assert short_names(["a.py::one", "b.py::one"]) == {"a.py::one": "a.py::one", "b.py::one": "b.py::one"}


def test_the_differences_between_two_descriptions_are_named() -> None:
    """An entry that only one has is one of them."""
    assert changed({"a": "1", "b": "1", "c": "1"}, {"a": "2", "b": "1", "d": "1"}) == [
        "a 1 → 2",
        "c 1 → none",
        "d none → 1",
    ]


def test_the_report_names_at_most_twelve_commits_of_a_step() -> None:
    """It counts the others."""
    (change,) = SLOWER.changes
    many = dataclasses.replace(change, commits=tuple(f"{at:07x} change {at}" for at in range(15)))
    said = markdown([machine_of(dataclasses.replace(SLOWER, changes=(many,)))], {"a machine": []})
    assert [line for line in said.splitlines() if line.startswith("- ")] == [
        *(f"- `{at:07x}` change {at}" for at in range(12)),
        "- and 3 more",
    ]
    assert "15 commits:" in said


def test_the_report_has_the_environment_changes(tmp_path: Path) -> None:
    """Their sessions and likely causes are in the report, on the terminal and in steps.csv."""
    (change,) = SLOWER.changes
    step = dataclasses.replace(change.step, last_before=2, first_after=5)
    moved = dataclasses.replace(
        STEADY, environment_changes=(EnvironmentChange(step, Cause("packages", "torch 1 → 2")),)
    )
    machine = machine_of(moved)
    path = write_history([machine], tmp_path)
    row = next(line for line in path.read_text().splitlines() if "torch 1 → 2" in line)
    assert [cell.strip() for cell in row.strip("|").split("|")][2:] == [
        "2026-01-03 and 2026-01-06",
        "packages",
        "torch 1 → 2",
    ]
    assert any("packages: torch 1 → 2" in line for line in terminal_lines(machine, 200))
    long = dataclasses.replace(machine, machine="AMD-EPYC-23.1-2cores-24GiB, a machine that has a long name")
    assert all(len(line) <= 60 for line in terminal_lines(long, 60))
    with (tmp_path / "steps.csv").open(newline="") as file:
        (written,) = csv.DictReader(file)
    assert (written["last_before"], written["first_after"]) == ("2026-01-03", "2026-01-06")
    assert (written["cause"], written["why"], written["commits"]) == ("packages", "torch 1 → 2", "")
    assert "Changes that are not the code's" not in markdown([machine_of(STEADY)], {"a machine": []})


def test_the_report_has_a_row_for_each_case_and_names_what_was_left_out() -> None:
    """Notes name problems of the file, and revisions that cannot run the suite."""
    machine = machine_of(STEADY, problems=("line 1: <none>",), failures=("abc: why",))
    said = markdown([machine], {"a machine": ["history", "history-2"]})
    row = next(line for line in said.splitlines() if line.startswith("| `test_a`"))
    assert [cell.strip() for cell in row.strip("|").split("|")][1:3] == ["8", "24"]
    assert "- line 1: &lt;none&gt;" in said.splitlines()
    assert "- cannot run the suite: abc: why" in said.splitlines()
    assert said.count("![Time of each case over revisions](history.png)") == 1
    assert said.count("(history-2.png)") == 1


def test_a_report_replaces_the_plots_of_an_earlier_one(tmp_path: Path) -> None:
    """Plots of a machine that is gone are removed, and other files stay."""
    (tmp_path / "mine.png").touch()
    gone = dataclasses.replace(machine_of(STEADY), machine="gone")
    write_history([gone], tmp_path)
    assert (tmp_path / "history-gone.png").exists()
    write_history([machine_of(STEADY)], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == [
        "history-a machine.png",
        "history-a machine.svg",
        "history.md",
        "mine.png",
        "series.csv",
        "steps.csv",
    ]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Figure, Path, str]]:
    """The figures that are drawn, each with the folder and the stem of its files."""
    drawn: list[tuple[Figure, Path, str]] = []
    monkeypatch.setattr("benchmarks.history.plot.save", lambda *what: drawn.append(what))
    return drawn


def test_a_figure_holds_eight_cases(figures: list[tuple[Figure, Path, str]], tmp_path: Path) -> None:
    """The ninth case begins another figure."""
    cases = [history_of([0.0] * 4, f"speed/test_a.py::test_{number}") for number in range(9)]
    assert draw_history(machine_of(*cases), tmp_path, "history") == ["history", "history-2"]
    assert [len(figure.axes) for figure, _, _ in figures] == [8, 1]
    assert [stem for _, _, stem in figures] == ["history", "history-2"]


@pytest.mark.parametrize(
    ("levels", "interleaved", "colour"),
    [([0.0, 0.2], True, "#d55e00"), ([0.2, 0.0], True, "#009e73"), ([0.0, 0.2], False, "#0072b2")],
    ids=["slower", "faster", "perhaps the machine"],
)
def test_a_step_is_drawn_at_its_place_in_the_colour_of_its_kind(
    levels: Sequence[float], interleaved: bool, colour: str, figures: list[tuple[Figure, Path, str]], tmp_path: Path
) -> None:
    """It spans the revisions between which it may lie; each level is a line of its height."""
    case = history_of([*[levels[0]] * 4, *[levels[1]] * 4], interleaved=interleaved)
    draw_history(machine_of(case), tmp_path, "history")
    (axes,) = figures[0][0].axes
    (span,) = axes.patches
    assert to_hex(span.get_facecolor()) == colour
    left, right = span.get_extents().transformed(axes.transData.inverted()).intervalx
    assert (left, right) == pytest.approx((3.0, 4.0))
    heights = [np.asarray(line.get_ydata())[0] for line in axes.lines if line.get_linewidth() == 2]
    assert heights == pytest.approx([math.exp(level) for level in levels], rel=0.01)
