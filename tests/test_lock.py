"""One measurement at a time on a machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.measuring.lock import measuring_alone

HOLD = """
import sys
from pathlib import Path
from benchmarks.measuring.lock import measuring_alone
with measuring_alone("the first", print, Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_sweep_says_who_measures_and_waits(tmp_path: Path) -> None:
    """It begins when the first is done."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        said: list[str] = []

        def say(message: str) -> None:
            said.append(message)
            first.communicate("")

        with measuring_alone("the second", say, tmp_path):
            assert first.returncode == 0
    assert len(said) == 1
    assert f"the first (process {first.pid}, since " in said[0]


def test_a_holder_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    """The lock is the operating system's."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        first.kill()
        first.wait()
        said: list[str] = []
        with measuring_alone("the second", said.append, tmp_path):
            pass
    assert said == []
