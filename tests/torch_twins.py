"""A module of `torch.nn` and the same of `rnnimpl.torch`, with equal weights, and the results of both."""

from __future__ import annotations

from typing import Any

import psutil
import torch

import rnnimpl.torch

NAMES = ("RNN", "LSTM", "GRU")


def twins(name: str, *sizes: int, **options: Any) -> tuple[Any, Any]:
    """The modules of both packages with weights from one seed."""
    made = []
    for package in (torch.nn, rnnimpl.torch):
        torch.manual_seed(0)
        made.append(getattr(package, name)(*sizes, **options))
    return made[0], made[1]


def results(module: torch.nn.Module, x: torch.Tensor, state: tuple[torch.Tensor, ...] = ()) -> list[torch.Tensor]:
    """y, the final state, and the gradients of all inputs and weights; random numbers are drawn from one seed."""
    x = x.detach().requires_grad_()
    state = tuple(tensor.detach().requires_grad_() for tensor in state)
    torch.manual_seed(1)
    y, last = module(x, state_argument(state))
    outputs = [y, *(last if isinstance(last, tuple) else (last,))]
    loss = sum(((output + torch.arange(output.numel()).view(output.shape).sin()) ** 2).sum() for output in outputs)
    assert isinstance(loss, torch.Tensor)
    return outputs + list(torch.autograd.grad(loss, [x, *state, *module.parameters()]))


def state_argument(state: tuple[torch.Tensor, ...]) -> Any:
    """What a module takes for a state of no, one or two tensors."""
    return None if not state else state if len(state) == 2 else state[0]


def resident() -> int:
    """The memory that this process holds now, in KiB: the most that it has held may be that of a test before."""
    return int(psutil.Process().memory_info().rss) // 1024


def assert_same(found: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    """Fail unless all tensors are close by the tolerance of their dtype, and lie alike in memory."""
    torch.testing.assert_close(found, expected)
    assert [tensor.stride() for tensor in found[:2]] == [tensor.stride() for tensor in expected[:2]]
