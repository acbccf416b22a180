"""The example models with data to learn from: trained by `torch.nn` or after `rnnimpl.torch.replace`, from one seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import rnnimpl.torch
from tests.example_models import CharacterLanguageModel, Forecaster, Policy, SpeechEncoder, Tagger

LEARNING_RATE = 3e-3
IGNORED = -100
"""The target that the loss leaves out."""


@dataclasses.dataclass(frozen=True)
class Example:
    """A model with batches to train it on.

    `small` has the arguments of the model's class for a test, `size` T and B of a batch. `batch` draws the inputs of
    `scores` and, last, the targets for a model, T, B and a dtype; `scores` calls the model; `loss` compares the two.
    """

    model: type[torch.nn.Module]
    small: Mapping[str, int]
    size: tuple[int, int]
    batch: Callable[[Any, int, int, torch.dtype], tuple[Tensor, ...]]
    scores: Callable[..., Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]


def _text(model: CharacterLanguageModel, T: int, B: int, _: torch.dtype) -> tuple[Tensor, ...]:
    """Each character is the one before plus a step that the text keeps."""
    characters = model.embedding.num_embeddings
    steps = torch.arange(T + 1)[:, None] * torch.randint(1, 4, (B,))
    text = (torch.randint(characters, (B,)) + steps) % characters
    return text[:-1], text[1:]


def _sentences(model: Tagger, T: int, B: int, _: torch.dtype) -> tuple[Tensor, ...]:
    """A word has the tag of the next word's number; padding has none."""
    words, lengths = model.example_inputs(T, B)
    tags = words.roll(-1, dims=1) % model.scores.out_features
    return words, lengths, tags.masked_fill(torch.arange(T) >= lengths[:, None], IGNORED)


def _speech(model: SpeechEncoder, T: int, B: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """A sound lasts eight frames and raises one feature, in noise."""
    classes, (features,) = model.scores.out_features, model.norm.normalized_shape
    sounds = torch.randint(min(classes, features), (T // 8, B)).repeat_interleave(8, dim=0)
    noise = torch.randn((len(sounds), B, features), dtype=dtype)
    return noise + 3 * functional.one_hot(sounds, features), sounds


def _play(model: Policy, T: int, B: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The right action is the largest of what was seen first in the step before."""
    seen = torch.randn((T, B, model.seen), dtype=dtype)
    return seen, seen[:, :, : model.scores.out_features].roll(1, dims=0).argmax(dim=2)


def _series(model: Forecaster, T: int, B: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Sines, of one period in a group of series."""
    series = model.rnn.input_size
    horizon = model.head.out_features // series
    period = 8 + 24 * torch.rand((B, 1, 1), dtype=dtype)
    values = torch.sin(6.3 * (torch.arange(T + horizon)[:, None] / period + torch.rand((B, 1, series), dtype=dtype)))
    return values[:, :T], values[:, T:]


def _call(model: torch.nn.Module, *inputs: Tensor) -> Tensor:
    scores: Tensor = model(*inputs)
    return scores


def _step_by_step(model: Policy, seen: Tensor) -> Tensor:
    h: Tensor | None = None
    scores = []
    for each in seen:
        of_step, h = model(each, h)
        scores.append(of_step)
    return torch.stack(scores)


def _cross_entropy(scores: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(scores.flatten(0, 1), target.flatten(), ignore_index=IGNORED)


EXAMPLES: Mapping[str, Example] = MappingProxyType(
    {
        "character language model": Example(
            CharacterLanguageModel, {"characters": 20, "hidden": 24}, (64, 16), _text, _call, _cross_entropy
        ),
        "tagger, packed sequences": Example(
            Tagger, {"words": 60, "features": 10, "hidden": 12}, (40, 16), _sentences, _call, _cross_entropy
        ),
        "speech encoder": Example(
            SpeechEncoder, {"features": 12, "hidden": 10, "classes": 9}, (96, 8), _speech, _call, _cross_entropy
        ),
        "policy, step by step": Example(
            Policy, {"seen": 8, "hidden": 12}, (32, 8), _play, _step_by_step, _cross_entropy
        ),
        "forecaster": Example(Forecaster, {"series": 3, "hidden": 16}, (48, 32), _series, _call, functional.mse_loss),
    }
)


def made(example: Example, dtype: torch.dtype, *, small: bool, replaced: bool) -> torch.nn.Module:
    """The model of an example, with the weights of seed 0, swapped where asked for.

    Raises RuntimeError where `replace` leaves a module.
    """
    torch.manual_seed(0)
    model = example.model(**example.small if small else {}).to(dtype)
    if replaced:
        done = rnnimpl.torch.replace(model)
        if done.left or not done.swapped:
            raise RuntimeError(f"the model is not swapped: {done}")
    return model


def training_step(example: Example, model: torch.nn.Module) -> Callable[..., Tensor]:
    """A function that takes a batch, trains the model on it by Adam, and returns the loss before."""
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)

    def step(*batch: Tensor) -> Tensor:
        *inputs, target = batch
        optimizer.zero_grad()
        loss = example.loss(example.scores(model, *inputs), target)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return step


def losses(example: Example, dtype: torch.dtype, steps: int, *, small: bool, replaced: bool) -> list[float]:
    """The loss before each step of a training, each on another batch; weights, batches and dropout are of seed 0."""
    model = made(example, dtype, small=small, replaced=replaced)
    step = training_step(example, model)
    return [step(*example.batch(model, *example.size, dtype)).item() for _ in range(steps)]
