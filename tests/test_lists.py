"""What `list` shows at any width."""

from __future__ import annotations

import pytest

from benchmarks.commands.lists import sweep_lines
from rnnimpl.listing_text import implementation_lines
from rnnimpl.registry import Listing, listing, names

NO_GPU = "no CUDA device: the NVIDIA driver does not answer"
LISTINGS = [
    Listing("torchscript_loop", "The loop.", {"cpu": None, "cuda": NO_GPU}, ("tanh", "relu")),
    Listing("fused_cuda", "The kernel.", {"cuda": NO_GPU}, ("tanh",)),
    Listing("torch_compile", "Compiled.", {"cpu": None}, only_when_named="compiling takes long"),
]


def test_a_reason_that_several_share_is_told_once() -> None:
    text = "\n".join(implementation_lines(LISTINGS, 100))
    assert text.count(NO_GPU) == 1
    assert "torchscript_loop on cuda, fused_cuda on cuda" in text
    assert "tanh, relu; runs here on cpu, only when named: compiling takes long" in text
    assert "tanh; cannot run here" in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_every_name_is_whole(width: int) -> None:
    """The names that one must type stand in lines of their own, and all lines fit."""
    listings = [listing(name) for name in names()]
    lines = [*implementation_lines(listings, width), *sweep_lines({"default": "word " * 40}, width)]
    assert {f"  {name}" for name in names()} <= set(lines)
    assert all(len(line) <= width for line in lines)
