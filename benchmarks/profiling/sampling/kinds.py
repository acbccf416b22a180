"""What kind of work a function does: the table that turns samples into a breakdown.

The first rule that fits a place counts. What no rule knows is overhead in a library that we know, and `engine` in
any other: time inside compiled code of which it cannot be told what it does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from benchmarks.profiling.sampling.symbols import ASLEEP, NO_FILE, SPINS, Place

Kind = Literal["products", "elementwise", "memory", "overhead", "waiting", "engine", "host_bound", "launch", "between"]
"""The last three are those of a GPU that is idle: `gpu_time` says when each is meant."""
KINDS: tuple[Kind, ...] = get_args(Kind)

KIND_NAMES: Mapping[Kind, str] = MappingProxyType(
    {
        "products": "matrix products",
        "elementwise": "element-wise work",
        "memory": "memory movement",
        "overhead": "framework and interpreter",
        "waiting": "waiting",
        "engine": "compiled code, not told apart",
        "host_bound": "GPU idle, host not ready",
        "launch": "GPU idle, launch under way",
        "between": "GPU idle between queued kernels",
    }
)

_RULES: tuple[tuple[str, str, Kind], ...] = (
    (r".*", re.escape(SPINS), "waiting"),
    (re.escape(ASLEEP.library), ASLEEP.function, "waiting"),
    # C libraries. A copy is memory movement whoever asks for it.
    (r"libc[.-]|ld-linux|libpthread", r"mem(cpy|move|set)", "memory"),
    (r"libc[.-]|libpthread", r"sched_yield|futex|lll_lock|nanosleep|sem_wait|pthread_cond_.*wait", "waiting"),
    (r"libm[.-]|libmvec", r".*", "elementwise"),
    # OpenMP's own time is that of its barriers.
    (r"libgomp|libomp|libiomp", r".*", "waiting"),
    # OpenBLAS.
    (r"openblas", r"blas_thread_server|exec_blas|blas_memory|inner_thread|sched_yield", "waiting"),
    (r"openblas", r".*", "products"),
    # MKL, oneDNN, Eigen and XLA's kernels, wherever they are linked into.
    (r".*", r"mkl_vml_serv|mkl_serv|mkl_vml_kernel_[GS]etMode|mkl_vml_kernel_.*Mode|mkl_vml_kernel_SetErr", "overhead"),
    (r".*", r"mkl_vml|mkl_vs|mkl_vd|[Ss]leef|^v[sd](Tanh|Exp)", "elementwise"),
    (r".*", r"mkl_(blas|sblas|dft|lapack)|^[sd]ge(mm|mv)_?$|cblas_|^fbgemm", "products"),
    (r".*", r"_ZN3ynn\w*(transpose|copy|memset|pack)|_ZN3ynn\d+(transpose|copy)", "memory"),
    (r".*", r"_ZN3ynn\w*dot|_ZN3ynn\d+dot_|_ZN3ynn\d+sum_|gebp_kernel|gemm_pack|gemv_|TensorContraction", "products"),
    # oneDNN's recurrent layers: what follows a step's product, biases' gradients, copies into and out of its workspace.
    (r".*", r"dnnl4impl3cpu.*(postgemm|gates_reduction)", "elementwise"),
    (r".*", r"dnnl4impl3cpu.*(copy_init_|copy_res_|reorder)", "memory"),
    (r".*", r"_ZN4dnnl4impl3cpu.*(gemm|brgemm|matmul|inner_product|rnn)", "products"),
    # PyTorch: kernels lie in at::native, by the processor's capability; all else is on the way to them.
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
    # Our own kernels.
    (r".*", r"_ZN3rnn\d+multiply_|_ZN3rnn14WeightProducts", "products"),
    (r".*", r"_ZN3rnn\w*(pack|copy|transpose)", "memory"),
    (r".*", r"_ZN3rnn\d+(wait|Team|Pool|Meeting)|atomic_wait", "waiting"),
    # What a pass does outside of its phases: its threads claim steps and meet.
    (r".*", r"3rnn(7Forward|8Backward)I[fd]NS\d*_\d+\w+?EE3runEv", "waiting"),
    (r".*", r"_ZN\w*3rnn", "elementwise"),
)
_COMPILED = tuple((re.compile(library), re.compile(function), kind) for library, function, kind in _RULES)

_KNOWN = re.compile(
    r"libpython|^python|libtorch|libc10|_multiarray_umath|libc[.-]|ld-linux|libpthread|_ctypes|libffi|libjax_common|"
    r"libstdc\+\+|\[vdso\]|\[vsyscall\]|cpython-\d+|_C\.|pybind"
)
_ENGINES = re.compile(r"onnxruntime|openvino|libtbb")
"""Compiled without the names of their functions."""


def kind_of(place: Place) -> Kind:
    """The kind of work at a place."""
    for library, function, kind in _COMPILED:
        if library.search(place.library) and function.search(place.function):
            return kind
    if place.library == NO_FILE or _ENGINES.search(place.library):
        return "engine"
    return "overhead" if _KNOWN.search(place.library) else "engine"
