"""Workload and case: what they refuse, and IDs that can be typed again."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.workload import Case, Workload
from rnnimpl.dtypes import DTYPES

sizes = st.integers(1, 5000)
workloads = st.builds(
    Workload,
    mode=st.sampled_from(["inference", "training"]),
    T=sizes,
    B=sizes,
    I=sizes,
    H=sizes,
    L=st.integers(1, 8),
    bidirectional=st.booleans(),
    cell=st.sampled_from(["tanh", "relu", "lstm", "gru"]),
    bias=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    device=st.sampled_from(["cpu", "cuda"]),
    threads=st.integers(1, 64),
)


@given(workloads)
def test_a_workload_is_what_its_id_parses_to(workload: Workload) -> None:
    """No field is lost in the ID."""
    assert Workload.parse(workload.id) == workload


def test_a_case_id_has_the_documented_form() -> None:
    """The form that the documentation shows, in both directions."""
    text = "nn_rnn/cuda/training/T256-B32-I128-H128-L1-tanh-float32"
    case = Case.parse(text)
    assert case == Case("nn_rnn", Workload(mode="training", T=256, B=32, I=128, H=128, device="cuda"))
    assert case.id == text


def test_what_differs_from_the_defaults_is_in_the_id() -> None:
    """Directions, bias, precision and threads are named where they are not the default."""
    workload = Workload(
        mode="inference",
        T=1,
        B=2,
        I=3,
        H=4,
        L=5,
        bidirectional=True,
        bias=False,
        device="cuda",
        precision="tf32",
        threads=6,
    )
    assert workload.id == "cuda/inference/T1-B2-I3-H4-L5-D2-tanh-nobias-float32-tf32-threads6"
    assert Workload.parse(workload.id) == workload


def test_a_module_and_class_can_stand_in_a_case_id() -> None:
    """The name of somebody else's implementation has dots and a colon."""
    text = "package.module:Class/cpu/inference/T1-B1-I1-H1-L1-relu-float64"
    assert Case.parse(text).implementation == "package.module:Class"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"T": 0}, "T is 0; expected 1 or more"),
        ({"B": -3}, "B is -3; expected 1 or more"),
        ({"mode": "learning"}, "mode is 'learning'; expected one of inference, training"),
        ({"processes": 0}, "processes is 0; expected 1 or more"),
        ({"processes": 2}, "processes is 2; expected 1: others are for streaming and serving"),
        ({"caches": "cold"}, "caches is 'cold'; expected 'warm': others are for streaming and serving"),
        ({"caches": "hot", "mode": "streaming"}, "caches is 'hot'; expected one of warm, cold"),
        ({"mode": "streaming", "bidirectional": True}, "bidirectional is true; expected false in mode streaming"),
        ({"mode": "serving", "processes": 2, "device": "cuda"}, "processes is 2; expected 1 on cuda"),
        ({"signal": "decaying"}, "bias is True; expected False of a decaying signal"),
        ({"signal": "decaying", "bias": False, "dtype": "float64"}, "dtype is 'float64'; expected 'float32' of a"),
        ({"signal": "decaying", "bias": False, "mode": "streaming"}, "signal is decaying; expected normal in mode str"),
        ({"mode": "many-lengths", "T": 7}, "T is 7; expected 8 or more in mode many-lengths"),
        ({"device": "tpu"}, "device is 'tpu'; expected one of cpu, cuda"),
        ({"dtype": "int8"}, "dtype is 'int8'; expected one of"),
        ({"cell": "gelu"}, "cell is 'gelu'; did you mean relu? Expected one of tanh, relu, lstm, gru"),
        ({"precision": "tf32"}, "precision tf32 is for float32 on cuda; got float32 on cpu"),
    ],
)
def test_a_value_that_makes_no_workload_is_named(changed: dict[str, object], message: str) -> None:
    """The error names the field, the value and what was expected."""
    fields: dict[str, object] = {"mode": "inference", "T": 2, "B": 2, "I": 2, "H": 2}
    with pytest.raises(ValueError, match=re.escape(message)):
        Workload(**(fields | changed))  # type: ignore[arg-type]  # wrong on purpose


def test_a_size_that_is_no_whole_number_is_refused() -> None:
    """True and 2.0 are no sizes, although Python would count with them."""
    for value in (True, 2.0, "2"):
        with pytest.raises(TypeError, match=r"H is .*; expected a whole number"):
            Workload(mode="inference", T=2, B=2, I=2, H=value)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    "text", ["", "nn_rnn", "nn_rnn/cpu", "nn_rnn/cpu/inference/T1-B1", "/cpu/inference/T1-B1-I1-H1-L1"]
)
def test_what_is_no_case_id_is_answered_with_the_form(text: str) -> None:
    """A wrong ID is answered with a right one."""
    with pytest.raises(ValueError, match="expected a form like"):
        Case.parse(text)


def test_conditions_of_calls_are_in_the_id() -> None:
    """Processes, caches, signal and denormals are named where they are not the default."""
    text = "cpu/serving/T8-B2-I3-H4-L1-lstm-nobias-float32-threads2-processes2-cold-flushed"
    workload = Workload.parse(text)
    assert (workload.processes, workload.caches, workload.denormals) == (2, "cold", "flushed")
    assert workload.id == text
    assert workload.conditions == "2 processes, cold caches, denormals flushed"
    decaying = Workload.parse("cpu/training/T8-B2-I3-H4-L1-tanh-nobias-float32-decaying")
    assert decaying.signal == "decaying"
    assert decaying.conditions == "decaying signal"
