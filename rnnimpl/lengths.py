"""Lengths of sequences: the check of what a caller gives, and which steps of an array (T, B, N) are no padding."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Lengths: TypeAlias = tuple[int, ...] | None
"""The number of steps of each sequence, whole numbers from 1 to T on the host, in any order; None: all have T."""


def checked_lengths(lengths: Any, T: int, B: int) -> Lengths:
    """The lengths as a tuple of `int`; None where every sequence has all T steps.

    A tuple, a list and a NumPy array (B,) are taken. Raises TypeError for anything else and for what is no whole
    number, ValueError for another number of lengths and for one that is not from 1 to T, which it names.
    """
    if lengths is None:
        return None
    if isinstance(lengths, np.ndarray):
        lengths = lengths.tolist()
    if not isinstance(lengths, tuple | list):
        kind = type(lengths).__name__
        raise TypeError(
            f"lengths is a {kind}; expected a tuple of B whole numbers on the host, as lengths.tolist() gives them"
        )
    for place, length in enumerate(lengths):
        if isinstance(length, bool) or not isinstance(length, int | np.integer):
            raise TypeError(f"lengths[{place}] is {length!r}; expected a whole number from 1 to {T}")
    if len(lengths) != B:
        raise ValueError(f"there are {len(lengths)} lengths; expected {B}, one for each sequence of x")
    for place, length in enumerate(lengths):
        if not 1 <= length <= T:
            raise ValueError(f"lengths[{place}] is {length}; expected 1 to {T}, the steps of x")
    return None if min(lengths) == T else tuple(map(int, lengths))


def valid_steps(lengths: tuple[int, ...], T: int) -> npt.NDArray[np.bool_]:
    """Whether a step belongs to its sequence and is no padding: (T, B, 1)."""
    return (np.arange(T)[:, None] < np.array(lengths))[:, :, None]
