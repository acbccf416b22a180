"""The environment of a worker: how many threads libraries start, and how the allocator behaves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from rnnimpl.interface import COMPILED

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

_ALLOCATORS = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "PYTHONMALLOC")
ALLOCATOR: Mapping[str, str] = MappingProxyType(
    {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30)}
)
"""Settings of glibc's allocator in a worker: memory below 32 MiB, the largest threshold, is reused and not given back.

By default glibc sets its thresholds by what a process happened to free before, and a call either reuses its pages or
has the kernel clear new ones. `docs/measuring.md` has figures.
"""


def worker_environment(
    threads: int, environment: Mapping[str, str] = os.environ, compiled: Path | None = None
) -> dict[str, str]:
    """The environment of a worker: its threads bound, its allocator set unless the user has set it.

    `compiled` is a folder in which workers share what they compile.
    """
    kept = {} if compiled is None else {COMPILED: str(compiled)}
    return {**ALLOCATOR, **kept, **environment, **dict.fromkeys(_THREAD_VARIABLES, str(threads))}


def allocator_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that set the allocator of a worker, with their values."""
    return {name: value for name, value in worker_environment(1, environment).items() if name.startswith(_ALLOCATORS)}
