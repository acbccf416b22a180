"""`fused_cuda`'s kernel on a CPU, where every thread is a fiber, and compiled for GPUs where a compiler is installed.

No GPU takes part. The tests show that results and gradients are right in any order of threads, that no thread waits for
ever, and that the compilers accept the source. docs/fused_gpu.md has what they cannot show.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnimpl import RnnConfig, Unavailable, Unsupported, Weights, conformance
from rnnimpl.conformance.compare import ConformanceError, agree, train
from rnnimpl.conformance.examples import Example, representative
from rnnimpl.cuda import driver, nvrtc
from rnnimpl.cuda.launch_plan import Chip, LaunchPlan, choose
from rnnimpl.cuda.source import KERNEL, Arguments, kernel_source, text
from rnnimpl.dtypes import Dtype
from rnnimpl.impls.fused_cuda import FusedCuda
from rnnimpl.native.build import find_compiler
from tests import engines
from tests.emulated import EMULATOR, EmulatedCuda, planned
from tests.engines import needs_lengths

try:
    COMPILER = find_compiler()
except Unavailable as reason:
    pytest.skip(str(reason), allow_module_level=True)

CONFIG = RnnConfig(input_size=13, hidden_size=7)
WHOLE = planned(threads=32, lanes=4, units_per_thread=1, rows_at_once=1, rows=1)
"""One block has all units of a sequence."""
SLICED = planned(threads=32, lanes=16, units_per_thread=2, rows_at_once=2, rows=3)
"""Two blocks share three sequences, of which they take two at once."""
CHIP = Chip(multiprocessors=132)


class StepByStep(EmulatedCuda):
    """An emulated `fused_cuda` without the kernel: a product and a pointwise kernel in each step."""

    def choose_plan(self, batch: int) -> LaunchPlan | None:
        return None


def check(implementation: type[FusedCuda], example: Example) -> None:
    """Require results and all gradients of the reference. Raises ConformanceError."""
    agree(example.expected(), train(implementation(example.config, example.weights(), "cpu"), example.data()))


CASES = [
    case
    for case in conformance.cases()
    if case.example.config.dtype != "float64"
    and case.example.config.cell in FusedCuda.cells
    and not needs_lengths(case)
]
REPRESENTATIVE = [case for case in CASES if case.example in representative()]


def ids(case: conformance.CheckCase) -> str:
    return case.id


@pytest.mark.parametrize("case", REPRESENTATIVE, ids=ids)
def test_one_block_a_sequence_passes_every_check(case: conformance.CheckCase) -> None:
    case.check(WHOLE, case.example, "cpu")


@pytest.mark.parametrize("case", [case for case in REPRESENTATIVE if case.example.config.num_layers == 1], ids=ids)
def test_blocks_that_share_a_sequence_pass_every_check(case: conformance.CheckCase) -> None:
    case.check(SLICED, case.example, "cpu")


@pytest.mark.parametrize("case", REPRESENTATIVE, ids=ids)
def test_step_by_step_passes_every_check(case: conformance.CheckCase) -> None:
    case.check(StepByStep, case.example, "cpu")


@pytest.mark.parametrize("implementation", [WHOLE, SLICED, StepByStep])
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.id, marks=engines.marks("fused_cuda", case.example))
        for case in CASES
        if case not in REPRESENTATIVE
    ],
)
def test_every_structure(implementation: type[FusedCuda], case: conformance.CheckCase) -> None:
    """Every structure of network passes with one block for a sequence, with shared sequences, and step by step."""
    case.check(implementation, case.example, "cpu")


@pytest.mark.parametrize("hidden", [1, 2, 16, 17, 60])
def test_any_hidden_size(hidden: int) -> None:
    """Every hidden size is right with the plan that `choose` makes for it."""
    check(EmulatedCuda, Example(RnnConfig(input_size=3, hidden_size=hidden), T=6, B=3))


@pytest.mark.parametrize(
    "plan",
    [
        {"threads": 64, "lanes": 64, "units_per_thread": 2, "rows_at_once": 2, "rows": 3},
        {"threads": 64, "lanes": 16, "units_per_thread": 1, "rows_at_once": 1, "rows": 1, "apart": True},
        {"threads": 32, "lanes": 4, "units_per_thread": 4, "rows_at_once": 4, "rows": 9},
        {"threads": 64, "lanes": 4, "units_per_thread": 4, "rows_at_once": 1, "rows": 2, "apart": True},
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_any_plan(plan: dict[str, Any], dtype: Dtype) -> None:
    """Plans with any number of lanes for a unit, one slice or several, full and partial blocks of rows are right."""
    config = RnnConfig(input_size=5, hidden_size=24, bidirectional=True, dtype=dtype)
    check(planned(**plan), Example(config, T=7, B=5))


@pytest.mark.parametrize("T", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("implementation", [WHOLE, SLICED])
def test_any_length(implementation: type[FusedCuda], T: int) -> None:
    """Every length is right, also one below the number of steps that are loaded ahead, and no multiple of it."""
    check(implementation, Example(CONFIG, T=T, B=4))


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("plan", [WHOLE, SLICED])
def test_any_order_of_threads(plan: type[EmulatedCuda], seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmulatedCuda, "seed", seed)
    check(plan, Example(CONFIG, T=6, B=5))


def test_a_nan_of_any_kind_is_not_mistaken_for_a_state_to_come() -> None:
    """A NaN with every bit set is a state, although that pattern marks one that is not written yet."""
    rnn = SLICED(CONFIG, Weights.init(CONFIG, 0), "cpu")
    x = np.zeros((4, 2, 13), np.float32)
    x.view(np.uint32)[1, 0] = 0xFFFFFFFF
    y, _ = rnn.forward(rnn.from_numpy(x))
    assert torch.isnan(y[1:, 0]).all()
    assert torch.isfinite(y[:, 1]).all()


BREAKS = {
    "no wait for states of other blocks": ("!written(words[i])", "false"),
    "no barrier before states are read": ("__syncthreads();  // states of others", ""),
    "no barrier before partial sums are read": ("__syncthreads();  // partial sums", ""),
    "a lane's half of the sums is the other's": (
        "upper ? sums[i] : sums[i + HALF]",
        "upper ? sums[i + HALF] : sums[i]",
    ),
    "the second direction runs as the first": (
        "(place.direction == 1) != (a.states != nullptr)",
        "a.states != nullptr",
    ),
    "tanh has another slope": ("1.0f - y * y", "1.0f - y"),
    "the final state's gradient is left out": ("now.step == 0 && a.addend != nullptr", "false"),
    "inputs are never fetched again": ("ring[slot] = fetch(place, next);  // for later", ""),
    "the last warp's sums are left out": ("part < PARTS", "part < 1"),
    "other rows start from zeros": ("place.of_state(row) + column\n", "place.of_state(0) + column\n"),
    "a state is never published": ("publish(to, raw);", ""),
}
BREAKABLE = planned(threads=64, lanes=64, units_per_thread=8, rows_at_once=2, rows=4)
BREAKABLE_EXAMPLE = Example(RnnConfig(input_size=5, hidden_size=140, bidirectional=True), T=4, B=4)


def test_the_kernel_that_is_broken_below_is_right() -> None:
    check(BREAKABLE, BREAKABLE_EXAMPLE)


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_kernel_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken kernel gives a wrong result, or threads that wait for ever."""
    whole, broken = BREAKS[name]
    source = text("recurrence.cu")
    assert source.count(whole) == 1
    monkeypatch.setattr(EmulatedCuda, "kernel_text", source.replace(whole, broken))
    with pytest.raises((ConformanceError, RuntimeError)):
        check(BREAKABLE, BREAKABLE_EXAMPLE)


def test_float64_is_unsupported() -> None:
    config = RnnConfig(input_size=2, hidden_size=3, dtype="float64")
    with pytest.raises(Unsupported, match="float16, bfloat16 and float32; got dtype float64"):
        EmulatedCuda(config, Weights.init(config, 0), "cpu")


def test_cotangents_that_the_kernel_would_misread_are_refused() -> None:
    rnn = EmulatedCuda(CONFIG, Weights.init(CONFIG, 0), "cpu")
    y, (h_n,), pullback = rnn.vjp(torch.zeros(4, 2, 13))
    with pytest.raises(TypeError, match=r"dy has dtype torch.float64; expected torch.float32"):
        pullback(y.double(), (h_n,))
    with pytest.raises(ValueError, match=r"dh_n has shape \(1, 7\); expected \(1, 2, 7\)"):
        pullback(y, (h_n[:, 0],))


def test_a_state_that_lies_between_vectors_is_read_right() -> None:
    """A state that is not aligned to 16 bytes is copied first."""
    config = RnnConfig(input_size=2, hidden_size=8)
    implementation = planned(threads=32, lanes=8, units_per_thread=1, rows_at_once=1, rows=1)
    rnn = implementation(config, Weights.init(config, 0), "cpu")
    x, h0 = torch.ones(3, 2, 2), torch.randn(1, 2, 8)
    shifted = torch.cat([torch.zeros(1), h0.flatten()])[1:].view(1, 2, 8)
    assert shifted.data_ptr() % 16
    torch.testing.assert_close(rnn.forward(x, (shifted,))[0], rnn.forward(x, (h0,))[0], rtol=0, atol=0)


def test_describe_says_which_way_each_batch_took() -> None:
    rnn = EmulatedCuda(CONFIG, Weights.init(CONFIG, 0), "cpu")
    assert rnn.describe()["recurrence"] == "not chosen before the first call"
    rnn.forward(torch.zeros(1, 2, 13))
    assert rnn.describe()["recurrence"].startswith("B 2: one launch, 1 slices of")
    rnn = StepByStep(CONFIG, Weights.init(CONFIG, 0), "cpu")
    rnn.forward(torch.zeros(1, 2, 13))
    assert rnn.describe()["recurrence"] == "B 2: a product and a pointwise kernel in each step"


@pytest.fixture
def fake_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ctypes.CDLL]:
    """A CUDA driver that records its arguments."""
    path = tmp_path / "libcuda.so.1"
    command = [*COMPILER, "-x", "c", "-shared", "-fPIC", str(EMULATOR / "driver.c"), "-o", str(path)]
    subprocess.run(command, check=True)
    monkeypatch.setattr(driver, "load", lambda: ctypes.CDLL(str(path)))
    driver.library.cache_clear()
    yield driver.library()
    driver.library.cache_clear()


class Seen(ctypes.Structure):
    """The arguments that `driver.c` records."""

    _fields_ = (
        ("image", ctypes.c_char * 16),
        ("name", ctypes.c_char * 16),
        ("sizes", ctypes.c_uint * 7),
        ("stream", ctypes.c_void_p),
        ("argument", Arguments),
        ("cooperative", ctypes.c_int),
    )


@pytest.mark.parametrize("cooperative", [True, False])
def test_a_launch_hands_the_driver_what_it_expects(fake_driver: ctypes.CDLL, cooperative: bool) -> None:
    """Code, name, sizes, stream and the argument by value have the types of the driver's C interface."""
    kernel = driver.Kernel(b"cubin", KERNEL, 40_000)
    large = 2**40
    arguments = Arguments(large, large + 1, None, None, large + 4, large + 5, 6, 7, 2, 1, 10, True)
    kernel.launch((2, 3, 1), 64, arguments, large + 6, cooperative=cooperative)
    seen = Seen.in_dll(fake_driver, "seen")
    assert (seen.image, seen.name) == (b"cubin", b"recurrence")
    assert list(seen.sizes) == [2, 3, 1, 64, 1, 1, 40_000]
    assert seen.stream == large + 6
    assert bytes(seen.argument) == bytes(arguments)
    assert seen.cooperative == cooperative


def test_what_the_driver_refuses_raises_its_message(fake_driver: ctypes.CDLL) -> None:
    kernel = driver.Kernel(b"cubin", KERNEL, 100)
    ctypes.c_int.in_dll(fake_driver, "result").value = 720
    with pytest.raises(RuntimeError, match="CUDA driver: too many blocks in cooperative launch"):
        kernel.launch((200, 1, 1), 64, Arguments(), 0, cooperative=True)


PLANNED_SIZES = [("float32", 64, 1), ("float32", 1024, 16), ("bfloat16", 255, 32), ("float16", 512, 16)]


def planned_source(dtype: Dtype, hidden: int, batch: int) -> tuple[LaunchPlan, str]:
    plan = choose(hidden=hidden, batch=batch, directions=1, itemsize=4 if dtype == "float32" else 2, chip=CHIP)
    assert plan is not None
    return plan, kernel_source(plan, dtype)


@pytest.mark.parametrize(("dtype", "hidden", "batch"), PLANNED_SIZES)
def test_nvrtc_compiles_the_kernel(dtype: Dtype, hidden: int, batch: int) -> None:
    """NVRTC compiles the source without headers to machine code of an H100."""
    try:
        found = nvrtc.library("13.0")
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert nvrtc.compile_cubin(found, planned_source(dtype, hidden, batch)[1], "sm_90").startswith(b"\x7fELF")


def test_what_nvrtc_does_not_compile_raises_its_log() -> None:
    try:
        found = nvrtc.library("13.0")
    except Unavailable as reason:
        pytest.skip(str(reason))
    with pytest.raises(RuntimeError, match=r"NVRTC does not compile the kernel for sm_90: (?s:.*)nonsense"):
        nvrtc.compile_cubin(found, "nonsense", "sm_90")


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no nvcc")
@pytest.mark.parametrize(("dtype", "hidden", "batch"), PLANNED_SIZES)
def test_weights_stay_in_registers(dtype: Dtype, hidden: int, batch: int, tmp_path: Path) -> None:
    """The assembler spills no register, and a thread has as many as its weights need."""
    plan, source = planned_source(dtype, hidden, batch)
    (tmp_path / "recurrence.cu").write_text(source, encoding="utf-8")
    command = ["nvcc", *nvrtc.OPTIONS, "-arch=sm_90", "-cubin", "-Xptxas", "-v", "recurrence.cu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in done.stderr
    used = re.search(r"Used (\d+) registers", done.stderr)
    assert used is not None
    assert plan.weights_per_thread <= int(used.group(1)) <= 255
