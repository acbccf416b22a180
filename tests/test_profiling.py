"""The profile: what a look means, what functions are taken for, what is concluded, and the whole on a tiny case."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.profiling.cases import parse_cases
from benchmarks.profiling.profile import profile_cases
from benchmarks.profiling.reporting.frames import breakdown_frame, kinds_of
from benchmarks.profiling.reporting.report import rewrite
from benchmarks.profiling.sampling.attribution import attribute, outcomes, seconds_of
from benchmarks.profiling.sampling.kinds import Kind, kind_of
from benchmarks.profiling.sampling.sampler import FORWARD, HAS_NO_CORE, SAMPLE, WAITS, Sampler
from benchmarks.profiling.sampling.symbols import ASLEEP, SPINS, Place, functions, places
from benchmarks.trial import NothingMeasured
from rnnimpl.native.build import library

PRODUCT, PYTHON, BARRIER, VECTOR, TANH, COPY = 100, 200, 300, 400, 500, 600
PLACES = {
    PRODUCT: Place("libtorch_cpu.so", "mkl_blas_def_sgemm_kernel_0_zen"),
    VECTOR: Place("libtorch_cpu.so", "mkl_blas_def_xsgemv"),
    TANH: Place("libtorch_cpu.so", "mkl_vml_kernel_sTanh_EXHAynn"),
    COPY: Place("libc.so.6", "memcpy"),
    PYTHON: Place("libpython3.11.so.1.0", "_PyEval_EvalFrameDefault"),
    BARRIER: Place("libgomp.so.1", ""),
}


def samples_of(*looks: dict[int, int]) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """One look after another, {thread: address}; thread 1 is the main one."""
    found = [
        (address, 0, 0, number, thread, FORWARD, 0)
        for number, threads in enumerate(looks)
        for thread, address in threads.items()
    ]
    return np.array(found, SAMPLE)


@pytest.mark.parametrize(
    ("threads", "expected"),
    [
        ({1: PYTHON, 2: PRODUCT}, "overhead"),
        ({1: WAITS, 2: PRODUCT}, "products"),
        ({1: BARRIER, 2: PRODUCT}, "products"),
        ({1: WAITS, 2: PYTHON, 3: TANH, 4: PRODUCT}, "products"),
        ({1: WAITS, 2: PYTHON, 3: COPY, 4: TANH}, "elementwise"),
        ({1: WAITS, 2: PYTHON, 3: COPY}, "memory"),
        ({1: BARRIER, 2: BARRIER}, "waiting"),
        ({1: WAITS}, "waiting"),
        ({1: HAS_NO_CORE, 2: PRODUCT}, None),
        ({1: WAITS, 2: HAS_NO_CORE}, None),
    ],
)
def test_the_main_thread_decides_and_where_it_waits_another(threads: dict[int, int], expected: Kind | None) -> None:
    """Of several others products come first, then what is nearest to them. None: the look says nothing."""
    looks = attribute(samples_of(threads), PLACES, 1)[FORWARD]
    assert looks.by_kind == ({} if expected is None else {expected: 1})
    assert looks.without_core == (expected is None)


def test_looks_are_counted_by_kind_and_with_them_the_threads_that_compute() -> None:
    """Of four looks one says nothing, though a thread computed; who waits at a barrier computes nothing."""
    threads = [{1: PRODUCT, 2: PRODUCT}, {1: WAITS, 2: TANH}, {1: VECTOR, 2: BARRIER}, {1: HAS_NO_CORE, 2: PRODUCT}]
    looks = attribute(samples_of(*threads), PLACES, 1)[FORWARD]
    assert looks.by_kind == {"products": 2, "elementwise": 1}
    assert looks.computing_threads == 2 + 1 + 1
    assert looks.without_core == 1


@pytest.mark.parametrize(("main", "place"), [(BARRIER, PLACES[BARRIER]), (WAITS, ASLEEP)])
def test_where_nobody_computes_the_main_thread_says_where_it_waits(main: int, place: Place) -> None:
    (look,) = outcomes(samples_of({1: main, 2: BARRIER}), PLACES, 1)
    assert look.outcome == ("waiting", place)


def test_a_look_is_called_from_where_the_main_thread_was() -> None:
    """Whichever thread was seen first."""
    samples = np.array([(PRODUCT, 9, 5, 0, 2, FORWARD, 0), (PYTHON, 7, 5, 0, 1, FORWARD, 0)], SAMPLE)
    (look,) = outcomes(samples, PLACES, 1)
    assert look.caller == 7


@pytest.mark.parametrize(
    ("library", "function", "kind"),
    [
        ("libtorch_cpu.so", "mkl_blas_def_xsgemv", "products"),
        ("libtorch_cpu.so", "mkl_vml_kernel_sTanh_EXHAynn", "elementwise"),
        ("libtorch_cpu.so", "mkl_vml_kernel_SetMode", "overhead"),
        ("libtorch_cpu.so", "_ZN2at18TensorIteratorBase5buildERNS_20TensorIteratorConfigE", "overhead"),
        ("libscipy_openblas64_-32a4b2a6.so", "sgemm_kernel_HASWELL", "products"),
        ("libscipy_openblas64_-32a4b2a6.so", "exec_blas", "waiting"),
        ("_multiarray_umath.cpython-311-x86_64-linux-gnu.so", "FLOAT_add_AVX2", "elementwise"),
        ("libc.so.6", "memcpy", "memory"),
        ("libc.so.6", "cfree", "overhead"),
        (
            "31863f.so",
            "_ZNSt17_Function_handlerIFviEZN3rnn7ForwardIfNS1_4TanhEE3runEvEUliE_E9_M_invoke (spins)",
            "waiting",
        ),
        ("31863f.so", "_ZN3rnn14multiply_blockIfLi1ELi2ENS_6InRowsEEEvPKPKT_S4_lS4_lPS2_l", "products"),
        ("31863f.so", "_ZN3rnn12multiply_rowIfLi4ELi2EEEvPKT_S3_llS3_PS1_", "products"),
        (
            "31863f.so",
            "_ZN3rnn13for_each_unitIfZNS_7ForwardIfNS_4LstmEE7advanceERKNS3_4WorkElEUllllE_EEvRKNS_6PanelsIT_EEllbbOT0_",
            "elementwise",
        ),
        ("31863f.so", "_ZN3rnn4Pool4helpEi", "waiting"),
        (
            "31863f.so",
            "_ZNSt17_Function_handlerIFviEZN3rnn7ForwardIfNS1_4LstmEE3runEvEUliE_E9_M_invokeERKSt9_Any_dataOi",
            "waiting",
        ),
        ("31863f.so", "_ZZN3rnn8BackwardIdNS_3GruEE3runEvENKUliE_clEi", "waiting"),
        ("31863f.so", "_ZN3rnn7ForwardIfNS_4TanhEE5recurERKNS2_4WorkEll", "elementwise"),
        ("libtorch_cpu.so", "_ZN4dnnl4impl3cpu3x6421brgemm_kernel_executeEPKNS2_15brgemm_kernel_tEi", "products"),
        ("libtorch_cpu.so", "_ZZNK4dnnl4impl3cpu3x6422jit_uni_rnn_postgemm_t11execute_bwdIffffffEEv", "elementwise"),
        ("libtorch_cpu.so", "_ZN4dnnl4impl3cpu15gates_reductionIffEEvRKNS1_9rnn_utils10rnn_conf_tE", "elementwise"),
        ("libtorch_cpu.so", "_ZN4dnnl4impl3cpu28copy_init_layer_bwd_templateIfEEvRKNS3_9rnn_utils10rnn_co", "memory"),
        (
            "libtorch_cpu.so",
            "_ZN3c1012function_refIFvPPcPKlllEE11callback_fnIN2at6native4AVX216VectorizedLoop2dIZZZNS9_12_GLOBAL__N_1"
            "14sigmoid_kernelERNS8_18TensorIteratorBaseE",
            "elementwise",
        ),
        ("the kernel", "asleep", "waiting"),
        ("libjax_common.so", "_ZN3ynn26dot_fp32_6x16x1_1x8x1_fma3EmmmmmmmmPKvmmmS1_mS1_mPv", "products"),
        ("code without a file", "", "engine"),
        ("onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so", "", "engine"),
    ],
)
def test_functions_are_taken_for_what_they_do(library: str, function: str, kind: Kind) -> None:
    """Names as libraries have them."""
    assert kind_of(Place(library, function)) == kind


def test_an_address_is_named_by_its_library() -> None:
    """A function that libc exports, found through its symbol table."""
    address = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value
    assert address is not None
    place = places([address])[address]
    assert place.library.startswith("libc")
    assert "getpid" in place.function


def test_code_that_waits_by_looking_again_is_told_by_its_instruction(tmp_path: Path) -> None:
    """One function pauses between its looks, the other does not; both are found by name where they are mapped."""
    source = tmp_path / "spins.cpp"
    exported = '#define EXPORT extern "C" __attribute__((visibility("default"), aligned(256))) '
    pause = "__builtin_ia32_pause();" if platform.machine() == "x86_64" else 'asm volatile("yield");'
    functions_of_it = f"EXPORT void spins(volatile int* at) {{ while (*at) {{ {pause} }} }}\n"
    functions_of_it += "EXPORT void looks(volatile int* at) { while (*at) { } }\n"
    source.write_text(f"{exported}\n{functions_of_it}", encoding="utf-8")
    compiled = library(source)
    begins = {name: begin for name, begin, _ in functions(compiled.path) if name in ("spins", "looks")}
    assert begins["spins"] == ctypes.cast(compiled.functions.spins, ctypes.c_void_p).value
    found = places(begins.values())
    assert {name: found[begin].function for name, begin in begins.items()} == {
        "spins": "spins" + SPINS,
        "looks": "looks",
    }


def test_the_parts_add_up_to_the_unprofiled_time() -> None:
    """Whatever looking cost."""
    looks = {"kinds": {"products": 30, "overhead": 10}, "without_core": 5, "computing_threads": 1.0, "functions": []}
    record = {
        "case": "nn_rnn/cpu/training/T4-B1-I4-H4-L1-tanh-float32",
        "repeat": 0,
        "phase_seconds": [2.0, 6.0],
        "phases": {"1": looks, "2": looks},
    }
    frame = breakdown_frame([record])
    assert frame.groupby("phase")["seconds"].sum().to_dict() == pytest.approx({"forward": 2.0, "backward": 6.0})
    products = frame[(frame["phase"] == "backward") & (frame["kind"] == "products")].iloc[0]
    assert products["seconds"] == pytest.approx(4.5)
    assert products["step_seconds"] == pytest.approx(4.5 / 4)


def test_functions_are_taken_for_what_they_are_taken_now() -> None:
    """A record keeps the functions' names: what a later version knows of them is true of it too."""
    functions_seen = [["memory", "own.so", "_ZN3rnn12multiply_rowIfLi4E", 3], ["memory", "libc.so.6", "memcpy", 1]]
    functions_seen += [["waiting", "the kernel", "asleep", 2]]
    found = kinds_of({"kinds": {"memory": 5, "waiting": 2}, "functions": functions_seen})
    assert found == {"memory": 2, "waiting": 2, "products": 3}


def test_a_sleeping_thread_is_seen_asleep_and_nobody_looks_between_calls() -> None:
    """The sampler itself, in this process."""
    sampler = Sampler()
    sampler.start()
    time.sleep(0.05)
    sampler.phase.value = FORWARD
    time.sleep(0.2)
    sampler.phase.value = 0
    samples = sampler.stop()
    assert len(np.unique(samples["look"])) > 10
    assert set(samples["phase"]) == {FORWARD}
    asleep = samples["address"] == WAITS
    assert asleep.sum() > len(np.unique(samples["look"])) / 2


def test_looks_are_dated_by_the_clock_of_calls() -> None:
    """That of `time.perf_counter_ns`: by it a look is put at its part of a call."""
    sampler = Sampler(1e-3)
    sampler.phase.value = FORWARD
    start = time.perf_counter_ns()
    sampler.start()
    time.sleep(0.1)
    samples = sampler.stop()
    sampler.phase.value = 0
    assert start <= samples["nanoseconds"].min() <= samples["nanoseconds"].max() <= time.perf_counter_ns()


def test_it_wakes_where_the_main_thread_runs() -> None:
    """And goes with it to another core: it is to take nobody else's."""
    tasks, cores = Path("/proc/self/task"), os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("this process has one core")
    sampler = Sampler(1e-3)
    before = set(tasks.iterdir())
    sampler.start()
    try:
        (own,) = set(tasks.iterdir()) - before
        for core in sorted(cores)[:2]:
            os.sched_setaffinity(0, {core})
            until = time.monotonic() + 20
            while (kept := _cores_of(own)) != str(core) and time.monotonic() < until:
                sum(range(1000))
            assert kept == str(core)
    finally:
        os.sched_setaffinity(0, cores)
        sampler.stop()


def _cores_of(task: Path) -> str:
    """Where a thread may run, as the kernel writes it."""
    lines = (task / "status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("Cpus_allowed_list"))


def test_a_sampler_without_memory_for_its_looks_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """More of it is asked for here than can be addressed."""
    monkeypatch.setattr("benchmarks.profiling.sampling.sampler.CAPACITY", 1 << 51)
    with pytest.raises(OSError, match=os.strerror(errno.ENOMEM)):
        Sampler().start()


def test_looks_of_more_than_four_seconds_add_up() -> None:
    """Each interval has 32 bits of nanoseconds, their sum has more."""
    samples = [(PYTHON, 0, 0, look, 1, FORWARD, 3_000_000_000) for look in (1, 2)]
    assert seconds_of(np.array(samples, SAMPLE)) == 6.0


def test_looks_stand_for_the_intervals_between_them() -> None:
    """Once a look, of however many threads; those of a sampler that looked all along add up to the time, about."""
    samples = [(PYTHON, 0, 0, look, thread, FORWARD, 2_000_000) for look in (1, 2) for thread in (1, 2)]
    assert seconds_of(np.array(samples, SAMPLE)) == pytest.approx(4e-3)
    sampler = Sampler()
    sampler.phase.value = FORWARD
    sampler.start()
    start = time.perf_counter()
    time.sleep(0.2)
    taken = time.perf_counter() - start
    found = sampler.stop()
    sampler.phase.value = 0
    assert 0.5 * taken < seconds_of(found) < 1.5 * taken


def test_a_tiny_case_is_profiled_and_one_that_cannot_run_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: workers, looks, files; the other's reason is in the report."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    workload = "cpu/training/T8-B2-I4-H8-L1-tanh-float32"
    cases = parse_cases([f"numpy_loop/{workload}", f"tests.faulty_implementations:Missing/{workload}"])
    path = profile_cases(cases, out=tmp_path / "run", seconds=0.2, repeats=1, say=lambda _: None, peak_seconds=0.5)
    text = path.read_text(encoding="utf-8")
    assert "numpy_loop" in text
    assert "the library is not installed" in text
    for name in ("breakdown.csv", "limits.csv", "counts.csv", "breakdown.png", "profiles.jsonl", "profile.json"):
        assert (path.parent / name).stat().st_size > 0
    assert rewrite(path.parent).read_text(encoding="utf-8") == text


def test_a_profile_that_is_older_than_pairs_of_blocks_is_refused(tmp_path: Path) -> None:
    """By name, and nothing is written."""
    (tmp_path / "profile.json").write_text('{"peaks": [], "refused": {}}', encoding="utf-8")
    (tmp_path / "profiles.jsonl").write_text('{"case": "x", "accounted_share": 1.0}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"profiles\.jsonl has no pairs of blocks"):
        rewrite(tmp_path)
    assert not (tmp_path / "profile.md").exists()


def test_where_nothing_can_be_profiled_the_reasons_are_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is written."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cases = parse_cases(["tests.faulty_implementations:Missing/cpu/inference/T8-B2-I4-H8-L1-tanh-float32"])
    with pytest.raises(NothingMeasured, match="the library is not installed"):
        profile_cases(cases, out=tmp_path / "run", seconds=0.2, repeats=1, say=lambda _: None, peak_seconds=0.5)
    assert not (tmp_path / "run").exists()
