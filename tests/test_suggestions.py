"""An unknown name is answered with the known names nearest to it, in a question."""

from __future__ import annotations

import pytest

from rnnimpl.suggestions import did_you_mean

NAMES = ("numpy_loop", "torch_loop", "H")


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("numpy_lop", "did you mean numpy_loop? "),
        ("NUMPY-LOOP", "did you mean numpy_loop? "),
        ("h", "did you mean H? "),
        ("xyzzy", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_suggested_however_it_is_written(name: str, question: str) -> None:
    assert did_you_mean(name, NAMES, most=1) == question


def test_several_names_are_suggested_from_the_nearest_on() -> None:
    names = ("torchscript_loop", "torch_loop", "H")
    assert did_you_mean("torch_lop", names) == "did you mean torch_loop or torchscript_loop? "
    assert did_you_mean("torch_lop", names, most=1) == "did you mean torch_loop? "


def test_what_may_be_written_stands_for_the_name_that_it_means() -> None:
    """And two that mean one name suggest it once."""
    assert did_you_mean("hiden", {"hidden": "H", "hidden_size": "H", "T": "T"}) == "did you mean H? "
