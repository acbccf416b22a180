"""Settings, compiler and cache folder for implementations that compile with TorchInductor.

TorchInductor compiles in the first call of each network and shape in a process
(https://docs.pytorch.org/docs/stable/torch.compiler.html).
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import warnings
from pathlib import Path

import psutil
import torch
from torch._dynamo import config as dynamo_config
from torch._dynamo.utils import counters
from torch._functorch import config as functorch_config
from torch._inductor import config as inductor_config
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler

from rnnimpl.cache import private_folder
from rnnimpl.interface import COMPILED, Unavailable

with warnings.catch_warnings():
    # TorchInductor's modules use deprecated parts of PyTorch. Loaded here, they take no time of a first call.
    warnings.filterwarnings("ignore", r"`torch\.jit\.script_method` is deprecated", DeprecationWarning)
    import torch._inductor.compile_fx

ANY_NUMBER = 1_000_000


def configure() -> None:
    """Set TorchInductor and TorchDynamo for the whole process, before anything is compiled."""
    # Each network and shape is a graph of its own and is compiled, however many there are.
    dynamo_config.recompile_limit = ANY_NUMBER
    dynamo_config.accumulated_recompile_limit = ANY_NUMBER
    # Helper processes would go on running during measurements.
    inductor_config.compile_threads = 1
    # Compiled code on disk from an earlier process would hide the time of compiling, unless it is asked for.
    kept = os.environ.get(COMPILED)
    inductor_config.fx_graph_cache = kept is not None
    functorch_config.enable_autograd_cache = kept is not None
    # With it, torch 2.13's compiled pullback overwrites the y that it returned (two layers, T = 1, 16-bit types).
    functorch_config.donated_buffer = False
    # TorchDynamo reads .grad of every argument; the state of a piece is the result of the piece before, no leaf.
    warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf", UserWarning)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = kept or str(_own_folder())
    _prepare_compiler()


def loaded() -> int:
    """The number of graphs that this process loaded from the cache."""
    return int(counters["aot_autograd"]["autograd_cache_hit"])


def find_compiler(device: str) -> str:
    """The name of TorchInductor's compiler for a device. Raises Unavailable when it is missing."""
    if device != "cpu":
        from torch.utils._triton import has_triton

        if not has_triton():
            raise Unavailable("torch.compile needs Triton for a GPU: pip install triton")
        return "Triton"
    try:
        return str(get_cpp_compiler())
    except InvalidCxxCompiler as error:
        raise Unavailable("torch.compile needs a C++ compiler for the CPU and finds none: install g++") from error


@functools.cache
def _prepare_compiler() -> None:
    """Let TorchInductor try vector instructions and precompile headers once, outside of every first call."""
    # Without a compiler `find_compiler` raises when an instance is built.
    with contextlib.suppress(InvalidCxxCompiler):
        get_cpp_compiler()
        torch.compile(torch.tanh, options={"cpp_wrapper": True})(torch.zeros(8))


def _own_folder() -> Path:
    """A folder for this process's compiled code; those of processes that have ended are removed."""
    own = private_folder(f"rnnimpl/torch_compile/{os.getpid()}")
    for folder in own.parent.iterdir():
        if folder.name.isdecimal() and not psutil.pid_exists(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
    return own
