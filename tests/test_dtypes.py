"""Element types are rounded as PyTorch rounds them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnnimpl.dtypes import DTYPES, Dtype, round_significand, round_to, unit_roundoff


@pytest.mark.parametrize("dtype", DTYPES)
def test_unit_roundoff_is_half_the_distance_from_one_to_the_next(dtype: Dtype) -> None:
    """The unit roundoff is half of torch.finfo's eps."""
    assert unit_roundoff(dtype) == torch.finfo(getattr(torch, dtype)).eps / 2


def test_rounding_to_bfloat16_is_torchs() -> None:
    """Rounding is to nearest, ties to even; infinite beyond the largest number; NaN stays NaN."""
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 2**32, 100_000, dtype=np.uint32)
    ties = (patterns & np.uint32(0xFFFF0000)) | np.uint32(0x8000)
    values = np.concatenate([patterns, ties]).view(np.float32)
    np.testing.assert_array_equal(round_to(values, "bfloat16"), torch.tensor(values).bfloat16().float().numpy())


def test_rounding_to_all_bits_changes_nothing_that_is_kept() -> None:
    values = np.array([1 + 2**-10, 1 + 2**-11, 1 + 3 * 2**-11, np.inf, np.nan], dtype=np.float32)
    expected = np.array([1 + 2**-10, 1, 1 + 2**-9, np.inf, np.nan], dtype=np.float32)
    np.testing.assert_array_equal(round_significand(values, 10), expected)
