"""`fused_cuda` with its kernel compiled for the CPU: every CUDA thread is a fiber, and all blocks run at once."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import math
import subprocess
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from rnnimpl.cuda.launch_plan import Chip, LaunchPlan
from rnnimpl.cuda.source import Arguments, constants, text
from rnnimpl.dtypes import Dtype
from rnnimpl.impls.fused_cuda import FusedCuda
from rnnimpl.native.build import find_compiler

EMULATOR = Path(__file__).parent / "emulated_gpu"
CHIP = Chip(multiprocessors=8)


class EmulatedCuda(FusedCuda):
    """`fused_cuda` with its kernel on the CPU."""

    devices = ("cpu",)
    kernel_text: ClassVar[str | None] = None
    """What is compiled in place of `recurrence.cu`, where a test breaks it."""
    seed: ClassVar[int] = 0
    """The order in which the fibers take turns."""

    def find_chip(self) -> Chip:
        return CHIP

    def launch(self, plan: LaunchPlan, arguments: Arguments) -> None:
        emulate = emulated_kernel(plan, self.config.dtype, self.kernel_text or text("recurrence.cu"))
        sizes = (plan.slices, plan.row_blocks, plan.directions, ctypes.c_long(plan.shared_bytes), self.seed)
        status = emulate(arguments, *sizes)
        if status:
            raise RuntimeError({1: "no thread can go on", 2: "a vector is not aligned"}[status])


def planned(
    *, threads: int, lanes: int, units_per_thread: int, rows_at_once: int, rows: int, apart: bool = False
) -> type[EmulatedCuda]:
    """The class with one plan for every network and batch; `apart` launches directions one after the other."""

    class Planned(EmulatedCuda):
        def choose_plan(self, batch: int) -> LaunchPlan | None:
            hidden = self.config.hidden_size
            return LaunchPlan(
                hidden=hidden,
                threads=threads,
                lanes=lanes,
                units_per_thread=units_per_thread,
                rows_at_once=rows_at_once,
                slices=math.ceil(hidden / (threads // lanes * units_per_thread)),
                rows=min(rows, batch),
                row_blocks=math.ceil(batch / min(rows, batch)),
                directions=1 if apart else self.config.num_directions,
            )

    return Planned


@functools.cache
def emulated_kernel(plan: LaunchPlan, dtype: Dtype, kernel_text: str) -> Any:
    """The kernel compiled by the C++ compiler, as a function."""
    device, launch = ((EMULATOR / name).read_text(encoding="utf-8") for name in ("device.hpp", "launch.hpp"))
    return _compile("\n".join([constants(plan, dtype), device, kernel_text, launch])).emulate


@functools.cache
def _compile(source: str) -> ctypes.CDLL:
    folder = _folder()
    name = hashlib.sha256(source.encode()).hexdigest()[:24]
    (folder / f"{name}.cpp").write_text(source, encoding="utf-8")
    library = folder / f"{name}.so"
    command = [*find_compiler(), "-std=c++17", "-O1", "-w", "-fPIC", "-shared", f"{name}.cpp", "-o", library.name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="emulated-gpu-"))
