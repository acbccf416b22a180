"""`replace` puts the modules of this package into a model in place of `torch.nn`'s, and `restore` takes them out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch.nn.utils import parametrize

from rnnimpl.torch.modules import GRU, LSTM, RNN, _Fused
from rnnimpl.torch.obstacles import obstacle, plain_class

_FUSED: dict[type[torch.nn.Module], type[_Fused]] = {fused.in_torch: fused for fused in (RNN, LSTM, GRU)}


@dataclasses.dataclass(frozen=True)
class Replacement:
    """What `replace` did: the names of the modules that it swapped, and those that it left, each with the reason.

    Names are those of `model.named_modules()`; a model that is itself such a module has the empty name.
    """

    swapped: tuple[str, ...]
    left: Mapping[str, str]

    def __str__(self) -> str:
        lines = [f"swapped {_named(name)}" for name in self.swapped]
        lines += [f"left {_named(name)}: {reason}" for name, reason in self.left.items()]
        return "\n".join(lines or ["the model has no recurrent module"])


def replace(model: torch.nn.Module) -> Replacement:
    """Let every RNN, LSTM and GRU of a model be computed by the kernels of `fused_cpu`, in place.

    Each module stays the object that it is, with its parameters, hooks, parametrizations and mode; its class changes.
    So optimizers, and whatever else refers to the module or its parameters, need not know. Modules that are swapped
    already stay so and are not named. Compiles kernels where none are kept, which takes seconds.
    """
    swapped, left = [], {}
    for name, module in model.named_modules():
        if not isinstance(module, (torch.nn.RNNBase, torch.nn.RNNCellBase)) or isinstance(module, _Fused):
            continue
        reason = obstacle(module)
        if reason is None:
            _become(module, _FUSED[plain_class(module)])
            swapped.append(name)
        else:
            left[name] = reason
    return Replacement(tuple(swapped), left)


def restore(model: torch.nn.Module) -> tuple[str, ...]:
    """Let `torch.nn` compute every module of this package in a model again, in place; their names."""
    restored = []
    for name, module in model.named_modules():
        if isinstance(module, _Fused):
            _become(module, module.in_torch)
            restored.append(name)
    return tuple(restored)


def _become(module: torch.nn.Module, cls: type[torch.nn.Module]) -> None:
    if not parametrize.is_parametrized(module):
        module.__class__ = cls
        return
    # PyTorch gives a parametrized module a class of its own, with a property for each weight.
    own = {name: value for name, value in vars(type(module)).items() if name not in ("__dict__", "__weakref__")}
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), own)


def _named(name: str) -> str:
    return name or "the model itself"
