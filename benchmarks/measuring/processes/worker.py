"""The process in which one implementation is measured: requests come in as JSON, replies go out so, see `channel`.

    {"do": "prepare", "workload": ID, "seed": 1, "steps": 64, "results": FILE}
    {"do": "warm_up"}
    {"do": "block", "checked": {"place": 0.5, "feature": 3, "seed": 2}}
    {"do": "results", "rows": [0, 1], "steps": 64, "weights": true, "results": FILE}
    {"do": "stream", "calls": {"seed": 1, "lead": 20, "place": 0.5, "latest": 19999}}
    {"do": "streamed", "results": FILE}
    {"do": "lengths", "calls": {"lengths": [3, 7], "seed": 1, "kept": 0}}
    {"do": "of_length", "results": FILE}
    {"do": "finish"}
    {"do": "peaks", "workloads": [ID, ...], "seconds": 10}

A reply has what was measured or, where the case cannot go on, `status` and `reason` as a trial has them; `replies`
declares the form of each. Results are written to the file that the request names; what is expected of them is known to
the asking process alone. A subclass of `Bench` serves further requests, from a module of its own.
It is started by `python -m` with this module's name, SOURCE, THREADS, PRECISION, DENORMALS, LAYOUT and CHANNEL. SOURCE
is empty where only peaks are asked for, CHANNEL is the descriptor of its end of the connection. Standard input is
empty, and standard output is the log: an implementation may read and print as it likes.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measuring.conditions.address_space import shift_layout
from benchmarks.measuring.conditions.floating_point import control_bits, flush_denormals, in_words
from benchmarks.measuring.processes.channel import LOST_CONNECTION, ChannelError, WorkerEnd
from benchmarks.trial import Status
from benchmarks.workload import LATENCY_MODES, Mode, Workload
from rnnimpl import Rnn, Unavailable, Unsupported, load
from rnnimpl.interface import NumpyArray

if TYPE_CHECKING:
    from benchmarks.measuring.measure import Subject
    from benchmarks.measuring.processes.replies import Service

_CLOCK = time.perf_counter
"""Taken before any implementation is loaded, which might replace it."""

LONGEST_REASON = 2000
"""Characters of what an implementation raised that are kept."""


def main(bench: type[Bench] | None = None) -> None:
    """Serve requests until the connection closes, those of a sweep or of another kind of bench."""
    # A worker is its sweep's to end, also where the sweep is stopped in a terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    source, threads, precision, denormals, layout, descriptor = sys.argv[1:]
    channel = WorkerEnd(int(descriptor))
    shift_layout(int(layout))
    try:
        _serve(channel, bench or Bench, source, threads=int(threads), precision=precision, denormals=denormals)
    except ChannelError as error:
        # Nobody hears a reply any more; the sweep tells what was printed last.
        print(error, file=sys.stderr, flush=True)
        os._exit(LOST_CONNECTION)


def _serve(channel: WorkerEnd, kind: type[Bench], source: str, *, threads: int, precision: str, denormals: str) -> None:
    implementation = None
    refusal = None
    float_modes = {}
    try:
        if denormals == "flushed" and not flush_denormals():
            raise Unavailable("denormals flushed: how this system does that is not known here")
        float_modes["start"] = in_words(control_bits())
        if source:
            implementation = load(source)
            implementation.configure_process(threads=threads, precision=precision)  # type: ignore[arg-type]  # from a Workload
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the reason of a trial
        refusal = _refusal(error)
    channel.send(_encoded("start", refusal or {"ready": True}, kind))
    if refusal:
        return
    bench = kind(implementation)
    bench.float_modes = float_modes | {"loaded": in_words(control_bits())}
    gc.freeze()
    while (request := channel.receive()) is not None:
        try:
            content = _encoded(request["do"], bench.serve(request), kind)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the reason of a trial
            bench.subject = None
            content = _encoded(request["do"], _refusal(error), kind)
        channel.send(content)


def _refusal(error: Exception) -> dict[str, Any]:
    """The reply in place of what was asked for."""
    from benchmarks.measuring.measure import Wrong

    # Half of a surrogate pair cannot be written, and a reason that fills the memory is none.
    reason = describe_error(error).encode(errors="replace").decode()[:LONGEST_REASON]
    return {
        "status": status_of(error),
        "reason": reason,
        "errors": error.errors if isinstance(error, Wrong) else {},
    }


def _encoded(request: str, reply: dict[str, Any], kind: type[Bench]) -> bytes:
    """The reply as JSON. Raises TypeError or ValueError where an implementation's part of it does not belong there."""
    # Only now: the framework has been imported before it.
    from benchmarks.measuring.processes import replies

    declared = kind.service().replies
    content = json.dumps(reply).encode()
    if len(content) > replies.most_bytes(request, declared):
        raise ValueError(f"the answer to {request} has {len(content):,} bytes; expected fewer")
    problem = replies.problem(request, json.loads(content), declared)
    if problem:
        raise TypeError(problem)
    return content


class Bench:
    """What serves the requests: it holds the case that is set up now, if any."""

    def __init__(self, implementation: type[Rnn[Any]] | None) -> None:
        self.implementation = implementation
        self.subject: Any = None
        self.float_modes: dict[str, str] = {}
        """The control bits of floating point at the process's start and once the implementation was loaded."""

    @staticmethod
    def service() -> Service:
        """The module that runs it, and the forms of its replies."""
        # Only now: the framework has been imported before it.
        from benchmarks.measuring.processes.replies import MEASURING

        return MEASURING

    def serve(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request. Raises ValueError for one that is unknown, and whatever the implementation raises."""
        match request["do"]:
            case "prepare":
                return self.prepare(request)
            case "warm_up":
                return {"warmup_seconds": self.subject.warm_up(), "calls_per_sample": self.subject.calls}
            case "block":
                return self.block(request["checked"])
            case "results":
                _write(request["results"], self.subject.results(request["rows"], request["steps"], request["weights"]))
                return {}
            case "stream":
                return self.stream(request["calls"])
            case "streamed":
                _write(request["results"], self.subject.streamed())
                return {}
            case "lengths":
                return self.lengths(request["calls"])
            case "of_length":
                _write(request["results"], self.subject.of_length())
                return {}
            case "finish":
                float_modes = self.float_modes | {"called": in_words(control_bits())}
                found: dict[str, Any] = self.subject.finish() | {"float_modes": float_modes}
                self.subject = None
                gc.collect()
                return found
            case "peaks":
                from benchmarks.limits.peaks import measure_peaks

                workloads = [Workload.parse(text) for text in request["workloads"]]
                problems: list[str] = []
                peaks = measure_peaks(workloads, request["seconds"], say=problems.append)
                return {"peaks": [peak.to_json() for peak in peaks], "problems": problems}
        raise ValueError(f"request is {request!r}; expected one that the module's docstring shows")

    def prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.implementation is not None
        self.subject = None
        workload = Workload.parse(request["workload"])
        kind = _subject_class(workload.mode)
        subject = self.subject = kind(self.implementation, workload, clock=_CLOCK, seed=request["seed"])
        first_call_seconds, results = subject.first_call(request["steps"])
        _write(request["results"], results)
        return {
            "setup_seconds": subject.setup_seconds,
            "first_call_seconds": first_call_seconds,
            "describe": dict(subject.rnn.describe()),
        }

    def block(self, checked: dict[str, Any]) -> dict[str, Any]:
        from benchmarks.measuring.measure import CheckedCall

        block = self.subject.block(CheckedCall(**checked))
        return {
            "seconds": [sample.total for sample in block.samples],
            "backward_seconds": [sample.backward for sample in block.samples],
            "began": block.began,
            "ended": block.ended,
            "untimed": block.untimed_seconds,
            "calls": block.calls,
        }

    def stream(self, calls: dict[str, Any]) -> dict[str, Any]:
        from benchmarks.measuring.modes.streaming import StreamRequest

        block = self.subject.stream(StreamRequest(**calls))
        return {
            "calls": block.calls,
            "position": block.position,
            "began": block.began,
            "started": block.started,
            "ended": block.ended,
            "untimed": block.untimed_seconds,
        }

    def lengths(self, calls: dict[str, Any]) -> dict[str, Any]:
        from benchmarks.measuring.modes.many_lengths import LengthsRequest

        block = self.subject.lengths(LengthsRequest(**calls))
        return {
            "seconds": list(block.seconds),
            "repeated_seconds": list(block.repeated_seconds),
            "held_bytes": block.held_bytes,
            "grown_bytes": block.grown_bytes,
            "began": block.began,
            "ended": block.ended,
            "untimed": block.untimed_seconds,
        }


def _subject_class(mode: Mode) -> type[Subject]:
    """The class of a case under measurement."""
    # Only now: the framework has been imported before it.
    from benchmarks.measuring.measure import Subject

    if mode in LATENCY_MODES:
        from benchmarks.measuring.modes.streaming import StreamSubject

        return StreamSubject
    if mode == "many-lengths":
        from benchmarks.measuring.modes.many_lengths import LengthsSubject

        return LengthsSubject
    return Subject


def status_of(error: BaseException) -> Status:
    """The status that an exception gives a trial."""
    from benchmarks.measuring.measure import Wrong

    if isinstance(error, Unavailable):
        return "unavailable"
    if isinstance(error, Unsupported):
        return "unsupported"
    if isinstance(error, Wrong):
        return "wrong"
    # torch.OutOfMemoryError on CUDA; on the CPU PyTorch raises a plain RuntimeError that says so.
    no_memory = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    if no_memory or "can't allocate memory" in str(error) or "not enough memory" in str(error):
        return "out_of_memory"
    return "failed"


def describe_error(error: BaseException) -> str:
    """One line: what was said, with the type where it is not one of ours."""
    said = " ".join(str(error).split())
    return said if status_of(error) in ("unavailable", "unsupported", "wrong") else f"{type(error).__name__}: {said}"


def _write(path: str, results: dict[str, NumpyArray]) -> None:
    """Write results to a file, by name."""
    arrays: dict[str, Any] = dict(results)
    np.savez(path, **arrays)


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, however that dies; elsewhere the closed pipe ends it."""
    if sys.platform.startswith("linux"):
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # When memory ends, the kernel shall take a worker first, not the sweep.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main()
