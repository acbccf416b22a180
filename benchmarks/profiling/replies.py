"""What a worker that profiles may answer to each request: a sweep's replies and two of its own."""

from __future__ import annotations

from benchmarks.measuring.processes.replies import KIB, REPLIES, Form, Service

PROFILING = Service(
    "benchmarks.profiling.worker",
    {
        **REPLIES,
        # Functions with their numbers of samples, and counts; a trace is a file of its own.
        "profile": Form(fields={}, most_bytes=256 * KIB**2, is_open=True),
        "count_and_trace": Form(fields={}, most_bytes=256 * KIB**2, is_open=True),
    },
)
