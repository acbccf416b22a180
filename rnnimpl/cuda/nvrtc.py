"""Compile CUDA C++ to machine code with NVRTC, which every CUDA build of PyTorch includes: no toolkit is needed.

https://docs.nvidia.com/cuda/nvrtc/index.html
"""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path

from rnnimpl.interface import Unavailable

OPTIONS = ("--std=c++17",)


@functools.cache
def library(cuda_version: str) -> ctypes.CDLL:
    """The library NVRTC of a CUDA version such as `13.0`. Raises Unavailable when it is not found."""
    major = cuda_version.partition(".")[0]
    name = f"nvrtc64_{major}0_0.dll" if sys.platform == "win32" else f"libnvrtc.so.{major}"
    # The bare name finds the library that PyTorch has loaded; the others are the files of NVIDIA's packages.
    installed = [str(path) for folder in sys.path for path in Path(folder).glob(f"nvidia/*/lib/{name}")]
    for path in [name, *installed]:
        try:
            _load_builtins(Path(path))
            found = ctypes.CDLL(path)
        except OSError:
            continue
        found.nvrtcGetErrorString.restype = ctypes.c_char_p
        return found
    raise Unavailable(f"NVRTC of CUDA {major} is not found as {name}: pip install 'nvidia-cuda-nvrtc=={major}.*'")


def _load_builtins(library: Path) -> None:
    """Load NVRTC's builtins, which it loads by name when it compiles, from the folder of an absolute path."""
    if library.is_absolute():
        for path in sorted(library.parent.glob("libnvrtc-builtins.so.*")):
            ctypes.CDLL(str(path))


def compile_cubin(nvrtc: ctypes.CDLL, source: str, architecture: str) -> bytes:
    """The machine code of `source` for an architecture such as `sm_90`. Raises RuntimeError with the compiler's log."""
    program = ctypes.c_void_p()
    text = source.encode()
    _check(nvrtc, nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"recurrence.cu", 0, None, None))
    try:
        options = [f"--gpu-architecture={architecture}".encode(), *(option.encode() for option in OPTIONS)]
        failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
        if failed:
            log = _read(nvrtc, program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
            raise RuntimeError(f"NVRTC does not compile the kernel for {architecture}: {log}")
        return _read(nvrtc, program, "CUBIN")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _read(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}")(program, buffer))
    return buffer.raw


def _check(nvrtc: ctypes.CDLL, result: int) -> None:
    if result:
        raise RuntimeError(f"NVRTC: {nvrtc.nvrtcGetErrorString(result).decode()}")
