"""A peak: one rate or latency that the machine reached, as it is measured, kept and looked up."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

from benchmarks.workload import DEVICES, Device, Workload
from rnnimpl.dtypes import DTYPES, PRECISIONS, Dtype, Precision

PeakKind = Literal["gemm", "chain", "bandwidth", "call", "multiply_add", "read", "shared_read", "step", "exchange"]
KINDS: tuple[PeakKind, ...] = get_args(PeakKind)

Level = Literal["L1", "L2", "L3", "L4", "memory"]
"""The place of a working set: the cache of that level, or memory."""
LEVELS: tuple[Level, ...] = get_args(Level)

OLD_NAMES: Mapping[str, str] = MappingProxyType({"engine": "source"})
"""Fields of a peak under the names that earlier versions wrote."""

Settings = tuple[Device, Dtype, Precision, int]
"""Device, dtype, precision and threads."""

Shape = tuple[int, int, int]
"""(M, N, K) of a product of (M, K) and (K, N)."""

LARGEST: Mapping[Device, int] = {"cpu": 2048, "cuda": 8192}
"""The longest edge of a product that is measured: the rate of a longer one is the same. For a chain it limits B and H,
so that w_hh with all its gates is in the same cache as the workload's."""

_RATES: Mapping[PeakKind, tuple[str, ...]] = {
    "gemm": ("M", "N", "K", "flops_per_second"),
    "chain": ("M", "N", "K", "flops_per_second"),
    "bandwidth": ("bytes_per_second",),
    "call": (),
    "multiply_add": ("flops_per_second",),
    "read": ("bytes_per_second", "working_set_bytes"),
    "shared_read": ("bytes_per_second", "working_set_bytes"),
    "step": (),
    "exchange": (),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peak:
    """One measured rate or latency, with the settings it was measured under.

    A library reaches `gemm`, a product; `chain`, a product that needs the one before; `bandwidth`, a pass over memory;
    `call`, its shortest call. The cores reach `multiply_add`, multiply-adds in registers; `read`, each thread reading
    an array of its own again and again; `shared_read`, all reading the same one; `step`, a state read, multiplied,
    added to and stored; `exchange`, one core seeing what another wrote.
    """

    kind: PeakKind
    source: str
    """The code that reached it: `torch`, `numpy` or `fused_cpu` by a product, copy or call; `cores` by a bare loop."""
    device: Device
    dtype: Dtype
    precision: Precision
    threads: int
    M: int | None = None
    """gemm, chain: (M, K) by (K, N), the second factor stored as weights are, (N, K); in a backward chain, (K, N)."""
    N: int | None = None
    K: int | None = None
    seconds: float
    """Seconds of one product, pass, call, round of multiply-adds, step or exchange."""
    flops_per_second: float | None = None
    """gemm, chain: 2*M*N*K operations in that time. multiply_add: two for each lane; all threads together."""
    bytes_per_second: float | None = None
    """bandwidth: bytes read and bytes written, without the reads that a processor makes to write a line. read,
    shared_read: bytes read by all threads together."""
    working_set_bytes: int | None = None
    """read, shared_read: bytes of the array that a thread reads."""
    level: Level | None = None
    """read, shared_read: the level of cache, or the memory, that holds the array."""

    def __post_init__(self) -> None:
        for name, known in (("kind", KINDS), ("device", DEVICES), ("dtype", DTYPES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}")
        if self.level not in (None, *LEVELS):
            raise ValueError(f"level is {self.level!r}; expected one of {', '.join(LEVELS)}")
        for name in ("threads", "seconds", *_RATES[self.kind]):
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
        fields = {OLD_NAMES.get(name, name): value for name, value in mapping.items()}
        return cls(**{name: value for name, value in fields.items() if name in names})


def settings(of: Workload | Peak) -> Settings:
    """The settings that workloads share when the same peaks bound them."""
    return of.device, of.dtype, of.precision, of.threads


def measured_shape(shape: Shape, workload: Workload) -> Shape:
    """The shape whose rate is taken for a product of the workload: no edge above `LARGEST`, except a chain's."""
    ways = zip(_ways(workload, workload.B, workload.H), chain_shapes(workload), strict=True)
    chain = next((measured for own, measured in ways if own == shape), None)
    if chain is not None:
        return chain
    M, N, K = (min(edge, LARGEST[workload.device]) for edge in shape)
    return M, N, K


def chain_shapes(workload: Workload) -> tuple[Shape, ...]:
    """The shapes of the chains that are measured for the workload's recurrence, each product needing the one before.

    Forward (B, H) by (H, G*H); in training of a cell of several gates, backward (B, G*H) by (G*H, H) as well.
    """
    largest = LARGEST[workload.device]
    return _ways(workload, min(workload.B, largest), min(workload.H, largest))


def _ways(workload: Workload, B: int, H: int) -> tuple[Shape, ...]:
    rows = workload.config.num_gates * H
    both = workload.mode == "training" and rows != H
    return ((B, rows, H), (B, H, rows)) if both else ((B, rows, H),)
