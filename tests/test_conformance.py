"""Every implementation passes every check on every device of this machine: `-k "nn_rnn and check_nan"` selects."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

import rnnimpl
from rnnimpl import Unavailable, Unsupported, conformance
from rnnimpl.dtypes import DTYPES
from rnnimpl.registry import listing
from tests import engines
from tests.engines import ENGINES, needs_lengths, needs_training, runnable

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
SUBJECTS = [(name, device) for device in DEVICES for name in runnable(device)]
CELLS_OF = {name: listing(name).cells for name, _ in SUBJECTS}
ENGINES_PAGE = (Path(__file__).parent.parent / "docs" / "engines.md").read_text(encoding="utf-8")
ALL_DTYPES = frozenset(DTYPES)
DTYPES_OF: dict[str, frozenset[str]] = {
    "fused_cpu": frozenset({"float32", "float64"}),
    "fused_cuda": frozenset({"float16", "bfloat16", "float32"}),
    "onnxruntime_rnn": frozenset({"float16", "float32"}),
    "openvino_rnn": frozenset({"float32"}),
    "torch_compile_module": frozenset({"float32"}),
    **dict.fromkeys(("numpy_loop", "numpy_hoisted"), ALL_DTYPES - {"bfloat16"}),
    **dict.fromkeys(("torch_loop", "torch_hoisted", "torchscript_loop", "nn_rnn"), ALL_DTYPES),
    **dict.fromkeys(("jax_scan", "torch_compile", "torch_cudagraph"), ALL_DTYPES),
}
"""The dtypes that README.md and docs/engines.md promise; an implementation that is not here may leave out any."""
EQUAL_LENGTHS_ONLY = frozenset(
    {"torchscript_loop", "torch_compile", "torch_compile_module", "torch_cudagraph", "fused_cuda"}
)
INFERENCE_ONLY = frozenset({"onnxruntime_rnn", "openvino_rnn", "torch_compile_module"})
KNOWN_FAILURES = {
    ("onnxruntime_rnn", "check_nan", "relu"): "ONNX Runtime's Relu is max(0, x), which gives 0 for NaN",
    ("onnxruntime_rnn", "check_nan", "lstm"): "ONNX Runtime's LSTM gives numbers where the input is NaN",
    ("onnxruntime_rnn", "check_nan", "gru"): "ONNX Runtime's GRU gives numbers where the input is NaN",
    ("openvino_rnn", "check_nan", "relu"): "OpenVINO's relu is max(0, x), which gives 0 for NaN",
}
"""Faults of an engine itself, by check and cell; a fault that is mended fails the test, so that it is removed here."""


def marks(name: str, case: conformance.CheckCase | None = None) -> list[pytest.MarkDecorator]:
    """An engine's tests are for `-m engines` or `-m engines_in_full`; a known failure has to fail."""
    found: list[pytest.MarkDecorator] = []
    if name in ENGINES:
        found += [pytest.mark.engines] if case is None else engines.marks(name, case.example)
    if case is not None:
        reason = KNOWN_FAILURES.get((name, case.check.__name__, case.example.config.cell))
        if reason is not None:
            found.append(pytest.mark.xfail(reason=reason, strict=True))
    return found


def parameters(cases: Iterable[conformance.CheckCase]) -> list[Any]:
    """Each implementation on each device with each case of a cell that it names."""
    return [
        pytest.param(name, device, case, id=f"{name}-{device}-{case.id}", marks=marks(name, case))
        for (name, device), case in itertools.product(SUBJECTS, cases)
        if case.example.config.cell in CELLS_OF[name]
    ]


CASES = parameters(conformance.cases())
SLOW_CHECKS = list(dict.fromkeys(case.check.__name__ for case in conformance.slow_cases()))


@pytest.mark.parametrize(("name", "device", "case"), CASES)
def test_implementation(name: str, device: str, case: conformance.CheckCase) -> None:
    """The implementation passes the check, or raises Unsupported for a case that is not promised."""
    try:
        case.check(rnnimpl.load(name), case.example, device)
    except Unsupported as reason:
        if not is_unsupported(name, case):
            raise
        pytest.skip(f"{name}: {reason}")
    except Unavailable as reason:
        # On a CPU the registry knows all that is missing, before anything is built.
        if device == "cpu":
            raise
        pytest.skip(f"{name}: {reason}")


def is_unsupported(name: str, case: conformance.CheckCase) -> bool:
    """Whether an implementation may leave out a case: it needs a dtype, training or lengths that are not promised."""
    if case.example.config.dtype not in DTYPES_OF.get(name, ()):
        return True
    if name in EQUAL_LENGTHS_ONLY and needs_lengths(case):
        return True
    return name in INFERENCE_ONLY and needs_training(case.check.__name__)


@pytest.mark.parametrize("name", ENGINES)
def test_the_page_of_engines_has_the_dtypes_and_modes_that_are_tested(name: str) -> None:
    row = re.findall(rf"^\| `{name}` \|(.*)\|$", ENGINES_PAGE, re.MULTILINE)[0]
    _, runs_on, dtypes, *_ = row.split(" | ")
    named = set(DTYPES) if dtypes == "all four" else set(re.findall(r"\b(?:b?float\d\d)\b", dtypes))
    assert named == DTYPES_OF[name]
    assert ("training" not in runs_on) == (name in INFERENCE_ONLY)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "device"), SUBJECTS)
@pytest.mark.parametrize("check", SLOW_CHECKS)
def test_implementation_in_full(name: str, device: str, check: str) -> None:
    """The implementation passes the slow cases: every structure of network, and more rows than 16 bits count."""
    selected = [case for case in conformance.slow_cases() if case.check.__name__ == check]
    results = conformance.run(rnnimpl.load(name), device, selected=selected)
    assert [result for result in results if result.status == "failed"] == []
    assert "passed" in {result.status for result in results} or "does inference only" in results[0].message


@pytest.mark.parametrize(
    ("name", "device", "cell"),
    [pytest.param(name, device, cell, marks=marks(name)) for name, device in SUBJECTS for cell in CELLS_OF[name]],
)
def test_every_cell_that_an_implementation_names_is_computed(name: str, device: str, cell: str) -> None:
    """Each cell that an implementation names passes a check of outputs in float32."""
    selected = [
        c
        for c in conformance.cases()
        if c.check.__name__ == "check_output" and (c.example.config.dtype, c.example.config.cell) == ("float32", cell)
    ]
    results = conformance.run(rnnimpl.load(name), device, selected=selected)
    assert "passed" in {result.status for result in results}
