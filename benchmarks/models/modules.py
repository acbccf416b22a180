"""Recurrent layers among the modules of a PyTorch model. Imported in the process that holds the model alone."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.models.layers import Found, Layer, LeftOut
from rnnimpl.dtypes import DTYPES
from rnnimpl.interface import RnnConfig, Unsupported

CELLS = {"RNN_TANH": "tanh", "RNN_RELU": "relu", "LSTM": "lstm", "GRU": "gru"}
"""The cell of each mode of `nn.RNNBase`."""


def find_layers(model: torch.nn.Module) -> Found:
    """The recurrent layers of a model by their paths in it. Raises Unsupported where it has none."""
    layers: list[Layer] = []
    left_out: list[LeftOut] = []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.RNNBase):
            reason = _unsupported(module)
            if reason is None:
                layers.append(_layer(name, module))
            else:
                left_out.append(LeftOut(name=name, reason=reason))
        elif isinstance(module, torch.nn.RNNCellBase):
            left_out.append(LeftOut(name=name, reason=_one_step(module)))
        elif type(module).__module__.startswith("torch.ao.nn.quantized") and hasattr(module, "hidden_size"):
            left_out.append(LeftOut(name=name, reason="a quantized layer, whose weights are whole numbers"))
    if not layers and not left_out:
        kinds = sorted({type(module).__name__ for module in model.modules()})
        raise Unsupported(
            "it has no recurrent layer: none of its modules is an nn.RNN, nn.LSTM or nn.GRU; they are "
            f"{', '.join(kinds[:8])}"
        )
    return Found(tuple(layers), tuple(left_out))


def _unsupported(module: torch.nn.RNNBase) -> str | None:
    if module.proj_size:
        return f"an LSTM with projections (proj_size={module.proj_size}), which nothing here computes"
    if module.mode not in CELLS:
        return f"a recurrent layer of mode {module.mode}; expected one of {', '.join(CELLS)}"
    weight = module.weight_hh_l0
    dtype = str(weight.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        return f"its weights are {dtype}; expected one of {', '.join(DTYPES)}"
    if weight.device.type not in ("cpu", "cuda"):
        return f"it is on the device {weight.device}; expected cpu or cuda"
    return None


def _layer(name: str, module: torch.nn.RNNBase) -> Layer:
    weight: Any = module.weight_hh_l0
    config = RnnConfig(
        input_size=module.input_size,
        hidden_size=module.hidden_size,
        num_layers=module.num_layers,
        cell=CELLS[module.mode],  # type: ignore[arg-type]  # a cell
        bias=bool(module.bias),
        bidirectional=bool(module.bidirectional),
        dtype=str(weight.dtype).removeprefix("torch."),  # type: ignore[arg-type]  # one of DTYPES
    )
    return Layer(name=name, config=config, device=weight.device.type, batch_first=bool(module.batch_first))


def _one_step(module: torch.nn.RNNCellBase) -> str:
    kind = type(module).__name__
    whole = kind.removesuffix("Cell")
    return (
        f"an nn.{kind}, which computes one step a call; the engines here take sequences: nn.{whole} does with T 1 too"
    )
