"""The five example models learn alike with `torch.nn` and with `rnnimpl.torch`, and none is harmed by long use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import rnnimpl.torch
from tests.model_training import EXAMPLES, losses
from tests.torch_twins import resident


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", EXAMPLES)
def test_losses_of_a_training_agree(name: str, dtype: torch.dtype) -> None:
    """Step by step from one seed, dropout among it, within the tolerance of the dtype; and the model learns."""
    example = EXAMPLES[name]
    expected = losses(example, dtype, steps=6, small=True, replaced=False)
    found = losses(example, dtype, steps=6, small=True, replaced=True)
    torch.testing.assert_close(torch.tensor(found, dtype=dtype), torch.tensor(expected, dtype=dtype))
    assert found[-1] < found[0]


def train(module: torch.nn.RNNBase, optimizer: torch.optim.Optimizer, T: int, B: int) -> None:
    """A training step on T steps of B sequences, and an evaluation."""
    x = torch.zeros(T, B, module.input_size)
    optimizer.zero_grad()
    module(x)[0].square().sum().backward()
    optimizer.step()
    with torch.no_grad():
        module(x)


def test_memory_does_not_grow() -> None:
    """Over training steps of a hundred shapes, each of which packs the weights; `-m slow` takes 10,000 of them."""
    grow_in_a_process(steps=600)


@pytest.mark.slow
def test_memory_does_not_grow_over_ten_thousand_steps() -> None:
    grow_in_a_process(steps=10_000)


def grow_in_a_process(steps: int) -> None:
    """Run `grow` in a process of its own: the memory of this one is also what earlier tests have left."""
    program = f"from tests.test_torch_training import grow; grow({steps})"
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def grow(steps: int) -> None:
    """Require that training steps of a hundred shapes leave the process's memory as it is."""
    module = rnnimpl.torch.LSTM(32, 64, num_layers=2)
    optimizer = torch.optim.SGD(module.parameters(), 1e-3)
    shapes = [(T, B) for T in range(2, 42, 2) for B in range(1, 11, 2)]
    assert len(shapes) == 100
    for shape in shapes:
        train(module, optimizer, *shape)
    before = resident()
    for step in range(steps):
        train(module, optimizer, *shapes[step % len(shapes)])
    grown = resident() - before
    # One set of packed weights is 1.5 MiB, the results of the largest shape 1 MiB.
    assert grown < 8_000, f"{grown} KiB more"
