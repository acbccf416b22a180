"""Modules of `rnnimpl.torch` that share weights, are copied, or are called by several threads and processes."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
import torch

import rnnimpl.torch
from rnnimpl.torch import pack_count
from tests.torch_twins import resident, twins

T, B, I, H = 4, 3, 5, 6
X = torch.linspace(-1, 1, T * B * I).view(T, B, I)


def test_tied_weights() -> None:
    """Two modules with one w_hh each have their own packed weights, and gradients of the common one add up."""
    pairs = []
    for pair in zip(twins("GRU", I, H), twins("GRU", I, H), strict=True):
        with torch.no_grad():
            pair[1].weight_ih_l0.mul_(-1)
        pair[1].weight_hh_l0 = pair[0].weight_hh_l0
        (pair[0](X)[0] * pair[1](X)[0]).sum().backward()
        pairs.append(pair)
    (theirs, _), (ours, _) = pairs
    torch.testing.assert_close(ours.weight_hh_l0.grad, theirs.weight_hh_l0.grad)


def test_modules_that_share_their_first_weight() -> None:
    _, one = twins("GRU", I, H)
    theirs, other = twins("GRU", I, H)
    other.weight_ih_l0 = one.weight_ih_l0
    with torch.no_grad():
        for module in (theirs, other):
            module.weight_hh_l0.mul_(-1)
        one(X)
        torch.testing.assert_close(other(X), theirs(X))
        before = pack_count()
        one(X), other(X)
    assert pack_count() == before


def copied(module: torch.nn.Module) -> torch.nn.Module:
    return copy.deepcopy(module)


def pickled(module: torch.nn.Module) -> torch.nn.Module:
    loaded: torch.nn.Module = pickle.loads(pickle.dumps(module))  # noqa: S301  # our own
    return loaded


def saved(module: torch.nn.Module) -> torch.nn.Module:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    loaded: torch.nn.Module = torch.load(file, weights_only=False)
    return loaded


@pytest.mark.parametrize("again", [copied, pickled, saved])
def test_copies(again: Callable[[torch.nn.Module], torch.nn.Module]) -> None:
    """A copy of a module that has computed computes the same, and has weights of its own."""
    theirs, ours = twins("LSTM", I, H, dropout=0.0)
    ours(X)[0].sum().backward()
    copy_of_ours = again(ours)
    assert type(copy_of_ours) is rnnimpl.torch.LSTM
    with torch.no_grad():
        for weight in ours.parameters():
            weight.zero_()
        torch.testing.assert_close(copy_of_ours(X), theirs(X))


def test_two_threads_call_one_module_at_once() -> None:
    """Each gets what it would alone, gradients among it, while a third changes the module's number of threads."""
    _, ours = twins("LSTM", I, H, 2, bidirectional=True)
    inputs = [torch.randn(7 + index, 3, I) for index in range(2)]

    def compute(x: torch.Tensor) -> list[torch.Tensor]:
        y, (h_n, c_n) = ours(x)
        return [y, h_n, c_n, *torch.autograd.grad(y.square().sum() + c_n.sum(), list(ours.parameters()))]

    expected = [compute(x) for x in inputs]
    wrong: list[str] = []

    def repeat(index: int) -> None:
        for _ in range(200):
            found = compute(inputs[index])
            if not all(map(torch.equal, found, expected[index])):
                wrong.append(f"thread {index}")

    threads = [threading.Thread(target=repeat, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Outputs(torch.utils.data.Dataset[torch.Tensor]):
    """The outputs of a module for a few inputs, computed by whoever asks."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        with torch.no_grad():
            y: torch.Tensor = self.module(X * index)[0]
        return y


def test_forked_workers_of_a_data_loader_call_it() -> None:
    _, ours = twins("GRU", I, H)
    outputs = Outputs(ours)
    expected = torch.stack([outputs[index] for index in range(4)])
    loader = torch.utils.data.DataLoader(outputs, batch_size=4, num_workers=1, multiprocessing_context="fork")
    torch.testing.assert_close(next(iter(loader)), expected)


THREADS_OF_A_PROCESS = """
import os, torch, rnnimpl.torch
torch.set_num_threads(2)
torch.ones(1 << 22).exp()
before = os.listdir("/proc/self/task")
x = torch.linspace(-1, 1, 64 * 16 * 128).view(64, 16, 128)
with torch.no_grad():
    module = rnnimpl.torch.LSTM(128, 128)
    here = module(x)[0].numpy()
    print(len(before), len(os.listdir("/proc/self/task")), flush=True)
    if os.fork() == 0:
        # PyTorch's own operations may wait forever in a child: it has none of their threads.
        os._exit(0 if (module(x)[0].numpy() == here).all() else 1)
print(os.wait()[1])
"""


def test_passes_run_on_the_threads_of_pytorch() -> None:
    """No further thread is started, which PyTorch's would keep from its core; a forked child computes without them."""
    found = subprocess.run(
        [sys.executable, "-c", THREADS_OF_A_PROCESS], capture_output=True, text=True, timeout=100, check=True
    )
    before, after, child = map(int, found.stdout.split())
    assert before == after
    assert child == 0


def test_packed_weights_go_with_the_module() -> None:
    """Neither results nor packed weights stay behind: memory of hundreds of modules and calls is that of a few."""

    def use(count: int) -> None:
        for _ in range(count):
            rnnimpl.torch.GRU(64, 128)(torch.zeros(2, 1, 64))[0].sum().backward()
        gc.collect()

    use(50)
    before = resident()
    use(300)  # 180 MiB of packed weights
    assert resident() - before < 20_000
