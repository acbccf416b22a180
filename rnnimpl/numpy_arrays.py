"""What implementations on NumPy arrays share: copies in and out, and no bfloat16."""

from __future__ import annotations

from rnnimpl.interface import NumpyArray, Rnn, RnnConfig, Unsupported, Weights


class NumpyArrays(Rnn[NumpyArray]):
    """An implementation whose arrays are NumPy's, in the config's carrier dtype."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        if config.dtype == "bfloat16":
            raise Unsupported(f"{type(self).__name__} computes on NumPy arrays, and NumPy has no bfloat16")
        self._dtype = config.carrier

    def from_numpy(self, array: NumpyArray) -> NumpyArray:
        self.check_dtype(array)
        return array.copy()

    def to_numpy(self, array: NumpyArray) -> NumpyArray:
        return array.copy()
