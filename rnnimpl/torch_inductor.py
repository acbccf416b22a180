"""What implementations that compile by TorchInductor share: the process's settings, the compiler, and the folder.

Compiling happens at the first call of each network and shape in a process
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
    # TorchInductor's modules use what PyTorch deprecates. Loaded here, they are no part of the first call.
    warnings.filterwarnings("ignore", r"`torch\.jit\.script_method` is deprecated", DeprecationWarning)
    import torch._inductor.compile_fx

ANY_NUMBER = 1_000_000


def configure() -> None:
    """Set what belongs to the whole process, before anything is compiled."""
    # Each network and shape is a graph of its own, and is compiled however many there were before.
    dynamo_config.recompile_limit = ANY_NUMBER
    dynamo_config.accumulated_recompile_limit = ANY_NUMBER
    # Helper processes would live on beside what is measured.
    inductor_config.compile_threads = 1
    # What an earlier process left on disk would hide what compiling costs, unless it is asked for.
    kept = os.environ.get(COMPILED)
    inductor_config.fx_graph_cache = kept is not None
    functorch_config.enable_autograd_cache = kept is not None
    # With it, torch 2.13's compiled pullback overwrites the y it gave before (two layers, T = 1, 16-bit types).
    functorch_config.donated_buffer = False
    # TorchDynamo looks for it on every tensor it is given, and a piece's state comes from the piece before.
    warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf", UserWarning)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = kept or str(_own_folder())
    _prepare_compiler()


def loaded() -> int:
    """How many graphs this process has found compiled."""
    return int(counters["aot_autograd"]["autograd_cache_hit"])


def find_compiler(device: str) -> str:
    """What TorchInductor compiles with. Raises Unavailable when it is missing."""
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
    """Have TorchInductor try vector instructions and precompile headers: once, on no network's account."""
    # Where there is no compiler, building an instance says so.
    with contextlib.suppress(InvalidCxxCompiler):
        get_cpp_compiler()
        torch.compile(torch.tanh, options={"cpp_wrapper": True})(torch.zeros(8))


def _own_folder() -> Path:
    """This process's folder for what is compiled; those of processes that are gone are removed."""
    own = private_folder(f"rnnimpl/torch_compile/{os.getpid()}")
    for folder in own.parent.iterdir():
        if folder.name.isdecimal() and not psutil.pid_exists(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
    return own
