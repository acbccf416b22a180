"""The base of inference engines: NumPy arrays in and out, a number of threads, no training."""

from __future__ import annotations

import abc
from typing import ClassVar

from rnnimpl.dtypes import Precision
from rnnimpl.interface import Lengths, NotCopied, NumpyArray, Pullback, State, Unsupported
from rnnimpl.numpy_arrays import NumpyArrays


class InferenceRnn(NotCopied, NumpyArrays):
    """A network that an inference engine computes; a subclass builds it and runs it in `infer`."""

    threads: ClassVar[int] = 0
    """The number of CPU threads of instances built from now on; 0 leaves it to the engine."""

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        super().configure_process(threads=threads, precision=precision)
        cls.threads = threads

    @abc.abstractmethod
    def infer(self, x: NumpyArray, state: State[NumpyArray]) -> tuple[NumpyArray, State[NumpyArray]]:
        """x (T, B, I), state (L*D, B, H) -> y (T, B, D*H) and the final state, in new arrays."""

    @abc.abstractmethod
    def infer_lengths(
        self, x: NumpyArray, state: State[NumpyArray], lengths: tuple[int, ...]
    ) -> tuple[NumpyArray, State[NumpyArray]]:
        """As `infer`, with sequences of unequal lengths, as `Rnn.forward` defines them."""

    def forward(
        self, x: NumpyArray, state: State[NumpyArray] | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, State[NumpyArray]]:
        self.check_inputs(x, state, self._dtype)
        lengths = self.check_lengths(lengths, x)
        start = self.config.zero_state(x.shape[1]) if state is None else state
        return self.infer(x, start) if lengths is None else self.infer_lengths(x, start, lengths)

    def vjp(
        self,
        x: NumpyArray,  # noqa: ARG002  # the interface has it
        state: State[NumpyArray] | None = None,  # noqa: ARG002  # the same
        lengths: Lengths = None,  # noqa: ARG002  # the same
    ) -> tuple[NumpyArray, State[NumpyArray], Pullback[NumpyArray]]:
        raise Unsupported(f"{type(self).__name__} does inference only")
