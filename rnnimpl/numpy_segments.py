"""Sequences of unequal lengths in NumPy: a layer runs on one segment of the steps after another.

A segment ends where a sequence ends. All sequences that are not over have all of its steps, so it is a batch of equal
length for the layer, which knows nothing of lengths; no step that is padding is computed.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from rnnimpl.interface import LayerWeights, NumpyArray, State
from rnnimpl.numpy_layer import Layer, LayerGrads


class Segment(NamedTuple):
    """The steps from `begin` to `end`, and the sequences (N,) that have them, by their places in the batch."""

    begin: int
    end: int
    sequences: NumpyArray


class SegmentedLayer(Layer):
    """A layer for sequences of these lengths; a direction that begins at their ends takes them `turned`."""

    def __init__(self, layer: Layer, lengths: tuple[int, ...]) -> None:
        super().__init__(layer.weights)
        self.layer = layer
        given = np.array(lengths)
        ends = sorted({0, *lengths})
        self.segments = [Segment(begin, end, np.flatnonzero(given >= end)) for begin, end in itertools.pairwise(ends)]

    def forward(self, x: NumpyArray, state: State[NumpyArray]) -> tuple[NumpyArray, State[NumpyArray], Any]:
        y = np.zeros((*x.shape[:2], state[0].shape[1]), x.dtype)
        state = tuple(each.copy() for each in state)
        saved = []
        for begin, end, sequences in self.segments:
            start = tuple(each[sequences] for each in state)
            y[begin:end, sequences], after, of_segment = self.layer.forward(x[begin:end, sequences], start)
            for whole, part in zip(state, after, strict=True):
                whole[sequences] = part
            saved.append(of_segment)
        return y, state, saved

    def backward(self, dy: NumpyArray, dstate_n: State[NumpyArray], saved: Any) -> LayerGrads:
        dstate = tuple(each.copy() for each in dstate_n)
        of_segments = []
        for (begin, end, sequences), of_segment in zip(reversed(self.segments), reversed(saved), strict=True):
            after = tuple(each[sequences] for each in dstate)
            grads = self.layer.backward(dy[begin:end, sequences], after, of_segment)
            for whole, part in zip(dstate, grads.state, strict=True):
                whole[sequences] = part
            of_segments.append((begin, end, sequences, grads))
        dx = np.zeros((*dy.shape[:2], of_segments[0][3].x.shape[2]), dy.dtype)
        for begin, end, sequences, grads in of_segments:
            dx[begin:end, sequences] = grads.x
        sums = [sum(arrays) for arrays in zip(*(grads.weights for *_, grads in of_segments), strict=True)]
        return LayerGrads(dx, dstate, LayerWeights(*sums))


def turned(array: NumpyArray, lengths: tuple[int, ...] | None) -> NumpyArray:
    """The array (T, B, N) with each sequence in the opposite order of time, and its padding where it was."""
    if lengths is None:
        return array[::-1]
    steps = np.arange(len(array))[:, None]
    places = np.where(steps < np.array(lengths), np.array(lengths) - 1 - steps, steps)  # (T, B)
    return np.take_along_axis(array, places[:, :, None], axis=0)
