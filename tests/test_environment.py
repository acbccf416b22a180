"""The environment of a worker."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measuring.environment import ALLOCATOR, allocator_settings, worker_environment
from rnnimpl.interface import COMPILED


def test_threads_are_bound_whatever_was_set_before() -> None:
    """A worker's thread variables are its own, not those that the user's shell happens to hold."""
    environment = worker_environment(3, {"OMP_NUM_THREADS": "8", "HOME": "/home/somebody"})
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "3"
    assert environment["HOME"] == "/home/somebody"


def test_what_is_compiled_is_kept_for_later_workers_unless_the_user_keeps_it_elsewhere(tmp_path: Path) -> None:
    assert worker_environment(1, {}, compiled=tmp_path)[COMPILED] == str(tmp_path)
    assert worker_environment(1, {COMPILED: "elsewhere"}, compiled=tmp_path)[COMPILED] == "elsewhere"
    assert COMPILED not in worker_environment(1, {})


def test_an_allocator_that_the_user_chose_is_kept_and_reported() -> None:
    """The user's settings of the allocator are kept, and recorded."""
    chosen = {"MALLOC_TRIM_THRESHOLD_": "131072", "LD_PRELOAD": "libjemalloc.so.2", "HOME": "/home/somebody"}
    assert worker_environment(1, chosen)["MALLOC_TRIM_THRESHOLD_"] == "131072"
    settings = allocator_settings(chosen)
    assert settings == {"MALLOC_MMAP_THRESHOLD_": ALLOCATOR["MALLOC_MMAP_THRESHOLD_"]} | {
        name: chosen[name] for name in ("MALLOC_TRIM_THRESHOLD_", "LD_PRELOAD")
    }


_FAULTS = """
import resource
import numpy as np

def use() -> None:
    # Two arrays of 16 MiB, the first freed while the second stands, as outputs and gradients of calls are.
    first, second = np.ones(2**21), np.ones(2**21)
    del first, second

for _ in range(3):
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are those of glibc")
def test_memory_that_a_call_freed_serves_the_next() -> None:
    """Warm calls that allocate and free 16 MiB arrays use no new pages."""
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS], env=worker_environment(1), capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 100
