"""Load machine code into the current CUDA context and launch it, through the driver's C interface.

PyTorch's own context is current once a tensor lies on the device. The functions are those of
https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__MODULE.html and group__CUDA__EXEC.html there.
"""

from __future__ import annotations

import ctypes
import functools
import sys

from rnnimpl.interface import Unavailable


@functools.cache
def library() -> ctypes.CDLL:
    """The driver. Raises Unavailable where there is none."""
    try:
        found = load()
    except OSError as error:
        raise Unavailable(f"no NVIDIA driver: {error}") from error
    pointer, unsigned = ctypes.c_void_p, ctypes.c_uint
    found.cuModuleLoadData.argtypes = (pointer, ctypes.c_char_p)
    found.cuModuleGetFunction.argtypes = (pointer, pointer, ctypes.c_char_p)
    # Function, grid, block, bytes of shared memory, stream, arguments; cuLaunchKernel has one more, which is null.
    found.cuLaunchCooperativeKernel.argtypes = (pointer, *[unsigned] * 7, pointer, pointer)
    found.cuLaunchKernel.argtypes = (pointer, *[unsigned] * 7, pointer, pointer, pointer)
    return found


def load() -> ctypes.CDLL:
    """The driver's library by the name it has on this system."""
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


class Kernel:
    """One kernel in the context that was current when it was loaded, where it stays."""

    def __init__(self, machine_code: bytes, name: str, shared_bytes: int) -> None:
        self.driver = library()
        self.shared_bytes = shared_bytes
        module, self.function = ctypes.c_void_p(), ctypes.c_void_p()
        self._check(self.driver.cuModuleLoadData(ctypes.byref(module), machine_code))
        self._check(self.driver.cuModuleGetFunction(ctypes.byref(self.function), module, name.encode()))

    def launch(
        self, grid: tuple[int, int, int], threads: int, argument: ctypes.Structure, stream: int, *, cooperative: bool
    ) -> None:
        """Queue it on a stream. A cooperative launch fails unless all its blocks can be resident at once."""
        # The driver copies the argument before it returns.
        arguments = (ctypes.c_void_p * 1)(ctypes.addressof(argument))
        common = (self.function, *grid, threads, 1, 1, self.shared_bytes, stream, arguments)
        if cooperative:
            self._check(self.driver.cuLaunchCooperativeKernel(*common))
        else:
            self._check(self.driver.cuLaunchKernel(*common, None))

    def _check(self, result: int) -> None:
        if result:
            said = ctypes.c_char_p()
            self.driver.cuGetErrorString(result, ctypes.byref(said))
            raise RuntimeError(f"CUDA driver: {said.value.decode() if said.value else f'error {result}'}")
