"""From an address to its function, and from a function to the kind of its work."""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path

import pytest

from benchmarks.profiling.reporting.frames import breakdown_frame, kinds_of
from benchmarks.profiling.sampling.kinds import WorkKind, kind_of
from benchmarks.profiling.sampling.symbols import SPINS, Place, functions, places
from rnnimpl.native.build import library


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
        ("31863f.so", "rnn_phase_recurrence", "elementwise"),
        ("31863f.so", "rnn_phase_weight_gradients", "products"),
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
        ("code without a file", "", "unattributed"),
        ("onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so", "", "unattributed"),
    ],
)
def test_a_function_has_the_kind_of_its_work(library: str, function: str, kind: WorkKind) -> None:
    """The names are those of the libraries. Where a library renames a function, the new name belongs here."""
    assert kind_of(Place(library, function)) == kind


def test_an_address_has_its_library_and_function() -> None:
    """libc exports the function in its symbol table."""
    address = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value
    assert address is not None
    place = places([address])[address]
    assert place.library.startswith("libc")
    assert "getpid" in place.function


def test_code_that_polls_is_recognised_by_its_pause_instruction(tmp_path: Path) -> None:
    """Two functions poll, one of them with a pause; both are found by name where they are mapped."""
    source = tmp_path / "spins.cpp"
    exported = '#define EXPORT extern "C" __attribute__((visibility("default"), aligned(256))) '
    pause = "__builtin_ia32_pause();" if platform.machine() == "x86_64" else 'asm volatile("yield");'
    functions_of_it = f"EXPORT void spins(volatile int* at) {{ while (*at) {{ {pause} }} }}\n"
    functions_of_it += "EXPORT void polls(volatile int* at) { while (*at) { } }\n"
    source.write_text(f"{exported}\n{functions_of_it}", encoding="utf-8")
    compiled = library(source)
    begins = {name: begin for name, begin, _ in functions(compiled.path) if name in ("spins", "polls")}
    assert begins["spins"] == ctypes.cast(compiled.functions.spins, ctypes.c_void_p).value
    found = places(begins.values())
    assert {name: found[begin].function for name, begin in begins.items()} == {
        "spins": "spins" + SPINS,
        "polls": "polls",
    }


def test_the_parts_add_up_to_the_unprofiled_time() -> None:
    """Preempted samples and the slowdown by the profiler do not count."""
    samples = {"kinds": {"products": 30, "overhead": 10}, "preempted": 5, "computing_threads": 1.0, "functions": []}
    record = {
        "case": "nn_rnn/cpu/training/T4-B1-I4-H4-L1-tanh-float32",
        "repeat": 0,
        "pass_seconds": [2.0, 6.0],
        "passes": {"1": samples, "2": samples},
    }
    frame = breakdown_frame([record])
    assert frame.groupby("pass")["seconds"].sum().to_dict() == pytest.approx({"forward": 2.0, "backward": 6.0})
    products = frame[frame["pass"].isin(["backward"]) & (frame["kind"] == "products")].iloc[0]
    assert products["seconds"] == pytest.approx(4.5)
    assert products["step_seconds"] == pytest.approx(4.5 / 4)


def test_recorded_functions_have_the_kind_of_the_present_rules() -> None:
    """A record keeps the names of functions, so rules that are added later apply to it."""
    recorded = [["memory", "own.so", "_ZN3rnn12multiply_rowIfLi4E", 3], ["memory", "libc.so.6", "memcpy", 1]]
    recorded += [["waiting", "the kernel", "asleep", 2]]
    found = kinds_of({"kinds": {"memory": 5, "waiting": 2}, "functions": recorded})
    assert found == {"memory": 2, "waiting": 2, "products": 3}
