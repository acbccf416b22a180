"""What the operator refuses: tensors of shapes that do not fit, which the kernels would read beyond their ends."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rnnimpl.interface import RnnConfig
from rnnimpl.lengths import checked_lengths
from rnnimpl.torch.packed_weights import DTYPES, Structure, batch_size


def config_of(structure: Structure, I: int, H: int, has_bias: bool, dtype: torch.dtype) -> RnnConfig:
    """The network of a structure with I features and H units. Raises what `RnnConfig` raises."""
    return RnnConfig(
        input_size=I,
        hidden_size=H,
        num_layers=structure.num_layers,
        cell=structure.cell,  # type: ignore[arg-type]  # RnnConfig refuses others
        bias=has_bias,
        bidirectional=structure.bidirectional,
        dtype=DTYPES[dtype],
    )


def check(
    x: torch.Tensor,
    h0: torch.Tensor | None,
    c0: torch.Tensor | None,
    weights: Sequence[torch.Tensor],
    cell: str,
    num_layers: int,
    bidirectional: bool,
    lengths: Sequence[int] | None = None,
) -> None:
    """Raise ValueError unless the arguments of `rnnimpl::fused_rnn` fit each other."""
    structure = Structure(cell, num_layers, bidirectional)
    is_packed = x.dim() == 2 and lengths is not None
    if not (x.dim() == 3 or is_packed) or 0 in x.shape or x.dtype not in DTYPES:
        raise ValueError(
            f"x is {_said(x)}; expected (T, B, I), or packed (N, I) with lengths, none of them 0, of float32 or float64"
        )
    if lengths is not None and is_packed:
        _check_packed(x, lengths)
    else:
        checked_lengths(lengths, x.shape[0], x.shape[1])
    (_, B), I = batch_size(x, lengths), x.shape[-1]
    count, is_matrix = len(weights), len(weights) > 1 and weights[1].dim() == 2
    if count not in (2 * structure.num_stacked, 4 * structure.num_stacked) or not is_matrix:
        raise ValueError(f"{count} weights for {structure}; expected 2 of a layer and direction, 4 with biases")
    has_bias = count == 4 * structure.num_stacked
    config = config_of(structure, int(I), int(weights[1].shape[1]), has_bias, x.dtype)
    expected = [*zip(config.weight_shapes().items(), weights, strict=True)]
    expected += [
        ((name, config.state_shapes(int(B))[0]), state) for name, state in (("h0", h0), ("c0", c0)) if state is not None
    ]
    for (name, shape), tensor in expected:
        if tuple(tensor.shape) != shape or tensor.dtype != x.dtype:
            raise ValueError(f"{name} is {_said(tensor)}; expected {shape} of {x.dtype}")
    if (c0 is not None) != (h0 is not None and structure.num_states == 2):
        raise ValueError("c0 is given together with h0 to an LSTM, and to nothing else")


def _check_packed(x: torch.Tensor, lengths: Sequence[int]) -> None:
    checked_lengths(lengths, x.shape[0], len(lengths))
    if sorted(lengths, reverse=True) != list(lengths) or sum(lengths) != x.shape[0]:
        raise ValueError(
            f"the lengths of a packed x of {x.shape[0]} rows are {tuple(lengths)}; expected the longest first, and "
            "their sum to be that of its rows"
        )


def _said(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} of {tensor.dtype}"
