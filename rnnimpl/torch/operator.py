"""The kernels as operators of PyTorch, `rnnimpl::fused_rnn` and `rnnimpl::fused_rnn_backward`, without their gradients.

`torch.compile` and `torch.export` take an operator as it is into their graphs; a function they would trace.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from rnnimpl.torch.operator_checks import check, config_of
from rnnimpl.torch.packed_weights import (
    Gradients,
    Packed,
    Results,
    Structure,
    batch_size,
    packed_weights,
    saved_numbers,
)

Optional: TypeAlias = torch.Tensor | None
Weights: TypeAlias = Sequence[torch.Tensor]
Lengths: TypeAlias = Sequence[int] | None
"""The number of steps of each sequence; None: all have T."""

LIBRARY: Any = torch.library.Library("rnnimpl", "DEF")  # type: ignore[no-untyped-call]
_INPUTS = "Tensor x, Tensor? h0, Tensor? c0"
_STRUCTURE = "Tensor[] weights, str cell, int num_layers, bool bidirectional"
LIBRARY.define(
    f"fused_rnn({_INPUTS}, {_STRUCTURE}, bool save=False, int[]? lengths=None) -> "
    "(Tensor y, Tensor h_n, Tensor c_n, Tensor saved)"
)
LIBRARY.define(
    f"fused_rnn_backward(Tensor? dy, Tensor? dh_n, Tensor? dc_n, {_INPUTS}, Tensor y, Tensor saved, {_STRUCTURE}, "
    "bool wants_x, bool wants_weights, int[]? lengths=None) -> (Tensor dx, Tensor dh0, Tensor dc0, Tensor dweights)"
)
FUSED_RNN = torch.ops.rnnimpl.fused_rnn.default
FUSED_RNN_BACKWARD = torch.ops.rnnimpl.fused_rnn_backward.default


def forward(
    x: torch.Tensor,
    h0: Optional,
    c0: Optional,
    weights: Weights,
    cell: str,
    num_layers: int,
    bidirectional: bool,
    save: bool = False,
    lengths: Lengths = None,
) -> Results:
    """What `fused_rnn` computes, of arguments that fit: the kernels would read beyond the ends of others."""
    packed = packed_weights(Structure(cell, num_layers, bidirectional), weights)
    return packed.forward((x, h0, c0), save=save, lengths=lengths)


def backward(
    dy: Optional,
    dh_n: Optional,
    dc_n: Optional,
    x: torch.Tensor,
    h0: Optional,
    c0: Optional,
    y: torch.Tensor,
    saved: torch.Tensor,
    weights: Weights,
    cell: str,
    num_layers: int,
    bidirectional: bool,
    wants_x: bool,
    wants_weights: bool,
    lengths: Lengths = None,
) -> Gradients:
    """What `fused_rnn_backward` computes: the gradients, of x and of the weights where they are wanted."""
    packed = packed_weights(Structure(cell, num_layers, bidirectional), weights)
    wanted = {"wants_x": wants_x, "wants_weights": wants_weights}
    return packed.backward((dy, dh_n, dc_n), (x, h0, c0), (y, saved), **wanted, lengths=lengths)


@functools.wraps(forward)
def _checked_forward(*arguments: Any) -> Results:
    lengths = None if len(arguments) < 9 else arguments[8]
    check(*(*arguments[:7], lengths))
    return forward(*arguments)


LIBRARY.impl("fused_rnn", _checked_forward, "CPU")
LIBRARY.impl("fused_rnn_backward", backward, "CPU")


@torch.library.register_fake("rnnimpl::fused_rnn", lib=LIBRARY)  # type: ignore[untyped-decorator]
def _shapes(
    x: torch.Tensor,
    h0: Optional,  # noqa: ARG001  # the arguments are the operator's
    c0: Optional,  # noqa: ARG001
    weights: Weights,
    cell: str,
    num_layers: int,
    bidirectional: bool,
    save: bool = False,
    lengths: Lengths = None,
) -> tuple[torch.Tensor, ...]:
    structure = Structure(cell, num_layers, bidirectional)
    _, B = batch_size(x, lengths)
    I, H = x.shape[-1], weights[1].shape[1]
    state = structure.num_stacked, B, H
    has_bias = len(weights) == 4 * structure.num_stacked
    size = _saved_size(structure, int(I), int(H), has_bias, weights[0].dtype) if save else 0
    return (
        x.new_empty((*x.shape[:-1], (2 if bidirectional else 1) * H)),
        x.new_empty(state),
        x.new_empty(state if structure.num_states == 2 else (0,)),
        x.new_empty(saved_numbers(size, math.prod(x.shape[:-1]))),
    )


@torch.library.register_fake("rnnimpl::fused_rnn_backward", lib=LIBRARY)  # type: ignore[untyped-decorator]
def _gradient_shapes(*arguments: Any) -> tuple[torch.Tensor, ...]:
    _, _, _, x, _, _, _, _, weights, *of_structure, wants_x, wants_weights = arguments[:14]
    structure = Structure(*of_structure)
    _, B = batch_size(x, arguments[14] if len(arguments) > 14 else None)
    state = structure.num_stacked, B, weights[1].shape[1]
    return (
        x.new_empty(x.shape if wants_x else (0,)),
        x.new_empty(state),
        x.new_empty(state if structure.num_states == 2 else (0,)),
        x.new_empty(sum(weight.numel() for weight in weights) if wants_weights else 0),
    )


@functools.cache
def _saved_size(structure: Structure, I: int, H: int, has_bias: bool, dtype: torch.dtype) -> int:
    """Numbers that a forward pass saves of each step and sequence, by the kernels themselves."""
    config = config_of(structure, I, H, has_bias, dtype)
    with torch._C._DisableTorchDispatch():  # tensors with memory, also while shapes alone are traced
        weights = [torch.zeros(shape, dtype=dtype) for shape in config.weight_shapes().values()]
        return Packed(structure, weights, 1).saved_size
