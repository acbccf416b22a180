"""The gradient of `rnnimpl::fused_rnn`, and `fused_rnn`, which modules call."""

from __future__ import annotations

from typing import Any

import torch

from rnnimpl.torch.operator import (
    FUSED_RNN,
    FUSED_RNN_BACKWARD,
    LIBRARY,
    Lengths,
    Optional,
    Weights,
    backward,
    forward,
)

SECOND_DERIVATIVE = (
    "rnnimpl::fused_rnn has no second derivative: put torch.nn's modules back with rnnimpl.torch.restore(model) where "
    "gradients are differentiated again (create_graph=True)"
)
_PLAIN = (torch.Tensor, torch.nn.Parameter)


def fused_rnn(
    x: torch.Tensor,
    h0: Optional,
    c0: Optional,
    weights: Weights,
    cell: str,
    num_layers: int,
    bidirectional: bool,
    lengths: Lengths = None,
) -> tuple[torch.Tensor, ...]:
    """y (T, B, D*H), h_n and c_n (L*D, B, H), and what is saved, as the operator `rnnimpl::fused_rnn` gives them.

    x is (T, B, I); h0 and c0 (L*D, B, H) are None for zeros, and only an LSTM has c0 and c_n. The weights are in the
    order of a `torch.nn` module's parameters. Shapes have to fit. `lengths` are those of `rnnimpl.Rnn.forward`; with x
    (N, I), the data of a `PackedSequence`, they are those of its sequences, and y is packed as well.

    Calls the kernels directly where nothing traces: PyTorch's way to an operator in Python takes longer than a small
    network.
    """
    arguments = x, h0, c0, weights, cell, num_layers, bidirectional
    if not (_is_plain(x, h0, c0) and _is_plain(*weights)):
        found: tuple[torch.Tensor, ...] = FUSED_RNN(*arguments, lengths=lengths)
    elif torch.is_grad_enabled() and _any_requires_grad(x, h0, c0, *weights):
        found = _FusedRnn.apply(True, lengths, x, h0, c0, cell, num_layers, bidirectional, *weights)  # type: ignore[no-untyped-call]
    else:
        found = forward(*arguments, lengths=lengths)
    return found


def _is_plain(*tensors: Optional) -> bool:
    """Whether tensors are what their memory holds, and nothing records or changes what is called."""
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack():
        return False
    return all(tensor is None or (type(tensor) in _PLAIN and not tensor.is_neg()) for tensor in tensors)


def _any_requires_grad(*tensors: Optional) -> bool:
    return any(tensor is not None and tensor.requires_grad for tensor in tensors)


class _FusedRnn(torch.autograd.Function):
    """`fused_rnn` with its gradient. Inputs: whether to call the kernels directly, the lengths, then the operator's."""

    @staticmethod
    def forward(
        ctx: Any,
        directly: bool,
        lengths: Lengths,
        x: torch.Tensor,
        h0: Optional,
        c0: Optional,
        cell: str,
        num_layers: int,
        bidirectional: bool,
        *weights: torch.Tensor,
    ) -> Any:
        arguments = x, h0, c0, weights, cell, num_layers, bidirectional, True, lengths
        if directly:
            y, h_n, c_n, saved = forward(*arguments)
        else:
            with torch._C._AutoDispatchBelowAutograd():
                y, h_n, c_n, saved = FUSED_RNN(*arguments)
        ctx.structure, ctx.lengths = (cell, num_layers, bidirectional), lengths
        ctx.save_for_backward(x, h0, c0, y, saved, *weights)
        ctx.mark_non_differentiable(saved, *(() if cell == "lstm" else (c_n,)))
        ctx.set_materialize_grads(False)
        return y, h_n, c_n, saved

    @staticmethod
    def backward(ctx: Any, dy: Optional, dh_n: Optional, dc_n: Optional, _: None) -> Any:
        x, h0, c0, y, saved, *weights = ctx.saved_tensors
        _, _, wants_x, wants_h0, wants_c0, _, _, _, *wants_weights = ctx.needs_input_grad
        # With create_graph=True, it is the operator that refuses a second derivative.
        run: Any = (
            backward
            if not torch.is_grad_enabled() and _is_plain(dy, dh_n, dc_n, x, h0, c0, *weights)
            else FUSED_RNN_BACKWARD
        )
        given = dy, dh_n, dc_n, x, h0, c0, y, saved
        wanted = wants_x, any(wants_weights)
        dx, dh0, dc0, of_weights = run(*given, weights, *ctx.structure, *wanted, ctx.lengths)
        grads: list[Optional] = [None] * len(weights)
        begin = 0
        for index, weight in enumerate(weights):
            if wants_weights[index]:
                grads[index] = of_weights[begin : begin + weight.numel()].view(weight.shape)
            begin += weight.numel()
        of_inputs = dx if wants_x else None, dh0 if wants_h0 else None, dc0 if wants_c0 else None
        return None, None, *of_inputs, None, None, None, *grads


class _FusedRnnBackward(torch.autograd.Function):
    """`fused_rnn_backward` where its own gradient may be asked for, which there is none of."""

    @staticmethod
    def forward(ctx: Any, count: int, *arguments: Any) -> Any:  # noqa: ARG004  # there is nothing to keep
        with torch._C._AutoDispatchBelowAutograd():
            return FUSED_RNN_BACKWARD(*arguments[:count])

    @staticmethod
    def backward(ctx: Any, *cotangents: Optional) -> Any:  # noqa: ARG004
        raise RuntimeError(SECOND_DERIVATIVE)


def _forward_with_gradient(
    x: torch.Tensor,
    h0: Optional,
    c0: Optional,
    weights: Weights,
    cell: str,
    num_layers: int,
    bidirectional: bool,
    save: bool = False,
    lengths: Lengths = None,
) -> Any:
    if torch.is_grad_enabled() and _any_requires_grad(x, h0, c0, *weights):
        return _FusedRnn.apply(False, lengths, x, h0, c0, cell, num_layers, bidirectional, *weights)  # type: ignore[no-untyped-call]
    with torch._C._AutoDispatchBelowAutograd():
        return FUSED_RNN(x, h0, c0, weights, cell, num_layers, bidirectional, save, lengths)


def _backward_without_gradient(*arguments: Any) -> Any:
    *tensors, weights = arguments[:9]
    if torch.is_grad_enabled() and _any_requires_grad(*tensors, *weights):
        # The weights once more, one by one, for autograd to see them.
        return _FusedRnnBackward.apply(len(arguments), *arguments, *weights)  # type: ignore[no-untyped-call]
    with torch._C._AutoDispatchBelowAutograd():
        return FUSED_RNN_BACKWARD(*arguments)


LIBRARY.impl("fused_rnn", _forward_with_gradient, "Autograd")
LIBRARY.impl("fused_rnn_backward", _backward_without_gradient, "Autograd")
