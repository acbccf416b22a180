"""OpenVINO's telemetry sends nothing from a measured process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rnnimpl import Unavailable, load

CODE = """
from concurrent.futures import ThreadPoolExecutor
import os
submitted = []
ThreadPoolExecutor.submit = lambda self, *arguments, **named: submitted.append(arguments)
from rnnimpl import load
load("openvino_rnn")
import openvino_telemetry
assert not openvino_telemetry.Telemetry().consent
assert not submitted, submitted
print(os.environ.get("CI"))
"""


@pytest.mark.engines
@pytest.mark.parametrize("kept", [None, "false"])
def test_importing_openvino_forks_no_process_and_sends_nothing(kept: str | None) -> None:
    """The import starts no process or thread that would send, and leaves the variable `CI` unchanged."""
    try:
        load("openvino_rnn")
    except Unavailable as reason:
        pytest.skip(str(reason))
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    if kept is not None:
        environment["CI"] = kept
    run = subprocess.run([sys.executable, "-c", CODE], check=True, env=environment, capture_output=True, text=True)
    assert run.stdout == f"{kept}\n"
