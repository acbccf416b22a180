"""What all tests share: one thread, so that parallel tests do not wait for each other, and the option --kills."""

from __future__ import annotations

import os

import pytest

# Read once, when NumPy's BLAS and PyTorch are loaded; pytest imports this file before any test module.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import torch  # noqa: E402  # after the variables above

torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--kills N`."""
    parser.addoption("--kills", type=int, default=2, help="how many processes the tests marked `kills` kill, each")


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """The number of processes that a test marked `kills` kills."""
    number: int = request.config.getoption("--kills")
    return number
