"""The names of the tests: the processes that share a run of the suite must collect the same ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_another_process_collects_the_same_tests(request: pytest.FixtureRequest) -> None:
    """A name that depends on the clock, a hash or an address ends a run in several processes before its first test.

    The other process starts at least a second later, with another seed of hashes.
    """
    here = {each.nodeid for each in request.session.items}
    files = sorted({name.partition("::")[0] for name in here})
    time.sleep(1.1)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", "-m", "", *files],
        cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert not here - set(done.stdout.splitlines())
