"""The hoisted PyTorch loop captured once for each input shape as a CUDA graph and replayed, forward and backward.

A graph reads and writes the same memory at each replay (https://docs.pytorch.org/docs/stable/notes/cuda.html, "CUDA
Graphs"). So a call copies its inputs in, replays, and copies its results out; its time includes the copies. A graph is
captured in the first call of each shape, whose time includes that.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from rnnimpl.interface import Grads, Lengths, NotCopied, Pullback, RnnConfig, Weights
from rnnimpl.torch_base import TorchRnn, TorchState
from rnnimpl.torch_hoisted_layer import hoisted_layer
from rnnimpl.torch_layers import run_layers

Compute = Callable[[], Sequence[torch.Tensor]]
WARM_UP_CALLS = 3
"""Calls before a capture, in which libraries choose algorithms and allocate; PyTorch itself makes as many."""


class TorchCudaGraph(NotCopied, TorchRnn):
    """For each shape one graph for inference, and for training a forward and a backward graph that share memory."""

    devices = ("cuda",)
    cells = ("tanh", "relu", "lstm", "gru")
    requires = ("torch>=2.11",)

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cuda") -> None:
        super().__init__(config, weights, device)
        self.inference: dict[torch.Size, _Graph] = {}
        self.training: dict[torch.Size, _TrainingGraphs] = {}

    def run(self, x: torch.Tensor, state: TorchState) -> tuple[torch.Tensor, TorchState]:
        return run_layers(self.config, self.weights, hoisted_layer, x, state)

    def forward(
        self, x: torch.Tensor, state: TorchState | None = None, lengths: Lengths = None
    ) -> tuple[torch.Tensor, TorchState]:
        x, state = self._inputs(x, state)
        self.refuse_lengths(lengths, x)
        if x.shape not in self.inference:
            self.inference[x.shape] = self._capture_inference(x, state)
        y, *state_n = self.inference[x.shape](x, *state)
        return y, tuple(state_n)

    def vjp(
        self, x: torch.Tensor, state: TorchState | None = None, lengths: Lengths = None
    ) -> tuple[torch.Tensor, TorchState, Pullback[torch.Tensor]]:
        x, start = self._inputs(x, state)
        self.refuse_lengths(lengths, x)
        if x.shape not in self.training:
            self.training[x.shape] = self._capture_training(x, start)
        graphs = self.training[x.shape]
        y, *state_n = graphs.run_forward(x, *start)
        call = graphs.calls

        def pullback(dy: torch.Tensor, dstate_n: TorchState) -> Grads[torch.Tensor]:
            # Copying into the graph's memory would convert and broadcast.
            self.check_cotangents(dy, dstate_n, y, self.dtype)
            if graphs.calls != call:
                # A later call has overwritten the memory that the backward graph reads.
                graphs.run_forward(x, *start)
            return self.as_grads(graphs.backward(dy, *dstate_n))

        return y, tuple(state_n), pullback

    def describe(self) -> dict[str, str]:
        described = super().describe()
        return described | {"path": f"{described['path']}, CUDA graph of the hoisted loop"}

    def capture(self, computations: Sequence[Compute]) -> list[tuple[Callable[[], Any], Sequence[torch.Tensor]]]:
        """Capture computations that are replayed in this order -> (replay, results) of each."""
        stream = _capture_stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_CALLS):
                for compute in computations:
                    compute()
        torch.cuda.synchronize(self.device)
        # One pool for both, because the backward graph reads memory of the forward graph.
        pool = torch.cuda.graph_pool_handle()
        captured = []
        for compute in computations:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool, stream=stream):
                results = compute()
            captured.append((graph.replay, results))
        return captured

    def _capture_inference(self, x: torch.Tensor, state: TorchState) -> _Graph:
        inputs = x.clone(), *(each.clone() for each in state)

        def compute() -> Sequence[torch.Tensor]:
            with torch.no_grad():
                y, state_n = self.run(inputs[0], inputs[1:])
                return y, *state_n

        ((replay, results),) = self.capture([compute])
        return _Graph(inputs, replay, results)

    def _capture_training(self, x: torch.Tensor, state: TorchState) -> _TrainingGraphs:
        inputs = x.clone().requires_grad_(), *(each.clone().requires_grad_() for each in state)
        cotangents = (
            x.new_zeros(*x.shape[:2], self.config.num_directions * self.config.hidden_size),
            *map(torch.zeros_like, state),
        )
        recorded: Sequence[torch.Tensor] = ()

        def compute_forward() -> Sequence[torch.Tensor]:
            nonlocal recorded
            with torch.enable_grad():
                y, state_n = self.run(inputs[0], inputs[1:])
                recorded = y, *state_n
            return recorded

        def compute_backward() -> Sequence[torch.Tensor]:
            return torch.autograd.grad(recorded, (*inputs, *self.weights.values()), cotangents)

        forward, backward = self.capture([compute_forward, compute_backward])
        return _TrainingGraphs(_Graph(inputs, *forward), _Graph(cotangents, *backward))


@functools.cache
def _capture_stream(device: str) -> torch.cuda.Stream:
    """The stream of all captures on a device: cuBLAS keeps a workspace, 32 MiB on large GPUs, for every stream."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch leaves it untyped


@dataclasses.dataclass(frozen=True, eq=False)
class _Graph:
    """A captured computation: the tensors it reads, its replay, the tensors it writes."""

    inputs: Sequence[torch.Tensor]
    replay: Callable[[], Any]
    results: Sequence[torch.Tensor]

    def __call__(self, *arrays: torch.Tensor) -> list[torch.Tensor]:
        """Run it on other inputs -> copies of the results, which no later run changes."""
        with torch.no_grad():
            for read, array in zip(self.inputs, arrays, strict=True):
                read.copy_(array)
            self.replay()
            return [written.clone() for written in self.results]


@dataclasses.dataclass(eq=False)
class _TrainingGraphs:
    """A forward graph, the backward graph that reads its memory, and the number of runs of the forward graph."""

    forward: _Graph
    backward: _Graph
    calls: int = 0

    def run_forward(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        self.calls += 1
        return self.forward(*inputs)
