"""What the engines that only infer share: NumPy arrays in and out, a thread count, no training."""

from __future__ import annotations

import abc
from typing import ClassVar

from rnnimpl.dtypes import Precision
from rnnimpl.interface import NotCopied, NumpyArray, Pullback, State, Unsupported
from rnnimpl.numpy_arrays import NumpyArrays


class InferenceRnn(NotCopied, NumpyArrays):
    """A network that an inference engine computes; a subclass builds it and says how it is run."""

    threads: ClassVar[int] = 0
    """CPU threads for engines built from now on; 0 is the engine's own choice."""

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        super().configure_process(threads=threads, precision=precision)
        cls.threads = threads

    @abc.abstractmethod
    def infer(self, x: NumpyArray, state: State[NumpyArray]) -> tuple[NumpyArray, State[NumpyArray]]:
        """x (T, B, I), state (L*D, B, H) -> y (T, B, D*H) and the final state, in arrays of their own."""

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> tuple[NumpyArray, State[NumpyArray]]:
        self.check_inputs(x, state, self._dtype)
        return self.infer(x, self.config.zero_state(x.shape[1]) if state is None else state)

    def vjp(
        self,
        x: NumpyArray,  # noqa: ARG002  # there is nothing to take it for
        state: State[NumpyArray] | None = None,  # noqa: ARG002  # the same
    ) -> tuple[NumpyArray, State[NumpyArray], Pullback[NumpyArray]]:
        raise Unsupported(f"{type(self).__name__} does inference only")
