"""A trial: the record of one visit to a case, in memory and as a line of `trials.jsonl`.

History of the schema (`SCHEMA` stands in each run's `run.json`):

    1  the first
    2  `peaks` has further kinds (multiply_add, chain, read, shared_read, step, exchange), working_set_bytes and level
    3  `cell` in place of `nonlinearity`, with lstm and gru; `error_output` is of every array of the final state
    4  a visit that has times is `measured`, and was ok or noisy before, which reading says of a case; a peak has a
       `source` in place of an `engine`
    5  the modes streaming, serving and many-lengths with `processes`, `caches`, `signal` and `denormals` of a workload;
       `latencies` and `repeated_seconds` beside the samples; later `lengths` of a workload, equal in runs before
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from benchmarks.quantity import quantities, quantity
from benchmarks.workload import OLD_NAMES, Case, Workload

SCHEMA = 5

Status = Literal[
    "measured",
    "ok",
    "noisy",
    "unavailable",
    "unsupported",
    "wrong",
    "out_of_memory",
    "timeout",
    "crashed",
    "failed",
]
"""The end of a visit, or the status of a case.

A visit that has times is `measured`. Of a case with times, reading says `ok` or `noisy`; so do visits of old runs. The
others are the same for both.
"""
STATUSES: tuple[Status, ...] = get_args(Status)

MEASURED: tuple[Status, ...] = ("measured", "ok", "noisy")
"""The statuses of visits and cases that have times."""


class NothingMeasured(Exception):
    """No case has a time, so there is nothing to report; the message says why."""


_WORKLOAD_FIELDS = tuple(field.name for field in dataclasses.fields(Workload))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One visit to one case: its status, every sample, and the quantities that are declared here.

    Seconds and bytes are stored as they are and scaled only when shown. A case may be visited in several rounds of a
    sweep; each visit is a trial, and reading a run pools the samples of a case over its rounds.

    `quantity` declares a field that a visit measures beside its samples. `answer` is the request to the worker whose
    answer has the value, `column` the visit from which a frame's row of the case has it.
    """

    case: Case
    source: str
    """The argument of `rnnimpl.load`: a name in the registry, or module:Class. `case` has the name in this run."""
    round: int
    """0 for the first visit, then 1, 2 ... for those that narrow the interval."""
    status: Status
    reason: str | None = None
    """Why there are no times, in a sentence."""
    lost: str | None = None
    """A sentence on what cut the visit short other than the implementation: its process was killed from outside, the
    machine was suspended, the budget ended. Where enough was measured before, the visit is `measured`."""
    started_at: str
    """UTC, ISO 8601."""
    finished_at: str

    seconds: tuple[float, ...] = ()
    """Every sample in measured order: seconds of one call, as the mean over `calls_per_sample` calls. In training a
    call is the forward and the backward pass together. Where `latencies` are kept, the median call of each block; in
    mode many-lengths the first call at each length."""
    backward_seconds: tuple[float, ...] = ()
    """The pullback's part of each sample, in training."""
    blocks: tuple[int, ...] = ()
    """The number of samples of each block, in measured order; samples of one block are correlated."""
    latencies: tuple[str, ...] = ()
    """The time of every call of each block, as a histogram (`benchmarks.latencies`), in streaming and serving."""
    repeated_seconds: tuple[float, ...] = ()
    """The second call at the length of each sample, in mode many-lengths."""
    calls_per_sample: int = quantity("count", default=1, answer="warm_up")

    setup_seconds: float | None = quantity(answer="prepare", column="first")
    """Construction: moving and packing weights, compiling what is compiled ahead of a call."""
    first_call_seconds: float | None = quantity(answer="prepare", column="first")
    """The first call, with whatever is compiled or tuned on first use."""
    check_seconds: float | None = quantity()
    """Checking the first call against the reference."""
    warmup_seconds: float | None = quantity(answer="warm_up")
    """Calls before the first sample, until calls were steady."""
    sampling_seconds: float | None = quantity()
    """All blocks together, by the worker's clock."""

    peak_bytes: int | None = quantity("count", answer="finish", column="largest")
    """CPU: how far the process's peak resident set rose above what it held before the case was built.
    CUDA: the most that PyTorch's allocator held."""
    error_output: float | None = quantity("error", column="largest")
    """Largest error of y and the final state against the float64 reference, relative to the largest value of each."""
    error_gradient: float | None = quantity("error", column="largest")
    """Largest error of all gradients, relative to the largest value of each, in training."""
    checked_steps: int | None = quantity("count", column="first")
    """The number of the T steps that the reference was computed for."""
    input_seed: int | None = quantity("count")
    """The seed of weights and inputs, which the sweep drew and no implementation knew before."""
    describe: Mapping[str, str] = quantity("mapping", answer="prepare")
    """The path that ran, as the implementation says."""

    device_span_seconds: float | None = quantity(answer="finish", is_cuda_only=True, column="last")
    """CUDA: median time between events recorded before and after a call."""
    kernel_seconds: float | None = quantity(answer="finish", is_cuda_only=True, column="last")
    """CUDA: sum of the kernels' times in one call, from a profiled call of its own."""
    kernel_launches: int | None = quantity(answer="finish", is_cuda_only=True, column="last")
    """CUDA: kernels in the profiled call."""
    gpu_before: Mapping[str, Any] = quantity("mapping")
    """CUDA: clocks, temperature and throttle reasons before the first block."""
    gpu_after: Mapping[str, Any] = quantity("mapping")
    """CUDA: clocks, temperature and throttle reasons after the last block."""

    after_silence_seconds: float | None = quantity()
    """The time of the first call after a second in which the process slept; in mode streaming alone."""
    growth_bytes: int | None = quantity("count", column="largest")
    """How far the resident memory rose from the first length to the last; in mode many-lengths alone."""
    float_modes: Mapping[str, str] = quantity("mapping", answer="finish")
    """The control bits of floating point (`floating_point`) of the thread that makes the calls: at its `start`, once
    the implementation was `loaded`, and when it had been `called`."""

    elsewhere_share: float | None = quantity(column="largest")
    """The share of all cores' time that other programs, or the hypervisor, used while samples were taken."""
    cpu_watts: float | None = quantity(column="last")
    """The mean power of the processors, with memory that has a counter of its own, while samples were taken."""
    gpu_watts: float | None = quantity(is_cuda_only=True, column="last")
    """CUDA: the mean power of the GPUs while samples were taken."""
    helper_processes: int | None = quantity("count", column="largest")
    """The most processes of its own that the implementation had when it was suspended for another's turn."""
    unsuspended_seconds: float | None = quantity(column="largest")
    """Core time that the implementation used while it should have been suspended."""

    def to_json(self) -> dict[str, Any]:
        """A flat mapping of JSON values: the fields of the workload and of the trial."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        workload = dataclasses.asdict(self.case.workload)
        fields |= {"case": self.case.id, "implementation": self.case.implementation, **workload}
        return {name: _plain(value) for name, value in fields.items()}

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> Trial:
        """The trial that `to_json` wrote. Raises ValueError, TypeError or KeyError for a mapping that is no trial.

        Unknown fields, which a later version may have added, are passed over; missing fields, which an earlier version
        may not have had, have their default.
        """
        if mapping["status"] not in STATUSES:
            raise ValueError(f"status is {mapping['status']!r}; expected one of {', '.join(STATUSES)}")
        mapping = {OLD_NAMES.get(name, name): value for name, value in mapping.items()}
        workload = Workload(**{name: mapping[name] for name in _WORKLOAD_FIELDS if name in mapping})
        own = {field.name for field in dataclasses.fields(cls)} & set(mapping) - {"case"}
        fields = {name: mapping[name] for name in own}
        for name in ("seconds", "backward_seconds", "blocks", "latencies", "repeated_seconds"):
            fields[name] = tuple(fields.get(name, ()))
        for name in (name for name, declared in quantities(cls).items() if declared.kind == "error"):
            fields[name] = None if fields.get(name) is None else float(fields[name])
        return cls(case=Case(mapping["implementation"], workload), **fields)


QUANTITIES = quantities(Trial)
"""{quantity: its declaration} of a trial; a visit sets no other quantities."""


def deciding(trials: Sequence[Trial]) -> Trial:
    """The trial whose status the case has; `trials` are of one case, in the order of their visits.

    The first wrong one, since no time of an implementation that is wrong counts; else the last that was not lost; else
    the last.
    """
    wrong = [trial for trial in trials if trial.status == "wrong"]
    whole = [trial for trial in trials if trial.lost is None or trial.status in MEASURED]
    return wrong[0] if wrong else (whole or trials)[-1]


def _plain(value: Any) -> Any:
    """The value as JSON has it: an infinite error is a string that float() reads, a tuple a list."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
