"""The conformance suite itself: the results of a run, its examples, and memory that is poisoned before a call."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from rnnimpl import Rnn, RnnConfig, Unavailable, Unsupported, Weights, conformance
from rnnimpl.cells import CELLS
from rnnimpl.conformance.examples import Example, every_structure, pairwise, representative, structures
from rnnimpl.conformance.needs import bounded_output, fits, one_direction
from rnnimpl.conformance.sizes import every_size
from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.interface import CELL_NAMES, NumpyArray, State
from tests.engines import needs_training


class Breaks(NumpyLoop):
    """Raises an exception that is not part of the interface."""

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> tuple[NumpyArray, State[NumpyArray]]:
        raise KeyError("kernel")


class InferenceOnly(NumpyLoop):
    """Does not train."""

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Any:
        raise Unsupported("InferenceOnly does inference only")


class Absent(NumpyLoop):
    """Cannot run here."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        raise Unavailable("there is no accelerator")


def run_representative(implementation: type[Rnn[Any]]) -> list[conformance.CheckResult]:
    """The results of all checks on one config."""
    config = RnnConfig(input_size=13, hidden_size=7)
    return conformance.run(implementation, selected=[c for c in conformance.cases() if c.example.config == config])


def test_cells_that_a_class_does_not_name_are_unsupported_and_not_run() -> None:
    """The constructor is not called for a cell that the class does not name."""

    class Built(NumpyLoop):
        cells = ("tanh",)

        def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
            assert config.cell == "tanh"
            super().__init__(config, weights, device)

    selected = [case for case in conformance.cases() if case.check.__name__ == "check_output"]
    results = conformance.run(Built, selected=selected)
    others = [result for case, result in zip(selected, results, strict=True) if case.example.config.cell != "tanh"]
    assert {result.status for result in others} == {"unsupported"}
    assert others[0].message.startswith("the class names the cells tanh; the example has cell ")
    assert "failed" not in {result.status for result in results}


def test_run_reports_an_unexpected_exception_as_a_failure_with_its_type() -> None:
    (result,) = {r for r in run_representative(Breaks) if r.check == "check_output"}
    assert (result.status, result.message) == ("failed", "KeyError: 'kernel'")


def test_run_counts_inference_only_as_unsupported() -> None:
    """Checks that need `vjp` are unsupported, the others pass."""
    statuses = {result.check: result.status for result in run_representative(InferenceOnly)}
    assert set(statuses.values()) == {"passed", "unsupported"}
    assert {check for check, status in statuses.items() if status == "unsupported"} == set(
        filter(needs_training, statuses)
    )


def test_run_reports_unavailable_with_its_reason() -> None:
    assert {(r.status, r.message) for r in run_representative(Absent)} == {("unavailable", "there is no accelerator")}


def test_run_reports_progress_with_each_result() -> None:
    selected = conformance.cases()[:3]
    seen: list[conformance.CheckResult] = []
    assert conformance.run(NumpyLoop, selected=selected, progress=seen.append) == seen
    assert [f"{result.check}-{result.example}" for result in seen] == [case.id for case in selected]


def test_a_passed_check_says_its_error_and_tolerance() -> None:
    result = conformance.run(NumpyLoop, selected=conformance.cases()[:1])[0]
    assert result.measured is not None
    assert 0 < result.measured.error <= result.measured.tolerance


def test_a_failed_check_names_shape_error_and_tolerance() -> None:
    """The message has the shape, the error and the tolerance of the result."""

    class Wrong(NumpyLoop):
        def forward(
            self, x: NumpyArray, state: State[NumpyArray] | None = None
        ) -> tuple[NumpyArray, State[NumpyArray]]:
            y, state_n = super().forward(x, state)
            return y * 2, state_n

    result = conformance.run(Wrong, selected=conformance.cases()[:1])[0]
    assert result.measured is not None
    assert result.measured.error == pytest.approx(1, rel=1e-3)
    tolerance = f"{result.measured.tolerance:.2g}"
    assert result.message == f"y (11, 5, 7) has error 1; expected {tolerance} or less"


def test_memory_is_poisoned_before_a_check() -> None:
    """Arrays of NaN, of the sizes of all results, are freed before the first call."""
    seen: list[tuple[int, ...]] = []

    class Sees(NumpyLoop):
        def from_numpy(self, array: NumpyArray) -> NumpyArray:
            if np.isnan(array).all():
                seen.append(array.shape)
            return super().from_numpy(array)

    case = conformance.cases()[0]
    case.check(Sees, case.example, "cpu")
    assert seen == [array.shape for array in case.example.data().arrays]


def test_ids_are_unique() -> None:
    ids = [case.id for case in (*conformance.cases(), *conformance.slow_cases())]
    assert len(ids) == len(set(ids))


def test_every_structure_is_covered_by_the_quick_and_the_slow_cases() -> None:
    """Outputs and gradients are checked once for each cell x layers x directions x bias x dtype."""
    for check in ("check_output", "check_gradient_of_weights"):
        both = (*conformance.cases(), *conformance.slow_cases())
        configs = [case.example.config for case in both if case.check.__name__ == check]
        assert len(configs) == len(set(configs)) == len(CELL_NAMES) * 3 * 2 * 2 * 4


def combinations(examples: Iterable[Example], together: int) -> set[object]:
    """All combinations of the values of `together` fields in the examples."""
    fields = [dataclasses.asdict(example.config).items() for example in examples]
    return {some for config in fields for some in itertools.combinations(config, together)}


def test_three_fields_have_all_their_values_together_in_the_structures() -> None:
    """The covering set has all combinations of three fields, in a third of all structures."""
    assert set(representative()) < set(structures()) < set(every_structure())
    assert 3 * len(structures()) <= len(every_structure())
    assert combinations(structures(), 3) == combinations(every_structure(), 3)


def test_two_fields_have_all_their_values_together_in_the_pairwise_structures() -> None:
    assert set(pairwise()) < set(structures())
    assert 3 * len(pairwise()) <= len(structures())
    assert combinations(pairwise(), 2) == combinations(every_structure(), 2)


def test_representative_structures_have_every_value_of_every_field() -> None:
    assert combinations(representative(), 1) >= combinations(structures(), 1) - {(("num_layers", 3),)}


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_examples_of_each_cell_distinguish_both_biases_and_all_sequences(cell: str) -> None:
    """Each cell has an example of three sequences or more whose biases are not zero and differ in every gate."""
    found = 0
    for example in representative():
        if example.config.cell != cell or not example.config.bias or example.B < 3:
            continue
        found += 1
        weights = example.weights().layer(0, 0)
        assert weights.b_ih is not None
        assert weights.b_hh is not None
        for b_ih, b_hh in zip(CELLS[cell].blocks(weights.b_ih), CELLS[cell].blocks(weights.b_hh), strict=True):
            assert np.abs(b_hh).max() > 0.1
            assert np.abs(b_ih - b_hh).max() > 0.1
    assert found


def test_a_check_is_made_on_examples_that_have_what_it_needs() -> None:
    """check_two_halves has examples of one direction alone, check_bound those of cells with a bound."""
    for check, need in (("check_two_halves", one_direction), ("check_bound", bounded_output)):
        made = [case.example for case in conformance.cases() if case.check.__name__ == check]
        assert made == [example for example in representative() if need(example)]
        assert 0 < len(made) < len(representative())


def test_a_check_that_needs_nothing_takes_every_example() -> None:
    (check,) = {case.check for case in conformance.cases() if case.check.__name__ == "check_nan"}
    assert all(fits(check, example) for example in every_structure())


def repeated(implementation: type[Rnn[Any]], check: str) -> conformance.CheckResult:
    """The result of a check on a plain network."""
    return next(result for result in run_representative(implementation) if result.check == check)


@pytest.mark.parametrize("check", ["check_repeatable", "check_gradients_repeatable", "check_batch_independence"])
def test_two_calls_with_equal_bits_are_recorded(check: str) -> None:
    """NumPy's loop gives equal results for equal calls, and for a sequence beside any others."""
    result = repeated(NumpyLoop, check)
    assert result.status == "passed"
    assert result.measured is not None
    assert result.measured.identical is True


@pytest.mark.parametrize("check", ["check_repeatable", "check_batch_independence"])
def test_two_calls_that_differ_in_the_last_bit_pass_and_are_recorded(check: str) -> None:
    """Two calls that differ in the last bit pass, and `identical` is False."""

    class Wavers(NumpyLoop):
        calls = 0

        def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Any:
            y, state_n = super().forward(x, state)
            self.calls += 1
            return np.nextafter(y, np.float32(2 if self.calls == 1 else -2)), state_n

    result = repeated(Wavers, check)
    assert result.status == "passed", result.message
    assert result.measured is not None
    assert result.measured.identical is False


def test_a_check_of_one_call_records_no_bits() -> None:
    result = repeated(NumpyLoop, "check_initial_state")
    assert result.measured is not None
    assert result.measured.identical is None


def test_no_two_sizes_are_equal() -> None:
    """A confusion of axes shows as another shape, in all examples but those of particular sizes."""
    for case in conformance.cases():
        if case.example in every_size():
            continue
        c, example = case.example.config, case.example
        sizes = {example.T, example.B, c.input_size, c.hidden_size, c.num_directions * c.hidden_size, c.num_stacked}
        assert len(sizes) == 5 + c.bidirectional


def test_examples_draw_the_same_data_each_time_and_other_data_for_another_seed() -> None:
    example = conformance.cases()[0].example
    again, other = example.data(), example.reseeded().data()
    for first, second, third in zip(example.data().arrays, again.arrays, other.arrays, strict=True):
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, third)
        assert first is not second


def test_an_example_is_resized_and_nothing_else() -> None:
    example = conformance.cases()[0].example
    assert example.resized(T=1) == dataclasses.replace(example, T=1)
