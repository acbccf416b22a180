"""`RNN`, `LSTM` and `GRU`: the modules of `torch.nn`, computed by the kernels of `fused_cpu`."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, TypeAlias

import torch
from torch.nn.utils.rnn import PackedSequence

from rnnimpl.torch.gradient import fused_rnn
from rnnimpl.torch.obstacles import CELLS, FallbackWarning, obstacle_of_call, obstacle_of_module, weights_of

State: TypeAlias = tuple[torch.Tensor, ...]


class _Fused(torch.nn.RNNBase):
    """What the three modules share.

    They derive from `torch.nn.RNNBase` and not from `torch.nn.LSTM`: `torch.compile` breaks its graph at each instance
    of the latter.
    """

    in_torch: ClassVar[type[torch.nn.RNNBase]]
    """The class of `torch.nn` in whose place it stands, which computes what the kernels do not."""

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002  # the name in torch.nn, which callers may use
        """The outputs and the final state; arguments, results and errors are those of the `torch.nn` module."""
        weights = weights_of(self)
        reason = obstacle_of_module(self, weights) or obstacle_of_call(input, hx)
        if reason is not None:
            self._say_once(reason)
        elif isinstance(input, PackedSequence):
            if self._fits(input.data, hx, weights[0].dtype, (int(input.batch_sizes[0]),)):
                return self._of_packed(input, hx, weights)
        elif input.dim() == 3:
            if self._fits(input, hx, weights[0].dtype, (input.size(0 if self.batch_first else 1),)):
                x = input.transpose(0, 1) if self.batch_first else input
                y, state_n = self._compute(x, self._state(hx), weights)
                return y.transpose(0, 1) if self.batch_first else y, self._hx(state_n)
        elif input.dim() == 2 and self._fits(input, hx, weights[0].dtype, ()):
            state = tuple(tensor.unsqueeze(1) for tensor in self._state(hx))
            y, state_n = self._compute(input.unsqueeze(1), state, weights)
            return y.squeeze(1), self._hx(tuple(tensor.squeeze(1) for tensor in state_n))
        return self.in_torch.forward(self, input, hx)

    def _fits(self, x: torch.Tensor, hx: Any, dtype: torch.dtype, batch: tuple[int, ...]) -> bool:
        """Whether there is something to compute; else `torch.nn` raises its error, or has results without elements."""
        if x.dtype != dtype or x.device.type != "cpu" or x.size(-1) != self.input_size or x.numel() == 0:
            return False
        if hx is None:
            return True
        if isinstance(hx, torch.Tensor) == (self.mode == "LSTM"):
            return False
        state = self._state(hx)
        shape = (self.num_layers * (2 if self.bidirectional else 1), *batch, self.hidden_size)
        return len(state) == (2 if self.mode == "LSTM" else 1) and all(
            tensor.shape == shape and tensor.dtype == dtype and tensor.device.type == "cpu" for tensor in state
        )

    def _of_packed(self, given: PackedSequence, hx: Any, weights: list[torch.Tensor]) -> tuple[PackedSequence, Any]:
        """The outputs, packed as the input is, and the final state, as the caller gets it."""
        data, batch_sizes, sorted_indices, unsorted_indices = given
        lengths: list[int] = (batch_sizes[:, None] > torch.arange(int(batch_sizes[0]))).sum(0).tolist()
        # The longest sequence comes first, as they are packed; the state is in the caller's order.
        state = _in_order(self._state(hx), sorted_indices)
        y, state_n = self._compute(data, state, weights, lengths)
        return (
            PackedSequence(y, batch_sizes, sorted_indices, unsorted_indices),
            self._hx(_in_order(state_n, unsorted_indices)),
        )

    def _state(self, hx: Any) -> State:
        """A state as a tuple, () for none, of what the caller gave."""
        if hx is None:
            return ()
        return tuple(hx) if self.mode == "LSTM" else (hx,)

    def _hx(self, state: State) -> Any:
        """A state as the caller gets it."""
        return state if self.mode == "LSTM" else state[0]

    def _compute(
        self, x: torch.Tensor, state: State, weights: list[torch.Tensor], lengths: list[int] | None = None
    ) -> tuple[torch.Tensor, State]:
        """y (T, B, D*H) and the final state, each (L*D, B, H), from x (T, B, I) and a state, () for zeros.

        With `lengths`, those of the sequences of a packed x (N, I), y is packed as well.
        """
        if not self.dropout or not self.training or self.num_layers == 1:
            return self._layers(self.num_layers, x, state, weights, lengths)
        D, of_layer = (2 if self.bidirectional else 1), len(weights) // self.num_layers
        finals = []
        for layer in range(self.num_layers):
            # Drawn as torch.nn draws it, so that a seed gives the same masks.
            x = torch.dropout(x, self.dropout, True) if layer else x
            own_state = tuple(tensor[layer * D : (layer + 1) * D] for tensor in state)
            x, final = self._layers(1, x, own_state, weights[layer * of_layer : (layer + 1) * of_layer], lengths)
            finals.append(final)
        return x, tuple(torch.cat(arrays) for arrays in zip(*finals, strict=True))

    def _layers(
        self,
        num_layers: int,
        x: torch.Tensor,
        state: State,
        weights: list[torch.Tensor],
        lengths: list[int] | None,
    ) -> tuple[torch.Tensor, State]:
        h0, c0 = (*state, None, None)[:2]
        y, h_n, c_n, _ = fused_rnn(x, h0, c0, weights, CELLS[self.mode], num_layers, self.bidirectional, lengths)
        return y, (h_n, c_n) if self.mode == "LSTM" else (h_n,)

    def _say_once(self, reason: str) -> None:
        if torch.compiler.is_compiling() or reason in self.__dict__.setdefault("_said", set()):
            return
        self.__dict__["_said"].add(reason)
        warnings.warn(
            f"{self} computes as torch.nn.{self.in_torch.__name__} does: {reason}", FallbackWarning, stacklevel=5
        )


class RNN(_Fused):
    """`torch.nn.RNN`, tanh or relu, computed by the kernels of `fused_cpu`: the same arguments, results and errors."""

    in_torch = torch.nn.RNN

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projections(kwargs)
        # The fourth argument, as torch.nn.RNN has it.
        nonlinearity = args[3] if len(args) > 3 else kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        self.nonlinearity = nonlinearity
        super().__init__(f"RNN_{nonlinearity.upper()}", *args[:3], *args[4:], **kwargs)


class LSTM(_Fused):
    """`torch.nn.LSTM`, computed by the kernels of `fused_cpu`: the same arguments, results and errors."""

    in_torch = torch.nn.LSTM
    # What torch.nn.LSTM.forward calls, which computes where the kernels do not.
    get_expected_cell_size = torch.nn.LSTM.get_expected_cell_size
    check_forward_args = torch.nn.LSTM.check_forward_args  # type: ignore[assignment]
    permute_hidden = torch.nn.LSTM.permute_hidden  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)


class GRU(_Fused):
    """`torch.nn.GRU`, computed by the kernels of `fused_cpu`: the same arguments, results and errors."""

    in_torch = torch.nn.GRU

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projections(kwargs)
        super().__init__("GRU", *args, **kwargs)


def _in_order(state: State, order: torch.Tensor | None) -> State:
    """A state, each (L*D, B, H), with its sequences in an order; None for the one that it has."""
    return state if order is None else tuple(tensor.index_select(1, order) for tensor in state)


def _refuse_projections(kwargs: dict[str, Any]) -> None:
    if "proj_size" in kwargs:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
