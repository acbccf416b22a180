"""Load machine code into the current CUDA context and launch it, through the driver's C interface.

PyTorch's context is current once a tensor is on the device. The functions are those of
https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__MODULE.html and group__CUDA__EXEC.html there.
"""

from __future__ import annotations

import ctypes
import functools
import sys

from rnnimpl.interface import Unavailable


@functools.cache
def library() -> ctypes.CDLL:
    """The driver's library with the types of its functions. Raises Unavailable without a driver."""
    try:
        found = load()
    except OSError as error:
        raise Unavailable(f"no NVIDIA driver: {error}") from error
    pointer, unsigned = ctypes.c_void_p, ctypes.c_uint
    found.cuModuleLoadData.argtypes = (pointer, ctypes.c_char_p)
    found.cuModuleGetFunction.argtypes = (pointer, pointer, ctypes.c_char_p)
    # Function, grid, block, bytes of shared memory, stream, arguments; cuLaunchKernel has another, null here.
    found.cuLaunchCooperativeKernel.argtypes = (pointer, *[unsigned] * 7, pointer, pointer)
    found.cuLaunchKernel.argtypes = (pointer, *[unsigned] * 7, pointer, pointer, pointer)
    return found


def load() -> ctypes.CDLL:
    """Load the driver's library by its name on this system. Raises OSError when it is missing."""
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


class Kernel:
    """A kernel, loaded into the current context. Raises RuntimeError, with the driver's message, when that fails."""

    def __init__(self, machine_code: bytes, name: str, shared_bytes: int) -> None:
        self.driver = library()
        self.shared_bytes = shared_bytes
        module, self.function = ctypes.c_void_p(), ctypes.c_void_p()
        self._check(self.driver.cuModuleLoadData(ctypes.byref(module), machine_code))
        self._check(self.driver.cuModuleGetFunction(ctypes.byref(self.function), module, name.encode()))

    def launch(
        self, grid: tuple[int, int, int], threads: int, argument: ctypes.Structure, stream: int, *, cooperative: bool
    ) -> None:
        """Queue the kernel on a stream. Raises RuntimeError when the driver refuses.

        It refuses a cooperative launch unless all blocks can be resident at once.
        """
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
