"""What the machine reaches here and now: rates of matrix products, memory bandwidth, the cost of one call.

Measured in the process that calls, which has its threads bound already, for the workloads that share a device,
dtype, precision and thread count. What these rates mean for a workload, `bounds` says.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

from benchmarks.counts import flops, products
from benchmarks.machine import available_bytes, last_level_cache_bytes
from benchmarks.machine.peak_engines import Engine, engines
from benchmarks.workload import DEVICES, Device, Workload
from rnnimpl.dtypes import DTYPES, PRECISIONS, Dtype, Precision

Kind = Literal["gemm", "bandwidth", "call"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Shape = tuple[int, int, int]
"""(M, N, K) of a product of (M, K) and (K, N)."""

LARGE_SIZES: Mapping[Device, tuple[int, ...]] = {"cpu": (1024, 2048), "cuda": (4096, 8192)}
"""Edges of the square products among which the highest rate is looked for."""
LARGEST: Mapping[Device, int] = {"cpu": 2048, "cuda": 8192}
"""Products are measured with no edge longer than this: beyond it the rate stays, the time does not."""

SHAPE_SECONDS = 0.03
LARGE_SECONDS = 0.5
BLOCKS = 3
SAMPLES = 5
"""Samples in a block; a block gives their median, and the best of the blocks counts."""
LEAST_SAMPLES = 3
"""In each block, also when time is up: a single one may be an interruption."""
_BANDWIDTH_BYTES = (64 * 2**20, 2**30)
"""At least and at most, for each array that is copied."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peak:
    """One measured rate of one engine, with the settings it was measured under."""

    kind: Kind
    engine: str
    """`torch` or `numpy`: whose product, copy or call it is."""
    device: Device
    dtype: Dtype
    precision: Precision
    threads: int
    M: int | None = None
    """A gemm multiplies (M, K) by (K, N), the second factor held as weights are, (N, K)."""
    N: int | None = None
    K: int | None = None
    seconds: float
    """Of one product, one pass over memory, or one call of the framework on a single element."""
    flops_per_second: float | None = None
    """gemm: 2*M*N*K operations in that time."""
    bytes_per_second: float | None = None
    """bandwidth: bytes read and bytes written, without those that a processor reads to write a line."""

    def __post_init__(self) -> None:
        for name, known in (("kind", KINDS), ("device", DEVICES), ("dtype", DTYPES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}")
        rate = {"gemm": ("M", "N", "K", "flops_per_second"), "bandwidth": ("bytes_per_second",), "call": ()}[self.kind]
        for name in ("threads", "seconds", *rate):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 < value < math.inf:
                raise ValueError(f"{name} of a {self.kind} peak is {value!r}; expected a number above 0")

    def belongs_to(self, workload: Workload) -> bool:
        """Whether it was measured under the workload's device, dtype, precision and threads."""
        return settings(self) == settings(workload)

    def to_json(self) -> dict[str, Any]:
        """A mapping of JSON values; `from_json` reads it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> Peak:
        """The peak that `to_json` wrote; fields of a later version are passed over.

        Raises ValueError, TypeError or KeyError when it is none.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in mapping.items() if name in names})


def settings(of: Workload | Peak) -> tuple[Device, Dtype, Precision, int]:
    """What workloads must share for the same peaks to hold."""
    return of.device, of.dtype, of.precision, of.threads


def measured_shape(shape: Shape, device: Device) -> Shape:
    """The shape whose rate stands for this one: no edge longer than `LARGEST`."""
    M, N, K = (min(edge, LARGEST[device]) for edge in shape)
    return M, N, K


def shapes_by_importance(workloads: Sequence[Workload]) -> tuple[Shape, ...]:
    """The shapes to measure, first those that make up the largest share of some workload's operations."""
    shares: dict[Shape, float] = {}
    for workload in workloads:
        of_this: dict[Shape, float] = {}
        for product in products(workload):
            shape = measured_shape(product.shape, workload.device)
            of_this[shape] = of_this.get(shape, 0.0) + product.flops / flops(workload)
        for shape, share in of_this.items():
            shares[shape] = max(share, shares.get(shape, 0.0))
    return tuple(sorted(shares, key=lambda shape: (-shares[shape], math.prod(shape))))


def measure_peaks(
    workloads: Sequence[Workload], seconds_budget: float, clock: Callable[[], float] = time.perf_counter
) -> list[Peak]:
    """Measure what bounds the workloads: calls, large products, memory, then the workloads' own products.

    Each library has its share of the budget. Where it ends, the shapes that matter least are left out; what is
    under way is brought to its end.
    Sets PyTorch's thread count and precision for this process. Raises ValueError unless all workloads share
    device, dtype, precision and threads.
    """
    groups = dict.fromkeys(map(settings, workloads))
    if len(groups) != 1:
        raise ValueError(f"the workloads have {len(groups)} settings {list(groups)}; expected them to share one")
    measured = engines(workloads[0])
    start = clock()
    found: list[Peak] = []
    # One library after the other: taking turns, PyTorch's products took up to a hundred times as long as alone.
    for number, engine in enumerate(measured, start=1):
        for peak in _in_order(workloads, engine, clock):
            found.append(peak)
            if clock() - start >= seconds_budget * number / len(measured):
                break
    return found


def seconds_per_call(
    call: Callable[[], object], synchronize: Callable[[], object], clock: Callable[[], float], seconds: float
) -> float:
    """Seconds that one call takes: the best median of a few blocks, in about so many seconds, one block at least.

    Calls are queued back to back and waited for once a sample, as a loop over time queues them.
    """

    def sample(calls: int) -> float:
        start = clock()
        for _ in range(calls):
            call()
        synchronize()
        return clock() - start

    sample(1)  # libraries pick and load their kernels on first use
    start = clock()
    calls = 1
    while sample(calls) < seconds / (BLOCKS * SAMPLES) and clock() - start < seconds:
        calls *= 2
    medians: list[float] = []
    while not medians or (len(medians) < BLOCKS and clock() - start < seconds):
        block: list[float] = []
        while len(block) < LEAST_SAMPLES or (len(block) < SAMPLES and clock() - start < seconds):
            block.append(sample(calls) / calls)
        medians.append(statistics.median(block))
    return min(medians)


def _in_order(workloads: Sequence[Workload], engine: Engine, clock: Callable[[], float]) -> Iterator[Peak]:
    """Every peak of a library, measured when it is asked for, the most needed first."""
    device, dtype, precision, threads = settings(workloads[0])
    common: dict[str, Any] = {"device": device, "dtype": dtype, "precision": precision, "threads": threads}
    seconds = seconds_per_call(engine.call(), engine.synchronize, clock, SHAPE_SECONDS)
    yield Peak(kind="call", engine=engine.name, seconds=seconds, **common)
    for edge in LARGE_SIZES[device]:
        yield _gemm(engine, (edge, edge, edge), clock, LARGE_SECONDS, common)
    yield _bandwidth(engine, _bandwidth_bytes(device), clock, common)
    for shape in shapes_by_importance(workloads):
        yield _gemm(engine, shape, clock, SHAPE_SECONDS, common)


def _gemm(
    engine: Engine, shape: Shape, clock: Callable[[], float], most_seconds: float, common: Mapping[str, Any]
) -> Peak:
    M, N, K = shape
    seconds = seconds_per_call(engine.gemm(M, N, K), engine.synchronize, clock, most_seconds)
    rate = 2 * M * N * K / seconds
    return Peak(kind="gemm", engine=engine.name, M=M, N=N, K=K, seconds=seconds, flops_per_second=rate, **common)


def _bandwidth(engine: Engine, array_bytes: int, clock: Callable[[], float], common: Mapping[str, Any]) -> Peak:
    """The better of a copy and, where the engine has it in one pass, STREAM's triad a + s*b (McCalpin 1995)."""
    measured = []
    for traffic in engine.passes(array_bytes):
        seconds = seconds_per_call(traffic.run, engine.synchronize, clock, LARGE_SECONDS / 2)
        measured.append((traffic.moved_bytes / seconds, seconds))
    rate, seconds = max(measured)
    return Peak(kind="bandwidth", engine=engine.name, seconds=seconds, bytes_per_second=rate, **common)


def _bandwidth_bytes(device: Device) -> int:
    """Bytes of each array: four times the last cache, so that little of it is still there on the next pass."""
    least, most = _BANDWIDTH_BYTES
    if device == "cuda":
        return most
    available = available_bytes(device)
    affordable = most if available is None else available // 8
    return max(min(4 * (last_level_cache_bytes() or most // 4), most, affordable), min(least, affordable))
