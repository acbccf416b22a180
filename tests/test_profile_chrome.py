"""Traces as files: Chrome's trace event format, and a trace for every kind of implementation."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.profiling.tracing import chrome
from benchmarks.profiling.tracing.chrome import Slice, Track, process, write_trace
from benchmarks.profiling.tracing.trace import trace
from tests.traces import names, subject, tracks


def check_format(document: dict[str, Any]) -> None:
    """Assert what the Trace Event Format asks of each kind of event, and that the slices of a thread nest."""
    assert set(document) <= {"traceEvents", "displayTimeUnit", "otherData"}
    assert document["displayTimeUnit"] in ("ms", "ns")
    threads: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for event in document["traceEvents"]:
        assert event["ph"] in ("X", "M", "C")
        assert isinstance(event["name"], str)
        assert event["name"]
        assert type(event["pid"]) is int
        assert type(event["tid"]) is int
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
            threads.setdefault((event["pid"], event["tid"]), []).append((event["ts"], event["ts"] + event["dur"]))
        elif event["ph"] == "M":
            assert event["args"].keys() <= {"name", "sort_index"}
        else:
            assert all(isinstance(value, int | float) for value in event["args"].values())
    for slices in threads.values():
        enclosing: list[float] = []
        for start, end in sorted(slices, key=lambda each: (each[0], -each[1])):
            while enclosing and enclosing[-1] <= start + 0.01:
                enclosing.pop()
            assert not enclosing or end <= enclosing[-1] + 0.01
            enclosing.append(end)


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return document


def test_a_trace_is_compressed_and_cut_to_a_size_that_opens_quickly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earliest events and all names stay; the trace says that it was cut."""
    monkeypatch.setattr(chrome, "MOST_EVENTS", 6)
    events = process(1, "a", [Track("b", [Slice(f"s{at}", 10.0 - at, 11.0 - at) for at in range(5)])])
    write_trace(events, tmp_path / "x.gz", ["of a test"])
    document = read(tmp_path / "x.gz")
    check_format(document)
    assert [each["name"] for each in document["traceEvents"] if each["ph"] == "X"] == ["s4", "s3"]
    assert document["otherData"]["notes"] == "of a test cut to 2 of 5 events"


@pytest.mark.parametrize("name", ["torch_loop", "numpy_loop", "fused_cpu"])
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_every_kind_of_implementation_has_a_trace_that_opens(name: str, mode: str, tmp_path: Path) -> None:
    """The file is small and in Chrome's format, has the sampled calls, and names no limitation."""
    events, limitations = trace(subject(name, mode))
    assert limitations == []
    write_trace(events, tmp_path / "x.gz", limitations)
    document = read(tmp_path / "x.gz")
    check_format(document)
    assert (tmp_path / "x.gz").stat().st_size < 100_000
    assert str(Path.home()) not in json.dumps(document)
    calls = {"forward", "backward"} if mode == "training" else {"forward"}
    assert {each.name for each in tracks(events, 3)["calls"]} == calls


def test_code_whose_operators_cannot_be_recorded_has_a_trace_without_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.compile's is such code. The limitation has the first line of the reason; the traced calls stay."""
    pytest.importorskip("torch")

    def refuse(*_: object) -> None:
        raise RuntimeError("no frames\nand many lines more")

    monkeypatch.setattr("benchmarks.profiling.tracing.trace.record_operators", refuse)
    events, limitations = trace(subject("torch_loop", "training"))
    assert len(limitations) == 1
    assert "(no frames)" in limitations[0]
    assert "phases" not in tracks(events, 1)
    assert names(tracks(events, 1)["calls"]).count("backward") == 2
