"""Where a GPU's time goes, on recorded-like lists of events: nothing here needs a GPU, and none has been seen."""

from __future__ import annotations

import time
from typing import Any

import pytest

from benchmarks.measuring.measure import Subject
from benchmarks.profiling.records import GPU
from benchmarks.profiling.reporting.frames import breakdown_frame, kinds_of
from benchmarks.profiling.sampling.kinds import Kind
from benchmarks.profiling.tracing.chrome import Event
from benchmarks.profiling.tracing.gpu_profile import MARK, observe_gpu, spans_of, summary
from benchmarks.profiling.tracing.gpu_time import Work, break_down, kind_of_work, unprofiled, work_of
from benchmarks.workload import Workload
from rnnimpl import Unavailable, load

GEMM = "ampere_sgemm_32x32_sliced1x4_tn"
TANH = "void at::native::vectorized_elementwise_kernel<4, at::native::tanh_kernel_cuda>(int, float*)"


def launch(number: int, start: float, name: str = "cudaLaunchKernel", category: str = "cuda_runtime") -> Event:
    """The host's call of 5 microseconds, as Kineto writes it."""
    found: dict[str, Any] = {"ph": "X", "cat": category, "name": name, "pid": 100, "tid": 100, "ts": start, "dur": 5.0}
    return found | {"args": {"External id": number, "cbid": 211, "correlation": number}}


def kernel(number: int, start: float, microseconds: float, name: str = GEMM, category: str = "kernel") -> Event:
    """What ran on the device for so long, as Kineto writes it."""
    found: dict[str, Any] = {"ph": "X", "cat": category, "name": name, "pid": 0, "tid": 7, "ts": start}
    args = {"External id": number, "device": 0, "context": 1, "stream": 7, "correlation": number}
    return found | {"dur": microseconds, "args": args}


def kinds(begin: float, end: float, *events: Event) -> dict[Kind, float]:
    """The breakdown of a span; its parts add up to it, whatever happened."""
    span = break_down(begin, end, work_of(events))
    assert sum(span.kinds.values()) == pytest.approx(end - begin)
    return dict(span.kinds)


def test_an_idle_gpu_waits_for_the_host_until_it_is_told_and_then_for_the_launch() -> None:
    """Told at 15, it begins at 18 and computes until 48; the host learns of it at 60."""
    assert kinds(0, 60, launch(1, 10), kernel(1, 18, 30)) == {
        "host_bound": 15,
        "launch": 3,
        "products": 30,
        "waiting": 12,
    }


def test_between_kernels_that_were_queued_the_gap_is_the_gpus_own() -> None:
    """The second was launched while the first ran."""
    found = kinds(0, 60, launch(1, 0), launch(2, 6), kernel(1, 8, 20), kernel(2, 30, 30, TANH))
    assert found == {"host_bound": 5, "launch": 3, "products": 20, "between": 2, "elementwise": 30}


def test_a_host_that_launches_too_late_starves_the_gpu() -> None:
    """The first kernel ends at 28; the second is launched from 40 to 45 and begins at 47."""
    found = kinds(0, 57, launch(1, 0), launch(2, 40), kernel(1, 8, 20), kernel(2, 47, 10))
    assert found == {"host_bound": 5 + 17, "launch": 3 + 2, "products": 30}


def test_a_kernel_may_start_before_the_call_that_launches_it_returns() -> None:
    """Then no launch is under way, and nothing is counted twice."""
    assert kinds(0, 20, launch(1, 0), kernel(1, 3, 17)) == {"host_bound": 3, "products": 17}


def test_kernels_of_a_graph_share_the_launch_of_the_graph() -> None:
    """One call of the host, three kernels: what lies between them is the GPU's own."""
    graph = launch(9, 0, "cudaGraphLaunch")
    found = kinds(0, 40, graph, kernel(9, 10, 5), kernel(9, 17, 5), kernel(9, 25, 15, TANH))
    assert found == {"host_bound": 5, "launch": 5, "products": 10, "between": 5, "elementwise": 15}


def test_what_runs_at_the_same_time_is_counted_once() -> None:
    """On two streams: the later one has what is left after the first."""
    found = kinds(0, 30, launch(1, 0), launch(2, 5), kernel(1, 10, 15), kernel(2, 12, 18, TANH))
    assert found == {"host_bound": 5, "launch": 5, "products": 15, "elementwise": 5}


def test_copies_and_clearings_are_memory_movement() -> None:
    """Whoever asks for them, by the runtime or by the driver."""
    copy = kernel(1, 10, 4, "Memcpy DtoD (Device -> Device)", "gpu_memcpy")
    clear = kernel(2, 14, 6, "Memset (Device)", "gpu_memset")
    found = kinds(0, 20, launch(1, 0, "cudaMemcpyAsync"), launch(2, 5, "cuMemsetD8Async", "cuda_driver"), copy, clear)
    assert found == {"host_bound": 5, "launch": 5, "memory": 10}


def test_a_launch_that_is_not_in_the_trace_blames_nobody() -> None:
    """The gap before such a kernel is the GPU's own."""
    assert kinds(0, 20, kernel(1, 8, 12)) == {"between": 8, "products": 12}


def test_work_of_other_spans_is_left_out() -> None:
    """A call's part ends with the call; a span without any work is the host's own."""
    events = [launch(1, 0), kernel(1, 8, 10), launch(2, 100), kernel(2, 108, 10)]
    assert kinds(0, 20, *events)["products"] == 10
    assert kinds(30, 90, *events) == {"overhead": 60}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (GEMM, "products"),
        ("sm90_xmma_gemm_f32f32_tf32f32_f32_tn_n_tilesize128x128x32", "products"),
        ("void cublasLt::splitKreduce_kernel<32, 16>", "products"),
        (TANH, "elementwise"),
        ("void at::native::(anonymous namespace)::CatArrayBatchedCopy<float>", "memory"),
        ("void RNN_blockPersist_fp_RNN<float, float, float, 512>", "engine"),
        ("void RNN_blockPersist_fp_LSTM<float, float, float, 128>", "engine"),
        ("void elemWiseRNNcell<float, float, float, (cudnnRNNMode_t)2, (cudnnRNNBiasMode_t)2>", "elementwise"),
        ("void LSTM_elementWise_bp1<float, float, float>", "elementwise"),
        ("void GENERIC_elementWise_bp2<float, float, float, 4, (cudnnRNNBiasMode_t)2>", "elementwise"),
        ("void at::native::(anonymous namespace)::kernel::lstm_cell_forward<float, float, int, 1>", "elementwise"),
        ("triton_poi_fused_sigmoid_0", "elementwise"),
        ("a_kernel_of_nobody", "engine"),
    ],
)
def test_kernels_are_taken_for_what_they_do(name: str, kind: Kind) -> None:
    """By their names; what does several things, or nobody knows what, is not told apart."""
    assert kind_of_work(Work(name, "kernel", 0.0, 1.0, None)) == kind


def test_what_the_profiler_cost_is_taken_from_the_time_that_the_gpu_waits_for_the_host() -> None:
    """It delays the host alone: 10 ms of kernels stay 10 ms, however long the host took under it."""
    found = unprofiled({"host_bound": 0.030, "products": 0.010}, 0.025)
    assert found == pytest.approx({"host_bound": 0.015, "products": 0.010})


def test_where_the_host_is_never_waited_for_all_parts_are_scaled() -> None:
    """And a span that took less under the profiler is scaled up."""
    assert unprofiled({"products": 0.03, "memory": 0.01}, 0.02) == pytest.approx({"products": 0.015, "memory": 0.005})
    assert unprofiled({"products": 0.03, "memory": 0.01}, 0.08) == pytest.approx({"products": 0.06, "memory": 0.02})
    assert unprofiled({}, 1.0) == {}


def marked(name: str, begin: float, microseconds: float) -> Event:
    """A phase as PyTorch's profiler marks it."""
    found: dict[str, Any] = {"ph": "X", "cat": "user_annotation", "name": MARK + name, "pid": 100, "tid": 100}
    return found | {"ts": begin, "dur": microseconds}


def test_phases_of_calls_are_broken_down_and_averaged() -> None:
    """Two calls of one phase: twice as many kernels in the second, half of the time for each in the mean."""
    first = [marked("forward", 0, 20), launch(1, 0), kernel(1, 5, 15)]
    second = [marked("forward", 100, 20), launch(2, 100), kernel(2, 105, 5), kernel(2, 110, 10)]
    others: list[Event] = [{"name": "aten::mm", "cat": "cpu_op", "ts": 1.0, "dur": 1.0}]
    found = list(spans_of([*first, *others, *second]))
    assert [(name, span.launches) for name, span in found] == [("forward", 1), ("forward", 2)]
    told = summary([span for _, span in found], 20e-6)
    assert told["kinds"] == pytest.approx({"host_bound": 5e-6, "products": 15e-6})
    assert told["functions"] == [["products", GPU, GEMM, 15.0]]


def test_a_breakdown_takes_seconds_as_it_takes_looks() -> None:
    """The parts of a GPU's call add up to its unprofiled time too."""
    case = "nn_rnn/cuda/inference/T4-B1-I4-H4-L1-tanh-float32"
    phases = {"1": {"kinds": {"products": 0.015, "host_bound": 0.005}}}
    frame = breakdown_frame([{"case": case, "repeat": 0, "phase_seconds": [0.02, 0.0], "phases": phases}])
    assert frame.set_index("kind")["seconds"][["products", "host_bound"]].to_list() == pytest.approx([0.015, 0.005])


def test_a_kernel_stays_what_it_was_taken_for() -> None:
    """By its own rules: those of a processor's functions know nothing of its name. Parts are seconds, kernels µs."""
    looks = {"kinds": {"products": 0.02}, "functions": [["products", GPU, GEMM, 15.0]]}
    assert kinds_of(looks) == pytest.approx({"products": 0.02})


def test_without_a_gpu_a_profile_of_one_says_what_is_missing() -> None:
    """The means are PyTorch's, whatever the implementation."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    subject = Subject(load("numpy_loop"), Workload(mode="inference", T=2, B=1, I=4, H=4), clock=time.perf_counter)
    with pytest.raises(Unavailable, match="finds no CUDA device"):
        observe_gpu(subject, 0.01)
