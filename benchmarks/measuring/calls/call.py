"""One call of a network, forward and in training backward, for everything that times, checks or profiles it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from benchmarks.measuring.calls.timing import CallSeconds, Clock
from rnnimpl.expectation import name_arrays
from rnnimpl.interface import Grads, NumpyArray, Rnn


@dataclasses.dataclass(frozen=True, eq=False)
class Results:
    """The results of a call in the implementation's own arrays; `grads` in training."""

    rnn: Rnn[Any]
    y: Any
    state_n: tuple[Any, ...]
    grads: Grads[Any] | None

    def named(self) -> dict[str, Any]:
        """The arrays by the names of an `Expectation`."""
        return name_arrays(self.rnn.config, self.y, self.state_n, self.grads)


@dataclasses.dataclass(eq=False)
class Call:
    """A call on x (T, B, I) from a zero state; in training with the cotangents dy (T, B, D*H) and dstate_n.

    Every method waits until its results are computed. In inference `dy` and `dstate_n` are None. Where all sequences
    have T steps, `lengths` is None and the implementation is called without.
    """

    rnn: Rnn[Any]
    x: Any
    dy: Any | None = None
    dstate_n: tuple[Any, ...] | None = None
    lengths: tuple[int, ...] | None = None

    @classmethod
    def of(
        cls,
        rnn: Rnn[Any],
        x: NumpyArray,
        dy: NumpyArray | None,
        dstate_n: tuple[NumpyArray, ...] | None,
        lengths: tuple[int, ...] | None = None,
    ) -> Call:
        """The call on NumPy arrays, which are moved to the implementation's device."""
        moved = None if dstate_n is None else tuple(map(rnn.from_numpy, dstate_n))
        return cls(rnn, rnn.from_numpy(x), None if dy is None else rnn.from_numpy(dy), moved, lengths)

    @property
    def trains(self) -> bool:
        """Whether the call has a backward pass."""
        return self.dy is not None

    def _forward(self) -> tuple[Any, tuple[Any, ...]]:
        return self.rnn.forward(self.x) if self.lengths is None else self.rnn.forward(self.x, None, self.lengths)

    def _vjp(self) -> tuple[Any, tuple[Any, ...], Callable[..., Grads[Any]]]:
        return self.rnn.vjp(self.x) if self.lengths is None else self.rnn.vjp(self.x, None, self.lengths)

    def make(self) -> Results:
        """Make the call and return all of its results."""
        if not self.trains:
            y, state_n = self._forward()
            grads = None
        else:
            y, state_n, pullback = self._vjp()
            grads = pullback(self.dy, self.dstate_n)
        self.rnn.synchronize()
        return Results(self.rnn, y, state_n, grads)

    def timed(self, clock: Clock) -> CallSeconds:
        """Make the call and return its time; freeing the results is part of it, as for a caller that drops them."""
        start = clock()
        if not self.trains:
            self._forward()
            self.rnn.synchronize()
            return CallSeconds(clock() - start, 0.0)
        _, _, pullback = self._vjp()
        self.rnn.synchronize()
        middle = clock()
        pullback(self.dy, self.dstate_n)
        self.rnn.synchronize()
        end = clock()
        return CallSeconds(end - start, end - middle)

    def timed_and_kept(self, clock: Clock) -> tuple[CallSeconds, Results]:
        """Make the call and return its time and results; freeing the results is not part of the time."""
        start = clock()
        if not self.trains:
            y, state_n = self._forward()
            self.rnn.synchronize()
            return CallSeconds(clock() - start, 0.0), Results(self.rnn, y, state_n, None)
        y, state_n, pullback = self._vjp()
        self.rnn.synchronize()
        middle = clock()
        grads = pullback(self.dy, self.dstate_n)
        self.rnn.synchronize()
        end = clock()
        return CallSeconds(end - start, end - middle), Results(self.rnn, y, state_n, grads)

    def passes(self) -> dict[str, Callable[[], object]]:
        """{name: function} of the call's passes; one after another they make the call."""
        if not self.trains:

            def infer() -> None:
                self._forward()
                self.rnn.synchronize()

            return {"forward": infer}
        pullbacks: list[Callable[..., object]] = []

        def forward() -> None:
            pullbacks.append(self._vjp()[2])
            self.rnn.synchronize()

        def backward() -> None:
            pullbacks.pop()(self.dy, self.dstate_n)
            self.rnn.synchronize()

        return {"forward": forward, "backward": backward}
