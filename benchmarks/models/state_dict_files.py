"""The tensors of a `.pt` or `.safetensors` file by name: shapes and dtypes, read without executing anything."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.models.tensors import Tensor
from rnnimpl.interface import Unavailable, Unsupported

_SAFE = (
    "save the weights alone by torch.save(model.state_dict(), FILE), or name the code that builds the model: "
    "module:factory"
)
_DEEPEST = 4
"""Mappings within one another in a checkpoint."""


def read_pt(path: Path) -> tuple[tuple[str, ...], dict[str, Tensor]]:
    """The tensors of a state dict that `torch.save` wrote, and the keys that lead to it in a checkpoint.

    The file is read with `weights_only`, so that nothing in it is executed. Raises Unsupported, with the safe way, for
    a file that holds anything but data.
    """
    import torch

    is_zip = zipfile.is_zipfile(path)
    if is_zip and any(name.endswith("/constants.pkl") for name in zipfile.ZipFile(path).namelist()):
        raise Unsupported(f"it is a TorchScript archive, which is a program: {_SAFE}")
    if not is_zip and not _begins_as_pickle(path):
        raise Unsupported(f"it is no file that torch.save wrote: {_SAFE}")
    try:
        with warnings.catch_warnings():
            # A file of another pickle protocol is refused below, if it is none of torch.save.
            warnings.simplefilter("ignore")
            content = torch.load(path, weights_only=True, map_location="cpu", mmap=is_zip)
    except pickle.UnpicklingError as error:
        raise Unsupported(
            "it holds more than tensors, a pickled model or other objects, which loading would execute; it was not "
            f"loaded: {_SAFE}"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise Unsupported(f"it is no file that torch.save wrote ({_first_line(error)}): {_SAFE}") from error
    if isinstance(content, torch.Tensor) or not isinstance(content, Mapping):
        raise Unsupported(f"it holds a {type(content).__name__}; expected a state dict: {_SAFE}")
    within, mapping = _state_dict(content)
    return within, {
        str(name): Tensor(tuple(value.shape), str(value.dtype))
        for name, value in mapping.items()
        if isinstance(value, torch.Tensor)
    }


def _begins_as_pickle(path: Path) -> bool:
    """Whether a file begins as those do that torch.save wrote before version 1.6: with the protocol of a pickle."""
    with path.open("rb") as file:
        return file.read(1) == pickle.PROTO


def _state_dict(content: Mapping[Any, Any]) -> tuple[tuple[str, ...], Mapping[Any, Any]]:
    """The first mapping with recurrent weights, of those nearest to the top, and the keys that lead to it."""
    waiting: list[tuple[tuple[str, ...], Mapping[Any, Any]]] = [((), content)]
    for keys, mapping in waiting:
        if any("weight_hh" in str(name) for name in mapping):
            return keys, mapping
        if len(keys) < _DEEPEST:
            waiting += [((*keys, str(key)), value) for key, value in mapping.items() if isinstance(value, Mapping)]
    return (), content


_SAFETENSORS_DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file. Raises Unsupported for a file that is none."""
    try:
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError as error:
        raise Unavailable("reading .safetensors needs safetensors: pip install safetensors") from error
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            return {
                name: Tensor(tuple(each.get_shape()), _SAFETENSORS_DTYPES.get(each.get_dtype(), each.get_dtype()))
                for name, each in slices.items()
            }
    except (SafetensorError, OSError, ValueError) as error:
        raise Unsupported(f"it is no .safetensors file ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return said[0][:200] if said else type(error).__name__
