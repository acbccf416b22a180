"""The hoisted PyTorch loop compiled by `torch.compile`: C++ on a CPU, Triton kernels on a GPU.

TorchDynamo unrolls the loop, so compiling takes longer the more steps there are. It happens at the first call of
each network and shape in a process (https://docs.pytorch.org/docs/stable/torch.compiler.html), in training for the
gradients too; that call has the cost.
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
from torch._functorch import config as functorch_config
from torch._inductor import config as inductor_config
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler

from rnnimpl.dtypes import Precision
from rnnimpl.interface import RnnConfig, Unavailable, Unsupported, Weights
from rnnimpl.torch_base import TorchRnn, hoisted_layer, run_layers

with warnings.catch_warnings():
    # TorchInductor's modules use what PyTorch deprecates. Loaded here, they are no part of the first call.
    warnings.filterwarnings("ignore", r"`torch\.jit\.script_method` is deprecated", DeprecationWarning)
    import torch._inductor.compile_fx

MOST_STEPS = 256
"""Steps of all layers and directions that are compiled at most: so many took half a minute in training, on one core."""

ANY_NUMBER = 1_000_000


class TorchCompile(TorchRnn):
    """One graph of all steps, without breaks, specialised on its shapes."""

    devices = ("cpu", "cuda")
    requires = ("torch>=2.11",)
    only_when_named = "compiling takes from four seconds to a minute for each network, shape and mode"

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.compiler = _find_compiler(device)
        self.compiled = torch.compile(run_layers, fullgraph=True, dynamic=False)

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        super().configure_process(threads=threads, precision=precision)
        # Each network and shape is a graph of its own, and is compiled however many there were before.
        dynamo_config.recompile_limit = ANY_NUMBER
        dynamo_config.accumulated_recompile_limit = ANY_NUMBER
        # Helper processes would live on beside what is measured.
        inductor_config.compile_threads = 1
        # What an earlier process left on disk would hide what compiling costs.
        inductor_config.fx_graph_cache = False
        functorch_config.enable_autograd_cache = False
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(_own_folder())
        _prepare_compiler()

    def run(self, x: torch.Tensor, h0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        steps = x.shape[0] * h0.shape[0]
        if steps > MOST_STEPS:
            raise Unsupported(
                f"torch.compile unrolls the loop, and compiling takes longer with each step: got {steps} over all "
                f"layers and directions; expected {MOST_STEPS} or fewer"
            )
        y, h_n = self.compiled(self.config, self.weights, hoisted_layer, x, h0)
        return y, h_n

    def describe(self) -> dict[str, str]:
        described = super().describe()
        return described | {"path": f"{described['path']}, TorchInductor with {self.compiler}"}


def _find_compiler(device: str) -> str:
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
        torch.compile(torch.tanh)(torch.zeros(8))


def _own_folder() -> Path:
    """This process's folder for what is compiled; those of processes that are gone are removed."""
    folders = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rnnimpl" / "torch_compile"
    own = folders / str(os.getpid())
    own.mkdir(parents=True, exist_ok=True)
    for folder in folders.iterdir():
        if not psutil.pid_exists(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
    return own
