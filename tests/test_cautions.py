"""Doubts in words: a sentence each, the one that matters most first."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess

import pytest

from benchmarks import program
from benchmarks.presentation.lines import command_lines, with_command
from benchmarks.reporting.answers.doubts import Doubts, OwnProcesses, TooFast
from benchmarks.reporting.words.answer_words import plain
from benchmarks.reporting.words.cautions import cautions, command_that_helps

NONE = Doubts(8, 0, 0, 0, (), None, {}, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"held_back": ("OPENBLAS_CORETYPE=Haswell",)}, "OPENBLAS_CORETYPE=Haswell was set: a library that heeds it"),
        ({"without_interval": 2}, "2 of 8 cases have too few blocks for an interval."),
        ({"unfinished": 5}, "The sweep was not finished: it measured 5 workloads."),
        ({"disturbed": 2}, "Other programs took 10 % or more of the cores in 2 of 8 cases"),
        ({"noisy": 3}, "3 of 8 cases are noisy (interval wider than asked for)."),
        (
            {"too_fast": TooFast(1, "mine", "T1", 1.5)},
            "1 case took less time than the hardware limit allows, most of all mine on T1 with 150 % of it",
        ),
        ({"processes": {"mine": OwnProcesses(3, 0.0)}}, "mine has up to 3 processes of its own at a time"),
        ({"processes": {"mine": OwnProcesses(0, 0.1)}}, "mine used up to 0.1 s of the cores while others"),
        ({"lost": 1}, "Visits to 1 case were cut short from outside"),
    ],
)
def test_each_doubt_is_a_sentence(change: dict[str, object], words: str) -> None:
    (said,) = cautions(dataclasses.replace(NONE, **change), plain)  # type: ignore[arg-type]  # fields by name
    assert said.startswith(words)


def test_without_doubts_there_is_no_caution() -> None:
    assert cautions(NONE, plain) == []
    assert command_that_helps(NONE, "go on") == ""


@pytest.mark.parametrize(
    ("change", "helps"),
    [({"unfinished": 5}, True), ({"without_interval": 2}, True), ({"noisy": 3}, True), ({"disturbed": 2}, False)],
)
def test_going_on_helps_against_noise(change: dict[str, int], helps: bool) -> None:
    """A disturbed run has to be measured again."""
    doubts = dataclasses.replace(NONE, **change)  # type: ignore[arg-type]  # fields by name
    assert command_that_helps(doubts, "go on") == ("go on" if helps else "")


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("folder", ["results/default-20260101-120000", "it's --mine --all", "r"])
def test_the_command_that_goes_on_can_be_pasted(width: int, folder: str) -> None:
    """A shell reads it as one command, however many lines it has, and no line is too long."""
    command = program.command("sweep", "--resume", folder, "--impl", "mine=a_package.of_mine:Rnn")
    lines = command_lines(command, width, indent=4)
    assert all(len(line) <= width for line in lines)
    assert (len(lines) == 1) == (len(command) + 4 <= width)
    script = 'python() { printf "%s\\n" "$@"; }\n' + "\n".join(lines)
    shown = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert ["python", *shown.stdout.splitlines()] == shlex.split(command)


def test_a_command_stands_below_its_sentence_where_there_is_no_room() -> None:
    command = program.command("sweep", "--resume", "results/default-20260101-120000")
    assert with_command("go on with", command, 100) == [f"go on with {command}"]
    assert with_command("the budget ended before every workload was measured; go on with", command, 60) == [
        "the budget ended before every workload was measured; go on",
        "with",
        "  python -m benchmarks sweep \\",
        "    --resume results/default-20260101-120000",
    ]
