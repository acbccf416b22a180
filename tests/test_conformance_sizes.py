"""The sizes of the conformance suite: every axis has each edge, and any two axes all pairs of kinds."""

from __future__ import annotations

import itertools

import pytest

from rnnimpl import conformance
from rnnimpl.conformance.sizes import (
    EDGES,
    GATED,
    GATED_CELLS,
    GATED_OTHERS,
    KINDS,
    LARGE,
    OTHERS,
    PLAIN,
    ROWS,
    Sizes,
    every_size,
    many_rows,
)
from rnnimpl.dtypes import DTYPES
from rnnimpl.interface import CELL_NAMES


@pytest.mark.parametrize("axis", Sizes._fields)
def test_every_axis_has_every_edge_and_a_large_size(axis: str) -> None:
    """The plain network in float32, which every implementation computes, has every edge on every axis."""
    sizes = {getattr(each, axis) for each in PLAIN}
    assert {*EDGES} <= sizes
    assert max(sizes) >= LARGE


@pytest.mark.parametrize("axes", list(itertools.combinations(Sizes._fields, 2)), ids="-".join)
def test_two_axes_have_every_two_kinds_of_sizes_together(axes: tuple[str, str]) -> None:
    """Every special path for two axes, such as one sequence and many units, has an example."""
    together = [(getattr(each, axes[0]), getattr(each, axes[1])) for each in PLAIN]
    for (first, is_first), (second, is_second) in itertools.product(KINDS.items(), KINDS.items()):
        found = any(is_first(one) and is_second(other) for one, other in together)
        assert found, f"no example has {axes[0]} {first} and {axes[1]} {second}"


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_fewer_as_many_and_more_features_than_units(kind: str) -> None:
    """I is less than H, equal and more with each kind of H; one unit has no fewer features."""
    orders = {(each.I > each.H) - (each.I < each.H) for each in PLAIN if KINDS[kind](each.H)}
    assert orders == ({0, 1} if kind == "one" else {-1, 0, 1})


def test_other_structures_and_dtypes_have_large_batches_whole_blocks_and_long_sequences() -> None:
    """Each structure and dtype has an example with 100 sequences or units, and one with whole blocks of units."""
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


@pytest.mark.parametrize("axis", Sizes._fields)
@pytest.mark.parametrize("kind", KINDS)
def test_gated_cells_have_every_kind_of_size_on_every_axis(axis: str, kind: str) -> None:
    assert any(KINDS[kind](getattr(each, axis)) for each in GATED)


@pytest.mark.parametrize("edge", [16, 64, 128, 256])
def test_gated_cells_have_hidden_units_on_either_side_of_an_edge(edge: int) -> None:
    assert {edge - 1, edge, edge + 1} <= {each.H for each in GATED}


def test_gated_cells_have_fewer_as_many_and_more_features_than_units() -> None:
    """I is less than H, equal and more for gated cells, also from 100 units on."""
    for least in (2, 100):
        orders = {(each.I > each.H) - (each.I < each.H) for each in GATED if least <= each.H}
        assert orders == {-1, 0, 1}


def test_gated_cells_are_those_with_several_gates_and_have_the_same_examples() -> None:
    assert {"lstm", "gru"} <= set(GATED_CELLS)
    assert not {"tanh", "relu"} & set(GATED_CELLS)
    sizes = {cell: [] for cell in GATED_CELLS}  # type: dict[str, list[tuple[int, ...]]]
    for example in every_size():
        config = example.config
        if config.cell in sizes:
            sizes[config.cell].append((example.T, example.B, config.input_size, config.hidden_size))
    assert len(sizes["lstm"]) == len(GATED) + len(GATED_OTHERS)
    assert all(each == sizes["lstm"] for each in sizes.values())
    assert {dict(given).get("dtype", "float32") for _, given in GATED_OTHERS} == {*DTYPES}


def test_the_slow_cases_have_rows_on_either_side_of_sixteen_bits() -> None:
    """The slow cases have 65,535, 65,536 and 65,792 rows for each cell."""
    rows = [each.T * each.B for each in ROWS]
    assert rows == [65535, 65536, 65792]
    assert {(e.config.cell, e.T * e.B) for e in many_rows()} == set(itertools.product(CELL_NAMES, rows))
    checked = {case.example for case in conformance.slow_cases() if case.check.__name__ == "check_gradients_at_sizes"}
    assert checked == {*many_rows()}
