"""The base of implementations on NumPy arrays: copies in and out, and a check of the dtype."""

from __future__ import annotations

from typing import ClassVar

from rnnimpl.dtypes import Dtype
from rnnimpl.interface import NumpyArray, Rnn, RnnConfig, Unsupported, Weights


class NumpyArrays(Rnn[NumpyArray]):
    """An implementation whose arrays are NumPy's, in the config's carrier dtype."""

    dtypes: ClassVar[tuple[Dtype, ...]] = ("float16", "float32", "float64")
    """The dtypes that it computes; NumPy has no bfloat16."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        if config.dtype not in self.dtypes:
            *others, last = self.dtypes
            computed = f"{', '.join(others)} and {last}" if others else last
            raise Unsupported(f"{type(self).__name__} computes in {computed}; got dtype {config.dtype}")
        self._dtype = config.carrier

    def from_numpy(self, array: NumpyArray) -> NumpyArray:
        self.check_dtype(array)
        return array.copy()

    def to_numpy(self, array: NumpyArray) -> NumpyArray:
        return array.copy()
