"""How long each library of `fused_cpu` compiles, from an empty cache: `python -m tests.compile_times`.

The compiler is that of `CXX` or the system's, as at first use; the cache is a folder that is removed again.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Sequence

from benchmarks.machine import describe_machine
from benchmarks.presentation.plain_text import seconds, table
from rnnimpl.cache import VARIABLE
from rnnimpl.native.build import CELLS, REALS, kernels


def row(cell: str, dtype: str) -> Sequence[str]:
    """Compile one library: its time, the CPU time of the compiler, and its size."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    library = kernels(cell, dtype)
    took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [cell, dtype, seconds(took), seconds(cpu), f"{library.path.stat().st_size / 1024:.0f} KiB"]


def main() -> None:
    """Compile all and print the table."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ[VARIABLE] = cache
        rows = [row(cell, dtype) for cell in CELLS for dtype in REALS]
        compiler = kernels("tanh", "float32").compiler
    cpu = describe_machine()["cpu"]
    print(f"{compiler}; {cpu['model']} (family {cpu['family']}, model {cpu['model_number']})\n")
    print(table(("cell", "dtype", "time", "CPU time", "library"), rows))


if __name__ == "__main__":
    main()
