"""Implementations with one fault each in sequences of unequal lengths."""

from __future__ import annotations

import numpy as np

from rnnimpl import Grads
from rnnimpl.interface import Lengths, NumpyArray
from tests.broken.base import NumpyState, Pullback, Sound, caught_by


def padding(x: NumpyArray, lengths: tuple[int, ...]) -> NumpyArray:
    """Whether a step of a sequence is padding, (T, B)."""
    return np.arange(len(x))[:, None] >= np.array(lengths)


@caught_by("check_output_of_lengths")
class LengthsIgnored(Sound):
    """Takes lengths and computes all steps of every sequence."""

    def forward(
        self, x: NumpyArray, state: NumpyState | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, NumpyState]:
        self.check_lengths(lengths, x)
        return super().forward(x, state)


@caught_by("check_output_of_lengths")
class ReverseFromThePadding(Sound):
    """Starts the reverse direction in the padding, as a network does that is given padded sequences without lengths."""

    def forward(
        self, x: NumpyArray, state: NumpyState | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, NumpyState]:
        right, state_n = super().forward(x, state, lengths)
        lengths = self.check_lengths(lengths, x)
        if lengths is None:
            return right, state_n
        y, _ = super().forward(np.where(padding(x, lengths)[:, :, None], 0, x).astype(x.dtype), state)
        y[padding(x, lengths)] = 0
        return y, state_n


@caught_by("check_output_of_lengths")
class StateShownInPadding(Sound):
    """Repeats the last output of a sequence in its padding, as a mask of the state alone does."""

    def forward(
        self, x: NumpyArray, state: NumpyState | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, NumpyState]:
        y, state_n = super().forward(x, state, lengths)
        for sequence, length in enumerate(lengths or ()):
            y[length:, sequence] = y[length - 1, sequence]
        return y, state_n


@caught_by("check_final_state_of_lengths")
class FinalStateOfTheLongest(Sound):
    """Takes the final state of every sequence from the step at which the longest one ends."""

    def forward(
        self, x: NumpyArray, state: NumpyState | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, NumpyState]:
        y, state_n = super().forward(x, state, lengths)
        if lengths is not None:
            _, state_n = super().forward(x[: max(lengths)], state)
        return y, state_n


@caught_by("check_gradients_of_lengths")
class CotangentOfThePaddingUsed(Sound):
    """Adds dy of the padding to dy of the sequence's last step."""

    def vjp(
        self, x: NumpyArray, state: NumpyState | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state, lengths)

        def with_padding(dy: NumpyArray, dstate_n: NumpyState) -> Grads[NumpyArray]:
            dy = dy.copy()
            for sequence, length in enumerate(lengths or ()):
                dy[length - 1, sequence] += dy[length:, sequence].sum(axis=0)
            return pullback(dy, dstate_n)

        return y, state_n, with_padding


@caught_by("check_gradients_of_lengths")
class GradientOfPaddingNotWritten(Sound):
    """Leaves the gradient of x in the padding unwritten."""

    def vjp(
        self, x: NumpyArray, state: NumpyState | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state, lengths)

        def unwritten(dy: NumpyArray, dstate_n: NumpyState) -> Grads[NumpyArray]:
            grads = pullback(dy, dstate_n)
            for sequence, length in enumerate(lengths or ()):
                grads.x[length:, sequence] = 1
            return grads

        return y, state_n, unwritten


@caught_by("check_nan_in_padding")
class PaddingTimesZero(Sound):
    """Multiplies x in the padding by zero, which leaves NaN as it is."""

    def forward(
        self, x: NumpyArray, state: NumpyState | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, NumpyState]:
        y, state_n = super().forward(x, state, lengths)
        if lengths is not None:
            masked = x * ~padding(x, lengths)[:, :, None]
            y = y + 0 * masked.sum(axis=2, keepdims=True)
        return y, state_n


@caught_by("check_nan_in_padding_of_gradients")
class CotangentTimesZero(Sound):
    """Multiplies dy in the padding by zero, which leaves NaN as it is, in the gradient of x."""

    def vjp(
        self, x: NumpyArray, state: NumpyState | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state, lengths)

        def multiplied(dy: NumpyArray, dstate_n: NumpyState) -> Grads[NumpyArray]:
            grads = pullback(dy, dstate_n)
            return Grads(grads.x + 0 * dy.sum(axis=2, keepdims=True), grads.state, grads.weights)

        return y, state_n, multiplied


@caught_by("check_order_of_lengths")
class RowsLeftSorted(Sound):
    """Sorts sequences of which the first is the shortest, as a packed computation does, and leaves them so."""

    def forward(
        self, x: NumpyArray, state: NumpyState | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, NumpyState]:
        y, state_n = super().forward(x, state, lengths)
        if lengths is not None and lengths[0] == min(lengths):
            order = np.argsort(-np.array(lengths), kind="stable")
            y, state_n = y[:, order], tuple(array[:, order] for array in state_n)
        return y, state_n


@caught_by("check_order_of_gradients_of_lengths")
class SortedGradients(Sound):
    """Gives the gradient of x in the opposite order where the sequences come sorted."""

    def vjp(
        self, x: NumpyArray, state: NumpyState | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state, lengths)

        def turned(dy: NumpyArray, dstate_n: NumpyState) -> Grads[NumpyArray]:
            grads = pullback(dy, dstate_n)
            is_sorted = lengths is not None and list(lengths) == sorted(lengths, reverse=True)
            return Grads(grads.x[:, ::-1] if is_sorted else grads.x, grads.state, grads.weights)

        return y, state_n, turned


@caught_by("check_calls_with_and_without_lengths")
class LengthsKept(Sound):
    """Keeps the lengths of a call for later calls without."""

    kept: Lengths = None

    def forward(
        self, x: NumpyArray, state: NumpyState | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, NumpyState]:
        if lengths is not None:
            self.kept = lengths
        fits = self.kept is not None and len(self.kept) == x.shape[1] and max(self.kept) <= len(x)
        return super().forward(x, state, self.kept if fits else None)


@caught_by("check_wrong_lengths")
class LengthsNotChecked(Sound):
    """Cuts lengths that are too large and takes those that are too small for 1."""

    def forward(
        self, x: NumpyArray, state: NumpyState | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, NumpyState]:
        if lengths is not None:
            lengths = tuple(min(max(int(length), 1), len(x)) for length in lengths)
        return super().forward(x, state, lengths)
