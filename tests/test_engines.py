"""The engines: reasons where one cannot run, the settings that each pins, and CUDA graphs replayed on a CPU."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.machine import usable_cores
from benchmarks.measuring.calls.changing_input import ChangingInput
from rnnimpl import RnnConfig, Unavailable, Unsupported, Weights, conformance, load, names, registry
from rnnimpl.conformance.examples import Example, representative
from rnnimpl.impls.torch_cudagraph import Compute, TorchCudaGraph
from rnnimpl.interface import COMPILED
from tests.engines import ENGINES, needs_lengths, runnable

CONFIG = RnnConfig(input_size=3, hidden_size=4)
WEIGHTS = Weights.init(CONFIG, 0)
X = np.ones((5, 2, 3), dtype=np.float32)


@pytest.mark.parametrize("name", ["jax_scan", "onnxruntime_rnn", "openvino_rnn"])
def test_an_engine_that_is_not_installed_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list and `load` name the package to install."""

    def absent(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    package = name.partition("_")[0]
    compiled = f"{name} needs {package}, which is not installed: pip install '{package}>="
    assert str(registry.listing(name).unavailable["cpu"]).startswith(compiled)
    with pytest.raises(Unavailable, match=compiled):
        load(name)


def test_engines_are_those_that_need_more_or_compile_for_long() -> None:
    assert set(ENGINES) == {"jax_scan", "onnxruntime_rnn", "openvino_rnn", "torch_compile", "torch_compile_module"}
    assert set(names()) - set(registry.default_names()) == {"torch_compile", "torch_compile_module"}


def built(name: str, config: RnnConfig = CONFIG, threads: int = 1) -> Any:
    """An instance of an engine; skips the test, with the reason, where it is not available."""
    try:
        implementation = load(name)
    except Unavailable as reason:
        pytest.skip(str(reason))
    implementation.configure_process(threads=threads, precision="ieee")
    return implementation(config, Weights.init(config, 0), "cpu")


@pytest.mark.engines
@pytest.mark.parametrize("name", ["onnxruntime_rnn", "openvino_rnn"])
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_that_were_configured(name: str, threads: int) -> None:
    if threads > usable_cores():
        pytest.skip("OpenVINO takes no more threads than the cores that it may use")
    rnn = built(name, threads=threads)
    rnn.forward(X)
    assert rnn.describe()["threads"] == str(threads)


@pytest.mark.engines
@pytest.mark.parametrize("name", ["onnxruntime_rnn", "openvino_rnn"])
def test_training_is_unsupported(name: str) -> None:
    with pytest.raises(Unsupported, match="does inference only"):
        built(name).vjp(X)


@pytest.mark.engines
def test_openvino_computes_in_float32_where_the_cpu_has_bfloat16() -> None:
    """The precision is f32, where OpenVINO's default may be bfloat16."""
    rnn = built("openvino_rnn")
    rnn.forward(X)
    assert rnn.describe()["precision"] == "f32"


@pytest.mark.engines
def test_jax_keeps_float32_beside_float64() -> None:
    single, double = built("jax_scan"), built("jax_scan", RnnConfig(input_size=3, hidden_size=4, dtype="float64"))
    assert double.forward(double.from_numpy(X.astype(np.float64)))[0].dtype == np.float64
    assert single.forward(single.from_numpy(X))[0].dtype == np.float32


@pytest.mark.engines
def test_jax_waits_for_what_was_dropped() -> None:
    """`synchronize` waits also for results that the caller has dropped."""
    rnn = built("jax_scan", RnnConfig(input_size=3, hidden_size=512))
    x = rnn.from_numpy(np.ones((200, 16, 3), np.float32))
    rnn.forward(x)
    (*_, h_n) = rnn.queued
    rnn.synchronize()
    assert h_n.is_ready()
    assert rnn.queued == []


@pytest.mark.engines
def test_an_input_of_jax_is_changed_once_it_is_there() -> None:
    """JAX copies an array after it has returned; what is written into it before would be lost."""
    rnn = built("jax_scan", RnnConfig(input_size=64, hidden_size=4))
    x = np.zeros((128, 16, 64), np.float32)
    for _ in range(300):
        changing = ChangingInput(rnn, x, rnn.from_numpy(x))
        changing.change_all(np.ones_like(x))
        time.sleep(0.002)
        assert rnn.to_numpy(changing.array).all()


@pytest.mark.engines
def test_jax_refuses_other_threads_than_it_was_started_with() -> None:
    rnn = built("jax_scan")
    with pytest.raises(RuntimeError, match="XLA was started with 1 threads in this process; got 2"):
        type(rnn).configure_process(threads=2, precision="ieee")


@pytest.mark.engines
def test_torch_compile_computes_a_long_sequence_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of four and of two steps are right, forward and backward, in both directions, from a given state."""
    built("torch_compile")
    monkeypatch.setattr("rnnimpl.impls.torch_compile.STEPS_AT_ONCE", 4)
    example = Example(RnnConfig(input_size=3, hidden_size=5, bidirectional=True), T=6, B=2)
    wanted = {"check_output", "check_gradient_of_weights", "check_gradient_of_initial_state"}
    checks = {case.check for case in conformance.cases() if case.check.__name__ in wanted}
    assert len(checks) == len(wanted)
    for check in checks:
        check(load("torch_compile"), example, "cpu")


@pytest.mark.engines
def test_torch_compile_loads_compiled_code_from_a_named_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network is loaded from the folder in RNNIMPL_COMPILED, and `describe` says so."""
    monkeypatch.setenv(COMPILED, str(tmp_path))
    compiled = []
    for _ in range(2):
        # As in a new process, nothing is compiled.
        torch._dynamo.reset()
        rnn = built("torch_compile")
        rnn.forward(rnn.from_numpy(X))
        compiled.append(rnn.describe()["compiled"])
    assert compiled == ["by this process", "by an earlier process"]


@pytest.mark.engines
def test_torch_compile_is_unavailable_without_a_compiler() -> None:
    if "torch_compile" not in runnable():
        pytest.skip("torch_compile cannot run here")
    from torch._inductor import config as inductor_config
    from torch._inductor.cpp_builder import cpp_compiler_search

    cpp_compiler_search.cache_clear()
    # A monkeypatch would delete the setting at its end, and TorchInductor then has none.
    missing = inductor_config.patch({"cpp.cxx": ("no-such-compiler",)})
    with missing, pytest.raises(Unavailable, match=r"needs a C\+\+ compiler for the CPU and finds none: install g\+\+"):
        load("torch_compile")(CONFIG, WEIGHTS, "cpu")
    cpp_compiler_search.cache_clear()


def test_a_cuda_graph_is_unsupported_on_a_cpu() -> None:
    with pytest.raises(Unsupported, match="TorchCudaGraph runs on cuda; got device 'cpu'"):
        TorchCudaGraph(CONFIG, WEIGHTS, "cpu")


class PlayedOnCpu(TorchCudaGraph):
    """CUDA graphs on a CPU: a replay computes again, and reads and writes the same memory each time."""

    devices = ("cpu",)
    captures = 0

    def capture(self, computations: Sequence[Compute]) -> list[tuple[Callable[[], Any], Sequence[torch.Tensor]]]:
        type(self).captures += 1
        return [self.play(compute) for compute in computations]

    def play(self, compute: Compute) -> tuple[Callable[[], Any], Sequence[torch.Tensor]]:
        """The results of a computation, and a replay that overwrites them."""
        results = [tensor.detach().clone() for tensor in compute()]

        def replay() -> None:
            for written, tensor in zip(results, compute(), strict=True):
                written.copy_(tensor.detach())

        return replay, results


@pytest.mark.parametrize(
    "case",
    [case for case in conformance.cases() if case.example in representative() and not needs_lengths(case)],
    ids=lambda case: case.id,
)
def test_a_graphs_inputs_are_copied_in_and_its_results_out(case: conformance.CheckCase) -> None:
    """All checks of equal lengths pass; those with later calls would find results in the graph's own memory."""
    case.check(PlayedOnCpu, case.example, "cpu")


def test_a_graph_is_captured_once_a_shape_and_mode() -> None:
    rnn = PlayedOnCpu(CONFIG, WEIGHTS, "cpu")
    x = rnn.from_numpy(X)
    before = PlayedOnCpu.captures
    for _ in range(3):
        rnn.forward(x)
        rnn.vjp(x)
    assert PlayedOnCpu.captures == before + 2
    rnn.forward(x[:2])
    assert PlayedOnCpu.captures == before + 3
