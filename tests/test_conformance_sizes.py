"""The sizes of the conformance suite: every axis has each size at which kernels change, and each kind with others."""

from __future__ import annotations

import itertools

import pytest

from rnnimpl import conformance
from rnnimpl.conformance.sizes import EDGES, KINDS, LARGE, OTHERS, PLAIN, Sizes, every_size
from rnnimpl.dtypes import DTYPES


@pytest.mark.parametrize("axis", Sizes._fields)
def test_every_axis_has_every_edge_and_a_large_size(axis: str) -> None:
    """In float32 on the plain network, which every implementation computes."""
    sizes = {getattr(each, axis) for each in PLAIN}
    assert {*EDGES} <= sizes
    assert max(sizes) >= LARGE


@pytest.mark.parametrize("axes", list(itertools.combinations(Sizes._fields, 2)), ids="-".join)
def test_two_axes_have_every_two_kinds_of_sizes_together(axes: tuple[str, str]) -> None:
    """A path that is taken for one sequence and many units is taken by one example at least."""
    together = [(getattr(each, axes[0]), getattr(each, axes[1])) for each in PLAIN]
    for (first, is_first), (second, is_second) in itertools.product(KINDS.items(), KINDS.items()):
        found = any(is_first(one) and is_second(other) for one, other in together)
        assert found, f"no example has {axes[0]} {first} and {axes[1]} {second}"


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_fewer_as_many_and_more_features_than_units(kind: str) -> None:
    """Beside each kind of H; one unit has no fewer features than itself."""
    orders = {(each.I > each.H) - (each.I < each.H) for each in PLAIN if KINDS[kind](each.H)}
    assert orders == ({0, 1} if kind == "one" else {-1, 0, 1})


def test_other_structures_and_dtypes_have_large_batches_whole_blocks_and_long_sequences() -> None:
    """Of each of them one example at least has 100 sequences or units, and one has whole blocks of units."""
    fields = [dict(given) for _, given in OTHERS]
    assert {given.get("dtype", "float32") for given in fields} == {*DTYPES}
    for given in fields:
        sizes = [each for each, other in OTHERS if other.items() <= given.items() or given.items() <= other.items()]
        assert any(max(each.B, each.H) >= 100 for each in sizes), given
        assert any(each.H % 16 == 0 for each in sizes), given
        assert any(each.T > 64 for each in sizes), given


def test_both_checks_are_made_at_every_size() -> None:
    for check in ("check_outputs_at_sizes", "check_gradients_at_sizes"):
        examples = [case.example for case in conformance.cases() if case.check.__name__ == check]
        assert examples == [*every_size()]
