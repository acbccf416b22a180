"""The base of inference engines: NumPy arrays in and out, a number of threads, no training."""

from __future__ import annotations

import abc
from typing import ClassVar

from rnnimpl.dtypes import Precision
from rnnimpl.interface import NotCopied, NumpyArray, Pullback, State, Unsupported
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

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> tuple[NumpyArray, State[NumpyArray]]:
        self.check_inputs(x, state, self._dtype)
        return self.infer(x, self.config.zero_state(x.shape[1]) if state is None else state)

    def vjp(
        self,
        x: NumpyArray,  # noqa: ARG002  # the interface has it
        state: State[NumpyArray] | None = None,  # noqa: ARG002  # the same
    ) -> tuple[NumpyArray, State[NumpyArray], Pullback[NumpyArray]]:
        raise Unsupported(f"{type(self).__name__} does inference only")
