"""Arrays of known and unknown types, read and changed by the suite."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.measuring.calls.arrays import is_known, read, writable_view
from benchmarks.measuring.calls.changing_input import ChangingInput
from benchmarks.workload import Workload
from rnnimpl import Weights, load
from rnnimpl.impls.numpy_loop import NumpyLoop
from tests import cheating_implementations as cheats
from tests.visits_in_process import visit


def test_an_array_of_an_unknown_type_is_converted_within_the_timed_region() -> None:
    """The conversion of an unknown array is part of a call: only the implementation knows when it computes."""

    class Box:
        """Somebody's own array."""

        def __init__(self, values: np.ndarray) -> None:
            self.values = values
            self.shape = values.shape

    converted: list[str] = []

    class Boxed(NumpyLoop):
        """Computes with arrays of its own type."""

        devices = ("cpu",)

        def from_numpy(self, array: np.ndarray) -> Box:  # its own type
            converted.append("from")
            return Box(array.copy())

        def to_numpy(self, array: Box) -> np.ndarray:  # the same
            converted.append("to")
            return array.values.copy()

        def forward(self, x: Box, state: object = None) -> tuple[Box, tuple[Box]]:  # the same
            converted.append("forward")
            y, (h_n,) = super().forward(x.values, None)
            return Box(y), (Box(h_n),)

    workload = Workload(mode="inference", T=3, B=2, I=4, H=5)
    assert visit(Boxed, workload) is None
    assert converted[-4:] == ["from", "forward", "to", "to"]


def test_the_input_is_changed_in_the_memory_of_a_tensor() -> None:
    """No other memory is touched than that of the call's own input, so times stay what they were."""
    config = Workload(mode="inference", T=3, B=2, I=4, H=5).config
    rnn = load("nn_rnn")(config, Weights.init(config, 0))
    x = np.ones((3, 2, 4), np.float32)
    changing = ChangingInput(rnn, x, rnn.from_numpy(x))
    tensor = changing.array
    changing.change_to(1, np.full((3, 2), 5.0, np.float32))
    changing.change_to(2, np.full((3, 2), 7.0, np.float32))
    assert changing.array is tensor
    assert tensor[:, :, 2].eq(7).all()
    assert tensor[:, :, [0, 1, 3]].eq(1).all()


def test_a_subclass_of_an_array_is_not_known() -> None:
    """A subclass of a known array is unknown, since reading it could compute."""
    assert is_known(np.zeros(1))
    assert not is_known(np.zeros(1).view(cheats.Lazy))
    assert not is_known([1.0])


def test_a_result_of_another_dtype_is_reported() -> None:
    """Half of the digits would be half of the work."""
    with pytest.raises(TypeError, match="a result has dtype float16; expected float32"):
        read(np.zeros(1, np.float16), "float32")


def test_memory_that_does_not_hold_the_values_is_not_written() -> None:
    """An implementation's array may be laid out in its own way."""
    assert writable_view(np.zeros((2, 3)), np.ones((2, 3))) is None
    values = np.ones((2, 3))
    values.setflags(write=False)
    assert writable_view(values, values) is None
