"""The threads and the precision of NumPy's matrix products."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

from rnnimpl import RnnConfig, Unsupported, Weights
from rnnimpl.impls.numpy_loop import NumpyLoop

CONFIG = RnnConfig(input_size=2, hidden_size=3)


@pytest.fixture(autouse=True)
def _limits_restored() -> Iterator[None]:
    """Restores the number of BLAS threads for other tests."""
    with threadpool_limits(limits=None):
        yield


def test_the_threads_of_blas_are_those_configured() -> None:
    """`describe` has the number of threads of NumPy's BLAS, also beside another one, such as SciPy's."""
    importlib.import_module("scipy.linalg")
    described = []
    for threads in (1, 2):
        NumpyLoop.configure_process(threads=threads, precision="ieee")
        described.append(NumpyLoop(CONFIG, Weights.init(CONFIG, 0)).describe()["threads"])
    assert described == ["1", "2"]


def test_numpy_has_no_tf32() -> None:
    """tf32 is Unsupported."""
    with pytest.raises(Unsupported, match="ieee precision only"):
        NumpyLoop.configure_process(threads=1, precision="tf32")
