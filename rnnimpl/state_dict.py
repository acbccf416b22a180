"""Read the weights of an `nn.RNN` from the forms in which programs keep them, and say of other forms what they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

FIRST = "weight_ih_l0"
"""The name of the first weight of every recurrent module of PyTorch."""
GATES = {3: "GRU", 4: "LSTM"}
"""What a recurrent network is whose weights have so many rows a unit."""
RECURRENT = re.compile(r"weight_hh(_l\d+(_reverse)?)?$")
"""The names of recurrent weights, of a module and of a cell, after any prefix."""
PARAMETRIZED = re.compile(
    r"(.*?)(?:parametrizations\.)?((?:weight|bias)_(?:ih|hh)_l\d+(?:_reverse)?)(?:\.original\d*|\.\d.*|_(?:g|v|orig|mask|u))$"
)
"""Names that weight norm, spectral norm and pruning give: as parametrizations, or by hooks as older releases did."""


def select(state_dict: Any, prefix: str) -> dict[str, Any]:
    """The entries whose names begin with the prefix, by the rest of their names.

    Raises TypeError for what is no mapping of names to arrays, ValueError where no name has the prefix.
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


def explain(arrays: Mapping[str, Any], wanted: Iterable[str]) -> str | None:
    """What the mapping is and what would help, where its names or shapes are known to be another network's or form's.

    None where nothing is known of them, and where all of the wanted names are there and have the rows of a plain RNN.
    """
    for name, value in arrays.items():
        if isinstance(value, Mapping) and any(str(inner).endswith(FIRST) for inner in value):
            return f"the mapping is a checkpoint: the weights are in its {name!r}; pass checkpoint[{name!r}]"
        if hasattr(value, "state_dict"):
            return f"{name!r} is a {type(value).__name__}; pass checkpoint[{name!r}].state_dict()"
    for name, value in arrays.items():
        shape = tuple(getattr(value, "shape", ()))
        if RECURRENT.search(name) and len(shape) == 2 and shape[1] and shape[0] % shape[1] == 0:
            gates = shape[0] // shape[1]
            if gates in GATES:
                return (
                    f"these are the weights of {'an' if gates == 4 else 'a'} {GATES[gates]}: {name} has shape {shape}, "
                    f"{gates}*H rows; expected those of a plain RNN, with H rows: no other network is computed here"
                )
    if {*wanted} <= arrays.keys():
        return None
    for name in arrays:
        found = PARAMETRIZED.match(name)
        if found:
            weight = found.group(2)
            return (
                f"{weight} is computed from others: there is {name!r}; expected the weight itself: before "
                f"state_dict(), call torch.nn.utils.parametrize.remove_parametrizations(module, {weight!r}), or "
                "torch.nn.utils.remove_weight_norm, remove_spectral_norm or prune.remove where hooks made it"
            )
    prefixes = [name.removesuffix(FIRST) for name in arrays if name.endswith(FIRST)]
    if prefixes and "" not in prefixes:
        named = " and ".join(repr(prefix) for prefix in prefixes)
        return f"the names of the weights begin with {named}; pass prefix={prefixes[0]!r}" + (
            " or the other that is meant" if len(prefixes) > 1 else ""
        )
    cells = [name.removesuffix("weight_ih") for name in arrays if name.endswith("weight_ih")]
    if cells:
        short = f"name.removeprefix({cells[0]!r})" if cells[0] else "name"
        return (
            f"these are the weights of an RNNCell, whose names have no layer: there is {cells[0] + 'weight_ih'!r}; "
            f"expected {FIRST!r}: pass {{{short} + '_l0': value for name, value in cell.items()}}"
        )
    return None


def to_numpy(name: str, value: Any) -> npt.NDArray[Any]:
    """A NumPy array of real numbers from an array or a torch tensor; float32 holds bfloat16, which NumPy has not.

    Raises TypeError, naming the weight, for what has no values, or none that a weight can be rounded to.
    """
    if hasattr(value, "detach"):
        value = _from_tensor(name, value)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} is a {type(value).__name__}, of which NumPy makes no array: {error}") from error
    if array.dtype.kind == "c":
        raise TypeError(f"{name} has dtype {array.dtype}; expected real numbers: half of each would be lost")
    # Extensions of NumPy have kind V: ml_dtypes' bfloat16 is one.
    if array.dtype.kind not in "fV" or array.dtype.names is not None:
        raise TypeError(f"{name} has dtype {array.dtype}; expected floating-point numbers")
    return array


def _from_tensor(name: str, tensor: Any) -> Any:
    """The tensor on the CPU in a dtype that NumPy has."""
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
    """The first few of the names."""
    listed = [repr(name) for name in names]
    return ", ".join(listed[:6]) + (f" and {len(listed) - 6} more" if len(listed) > 6 else "") if listed else "none"
