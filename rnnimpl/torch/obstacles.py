"""Why the kernels do not compute a module or a call, in words: a device, a dtype, projections, a trace."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence
from torch.utils._pytree import tree_leaves

from rnnimpl.interface import Unavailable
from rnnimpl.native.build import kernels
from rnnimpl.torch.packed_weights import DTYPES

CELLS = {"RNN_TANH": "tanh", "RNN_RELU": "relu", "LSTM": "lstm", "GRU": "gru"}
"""The cells, by the modes of `torch.nn.RNNBase`."""


class FallbackWarning(UserWarning):
    """A module computes as `torch.nn`'s does, not by the kernels; the message says which, and why."""


def plain_class(module: torch.nn.Module) -> type[torch.nn.Module]:
    """The class of a module without its parametrizations, for which PyTorch makes a class of its own."""
    cls = type(module)
    return cls.__bases__[0] if parametrize.is_parametrized(module) else cls


def obstacle(module: torch.nn.Module) -> str | None:
    """Why `replace` leaves a module as it is, in a clause; None where it swaps it.

    Compiles the kernels of the module's cell and dtype, which takes seconds the first time on a machine.
    """
    if isinstance(module, torch.nn.RNNCellBase):
        return f"a {type(module).__name__} computes one step, and the loop over steps is the model's own"
    if not isinstance(module, torch.nn.RNNBase):
        return f"a {type(module).__name__} is not an RNN, LSTM or GRU of torch.nn"
    cls = plain_class(module)
    if getattr(cls, "in_torch", cls) not in (torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU):
        return f"{cls.__qualname__} is a class of its own, which may compute something else"
    return obstacle_of_module(module, weights_of(module))


def weights_of(module: torch.nn.RNNBase) -> list[torch.Tensor]:
    """The weights of a module in the order of its parameters, as parametrizations and hooks make them now."""
    return [getattr(module, name) for name in module._flat_weights_names]


def obstacle_of_module(module: torch.nn.RNNBase, weights: Sequence[torch.Tensor]) -> str | None:
    """Why the kernels compute no call of an RNN, LSTM or GRU with these weights; None where they do."""
    if module.proj_size:
        return f"it has projections (proj_size = {module.proj_size})"
    first = weights[0]
    for weight in weights:
        if weight.device != first.device or weight.dtype != first.dtype:
            return "its weights are on several devices, or of several dtypes"
    if first.device.type != "cpu":
        return f"it is on the device {first.device}, and the kernels run on the CPU"
    if first.dtype not in DTYPES:
        return f"its dtype is {first.dtype}, and the kernels have float32 and float64"
    without: str | None = _obstacle_of_machine(CELLS[module.mode], DTYPES[first.dtype])
    return without


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _obstacle_of_machine(cell: str, dtype: str) -> str | None:
    return _without_kernels(cell, dtype)


@functools.cache
def _without_kernels(cell: str, dtype: str) -> str | None:
    try:
        kernels(cell, dtype)
    except Unavailable as error:
        return f"there are no kernels: {error}"
    return None


def _has_tangent(leaf: Any) -> bool:
    unpack: Any = torch.autograd.forward_ad.unpack_dual
    return isinstance(leaf, torch.Tensor) and unpack(leaf).tangent is not None


def obstacle_of_call(x: torch.Tensor | PackedSequence, hx: Any) -> str | None:
    """Why the kernels do not compute a call, of a module that they compute; None where they do."""
    if isinstance(x, PackedSequence) and torch.compiler.is_compiling():
        return "the input is a PackedSequence, whose lengths torch.compile does not know"
    if torch.is_autocast_enabled("cpu"):
        return "autocast chooses the dtype"
    if torch._C._get_tracing_state() is not None:
        return "torch.jit.trace would record an operator that other programs lack"
    if torch.compiler.is_compiling():
        return None
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "torch.func transforms it"
    if torch.autograd.forward_ad._current_level >= 0 and any(map(_has_tangent, tree_leaves((x, hx)))):
        return "forward-mode derivatives are asked for"
    return None
