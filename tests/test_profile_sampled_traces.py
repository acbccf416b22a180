"""Traces laid together from samples of many calls, and the phases of `fused_cpu` in them."""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import time
from collections import Counter

import numpy as np
import pytest

from benchmarks.profiling.call_passes import passes_of
from benchmarks.profiling.sampling.attribution import Sample, attribute
from benchmarks.profiling.sampling.kinds import WorkKind
from benchmarks.profiling.sampling.sampler import PREEMPTED, SAMPLED_THREAD, WAITS, SampledThreads, Sampler
from benchmarks.profiling.sampling.symbols import Place, places
from benchmarks.profiling.tracing.native_phases import PHASES, PhaseCode, code_of_phases, phase_of
from benchmarks.profiling.tracing.sampled_trace import PARTS, Overlay, overlay, sample_calls, sampled_tracks
from benchmarks.profiling.tracing.trace import SAMPLE_INTERVAL_SECONDS, trace
from rnnimpl.native.build import kernels
from tests.traces import names, subject, tracks

PASS_NAMES = {
    "forward": r"3rnn7Forward|^rnn_phase_(projection|recurrence)$",
    "backward": r"3rnn8Backward|^rnn_phase_(recurrence_back|input_gradient|weight_gradients)$",
}
"""{pass: pattern of functions that run in it alone}."""


def sample(nanoseconds: int, kind: WorkKind = "products", function: str = "", caller: int = 0) -> Sample:
    """A sample that is attributed to this kind and function."""
    return Sample(1, nanoseconds, caller, (kind, Place("own.so", function)), 1)


def test_samples_of_many_calls_are_laid_over_one_another() -> None:
    """The fraction of the call's time decides, whatever a call takes; a sample between calls is in no part."""
    samples = [sample(505), sample(7020), sample(3000), sample(8990)]
    found = overlay("forward", [(0, 1000), (5000, 9000)], samples)
    assert len(found.parts[PARTS // 2]) == 2
    assert sum(map(len, found.parts)) == 3
    assert found.seconds == pytest.approx(2.5e-6)


def test_a_sample_before_the_first_call_or_of_a_preempted_thread_is_in_no_part() -> None:
    """It shows nothing of a call."""
    before, preempted = sample(900), sample(1500)._replace(work=None)
    found = overlay("forward", [(1000, 2000)], [before, preempted, sample(1500)])
    assert sum(map(len, found.parts)) == 1


def test_parts_without_samples_are_not_drawn() -> None:
    """Products before and after such a part are two slices."""
    parts: list[list[Sample]] = [[] for _ in range(PARTS)]
    parts[0], parts[2] = [sample(0)], [sample(0)]
    found = tracks(sampled_tracks([Overlay("forward", 1e-4, parts)]), 3)
    assert names(found["most of the time"]) == 2 * ["matrix products"]


def test_the_largest_kind_of_a_part_is_drawn_and_all_kinds_are_counted() -> None:
    """Two parts of products, one of waiting; a counter has the shares of each part."""
    parts: list[list[Sample]] = [[] for _ in range(PARTS)]
    parts[0], parts[1], parts[2] = [sample(0)] * 2 + [sample(0, "waiting")], [sample(0)], [sample(0, "waiting")]
    events = sampled_tracks([Overlay("forward", 1e-4, parts)], lambda each: each.work[0] if each.work else "")
    found = tracks(events, 3)
    assert "5 samples" in events[0]["args"]["name"]
    assert names(found["most of the time"]) == ["matrix products", "waiting"]
    assert found["most of the time"][0].end == pytest.approx(2 * 100 / PARTS)
    assert names(found["phases"]) == ["products", "waiting"]
    first = next(each for each in events if each["ph"] == "C")
    assert (first["args"]["matrix products"], first["args"]["waiting"]) == (66.7, 33.3)


class PreemptedSampler:
    """A sampler that was preempted for the whole time."""

    current_pass = ctypes.c_int32()

    def start(self) -> None:
        """Begin; there is nothing to do."""

    def stop(self) -> SampledThreads:
        """No samples."""
        return np.zeros(0, SAMPLED_THREAD)


def test_a_sampler_that_was_preempted_leaves_calls_without_samples() -> None:
    """At least one call is made and drawn; its parts show nothing."""
    calls: list[int] = []
    sampler = PreemptedSampler()
    overlays = sample_calls({"forward": lambda: calls.append(1)}, sampler, 0.0)  # type: ignore[arg-type]  # in its place
    assert calls == [1]
    found = tracks(sampled_tracks(overlays), 3)
    assert names(found["calls"]) == ["forward"]
    assert set(found) == {"calls"}


CODE = [PhaseCode("input projection", 100, 200), PhaseCode("recurrence", 300, 400)]


@pytest.mark.parametrize(
    ("function", "caller", "expected"),
    [
        ("_ZN3rnn14multiply_blockIfLi1E", 150, "input projection"),
        ("_ZN3rnn14multiply_blockIfLi1E", 300, "recurrence"),
        ("_ZN3rnn14multiply_blockIfLi1E", 200, ""),
        ("_ZN3rnn14multiply_blockIfLi1E", 0, ""),
        ("rnn_phase_projection", 0, "input projection"),
        ("rnn_phase_recurrence", 0, "recurrence"),
        ("rnn_phase_recurrence_back", 0, "recurrence"),
        ("rnn_phase_input_gradient", 0, "input projection"),
        ("rnn_phase_weight_gradients", 150, "gradients of the weights"),
        ("memcpy", 350, "recurrence"),
        ("_PyEval_EvalFrameDefault", 0, ""),
    ],
)
def test_a_sample_of_fused_cpu_is_in_the_phase_of_its_function_or_of_its_caller(
    function: str, caller: int, expected: str
) -> None:
    """The function itself decides first."""
    assert phase_of(sample(0, "products", function, caller), CODE) == expected


def test_a_preempted_sample_is_in_no_phase() -> None:
    """Its caller does not count."""
    assert phase_of(sample(0, caller=150)._replace(work=None), CODE) == ""


@pytest.mark.parametrize(("cell", "dtype"), [("tanh", "float32"), ("lstm", "float32"), ("gru", "float64")])
def test_the_phases_are_found_in_fused_cpu(cell: str, dtype: str) -> None:
    """Those of both passes are found once each, and do not overlap."""
    library = kernels(cell, dtype)
    assert all(hasattr(library.functions, name) for name in PHASES)
    found = code_of_phases(library.path)
    assert Counter(each.phase for each in found) == Counter(PHASES.values())
    spans = sorted((each.begin, each.end) for each in found)
    assert all(begin < end for begin, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_a_sample_has_the_phase_in_which_the_main_thread_answered() -> None:
    """Calls are so short that an answer often comes in the next one; the sampled function shows which pass it was."""
    case = subject("fused_cpu", "training", T=16, I=64, H=64)
    code = code_of_phases(case.rnn.library.path)  # type: ignore[attr-defined]  # a FusedCpu has one
    sampler = Sampler(SAMPLE_INTERVAL_SECONDS)
    sampler.callers([(each.begin, each.end) for each in code])
    passes: dict[int, Counter[str]] = {1: Counter(), 2: Counter()}
    products: Counter[str] = Counter()
    until = time.monotonic() + 30
    while min(map(Counter.total, passes.values())) < 100 and time.monotonic() < until:
        sampler.start()
        for _ in range(1000):
            for number, each in enumerate(passes_of(case).values(), start=1):
                sampler.current_pass.value = number
                each()
                sampler.current_pass.value = 0
        threads = sampler.stop()
        addresses = {int(each) for each in threads["address"]} - {WAITS, PREEMPTED}
        for found in attribute(threads, places(addresses), os.getpid()):
            function = found.work[1].function if found.work is not None else ""
            passes[found.pass_number] += Counter(name for name, own in PASS_NAMES.items() if re.search(own, function))
            if "multiply_block" in function:
                products[phase_of(found, code)] += 1
    assert set(passes[1]) == {"forward"}
    assert set(passes[2]) == {"backward"}
    assert set(products) >= {"input projection", "recurrence", "gradients of the weights"}
    assert products[""] < products.total() / 20


def share_of_projection(mode: str, calls: str, **sizes: int) -> float:
    """The projection's share of projection and recurrence in a call of `fused_cpu`, as its trace draws them."""
    events, limitations = trace(subject("fused_cpu", mode, T=64, B=4, L=1, **sizes))
    assert limitations == []
    found = tracks(events, 3)
    call = next(each for each in found["calls"] if each.name == calls)
    own = [each for each in found["phases"] if call.start <= each.start < call.end]
    spans = {name: sum(each.end - each.start for each in own if each.name == name) for name in names(own)}
    both = [spans.get(name, 0.0) for name in ("input projection", "recurrence")]
    return both[0] / sum(both)


@pytest.mark.injected
@pytest.mark.parametrize(
    ("mode", "call"), [("inference", "forward"), ("training", "forward"), ("training", "backward")]
)
def test_fused_cpu_projects_more_with_more_input_features(mode: str, call: str) -> None:
    """With many input features and few hidden units most of a pass is projection; with few features it is not."""
    many, few = (share_of_projection(mode, call, **sizes) for sizes in ({"I": 512, "H": 32}, {"I": 8, "H": 256}))
    assert many > 0.5 > few


@pytest.mark.injected
def test_gradients_of_the_weights_are_a_phase_of_the_backward_pass() -> None:
    """They are the last phase of a layer, after its recurrence."""
    events, _ = trace(subject("fused_cpu", "training", T=64, B=16, I=128, H=128, L=1))
    phases = tracks(events, 3)["phases"]
    assert phases[-1].name == "gradients of the weights"
    assert "recurrence" in names(phases)
