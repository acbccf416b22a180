"""Read the weights of an `nn.RNN`, `nn.LSTM` or `nn.GRU` from a state dict; name other known forms, with the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnimpl.cells import CELLS

FIRST = "weight_ih_l0"
"""The name of the first weight of every recurrent module of PyTorch."""
NETWORKS: Mapping[int, tuple[str, tuple[str, ...]]] = {
    1: ("a plain RNN", ("relu", "tanh")),
    3: ("a GRU", ("gru",)),
    4: ("an LSTM", ("lstm",)),
}
"""PyTorch's networks by the number of blocks of H rows in their weights, with the cells of each."""
CELL_MODULES: Mapping[int | None, str] = {1: "an RNNCell", 3: "a GRUCell", 4: "an LSTMCell"}
"""PyTorch's modules of one step by the number of blocks of H rows in their weights."""
PROJECTION = re.compile(r"weight_hr_l\d+(_reverse)?$")
"""Matches the name of an LSTM's projection, after any prefix."""
RECURRENT = re.compile(r"weight_hh(_l\d+(_reverse)?)?$")
"""Matches the name of a recurrent weight, of `nn.LSTM` or `nn.LSTMCell`, after any prefix."""
PARAMETRIZED = re.compile(
    r"(.*?)(?:parametrizations\.)?((?:weight|bias)_(?:ih|hh)_l\d+(?:_reverse)?)(?:\.original\d*|\.\d.*|_(?:g|v|orig|mask|u))$"
)
"""Matches the names that weight norm, spectral norm and pruning make, as parametrizations or by hooks."""


def select(state_dict: Any, prefix: str) -> dict[str, Any]:
    """The entries whose names begin with the prefix, by the rest of their names.

    Raises TypeError for an object that is no mapping with names as keys, ValueError where no name has the prefix.
    """
    if hasattr(state_dict, "state_dict"):
        raise TypeError(f"got a {type(state_dict).__name__}; expected its weights by name: pass module.state_dict()")
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"got a {type(state_dict).__name__}; expected a mapping of names to arrays: what torch.save wrote, "
            "torch.load(path, weights_only=True) reads"
        )
    odd = [name for name in state_dict if not isinstance(name, str)]
    if odd:
        raise TypeError(f"the mapping has the key {odd[0]!r}; expected names as {FIRST!r}")
    selected = {name.removeprefix(prefix): value for name, value in state_dict.items() if name.startswith(prefix)}
    if not selected:
        raise ValueError(f"prefix is {prefix!r}, which no name begins with; the names are {_listed(state_dict)}")
    return selected


def explain(arrays: Mapping[str, Any], wanted: Iterable[str], cell: str) -> str | None:
    """A sentence on a mapping that is known to be of another network or form, with the remedy.

    None where its form is not known, and where it has all of the wanted names with the cell's number of rows.
    """
    for name, value in arrays.items():
        if isinstance(value, Mapping) and any(str(inner).endswith(FIRST) for inner in value):
            return f"the mapping is a checkpoint: the weights are in its {name!r}; pass checkpoint[{name!r}]"
        if hasattr(value, "state_dict"):
            return f"{name!r} is a {type(value).__name__}; pass checkpoint[{name!r}].state_dict()"
    remedies = [each for each in (_other_cell(arrays, cell), _prefix(arrays, cell)) if each is not None]
    if remedies:
        return "; ".join(remedies)
    if {*wanted} <= arrays.keys():
        return None
    return _parametrized(arrays) or _one_step(arrays)


def _other_cell(arrays: Mapping[str, Any], cell: str) -> str | None:
    """A sentence on weights of another cell or with projections; None for weights of the cell."""
    projected = [name for name in arrays if PROJECTION.search(name)]
    if projected:
        return f"these are the weights of an LSTM with projections: there is {projected[0]!r}; none are computed here"
    found = {name: _blocks(value) for name, value in arrays.items() if RECURRENT.search(name)}
    wanted = CELLS[cell].num_gates
    others = {
        name: blocks for name, blocks in found.items() if blocks is not None and blocks in NETWORKS and blocks != wanted
    }
    if not others or wanted in found.values():
        return None
    name, blocks = next(iter(others.items()))
    network, cells = NETWORKS[blocks]
    right = " or ".join(f"cell={each!r}" for each in cells)
    return (
        f"these are the weights of {network}: {name} has shape {tuple(arrays[name].shape)}, "
        f"{_rows(blocks)} rows; expected {_rows(wanted)} for cell={cell!r}: pass {right} to RnnConfig"
    )


def _blocks(value: Any) -> int | None:
    """Rows divided by columns of a recurrent weight; None where that is not a whole number."""
    shape = tuple(getattr(value, "shape", ()))
    return int(shape[0] // shape[1]) if len(shape) == 2 and shape[1] and shape[0] % shape[1] == 0 else None


def _rows(blocks: int) -> str:
    return "H" if blocks == 1 else f"{blocks}*H"


def _prefix(arrays: Mapping[str, Any], cell: str) -> str | None:
    """A sentence on names that begin with a prefix, with that of a module of the cell first; None without a prefix."""
    prefixes = [name.removesuffix(FIRST) for name in arrays if name.endswith(FIRST)]
    if not prefixes or "" in prefixes:
        return None
    of_cell = [each for each in prefixes if _blocks(arrays.get(f"{each}weight_hh_l0")) == CELLS[cell].num_gates]
    prefixes = of_cell or prefixes
    named = " and ".join(repr(prefix) for prefix in prefixes)
    return f"the names of the weights begin with {named}; pass prefix={prefixes[0]!r}" + (
        " or the other that is meant" if len(prefixes) > 1 else ""
    )


def _parametrized(arrays: Mapping[str, Any]) -> str | None:
    """A sentence on a weight that is computed from others in the mapping; None without one."""
    for name in arrays:
        found = PARAMETRIZED.match(name)
        if found:
            weight = found.group(2)
            return (
                f"{weight} is computed from others: there is {name!r}; expected the weight itself: before "
                f"state_dict(), call torch.nn.utils.parametrize.remove_parametrizations(module, {weight!r}), or "
                "torch.nn.utils.remove_weight_norm, remove_spectral_norm or prune.remove where hooks made it"
            )
    return None


def _one_step(arrays: Mapping[str, Any]) -> str | None:
    """A sentence on the weights of a module of one step, such as `nn.LSTMCell`; None for others."""
    prefixes = [name.removesuffix("weight_ih") for name in arrays if name.endswith("weight_ih")]
    if not prefixes:
        return None
    prefix = prefixes[0]
    short = f"name.removeprefix({prefix!r})" if prefix else "name"
    blocks = _blocks(arrays.get(f"{prefix}weight_hh"))
    return (
        f"these are the weights of {CELL_MODULES.get(blocks, 'a module of one step')}, whose names have no layer: "
        f"there is {prefix + 'weight_ih'!r}; expected {FIRST!r}: "
        f"pass {{{short} + '_l0': value for name, value in cell.items()}}"
    )


def to_numpy(name: str, value: Any) -> npt.NDArray[Any]:
    """A NumPy array of real numbers from an array or a torch tensor; bfloat16 becomes float32.

    Raises TypeError, naming the weight, for an object without values, and for values that are no real numbers.
    """
    if hasattr(value, "detach"):
        value = _from_tensor(name, value)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"{name} is a {type(value).__name__}, which NumPy does not convert to an array: {error}"
        ) from error
    if array.dtype.kind == "c":
        raise TypeError(f"{name} has dtype {array.dtype}; expected real numbers: half of each would be lost")
    # The dtypes of extensions, such as bfloat16 of ml_dtypes, have kind V.
    if array.dtype.kind not in "fV" or array.dtype.names is not None:
        raise TypeError(f"{name} has dtype {array.dtype}; expected floating-point numbers")
    return array


def _from_tensor(name: str, tensor: Any) -> Any:
    """The tensor as a NumPy array of float32 or float64. Raises TypeError as `to_numpy`."""
    if getattr(tensor, "is_meta", False):
        raise TypeError(
            f"{name} is on the meta device, where tensors have shapes and no values: load the weights on a device"
        )
    if getattr(tensor, "is_quantized", False):
        raise TypeError(f"{name} is quantized, with dtype {tensor.dtype}; expected numbers: pass value.dequantize()")
    if str(getattr(tensor, "layout", "torch.strided")) != "torch.strided":
        raise TypeError(f"{name} has layout {tensor.layout}; expected a dense tensor: pass value.to_dense()")
    if tensor.is_complex():
        raise TypeError(f"{name} has dtype {tensor.dtype}; expected real numbers: half of each would be lost")
    if not tensor.is_floating_point():
        raise TypeError(f"{name} has dtype {tensor.dtype}; expected floating-point numbers")
    on_host = tensor.detach().cpu()
    return (on_host.double() if on_host.element_size() == 8 else on_host.float()).numpy()


def _listed(names: Iterable[str]) -> str:
    """The first few of the names as text."""
    listed = [repr(name) for name in names]
    return ", ".join(listed[:6]) + (f" and {len(listed) - 6} more" if len(listed) > 6 else "") if listed else "none"
