"""The hoisted PyTorch loop compiled by `torch.compile`: C++ on a CPU, Triton kernels on a GPU.

TorchDynamo unrolls the loop, and compiling takes longer the more steps there are. So a long sequence is computed in
pieces by one compiled function. Compiling happens at the first call of each network and shape in a process
(https://docs.pytorch.org/docs/stable/torch.compiler.html), in training for the gradients too. The time of that call
includes it, unless RNNIMPL_COMPILED names a folder with the code that another process compiled.
"""

from __future__ import annotations

from typing import Any

import torch

from rnnimpl import torch_inductor
from rnnimpl.dtypes import Precision
from rnnimpl.interface import LayerWeights, NotCopied, RnnConfig, Weights
from rnnimpl.torch_base import TorchRnn, TorchState
from rnnimpl.torch_hoisted_layer import hoisted_layer
from rnnimpl.torch_layers import run_layers

STEPS_AT_ONCE = 64
"""The most steps in one graph, over all layers and directions; also the length of a piece."""


class TorchCompile(NotCopied, TorchRnn):
    """One graph without breaks for all steps, or for a piece of a layer's steps, specialised on its shapes."""

    devices = ("cpu", "cuda")
    cells = ("tanh", "relu", "lstm", "gru")
    requires = ("torch>=2.11",)
    only_when_named = "compiling takes from ten seconds to a minute for each network, shape and mode"

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.compiler = torch_inductor.find_compiler(device)
        # With it the calls between kernels are C++ as well; it is untried on a GPU.
        options: dict[str, Any] = {"cpp_wrapper": device == "cpu"}
        self.network = torch.compile(run_layers, fullgraph=True, dynamic=False, options=options)
        self.layer = torch.compile(hoisted_layer, fullgraph=True, dynamic=False, options=options)
        self.loaded_before = torch_inductor.loaded()

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        super().configure_process(threads=threads, precision=precision)
        torch_inductor.configure()

    def run(self, x: torch.Tensor, state: TorchState) -> tuple[torch.Tensor, TorchState]:
        if x.shape[0] * self.config.num_stacked <= STEPS_AT_ONCE:
            y, state_n = self.network(self.config, self.weights, hoisted_layer, x, state)
            return y, state_n
        return run_layers(self.config, self.weights, self.layer_in_pieces, x, state)

    def layer_in_pieces(
        self,
        x: torch.Tensor,
        state: TorchState,
        weights: LayerWeights[torch.Tensor],
        cell: str,
        valid: torch.Tensor | None = None,  # noqa: ARG002  # None: it computes equal lengths only
    ) -> tuple[torch.Tensor, TorchState]:
        """A `LayerFunction` that runs the compiled layer on one piece of the sequence after another."""
        pieces = []
        for piece in x.split(STEPS_AT_ONCE):  # type: ignore[no-untyped-call]  # torch leaves it untyped
            y, state = self.layer(piece, state, weights, cell)
            pieces.append(y)
        return torch.cat(pieces), state

    def describe(self) -> dict[str, str]:
        described = super().describe()
        return described | {
            "path": f"{described['path']}, TorchInductor with {self.compiler}",
            "compiled": "by an earlier process" if torch_inductor.loaded() > self.loaded_before else "by this process",
        }
