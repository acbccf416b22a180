"""Text on its way to the terminal: shown as it is, and without control characters but the terminal's own."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import pytest
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from benchmarks.commands.terminal import LONGEST_LINE, Terminal, echo
from benchmarks.measuring.sweeping.progress import SweepProgress
from benchmarks.presentation.csv_text import cell, rows_csv

HOSTILE = "a\x1b]0;title\x07\x1b[31m\x9b2J\rb\u202ec [red]d[/red] [/] :smile:"
SHOWN = "a]0;title[31m2Jbc [red]d[/red] [/] :smile:"


class Screen(io.StringIO):
    """A file that says whether it is a terminal."""

    is_terminal = False

    def isatty(self) -> bool:
        return self.is_terminal


def shown(print_: Callable[[Terminal], object]) -> str:
    """The text that a terminal without colours gets."""
    terminal = Terminal()
    terminal.file = io.StringIO()
    terminal.width = 200
    print_(terminal)
    return terminal.file.getvalue()


def table() -> Table:
    made = Table(HOSTILE)
    made.add_row(HOSTILE)
    made.add_row(Text(HOSTILE))
    return made


@pytest.mark.parametrize(
    "print_",
    [
        lambda terminal: terminal.print(HOSTILE),
        lambda terminal: terminal.print(Text(HOSTILE)),
        lambda terminal: terminal.say(HOSTILE),
        lambda terminal: terminal.print(table()),
    ],
)
def test_text_is_shown_without_control_characters(print_: Callable[[Terminal], object]) -> None:
    """Markup and emoji codes are text like any other."""
    text = shown(print_)
    assert SHOWN in text.replace("\n", "")
    assert text.replace("\n", "").isprintable()


def test_a_table_in_markdown_is_shown_without_control_characters() -> None:
    """An implementation's own description may be in the table."""
    text = shown(lambda terminal: terminal.print(Markdown("| a |\n|---|\n| x\x1b[31my |")))
    assert "x[31my" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_shows_no_control_characters_of_a_name(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control characters and markup of a name are removed; the bar's own movements of the cursor remain."""
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    terminal.file = screen = Screen()
    screen.is_terminal = terminal.is_interactive = is_terminal
    terminal.width = 200
    with SweepProgress(terminal) as progress:
        progress.show(done=0, total=2, what=HOSTILE, seconds_left=60.0)
    text = screen.getvalue()
    assert "[red]d[/red] [/]" in text
    for code in ("\x1b]0;", "\x07", "\x9b", "\u202e"):
        assert code not in text


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_message_fits_a_terminal(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are whole; a log has a message a line."""
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    terminal.file = screen = Screen()
    screen.is_terminal = is_terminal
    terminal.width = 60
    message, command = "submit these again by", "python -m benchmarks sweep --cluster slurm.toml --resume results/mine"
    terminal.say(f"{'word ' * 20}and fused_cpu/cpu/inference/T16-B1-I64-H64-L1-tanh-float32")
    terminal.say_command(message, command)
    lines = screen.getvalue().splitlines()
    assert any("fused_cpu/cpu/inference/T16-B1-I64-H64-L1-tanh-float32" in line for line in lines)
    if is_terminal:
        assert all(len(line) <= 60 for line in lines)
        assert lines[-3:] == [
            message,
            "  python -m benchmarks sweep --cluster slurm.toml \\",
            "    --resume results/mine",
        ]
    else:
        assert len(lines) == 2
        assert lines[1] == f"{message} {command}"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_clock_is_below_what_is_waited_for(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on a terminal the message is all, and what is being done is not shown."""
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    terminal.file = screen = Screen()
    screen.is_terminal = terminal.is_interactive = is_terminal
    with terminal.waiting() as wait:
        wait.say("one of two")
        wait.tick()
    with terminal.doing("reading") as begin:
        begin("writing")
    shown = screen.getvalue()
    assert "one of two\n" in shown
    assert ("0 s" in shown, "writing 0 s" in shown) == (is_terminal, is_terminal)
    assert is_terminal or shown == "one of two\n"


def test_the_clock_begins_again_with_each_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says for how long the last message has been true."""
    now = [0.0]
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("benchmarks.commands.terminal.time.monotonic", lambda: now[0])
    terminal = Terminal()
    terminal.file = screen = Screen()
    screen.is_terminal = terminal.is_interactive = True
    with terminal.waiting() as wait:
        now[0] = 7.0
        wait.say("two of two")
        now[0] = 9.0
        wait.tick()
    assert "2 s" in screen.getvalue()
    assert "9 s" not in screen.getvalue()


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> tuple[Terminal, Screen]:
    """A terminal that moves its cursor, and its screen."""
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    terminal.file = screen = Screen()
    screen.is_terminal = terminal.is_interactive = True
    return terminal, screen


@pytest.mark.parametrize("after", [0.9, 1.1, 1.5, 1.9])
def test_no_clock_stands_for_two_seconds_while_a_worker_times(after: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock advances each second, and less often while something is timed."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    for timed, due in ((False, after >= 1.0), (True, after >= 1.6)):
        terminal, screen = on_a_terminal(monkeypatch)
        progress = SweepProgress(terminal)
        with terminal.waiting() as wait:
            for clock in (wait, progress):
                now[0] = 100.0
                clock.tick()
                before = len(screen.getvalue())
                now[0] += after
                clock.tick(timed=timed)
                assert (len(screen.getvalue()) > before) == due


def test_messages_of_what_waits_for_itself_have_a_clock_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to call it: a thread does, until the block ends."""
    monkeypatch.setattr("benchmarks.presentation.clock.LEAST_TIMED_SECONDS", 0.0)
    terminal, screen = on_a_terminal(monkeypatch)
    with terminal.saying() as say:
        say("one of two")
        drawn = len(screen.getvalue())
        deadline = time.monotonic() + 30.0
        while len(screen.getvalue()) == drawn and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(screen.getvalue()) > drawn
    ended = len(screen.getvalue())
    time.sleep(0.5)
    assert len(screen.getvalue()) == ended


def test_a_message_is_cleaned_and_cut_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Line ends of the message remain."""
    echo(f"one\x1b[31m\ntwo{'x' * 10_000}", err=True)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "one [31m"
    assert len(second) == LONGEST_LINE


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_that_would_be_a_formula_has_an_apostrophe(text: str) -> None:
    """Numbers stay numbers, and texts that are none stay texts."""
    assert cell(text) == f"'{text}"
    assert [cell(value) for value in (-1, -1.5, "a-b", "", None)] == [-1, -1.5, "a-b", "", None]
    assert rows_csv(["a", "b"], [["=x", -1]]) == "a,b\n'=x,-1\n"
