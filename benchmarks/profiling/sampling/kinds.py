"""The kind of work that a function does, by its name and its library's: the table that turns samples into a breakdown.

The first rule that fits a place counts. A function that no rule knows is overhead in a known library, and unattributed
in any other.

The names are those of functions in other projects' libraries, and of `fused_cpu` in `native_names`. Where a library
renames a function, the new name belongs in a rule here and in `tests/test_profile_kinds.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from benchmarks.profiling.sampling import native_names
from benchmarks.profiling.sampling.symbols import ASLEEP, NO_FILE, SPINS, Place

WorkKind = Literal[
    "products", "elementwise", "memory", "overhead", "waiting", "unattributed", "host_bound", "launch", "between"
]
"""Kinds of work. The last three are the reasons of an idle GPU: `tracing.gpu_time` defines each."""
KINDS: tuple[WorkKind, ...] = get_args(WorkKind)

KIND_NAMES: Mapping[WorkKind, str] = MappingProxyType(
    {
        "products": "matrix products",
        "elementwise": "element-wise work",
        "memory": "memory movement",
        "overhead": "framework and interpreter",
        "waiting": "waiting",
        "unattributed": "unattributed compiled code",
        "host_bound": "GPU idle, host not ready",
        "launch": "GPU idle, launch under way",
        "between": "GPU idle between queued kernels",
    }
)

_RULES: tuple[tuple[str, str, WorkKind], ...] = (
    (r".*", re.escape(SPINS), "waiting"),
    (re.escape(ASLEEP.library), ASLEEP.function, "waiting"),
    # C libraries. A copy is memory movement, whichever function calls it.
    (r"libc[.-]|ld-linux|libpthread", r"mem(cpy|move|set)", "memory"),
    (r"libc[.-]|libpthread", r"sched_yield|futex|lll_lock|nanosleep|sem_wait|pthread_cond_.*wait", "waiting"),
    (r"libm[.-]|libmvec", r".*", "elementwise"),
    # The time within OpenMP's library is spent at its barriers.
    (r"libgomp|libomp|libiomp", r".*", "waiting"),
    # OpenBLAS.
    (r"openblas", r"blas_thread_server|exec_blas|blas_memory|inner_thread|sched_yield", "waiting"),
    (r"openblas", r".*", "products"),
    # MKL, oneDNN, Eigen and the kernels of XLA, in whichever library they are linked.
    (r".*", r"mkl_vml_serv|mkl_serv|mkl_vml_kernel_[GS]etMode|mkl_vml_kernel_.*Mode|mkl_vml_kernel_SetErr", "overhead"),
    (r".*", r"mkl_vml|mkl_vs|mkl_vd|[Ss]leef|^v[sd](Tanh|Exp)", "elementwise"),
    (r".*", r"mkl_(blas|sblas|dft|lapack)|^[sd]ge(mm|mv)_?$|cblas_|^fbgemm", "products"),
    (r".*", r"_ZN3ynn\w*(transpose|copy|memset|pack)|_ZN3ynn\d+(transpose|copy)", "memory"),
    (r".*", r"_ZN3ynn\w*dot|_ZN3ynn\d+dot_|_ZN3ynn\d+sum_|gebp_kernel|gemm_pack|gemv_|TensorContraction", "products"),
    # oneDNN's recurrent layers: the gates after a step's product, gradients of biases, copies to and from its
    # workspace.
    (r".*", r"dnnl4impl3cpu.*(postgemm|gates_reduction)", "elementwise"),
    (r".*", r"dnnl4impl3cpu.*(copy_init_|copy_res_|reorder)", "memory"),
    (r".*", r"_ZN4dnnl4impl3cpu.*(gemm|brgemm|matmul|inner_product|rnn)", "products"),
    # PyTorch: kernels are in at::native, named by the processor's capability; all other functions call them.
    (r"libtorch", r"(copy_kernel|copy_impl|cat_serial|cat_kernel|stack_serial|direct_copy|fill_kernel)", "memory"),
    (r"libtorch", r"(index_kernel|flip_kernel|transpose_copy|_copy_same|zero_kernel|contiguous)", "memory"),
    (r"libtorch", r"at6native\w*(gemm|gemv|addmm_impl|bmm)|cpublas", "products"),
    (r"libtorch", r"at6native\d+(DEFAULT|AVX2|AVX512|ZVECTOR|SVE\d*)|Vectorized|vec\d*\d+AVX|2at3vec", "elementwise"),
    (r"libtorch", r"_kernel.*(loop|lambda)|vectorized_loop|vectorized_inner|VectorizedLoop2d", "elementwise"),
    # NumPy's inner loops.
    (r"_multiarray_umath", r"(FLOAT|DOUBLE|HALF|CFLOAT)_(matmul|dot|gemm)|gemm|matmul_inner", "products"),
    (r"_multiarray_umath", r"strided_to|contig_to|_cast_|raw_array_assign|array_assign|copyto|_fill|memset", "memory"),
    (
        r"_multiarray_umath",
        r"^(BOOL|BYTE|SHORT|INT|LONG|HALF|FLOAT|DOUBLE)_|simd_tanh|pairwise_sum|npyv_",
        "elementwise",
    ),
    # `fused_cpu`.
    (r".*", native_names.PRODUCTS, "products"),
    (r".*", native_names.COPIES, "memory"),
    (r".*", native_names.BARRIERS, "waiting"),
    (r".*", native_names.PASSES, "waiting"),
    (r".*", native_names.ANY, "elementwise"),
)
_COMPILED = tuple((re.compile(library), re.compile(function), kind) for library, function, kind in _RULES)

_KNOWN = re.compile(
    r"libpython|^python|libtorch|libc10|_multiarray_umath|libc[.-]|ld-linux|libpthread|_ctypes|libffi|libjax_common|"
    r"libstdc\+\+|\[vdso\]|\[vsyscall\]|cpython-\d+|_C\.|pybind"
)
_WITHOUT_NAMES = re.compile(r"onnxruntime|openvino|libtbb")
"""Libraries that are shipped without the names of their functions."""


def kind_of(place: Place) -> WorkKind:
    """The kind of work that is done at a place."""
    for library, function, kind in _COMPILED:
        if library.search(place.library) and function.search(place.function):
            return kind
    if place.library == NO_FILE or _WITHOUT_NAMES.search(place.library):
        return "unattributed"
    return "overhead" if _KNOWN.search(place.library) else "unattributed"
