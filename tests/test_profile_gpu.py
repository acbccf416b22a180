"""What the time of a GPU goes to, by lists of events as PyTorch's profiler writes them; no test here needs a GPU."""

from __future__ import annotations

import time
from typing import Any

import pytest

from benchmarks.measuring.measure import Subject
from benchmarks.profiling.records import GPU
from benchmarks.profiling.reporting.frames import breakdown_frame, kinds_of
from benchmarks.profiling.sampling.kinds import WorkKind
from benchmarks.profiling.sampling.pairs import LEAST_PAIRS, CallBlock
from benchmarks.profiling.tracing import gpu_profile
from benchmarks.profiling.tracing.chrome import Event
from benchmarks.profiling.tracing.gpu_profile import MARK, profile_gpu, spans_of, summary
from benchmarks.profiling.tracing.gpu_time import Work, break_down, kind_of_work, unprofiled, work_of
from benchmarks.workload import Workload
from rnnimpl import Unavailable, load

GEMM = "ampere_sgemm_32x32_sliced1x4_tn"
TANH = "void at::native::vectorized_elementwise_kernel<4, at::native::tanh_kernel_cuda>(int, float*)"


def launch(number: int, start: float, name: str = "cudaLaunchKernel", category: str = "cuda_runtime") -> Event:
    """A call of the host that takes 5 microseconds, as Kineto writes it."""
    found: dict[str, Any] = {"ph": "X", "cat": category, "name": name, "pid": 100, "tid": 100, "ts": start, "dur": 5.0}
    return found | {"args": {"External id": number, "cbid": 211, "correlation": number}}


def kernel(number: int, start: float, microseconds: float, name: str = GEMM, category: str = "kernel") -> Event:
    """Work of this many microseconds on the device, as Kineto writes it."""
    found: dict[str, Any] = {"ph": "X", "cat": category, "name": name, "pid": 0, "tid": 7, "ts": start}
    args = {"External id": number, "device": 0, "context": 1, "stream": 7, "correlation": number}
    return found | {"dur": microseconds, "args": args}


def kinds(begin: float, end: float, *events: Event) -> dict[WorkKind, float]:
    """The microseconds of a span by kind, which always add up to the span."""
    span = break_down(begin, end, work_of(events))
    assert sum(span.kinds.values()) == pytest.approx(end - begin)
    return dict(span.kinds)


def test_an_idle_gpu_waits_for_the_host_and_then_for_the_launch() -> None:
    """The launching call returns at 15, the kernel runs from 18 to 48, and the host has waited for it at 60."""
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
    """Then there is no time of a launch, and nothing is counted twice."""
    assert kinds(0, 20, launch(1, 0), kernel(1, 3, 17)) == {"host_bound": 3, "products": 17}


def test_kernels_of_a_graph_share_the_launch_of_the_graph() -> None:
    """One call of the host launches three kernels: the gaps between them are the GPU's own."""
    graph = launch(9, 0, "cudaGraphLaunch")
    found = kinds(0, 40, graph, kernel(9, 10, 5), kernel(9, 17, 5), kernel(9, 25, 15, TANH))
    assert found == {"host_bound": 5, "launch": 5, "products": 10, "between": 5, "elementwise": 15}


def test_kernels_at_the_same_time_are_counted_once() -> None:
    """Two streams: the later kernel has the time after the end of the first."""
    found = kinds(0, 30, launch(1, 0), launch(2, 5), kernel(1, 10, 15), kernel(2, 12, 18, TANH))
    assert found == {"host_bound": 5, "launch": 5, "products": 15, "elementwise": 5}


def test_copies_and_clearings_are_memory_movement() -> None:
    """The runtime or the driver may launch them."""
    copy = kernel(1, 10, 4, "Memcpy DtoD (Device -> Device)", "gpu_memcpy")
    clear = kernel(2, 14, 6, "Memset (Device)", "gpu_memset")
    found = kinds(0, 20, launch(1, 0, "cudaMemcpyAsync"), launch(2, 5, "cuMemsetD8Async", "cuda_driver"), copy, clear)
    assert found == {"host_bound": 5, "launch": 5, "memory": 10}


def test_the_gap_before_work_without_a_known_launch_is_not_the_hosts() -> None:
    """The gap before such a kernel is the GPU's own."""
    assert kinds(0, 20, kernel(1, 8, 12)) == {"between": 8, "products": 12}


def test_work_of_other_spans_is_left_out() -> None:
    """A span ends with its call; a span without work is the host's own."""
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
        ("void RNN_blockPersist_fp_RNN<float, float, float, 512>", "unattributed"),
        ("void RNN_blockPersist_fp_LSTM<float, float, float, 128>", "unattributed"),
        ("void elemWiseRNNcell<float, float, float, (cudnnRNNMode_t)2, (cudnnRNNBiasMode_t)2>", "elementwise"),
        ("void LSTM_elementWise_bp1<float, float, float>", "elementwise"),
        ("void GENERIC_elementWise_bp2<float, float, float, 4, (cudnnRNNBiasMode_t)2>", "elementwise"),
        ("void at::native::(anonymous namespace)::kernel::lstm_cell_forward<float, float, int, 1>", "elementwise"),
        ("triton_poi_fused_sigmoid_0", "elementwise"),
        ("a_kernel_of_nobody", "unattributed"),
    ],
)
def test_a_kernel_has_the_kind_of_its_work(name: str, kind: WorkKind) -> None:
    """Its name decides; a kernel of a whole recurrence, or with an unknown name, is unattributed."""
    assert kind_of_work(Work(name, "kernel", 0.0, 1.0, None)) == kind


def test_the_cost_of_the_profiler_is_subtracted_from_the_time_that_the_gpu_waits_for_the_host() -> None:
    """The profiler delays the host alone: 10 ms of kernels stay 10 ms."""
    found = unprofiled({"host_bound": 0.030, "products": 0.010}, 0.025)
    assert found == pytest.approx({"host_bound": 0.015, "products": 0.010})


def test_all_parts_are_scaled_where_the_gpu_never_waits_for_the_host() -> None:
    """A span that took less time under the profiler is scaled up."""
    assert unprofiled({"products": 0.03, "memory": 0.01}, 0.02) == pytest.approx({"products": 0.015, "memory": 0.005})
    assert unprofiled({"products": 0.03, "memory": 0.01}, 0.08) == pytest.approx({"products": 0.06, "memory": 0.02})
    assert unprofiled({}, 1.0) == {}


def marked(name: str, begin: float, microseconds: float) -> Event:
    """A pass as PyTorch's profiler marks it."""
    found: dict[str, Any] = {"ph": "X", "cat": "user_annotation", "name": MARK + name, "pid": 100, "tid": 100}
    return found | {"ts": begin, "dur": microseconds}


def test_passes_of_calls_are_broken_down_and_averaged() -> None:
    """Two calls of one pass, the second with twice as many kernels; each part is the mean of both."""
    first = [marked("forward", 0, 20), launch(1, 0), kernel(1, 5, 15)]
    second = [marked("forward", 100, 20), launch(2, 100), kernel(2, 105, 5), kernel(2, 110, 10)]
    others: list[Event] = [{"name": "aten::mm", "cat": "cpu_op", "ts": 1.0, "dur": 1.0}]
    found = list(spans_of([*first, *others, *second]))
    assert [(name, span.launches) for name, span in found] == [("forward", 1), ("forward", 2)]
    averaged = summary([span for _, span in found], 20e-6)
    assert averaged["kinds"] == pytest.approx({"host_bound": 5e-6, "products": 15e-6})
    assert averaged["functions"] == [["products", GPU, GEMM, 15.0]]


def test_a_breakdown_is_made_of_seconds_as_of_samples() -> None:
    """The parts of a call on a GPU add up to its unprofiled time too."""
    case = "nn_rnn/cuda/inference/T4-B1-I4-H4-L1-tanh-float32"
    passes = {"1": {"kinds": {"products": 0.015, "host_bound": 0.005}}}
    frame = breakdown_frame([{"case": case, "repeat": 0, "pass_seconds": [0.02, 0.0], "passes": passes}])
    assert frame.set_index("kind")["seconds"][["products", "host_bound"]].to_list() == pytest.approx([0.015, 0.005])


def test_a_kernel_keeps_its_recorded_kind() -> None:
    """The rules for a CPU's functions do not apply to it. Parts are in seconds, kernels in microseconds."""
    samples = {"kinds": {"products": 0.02}, "functions": [["products", GPU, GEMM, 15.0]]}
    assert kinds_of(samples) == pytest.approx({"products": 0.02})


def subject() -> Subject:
    """A tiny case."""
    return Subject(load("numpy_loop"), Workload(mode="inference", T=2, B=1, I=4, H=4), clock=time.perf_counter)


def test_a_profile_on_a_machine_without_a_gpu_is_unavailable() -> None:
    """PyTorch finds no device, whatever the implementation."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(Unavailable, match="finds no CUDA device"):
        profile_gpu(subject(), 0.01)


def test_kernels_of_a_preempted_pair_are_in_no_breakdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks have 1, 2, 3, ... kernels; the second pair is preempted."""
    numbers = iter(range(99))

    def profiled(*_: object) -> tuple[CallBlock, list[Event]]:
        number = next(numbers)
        kernels: list[Event] = [
            {"name": "gemm", "cat": "kernel", "ts": 10.0 * at, "dur": 5.0, "args": {}} for at in range(number + 1)
        ]
        mark: Event = {"name": MARK + "forward", "cat": "user_annotation", "ts": 0.0, "dur": 1000.0, "args": {}}
        return CallBlock([(1.0,)], 0.5 if number == 1 else 0.0, context_switches=0), [mark, *kernels]

    def unprofiled(*_: object) -> CallBlock:
        return CallBlock([(1.0,)], 0.0, context_switches=0)

    monkeypatch.setattr(gpu_profile, "take_block", unprofiled)
    monkeypatch.setattr(gpu_profile, "profiled_block", profiled)
    record = gpu_profile.profile_gpu(subject(), 1.0)
    assert [pair["kept"] for pair in record["pairs"]] == [True, False, True, True, True]
    assert record["launches"] == (1 + 3 + 4 + 5) / LEAST_PAIRS
    assert record["pairs"][0]["attributed_seconds"] == pytest.approx(1e-3)
    assert sum(record["passes"]["1"]["kinds"].values()) == pytest.approx(1.0)
