"""The kernels of `fused_cpu` for their tests."""

from __future__ import annotations

import pytest

from rnnimpl import Unavailable
from rnnimpl.native.build import kernels


def skip_without_kernels() -> None:
    """Skip the module that calls this where the kernels cannot be compiled."""
    try:
        kernels("tanh", "float32")
    except Unavailable as reason:
        pytest.skip(str(reason), allow_module_level=True)
