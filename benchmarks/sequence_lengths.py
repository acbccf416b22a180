"""The lengths of the sequences of a workload: named distributions, each drawn from a seed of its own.

The longest sequence of a batch has T steps, for that is how a batch is padded. As shares of T:

    equal      all 1
    uniform    evenly from 0 to 1: nothing known of the data
    speech     utterances cut at a most duration, as in LibriSpeech: most near the longest, mean 0.7, a short tail
    text       sentences, whose numbers of words are about log-normal: most far shorter than the longest, mean 0.35
    one-long   one of T steps among others of an eighth

A batch of one has one sequence of T steps, whatever its distribution.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

LengthsName = Literal["equal", "uniform", "speech", "text", "one-long"]
LENGTHS: tuple[LengthsName, ...] = get_args(LengthsName)
SEED = 149_194
"""The seed of all distributions: a workload's ID says which lengths it has. It is the number of the issue of PyTorch
that reports how slow packed sequences are."""
SHORT_SHARE = 1 / 8
"""The length of the short sequences of `one-long`, as a share of T."""
BUCKETS = 4
"""Batches of like lengths into which `bucketed` sorts sequences."""


@functools.lru_cache(maxsize=4096)
def draw_lengths(name: LengthsName, T: int, B: int) -> tuple[int, ...] | None:
    """The lengths of B sequences, from 1 to T, in the order drawn; None where all are T."""
    if name == "equal":
        return None
    generator = np.random.default_rng([SEED, LENGTHS.index(name), T, B])
    if name == "uniform":
        shares = generator.uniform(0, 1, B)
    elif name == "speech":
        shares = generator.beta(3.5, 1.5, B)
    elif name == "text":
        shares = np.minimum(generator.lognormal(np.log(0.3), 0.55, B), 1)
    else:
        shares = np.full(B, SHORT_SHARE)
    lengths = np.clip(np.ceil(shares * T), 1, T).astype(int)
    # A batch is padded to its longest sequence, which stands at a place of its own choice.
    lengths[generator.integers(B) if name == "one-long" else int(np.argmax(lengths))] = T
    return tuple(lengths.tolist()) if lengths.min() < T else None


def bucketed(lengths: Sequence[int], T: int, batches: int = BUCKETS) -> float:
    """Steps with padding that are left where sequences like these are batched by length, over those of batches as here.

    So many times as many sequences are sorted by length and cut into batches of the same size, each padded to its own
    longest: a data loader with a bucket sampler. The sequences are these, each `batches` times.
    """
    many = np.sort(np.repeat(np.array(lengths), batches))
    B = len(lengths)
    padded = sum(int(many[begin : begin + B].max()) * B for begin in range(0, len(many), B))
    return padded / (T * B * batches)
