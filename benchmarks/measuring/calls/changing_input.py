"""The input of timed calls: new for each call, so that no result can be a copy of an earlier one.

Before each call one feature of x, at all steps of all sequences, gets new values, and the feature that was changed
before gets its own values back. Every state and every gradient depends on it. The rest of x stays in the caches as it
would if x did not change.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from benchmarks.measuring.calls.arrays import as_stored, is_known, is_on_host, writable_view
from benchmarks.measuring.inputs import FRESH_SCALE, scaled
from rnnimpl.dtypes import round_to
from rnnimpl.interface import NumpyArray, Rnn

OFFSETS = 4096
"""Number of features that are cut out of one array of drawn values, each one value further."""


class ChangingInput:
    """x (T, B, I) on the implementation's device, with one feature changed at a time.

    `array` is the argument of a call. `is_own` says that only the implementation knows what its array holds; `convert`,
    which makes the array again, then belongs into the timed region. `x` may be changed with it.
    """

    def __init__(self, rnn: Rnn[Any], x: NumpyArray, array: Any, envelope: NumpyArray | None = None) -> None:
        self.rnn = rnn
        self.values = x
        self.array = array
        on_host = is_on_host(self.array)
        memory = writable_view(self.array, self.values) if on_host else None
        self.is_own = not is_known(self.array) or (on_host and memory is None)
        self._stored: NumpyArray = self.values if memory is None else memory
        T, B, self._features = x.shape
        self._shape = (T, B)
        self._envelope = None if envelope is None else envelope[:, :, 0]
        # Seeded by the system, so that nobody can predict it.
        self._generator = np.random.default_rng()
        self._random = random.Random()  # noqa: S311  # it is no key
        self._draw()
        self._changed = 0
        self._before: NumpyArray = self._stored[:, :, 0].copy()

    def change(self) -> None:
        """Give a randomly drawn feature new values."""
        if self._start == OFFSETS:
            self._draw()
        T, B = self._shape
        values = self._drawn[self._start : self._start + T * B].reshape(T, B)
        self._start += 1
        if self._envelope is not None:
            values = scaled(values, self._envelope)
        self._put(self._random.randrange(self._features), values)

    def change_to(self, feature: int, values: NumpyArray) -> None:
        """Give this feature these values (T, B), of the config's carrier dtype; the others have those of x."""
        self._put(feature, as_stored(values, self._stored.dtype))

    def change_all(self, values: NumpyArray) -> None:
        """Give x these values (T, B, I), of the config's carrier dtype; `change` and `change_to` begin from them."""
        self._stored[...] = as_stored(values, self._stored.dtype)
        self._before = self._stored[:, :, self._changed].copy()
        self._move()

    def convert(self) -> None:
        """Make the array again by the implementation's `from_numpy`."""
        self.array = self.rnn.from_numpy(self.values)

    def _draw(self) -> None:
        T, B = self._shape
        drawn = FRESH_SCALE * self._generator.standard_normal(T * B + OFFSETS, dtype=np.float32)
        self._drawn = as_stored(round_to(drawn, self.rnn.config.dtype), self._stored.dtype)
        self._start = 0

    def _put(self, feature: int, values: NumpyArray) -> None:
        stored = self._stored
        stored[:, :, self._changed] = self._before
        self._before = stored[:, :, feature].copy()
        stored[:, :, feature] = values
        self._changed = feature
        self._move()

    def _move(self) -> None:
        """Bring the values to a device that has memory of its own."""
        stored = self._stored
        if not self.is_own and stored is self.values and stored is not self.array:
            # On a GPU.
            self.convert()
            self.rnn.synchronize()
