"""The hoisted PyTorch loop compiled by `torch.compile`: C++ on a CPU, Triton kernels on a GPU.

TorchDynamo unrolls the loop, so compiling takes longer the more steps there are: a long sequence is computed in
pieces that one compiled function takes in turn. Compiling happens at the first call of each network and shape in a
process (https://docs.pytorch.org/docs/stable/torch.compiler.html), in training for the gradients too; that call has
the cost, unless RNNIMPL_COMPILED names a folder in which another process has left what it compiled.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import psutil
import torch
from torch._dynamo import config as dynamo_config
from torch._dynamo.utils import counters
from torch._functorch import config as functorch_config
from torch._inductor import config as inductor_config
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler

from rnnimpl.cache import private_folder
from rnnimpl.dtypes import Precision
from rnnimpl.interface import COMPILED, CellWeights, NotCopied, RnnConfig, Unavailable, Weights
from rnnimpl.torch_base import TorchRnn, hoisted_layer, run_layers

with warnings.catch_warnings():
    # TorchInductor's modules use what PyTorch deprecates. Loaded here, they are no part of the first call.
    warnings.filterwarnings("ignore", r"`torch\.jit\.script_method` is deprecated", DeprecationWarning)
    import torch._inductor.compile_fx

STEPS_AT_ONCE = 64
"""Steps of all layers and directions that one graph has at most, and of the pieces of a longer computation."""

ANY_NUMBER = 1_000_000


class TorchCompile(NotCopied, TorchRnn):
    """One graph of all steps, or of a piece of a layer's, without breaks, specialised on its shapes."""

    devices = ("cpu", "cuda")
    requires = ("torch>=2.11",)
    only_when_named = "compiling takes from ten seconds to a minute for each network, shape and mode"

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.compiler = _find_compiler(device)
        # Calls between kernels are then C++ too; on a GPU that has not been tried.
        options: dict[str, Any] = {"cpp_wrapper": device == "cpu"}
        self.network = torch.compile(run_layers, fullgraph=True, dynamic=False, options=options)
        self.layer = torch.compile(hoisted_layer, fullgraph=True, dynamic=False, options=options)
        self.loaded_before = _loaded()

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        super().configure_process(threads=threads, precision=precision)
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

    def run(self, x: torch.Tensor, h0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if x.shape[0] * h0.shape[0] <= STEPS_AT_ONCE:
            y, h_n = self.network(self.config, self.weights, hoisted_layer, x, h0)
            return y, h_n
        return run_layers(self.config, self.weights, self.layer_in_pieces, x, h0)

    def layer_in_pieces(
        self, x: torch.Tensor, h0: torch.Tensor, weights: CellWeights[torch.Tensor], nonlinearity: str
    ) -> torch.Tensor:
        """A `Layer` that takes one piece of the sequence after another through the compiled one."""
        pieces = []
        h = h0  # (B, H)
        for piece in x.split(STEPS_AT_ONCE):  # type: ignore[no-untyped-call]  # torch leaves it untyped
            pieces.append(self.layer(piece, h, weights, nonlinearity))
            h = pieces[-1][-1]
        return torch.cat(pieces)

    def describe(self) -> dict[str, str]:
        described = super().describe()
        return described | {
            "path": f"{described['path']}, TorchInductor with {self.compiler}",
            "compiled": "by an earlier process" if _loaded() > self.loaded_before else "by this process",
        }


def _loaded() -> int:
    """How many graphs this process has found compiled."""
    return int(counters["aot_autograd"]["autograd_cache_hit"])


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
        torch.compile(torch.tanh, options={"cpp_wrapper": True})(torch.zeros(8))


def _own_folder() -> Path:
    """This process's folder for what is compiled; those of processes that are gone are removed."""
    own = private_folder(f"rnnimpl/torch_compile/{os.getpid()}")
    for folder in own.parent.iterdir():
        if folder.name.isdecimal() and not psutil.pid_exists(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
    return own
