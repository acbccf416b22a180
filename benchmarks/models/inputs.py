"""The inputs with which a user's model is called: its own `example_inputs`, or a guess from its first layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from rnnimpl.interface import Unsupported

METHOD = "example_inputs"
"""A model's method (T, B) -> the arguments of its `forward`, a tuple or a single one."""


def candidates(model: torch.nn.Module, T: int, B: int, I: int | None) -> Iterator[tuple[Any, ...]]:
    """The arguments of `forward` that are tried one after another; none where they cannot be guessed.

    Token numbers for a model that begins with an embedding, else numbers from a normal distribution: (T, B, ...) and
    (B, T, ...), and (B, I) for one step. Raises Unsupported where I does not fit the model.
    """
    own = getattr(model, METHOD, None)
    if callable(own):
        given = own(T, B)
        yield given if isinstance(given, tuple) else (given,)
        return
    first = next((module for module in model.modules() if not list(module.children())), None)
    shapes: list[tuple[int, ...]] = [(T, B), (B, T)]
    if any(getattr(module, "batch_first", False) for module in model.modules()):
        shapes.reverse()
    if isinstance(first, torch.nn.Embedding):
        _check_features(I, None, "an embedding, which takes token numbers")
        for shape in shapes:
            yield (torch.randint(first.num_embeddings, shape),)
        return
    features = _features(first)
    if features is None:
        return
    _check_features(I, features, f"{type(first).__name__}, which takes {features} features")
    dtype = next((each.dtype for each in model.parameters() if each.dtype.is_floating_point), torch.float32)
    if isinstance(first, torch.nn.Conv1d):
        yield (torch.randn(B, features, T, dtype=dtype),)
        return
    for shape in [*shapes, (B,)] if T == 1 else shapes:
        yield (torch.randn(*shape, features, dtype=dtype),)


def _features(first: torch.nn.Module | None) -> int | None:
    """The features that a model's first layer takes; None where it is of another kind."""
    for name in ("input_size", "in_features", "in_channels"):
        found = getattr(first, name, None)
        if isinstance(found, int) and not isinstance(first, torch.nn.Conv2d | torch.nn.Conv3d):
            return found
    if isinstance(first, torch.nn.LayerNorm):
        return int(first.normalized_shape[-1])
    return None


def _check_features(given: int | None, expected: int | None, first: str) -> None:
    if given is not None and given != expected:
        remedy = "leave I out" if expected is None else f"give I as {expected}, or leave it out"
        raise Unsupported(f"--input has I {given}, but the model begins with {first}: {remedy}")
