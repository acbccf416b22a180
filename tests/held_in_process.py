"""A user's model held in the test's own process, by the code that serves it and with its answers checked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.measuring.processes import replies
from benchmarks.measuring.processes.worker import describe_error, status_of
from benchmarks.models.replies import MODEL
from benchmarks.models.worker import ModelBench


class InProcess:
    """What asks for a worker gets this in its place."""

    def __init__(self, *_: object, **__: object) -> None:
        self.bench = ModelBench()

    def wait_ready(self) -> None:
        """Nothing is started."""

    def ask(self, request: dict[str, Any], _: float) -> dict[str, Any]:
        """The answer, as it arrives from a process."""
        try:
            reply = self.bench.serve(request)
        except Exception as error:  # noqa: BLE001  # as the process does
            reply = {"status": status_of(error), "reason": describe_error(error), "errors": {}}
        arrived: dict[str, Any] = json.loads(json.dumps(reply))
        assert replies.problem(request["do"], arrived, MODEL.replies) is None
        return arrived

    def kill(self) -> None:
        """Nothing was started."""


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are held in this process: starting one takes seconds."""
    monkeypatch.setattr("benchmarks.models.held.Worker", InProcess)
