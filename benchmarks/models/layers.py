"""The records of a recurrent layer in somebody's model, and of one that is left out, with the reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rnnimpl.interface import CellName, RnnConfig

MODULES: Mapping[CellName, str] = {"tanh": "nn.RNN", "relu": "nn.RNN", "lstm": "nn.LSTM", "gru": "nn.GRU"}
"""PyTorch's module of each cell."""


class CannotCall(Exception):
    """A model whose layers are known cannot be called; the message says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """A recurrent network within a model, such as one `nn.LSTM` with all its layers and directions."""

    name: str
    """Its path in the model, such as `encoder.rnn`; a node's name in an ONNX file."""
    config: RnnConfig
    device: str = "cpu"
    batch_first: bool = False
    """Whether the model hands it (B, T, I) in place of (T, B, I)."""
    fixed_T: int | None = None
    fixed_B: int | None = None
    """The sizes that a file fixes; None for any."""
    assumed: str = ""
    """What its file does not say and is taken for granted, in a clause."""

    @property
    def described(self) -> str:
        """The module as it is written in PyTorch: nn.LSTM(40, 128, num_layers=2, bidirectional=True)."""
        config = self.config
        words = [str(config.input_size), str(config.hidden_size)]
        words += [f"num_layers={config.num_layers}"] if config.num_layers > 1 else []
        words += ["nonlinearity='relu'"] if config.cell == "relu" else []
        words += [] if config.bias else ["bias=False"]
        words += ["batch_first=True"] if self.batch_first else []
        words += ["bidirectional=True"] if config.bidirectional else []
        words += [] if config.dtype == "float32" else [f"dtype=torch.{config.dtype}"]
        return f"{MODULES[config.cell]}({', '.join(words)})"

    def to_json(self) -> dict[str, Any]:
        """A mapping of JSON values; `from_json` reads it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> Layer:
        """The layer that `to_json` wrote. Raises ValueError, TypeError or KeyError when it is none."""
        return cls(**{**mapping, "config": RnnConfig(**mapping["config"])})


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A recurrent layer that no implementation here computes, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name or 'the model'}: {self.reason}"


@dataclasses.dataclass(frozen=True)
class Found:
    """The recurrent layers of a model."""

    layers: tuple[Layer, ...]
    left_out: tuple[LeftOut, ...] = ()
    within: tuple[str, ...] = ()
    """The keys that lead to the state dict in a checkpoint."""
