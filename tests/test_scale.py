"""A large run is read and reported within bounds.

This shows it, with times on the wall and of the processor:

    SCALE_TRIALS=10000 python -m pytest tests/test_scale.py -s

An ordinary test run takes a small number of trials and asserts what is read, not how fast.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.synthetic_runs import COSTS, realistic_trials, run_of, workload

TRIALS = int(os.environ.get("SCALE_TRIALS", "300"))
BLOCKS = (5,) * 10
"""50 samples a trial."""
IMPLEMENTATIONS = (*COSTS, "jax_scan", "onnxruntime_rnn", "openvino_rnn", "numba_loop")

PROGRAM = """
import json, resource, sys, time
from benchmarks import load_run
from benchmarks.reporting.report import build_report
def now():
    return time.perf_counter(), time.process_time()

start = now()
frame = load_run(sys.argv[1])
loaded = now()
build_report(sys.argv[1])
reported = now()
peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({
    "cases": len(frame), "samples": int(frame["samples"].sum()),
    "read": [after - before for before, after in zip(start, loaded)],
    "reported": [after - before for before, after in zip(loaded, reported)], "peak_bytes": peak_bytes,
}))
"""


def test_a_large_run_is_read_and_reported(tmp_path: Path) -> None:
    """Every trial is in the frame; the figures are printed for who asks for them."""
    sizes = itertools.product(
        ("inference", "training"), (16, 64, 256, 1024), (1, 4, 16, 64, 256), range(32, 32 * 26, 32)
    )
    workloads = [
        workload(mode, T=T, B=B, H=H) for mode, T, B, H in itertools.islice(sizes, TRIALS // len(IMPLEMENTATIONS))
    ]
    run = run_of(tmp_path / "run", [])
    lines = [json.dumps(each.to_json()) for each in realistic_trials(workloads, IMPLEMENTATIONS, blocks=BLOCKS)]
    # Written at once: forcing each to disk is the store's business, and tested there.
    (run.folder / "trials.jsonl").write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(run.folder)], capture_output=True, text=True, check=True
    )
    figures = json.loads(done.stdout)
    read, reported = (f"{wall:.1f} s ({cpu:.1f} s of CPU)" for wall, cpu in (figures["read"], figures["reported"]))
    peak = f"{figures['peak_bytes'] / 2**30:.2f} GiB"
    print(f"\n{len(lines)} trials of {sum(BLOCKS)} samples: read in {read}, reported in {reported}, at most {peak}")
    assert figures["cases"] == len(lines) == TRIALS // len(IMPLEMENTATIONS) * len(IMPLEMENTATIONS)
    assert figures["samples"] == len(lines) * sum(BLOCKS)
    assert (run.folder / "report.md").stat().st_size < 2**20
