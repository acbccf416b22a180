"""Every implementation passes every check, on every device this machine has: `-k "nn_rnn and check_nan"` selects."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch

import rnnimpl
from rnnimpl import Rnn, RnnConfig, Unavailable, Unsupported, Weights, conformance
from rnnimpl.conformance.examples import Example, every_structure, pairwise
from rnnimpl.conformance.sizes import every_size
from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.interface import NumpyArray
from tests import engines
from tests.engines import ENGINES, runnable

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


SUBJECTS = [(name, device) for device in DEVICES for name in runnable(device)]

KNOWN_FAILURES = {
    ("onnxruntime_rnn", "check_nan", "relu"): "ONNX Runtime's Relu is max(0, x), which gives 0 for NaN",
    ("openvino_rnn", "check_nan", "relu"): "OpenVINO's relu is max(0, x), which gives 0 for NaN",
}
"""Faults of an engine itself, by check and nonlinearity; one that is gone fails here, so that it is taken out."""


def marks(name: str, case: conformance.Case | None = None) -> list[pytest.MarkDecorator]:
    """An engine's tests are for `-m engines` or `-m engines_in_full`; a known failure has to fail."""
    found: list[pytest.MarkDecorator] = []
    if name in ENGINES:
        found += [pytest.mark.engines] if case is None else engines.marks(name, case.example)
    if case is not None:
        reason = KNOWN_FAILURES.get((name, case.check.__name__, case.example.config.nonlinearity))
        if reason is not None and case.example.config.dtype == "float32":
            found.append(pytest.mark.xfail(reason=reason, strict=True))
    return found


CASES = [
    pytest.param(name, device, case, id=f"{name}-{device}-{case.id}", marks=marks(name, case))
    for name, device in SUBJECTS
    for case in conformance.cases()
]


@pytest.mark.parametrize(("name", "device", "case"), CASES)
def test_implementation(name: str, device: str, case: conformance.Case) -> None:
    """The implementation passes the check, or says which part of the config it does not do."""
    try:
        case.check(rnnimpl.load(name), case.example, device)
    except (Unsupported, Unavailable) as reason:
        # On a CPU all that is missing is known before anything is built.
        if isinstance(reason, Unavailable) and device == "cpu":
            raise
        pytest.skip(f"{name}: {reason}")


@pytest.mark.parametrize(("name", "device"), [pytest.param(*subject, marks=marks(subject[0])) for subject in SUBJECTS])
@pytest.mark.parametrize("dtype", ["float32"])
def test_no_implementation_is_skipped_altogether(name: str, device: str, dtype: str) -> None:
    """In float32 every implementation computes an output: unsupported is for parts."""
    selected = [
        c for c in conformance.cases() if c.check.__name__ == "check_output" and c.example.config.dtype == dtype
    ]
    results = conformance.run(rnnimpl.load(name), device, selected=selected)
    assert "passed" in {result.status for result in results}


class Breaks(NumpyLoop):
    """Raises what nobody expects."""

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        raise KeyError("kernel")


class InferenceOnly(NumpyLoop):
    """Has no training mode."""

    def vjp(self, x: NumpyArray, h0: NumpyArray | None = None) -> Any:
        raise Unsupported("InferenceOnly does inference only")


class Absent(NumpyLoop):
    """Cannot run here."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        raise Unavailable("there is no accelerator")


def run_representative(implementation: type[Rnn[Any]]) -> list[conformance.CheckResult]:
    """All checks on one config."""
    config = RnnConfig(input_size=13, hidden_size=7)
    return conformance.run(implementation, selected=[c for c in conformance.cases() if c.example.config == config])


def test_run_reports_an_unexpected_exception_as_a_failure_with_its_type() -> None:
    (result,) = {r for r in run_representative(Breaks) if r.check == "check_output"}
    assert (result.status, result.message) == ("failed", "KeyError: 'kernel'")


def test_run_counts_inference_only_as_unsupported() -> None:
    """What needs `vjp` is unsupported, the rest passes."""
    statuses = {result.check: result.status for result in run_representative(InferenceOnly)}
    assert set(statuses.values()) == {"passed", "unsupported"}
    assert {check for check, status in statuses.items() if status == "unsupported"} == {
        check for check in statuses if "gradient" in check or "vjp" in check or "pullback" in check
    } | {"check_weights_unchanged"}


def test_run_reports_unavailable_with_its_reason() -> None:
    assert {(r.status, r.message) for r in run_representative(Absent)} == {("unavailable", "there is no accelerator")}


def test_run_tells_progress_of_each_result() -> None:
    selected = conformance.cases()[:3]
    seen: list[conformance.CheckResult] = []
    assert conformance.run(NumpyLoop, selected=selected, progress=seen.append) == seen
    assert [f"{result.check}-{result.example}" for result in seen] == [case.id for case in selected]


def test_a_passed_check_says_its_error_and_tolerance() -> None:
    result = conformance.run(NumpyLoop, selected=conformance.cases()[:1])[0]
    assert result.measured is not None
    assert 0 < result.measured.error <= result.measured.tolerance


def test_a_failed_check_names_shape_error_and_tolerance() -> None:
    """The message has all that is needed to see how wrong it is."""

    class Wrong(NumpyLoop):
        def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
            y, h_n = super().forward(x, h0)
            return y * 2, h_n

    result = conformance.run(Wrong, selected=conformance.cases()[:1])[0]
    assert result.measured is not None
    assert result.measured.error == pytest.approx(1, rel=1e-3)
    tolerance = f"{result.measured.tolerance:.2g}"
    assert result.message == f"y (11, 5, 7) has error 1; expected {tolerance} or less"


def test_memory_is_poisoned_before_a_check() -> None:
    """NaN in arrays of the sizes of all results, let go before the first call."""
    seen: list[tuple[int, ...]] = []

    class Sees(NumpyLoop):
        def from_numpy(self, array: NumpyArray) -> NumpyArray:
            if np.isnan(array).all():
                seen.append(array.shape)
            return super().from_numpy(array)

    case = conformance.cases()[0]
    case.check(Sees, case.example, "cpu")
    assert seen == [array.shape for array in case.example.data()]


def test_ids_are_unique() -> None:
    ids = [case.id for case in conformance.cases()]
    assert len(ids) == len(set(ids))


def test_every_structure_is_covered() -> None:
    """Output and gradients are checked for each nonlinearity x layers x directions x bias x dtype."""
    for check in ("check_output", "check_gradient_of_weights"):
        configs = {case.example.config for case in conformance.cases() if case.check.__name__ == check}
        assert len(configs) == 2 * 3 * 2 * 2 * 4


def test_two_fields_have_all_their_values_together_in_the_pairwise_structures() -> None:
    """They are a few of every structure, and between them have each pair of values that every structure has."""

    def pairs(examples: Iterable[Example]) -> set[object]:
        fields = [dataclasses.asdict(example.config).items() for example in examples]
        return {pair for config in fields for pair in itertools.combinations(config, 2)}

    assert set(pairwise()) < set(every_structure())
    assert len(pairwise()) == 12
    assert pairs(pairwise()) == pairs(every_structure())


def test_no_two_sizes_are_equal() -> None:
    """An axis taken for another gives another shape; where sizes matter by themselves, some are equal."""
    for case in conformance.cases():
        if case.example in every_size():
            continue
        c, example = case.example.config, case.example
        states = c.num_layers * c.num_directions
        sizes = {example.T, example.B, c.input_size, c.hidden_size, c.num_directions * c.hidden_size, states}
        assert len(sizes) == 5 + c.bidirectional


def test_examples_draw_the_same_data_each_time_and_other_data_for_another_seed() -> None:
    example = conformance.cases()[0].example
    again, other = example.data(), example.reseeded().data()
    for first, second, third in zip(example.data(), again, other, strict=True):
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, third)
        assert first is not second


def test_an_example_is_resized_and_nothing_else() -> None:
    example = conformance.cases()[0].example
    assert example.resized(T=1) == dataclasses.replace(example, T=1)
