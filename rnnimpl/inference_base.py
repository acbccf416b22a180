"""What the engines that only infer share: NumPy arrays in and out, a thread count, no training."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from rnnimpl.dtypes import Precision
from rnnimpl.interface import Grads, NotCopied, NumpyArray, Rnn, RnnConfig, Unsupported, Weights


class InferenceRnn(NotCopied, Rnn[NumpyArray]):
    """A network that an inference engine computes; a subclass builds it and says how it is run."""

    threads: ClassVar[int] = 0
    """CPU threads for engines built from now on; 0 is the engine's own choice."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        if config.dtype == "bfloat16":
            raise Unsupported(f"{type(self).__name__} takes NumPy arrays, and NumPy has no bfloat16")
        self._dtype = config.carrier

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        super().configure_process(threads=threads, precision=precision)
        cls.threads = threads

    @abc.abstractmethod
    def infer(self, x: NumpyArray, h0: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        """x (T, B, I), h0 (L*D, B, H) -> y (T, B, D*H), h_n (L*D, B, H), in arrays of their own."""

    def from_numpy(self, array: NumpyArray) -> NumpyArray:
        self.check_dtype(array)
        return np.array(array, order="C")

    def to_numpy(self, array: NumpyArray) -> NumpyArray:
        return array.copy()

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        self.check_dtypes(self._dtype, x=x, h0=h0)
        self.check_shapes(x, h0)
        if h0 is None:
            config = self.config
            h0 = np.zeros((config.num_layers * config.num_directions, x.shape[1], config.hidden_size), x.dtype)
        return self.infer(x, h0)

    def vjp(
        self,
        x: NumpyArray,  # noqa: ARG002  # there is nothing to take it for
        h0: NumpyArray | None = None,  # noqa: ARG002  # the same
    ) -> tuple[NumpyArray, NumpyArray, Callable[[NumpyArray, NumpyArray], Grads[Any]]]:
        raise Unsupported(f"{type(self).__name__} does inference only")
