"""Recurrent layers from the names and shapes of a state dict, whatever file it is in; values are not looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.models.layers import Found, Layer, LeftOut
from rnnimpl.dtypes import DTYPES
from rnnimpl.interface import RnnConfig, Unsupported
from rnnimpl.state_dict import CELL_MODULES, NETWORKS, PARAMETRIZED, PROJECTION


class Tensor(NamedTuple):
    """The shape and the dtype of an array in a file; the dtype by its name in PyTorch."""

    shape: tuple[int, ...]
    dtype: str


_WEIGHT = re.compile(r"(?P<prefix>.*?)(?P<name>(?:weight|bias)_(?:ih|hh)_l(?P<layer>\d+)(?P<reverse>_reverse)?)$")
_OF_ONE_STEP = re.compile(r"(?P<prefix>.*?)weight_hh$")
_TANH = "a state dict does not say whether it is tanh or relu: tanh is measured"


def find_layers(tensors: Mapping[str, Tensor]) -> Found:
    """The recurrent layers whose weights are among the tensors, in their order.

    Weights that weight norm, spectral norm or pruning compute from others have the shapes of these. Raises Unsupported,
    with a sentence, where there is no recurrent weight.
    """
    tensors = _plain_names(tensors)
    by_prefix: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        matched = _WEIGHT.fullmatch(name)
        if matched:
            by_prefix.setdefault(matched["prefix"], {})[matched["name"]] = tensor
    layers: list[Layer] = []
    left_out: list[LeftOut] = []
    for prefix, weights in by_prefix.items():
        found = _layer(prefix, weights, tensors)
        (layers if isinstance(found, Layer) else left_out).append(found)  # type: ignore[arg-type]  # each to its own list
    for name, tensor in tensors.items():
        matched = _OF_ONE_STEP.fullmatch(name)
        if matched:
            left_out.append(LeftOut(name=matched["prefix"].rstrip("."), reason=_one_step(tensor)))
    if not layers and not left_out:
        known = ", ".join(list(tensors)[:4]) or "none"
        raise Unsupported(
            f"it has no recurrent layer: none of its {len(tensors)} tensors is named as weight_hh_l0 of an nn.RNN, "
            f"nn.LSTM or nn.GRU is; its names begin with {known}"
        )
    return Found(tuple(layers), tuple(left_out))


def _plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the names of the weights that they make; of several parts the largest has the shape."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        matched = PARAMETRIZED.fullmatch(name)
        plain = matched.group(1) + matched.group(2) if matched else name
        if plain not in found or (len(tensor.shape) == 2 and tensor.shape > found[plain].shape):
            found[plain] = tensor
    return found


def _layer(prefix: str, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Layer | LeftOut:
    name = prefix.rstrip(".")
    projected = [each for each in tensors if each.startswith(prefix) and PROJECTION.fullmatch(each[len(prefix) :])]
    if projected:
        size = tensors[projected[0]].shape[0]
        return LeftOut(name=name, reason=f"an LSTM with projections (proj_size={size}), which nothing here computes")
    recurrent, first = weights.get("weight_hh_l0"), weights.get("weight_ih_l0")
    if recurrent is None or first is None or len(recurrent.shape) != 2 or len(first.shape) != 2:
        return LeftOut(name=name, reason=f"its weights are {', '.join(weights)}, without both of a first layer")
    H = recurrent.shape[1]
    gates = recurrent.shape[0] // H if H and recurrent.shape[0] % H == 0 else 0
    if gates not in NETWORKS:
        return LeftOut(
            name=name,
            reason=f"weight_hh_l0 has shape {recurrent.shape}; expected H, 3*H or 4*H rows of H columns",
        )
    dtype = recurrent.dtype.removeprefix("torch.")
    if dtype not in DTYPES:
        return LeftOut(name=name, reason=f"its weights are {dtype}; expected one of {', '.join(DTYPES)}")
    cell = NETWORKS[gates][1][-1]
    config = RnnConfig(
        input_size=first.shape[1],
        hidden_size=H,
        num_layers=1 + max(int(each["layer"]) for each in map(_WEIGHT.fullmatch, weights) if each),
        cell=cell,  # type: ignore[arg-type]  # a cell of NETWORKS
        bias="bias_hh_l0" in weights,
        bidirectional="weight_hh_l0_reverse" in weights,
        dtype=dtype,
    )
    wanted = config.weight_shapes()
    for each, shape in wanted.items():
        if each not in weights or weights[each].shape != shape:
            found = f"has shape {weights[each].shape}" if each in weights else "is missing"
            return LeftOut(
                name=name, reason=f"{each} {found}; expected {shape} beside weight_hh_l0 of {recurrent.shape}"
            )
    return Layer(name=name, config=config, assumed=_TANH if gates == 1 else "")


def _one_step(recurrent: Tensor) -> str:
    """The reason why a module of one step is left out."""
    rows, H = recurrent.shape if len(recurrent.shape) == 2 else (0, 0)
    module = CELL_MODULES.get(rows // H if H and rows % H == 0 else None, "a module of one step")
    return (
        f"{module}, which computes one step a call; the engines here take sequences: an nn.RNN, nn.LSTM or nn.GRU "
        "computes the same with these weights, named with _l0"
    )
