"""What is NumPy's own: the threads of its matrix products."""

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
    """Leave the threads to other tests as they were."""
    with threadpool_limits(limits=None):
        yield


def test_the_threads_of_blas_are_those_configured() -> None:
    """And `describe` says how many there are, whatever other BLAS the process has loaded: SciPy's is one."""
    importlib.import_module("scipy.linalg")
    described = []
    for threads in (1, 2):
        NumpyLoop.configure_process(threads=threads, precision="ieee")
        described.append(NumpyLoop(CONFIG, Weights.init(CONFIG, 0)).describe()["threads"])
    assert described == ["1", "2"]


def test_numpy_has_no_tf32() -> None:
    """It says so rather than compute in another precision."""
    with pytest.raises(Unsupported, match="ieee precision only"):
        NumpyLoop.configure_process(threads=1, precision="tf32")
