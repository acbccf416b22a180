"""A user's model, held in a process of its own and asked from here."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from benchmarks.measuring.processes.lost import WorkerLost
from benchmarks.measuring.processes.process import Worker
from benchmarks.models.layers import Found, Layer, LeftOut
from benchmarks.models.replies import MODEL
from benchmarks.models.source import Source

LOAD_SECONDS = 120.0
"""Limit for importing and building a model, and for one call of it."""


class ModelCall(NamedTuple):
    """One call of a model."""

    layers: list[tuple[str, int, int]]
    """(layer, T, B) of each call of a layer in it."""
    is_packed: bool
    """Whether a layer got sequences of unequal lengths, packed."""
    problem: str | None
    """Why the model cannot be called."""


class HeldModel:
    """The process that holds a model; leaving the context kills it with all that it has started.

    Every method raises ValueError, with a sentence, where the model or its process fails.
    """

    def __init__(self, source: Source, *, threads: int, log: Path) -> None:
        self.source = source
        self.threads = threads
        self.folder = log.parent
        self.runs = False
        """Whether there is a model that can be called, and not its weights alone."""
        try:
            self._worker = Worker("", threads=threads, precision="ieee", device="cpu", log=log, service=MODEL)
        except WorkerLost as lost:
            raise ValueError(f"{source.text} could not be read: {lost.reason}") from lost

    def __enter__(self) -> HeldModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._worker.kill()

    def find(self) -> Found:
        """The recurrent layers of the model."""
        try:
            self._worker.wait_ready()
        except WorkerLost as lost:
            raise ValueError(f"{self.source.text} could not be read: {lost.reason}") from lost
        reply = self._ask({"do": "find", "source": self.source.text}, LOAD_SECONDS)
        self.runs = reply["runs"]
        return Found(
            tuple(map(Layer.from_json, reply["layers"])),
            tuple(LeftOut(**each) for each in reply["left_out"]),
            tuple(reply["within"]),
        )

    def run(self, T: int, B: int, I: int | None) -> ModelCall:
        """Call the model once, for T steps of B sequences with I features."""
        request = {"do": "run", "T": T, "B": B, "I": I, "threads": self.threads, "folder": str(self.folder)}
        reply = self._ask(request, LOAD_SECONDS)
        return ModelCall(
            [(name, steps, batch) for name, steps, batch in reply["calls"]], reply["packed"], reply["problem"]
        )

    def time(self, *, trains: bool, seconds: float) -> tuple[list[float], list[float]]:
        """Seconds of the model's calls, and of the calls of its layers alone, block for block, as last run."""
        reply = self._ask({"do": "time", "trains": trains, "seconds": seconds}, seconds + LOAD_SECONDS)
        return reply["whole"], reply["layers"]

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        try:
            reply = self._worker.ask(request, seconds)
        except WorkerLost as lost:
            raise ValueError(f"{self.source.text}: the process that holds the model was lost: {lost.reason}") from lost
        if "status" in reply:
            raise ValueError(f"{self.source.text}: {reply['reason']}")
        return reply
