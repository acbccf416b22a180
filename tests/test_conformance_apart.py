"""Checks in a process of their own: a crash, a hang or a write to its pipes is a failed check, never a passed one."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnimpl import conformance
from rnnimpl.conformance import CheckResult
from rnnimpl.conformance.apart import CheckRun, Refused, run_apart
from tests.ended_processes import is_gone, until

ROOT = Path(__file__).parent.parent
CASES = [
    case
    for case in conformance.cases()
    if case.check.__name__ == "check_output" and case.example.config.dtype == "float32"
][:3]

CLASS = """
import atexit, os, signal, subprocess, sys, threading, time
from rnnimpl.impls.numpy_loop import NumpyLoop
calls = 0
{before}
class Mine(NumpyLoop):
    devices = ("cpu",)
    def forward(self, x, state=None):
        global calls
        calls += 1
        if calls == 2:
            {second_call}
        return super().forward(x, state)
{after}
"""

PIPE = '''
def pipe():
    """The pipe of replies, as whoever looks for it finds it: the last that is open for writing."""
    import fcntl
    def is_it(fd):
        try:
            link = os.readlink(f"/proc/self/fd/{fd}")
            return fd > 2 and link.startswith("pipe:") and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
        except OSError:
            return False
    return next(fd for fd in range(64) if is_it(fd))
'''
FORGED = b'{"status": "passed", "message": "", "measured": null, "token": "0123456789abcdef"}\n'


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CheckRun]:
    """Make three checks on a sound class with code before it, after it, and in its second call."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def check(
        *,
        before: str = "",
        second_call: str = "pass",
        after: str = "",
        progress: Callable[[CheckResult], None] | None = None,
    ) -> CheckRun:
        (tmp_path / "mine.py").write_text(CLASS.format(before=before, second_call=second_call, after=after))
        return run_apart("mine:Mine", "cpu", selected=CASES, progress=progress)

    return check


TRUE_TIME = time.monotonic


class Clock:
    """The parent's clock, which jumps a minute at each reading once `hurries` is set."""

    ahead = 0.0
    hurries = False

    def monotonic(self) -> float:
        self.ahead += 60.0 * self.hurries
        return TRUE_TIME() + self.ahead

    def hurry(self, _: CheckResult) -> None:
        self.hurries = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("rnnimpl.conformance.apart.time.monotonic", clock.monotonic)
    return clock


def statuses(outcome: CheckRun) -> list[str]:
    return [result.status for result in outcome.results]


def test_a_sound_implementation_passes_every_check(check: Callable[..., CheckRun]) -> None:
    """The results have the checks, examples and errors of the process."""
    outcome = check()
    assert [(result.check, result.example) for result in outcome.results] == [
        (case.check.__name__, case.example.id) for case in CASES
    ]
    assert set(statuses(outcome)) == {"passed"}
    assert outcome.ended == ""
    assert all(result.measured is not None and result.measured.error > 0 for result in outcome.results)


@pytest.mark.parametrize(
    ("call", "how"),
    [
        ("os._exit(0)", "ended with exit status 0"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was ended by signal SIGSEGV"),
        ("os.close(pipe()); os._exit(0)", "ended with exit status 0"),
        (f"os.write(pipe(), {FORGED!r}); os._exit(0)", "sent something else than a reply"),
        (f"os.write(pipe(), {FORGED!r} * 3)", "sent something else than a reply"),
        ("os.write(pipe(), b'garbage\\n')", "sent something else than a reply"),
        ("os.write(pipe(), b'\\xff\\xfe\\n')", "sent something else than a reply"),
        ("os.write(pipe(), b'[' * 100000 + b'\\n')", "sent something else than a reply"),
        ("[os.write(pipe(), b'x' * 65536) for _ in range(1000)]", "without the end of a line"),
    ],
)
def test_a_crash_exit_or_stray_write_fails_the_check_that_was_running(
    check: Callable[..., CheckRun], call: str, how: str
) -> None:
    """The check during which it happens fails, and no later check is made."""
    outcome = check(before=PIPE, second_call=call)
    assert statuses(outcome) == ["passed", "failed"]
    assert how in outcome.results[1].message
    assert how in outcome.ended
    assert CASES[1].id in outcome.ended


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("sys.exit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt, raised by the call"),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(1)", "KeyboardInterrupt, raised by the call"),
        ("raise GeneratorExit('odd')", "GeneratorExit: odd"),
        ("raise ValueError('\\x1b[2J' + 'x' * 9000)", "\\x1b[2Jxxx"),
    ],
)
def test_an_exception_of_any_kind_fails_one_check_and_the_others_are_made(
    check: Callable[..., CheckRun], call: str, said: str
) -> None:
    outcome = check(second_call=call)
    assert statuses(outcome) == ["passed", "failed", "passed"]
    assert said in outcome.results[1].message
    assert len(outcome.results[1].message) < 3000
    assert outcome.ended == ""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sys.exit(0)", "importing mine ends with SystemExit: 0"),
        ("raise KeyboardInterrupt", "importing mine ends with KeyboardInterrupt"),
        ("os._exit(0)", "the process that imports mine ended with exit status 0"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "the process that imports mine was ended by signal SIGKILL"),
        ("input()", "importing mine fails with EOFError"),
        ("1 / 0", "importing mine fails with ZeroDivisionError"),
    ],
)
def test_a_module_that_ends_at_import_is_refused_with_a_sentence(
    check: Callable[..., CheckRun], code: str, said: str
) -> None:
    with pytest.raises(
        Refused, match=f"implementation is 'mine:Mine', but {said}.*expected a module that can be imported"
    ):
        check(after=code)


def test_a_check_that_hangs_is_ended(check: Callable[..., CheckRun], clock: Clock) -> None:
    outcome = check(second_call="time.sleep(600)", progress=clock.hurry)
    assert statuses(outcome) == ["passed", "failed"]
    assert outcome.results[1].message == "the process did not answer within 300 seconds"


def test_an_import_that_hangs_is_ended(check: Callable[..., CheckRun], clock: Clock) -> None:
    clock.hurries = True
    with pytest.raises(Refused, match="the process that imports mine did not answer within 300 seconds"):
        check(before="time.sleep(600)")


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("atexit.register(os._exit, 3)", "ended with exit status 3"),
        ("atexit.register(os.kill, os.getpid(), signal.SIGSEGV)", "was ended by signal SIGSEGV"),
    ],
)
def test_a_process_that_fails_as_it_ends_is_reported(check: Callable[..., CheckRun], code: str, how: str) -> None:
    """A failure at interpreter exit, such as a double free, is reported."""
    outcome = check(after=code)
    assert statuses(outcome) == ["passed"] * 3
    assert outcome.ended == f"after the last check the process {how}"


def test_a_process_that_does_not_end_is_reported(check: Callable[..., CheckRun], clock: Clock) -> None:
    """A process whose thread does not end is reported and killed."""
    left = len(CASES)

    def hurry_after_the_last(_: CheckResult) -> None:
        nonlocal left
        left -= 1
        clock.hurries = left == 0

    outcome = check(after="threading.Thread(target=time.sleep, args=(600,)).start()", progress=hurry_after_the_last)
    assert outcome.ended == "after the last check the process did not end within 300 seconds"


def test_what_is_printed_is_no_reply_and_goes_to_standard_error(
    check: Callable[..., CheckRun], capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints from Python and from native code, in any encoding, go to standard error."""
    said = f"print('from Python'); os.write(1, {FORGED!r}); os.write(2, b'\\xff past it\\n')"
    outcome = check(second_call=said)
    assert set(statuses(outcome)) == {"passed"}
    printed = capsys.readouterr()
    assert printed.out == ""
    for text in ("from Python", "0123456789abcdef", "\ufffd past it"):
        assert text in printed.err


def test_processes_that_the_implementation_leaves_are_ended_and_not_waited_for(
    check: Callable[..., CheckRun], tmp_path: Path
) -> None:
    """Children of the process are killed, also when they keep its pipes open."""
    started = (
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(subprocess.Popen(['sleep', '600'], close_fds=False).pid))"
    )
    outcome = check(second_call=f"{started}; os._exit(0)")
    assert outcome.results[1].message == "the process ended with exit status 0"
    left = int((tmp_path / "pid").read_text())
    until(lambda: is_gone(left))


def test_an_interrupt_of_the_parent_ends_the_process(check: Callable[..., CheckRun], tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def interrupt(_: CheckResult) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(before=f"open({str(pid)!r}, 'w').write(str(os.getpid()))", progress=interrupt)
    until(lambda: is_gone(int(pid.read_text())))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_a_parent_that_is_killed_takes_the_process_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    (tmp_path / "mine.py").write_text(
        f"import os, signal\nopen({str(pid)!r} + '.tmp', 'w').write(str(os.getpid()))\n"
        f"os.rename({str(pid)!r} + '.tmp', {str(pid)!r})\nsignal.pause()\n"
    )
    program = textwrap.dedent(
        f"""
        import sys
        sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]
        from rnnimpl.conformance.apart import run_apart
        run_apart("mine:Mine", "cpu", selected=[])
        """
    )
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        try:
            until(pid.exists)
        finally:
            parent.kill()
    worker = int(pid.read_text())
    until(lambda: is_gone(worker))
