"""A trial: the record of one measured case, as it is kept and as it is written.

History of the schema (`SCHEMA` stands in each run's `run.json`):

    1  the first
    2  `peaks` has further kinds (multiply_add, chain, read, shared_read, step, exchange), working_set_bytes and level
    3  `cell` in place of `nonlinearity`, with lstm and gru; `error_output` is of every array of the final state
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from benchmarks.workload import OLD_NAMES, Case, Workload

SCHEMA = 3

Status = Literal["ok", "noisy", "unavailable", "unsupported", "wrong", "out_of_memory", "timeout", "crashed", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)

MEASURED: tuple[Status, ...] = ("ok", "noisy")
"""The statuses of a trial that has times."""


class NothingMeasured(Exception):
    """No case has a time, so nothing can be told; the message says why."""


_WORKLOAD_FIELDS = tuple(field.name for field in dataclasses.fields(Workload))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """What one visit to one case gave. Seconds and bytes are stored as they are and scaled only when shown.

    A case may be visited in several rounds of a sweep; each visit is a trial of its own, and reading a run
    pools the samples of a case over its rounds.
    """

    case: Case
    source: str
    """What `rnnimpl.load` takes: a name in the registry, or module:Class. `case` has its name in this run."""
    round: int
    """0 for the first visit, then 1, 2 ... for those that made a noisy result better."""
    status: Status
    reason: str | None = None
    """Why the status is not ok, in a sentence."""
    lost: str | None = None
    """What the visit lost to something else than the implementation, in a sentence: its process was killed from
    outside, the machine was suspended, the budget ended. Where enough was measured before, the status is by that."""
    started_at: str
    """UTC, ISO 8601."""
    finished_at: str

    seconds: tuple[float, ...] = ()
    """Every sample in measured order: seconds of one call, or their mean over `calls_per_sample` calls.
    In training one call is the forward and the backward pass together."""
    backward_seconds: tuple[float, ...] = ()
    """In training, the part of each sample that the pullback took."""
    blocks: tuple[int, ...] = ()
    """How many samples each block of the alternation has, in order; samples of one block move together."""
    calls_per_sample: int = 1
    setup_seconds: float | None = None
    """Construction: moving and packing weights, compiling what is compiled ahead of a call."""
    first_call_seconds: float | None = None
    """The first call, with whatever is compiled or tuned on first use."""
    check_seconds: float | None = None
    warmup_seconds: float | None = None
    sampling_seconds: float | None = None
    elsewhere_share: float | None = None
    """The share of all cores' time that other programs, or the hypervisor, took while the samples were taken."""
    helper_processes: int | None = None
    """How many processes of its own the implementation had at most when it was suspended for another's turn."""
    unsuspended_seconds: float | None = None
    """Core time that the implementation used while it should have been suspended."""

    peak_bytes: int | None = None
    """CPU: how far the process's peak resident set rose above what it held before the case was built.
    CUDA: the most that PyTorch's allocator held."""
    error_output: float | None = None
    """Largest error of y and the final state against the float64 reference, relative to the largest value of each."""
    error_gradient: float | None = None
    """The same of all gradients, in training."""
    checked_steps: int | None = None
    """How many of the T steps the reference was computed for."""
    input_seed: int | None = None
    """The seed of weights and inputs, which the sweep drew and no implementation knew before."""
    describe: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Which path ran, as the implementation says."""

    device_span_seconds: float | None = None
    """CUDA: median time between events recorded before and after a call."""
    kernel_seconds: float | None = None
    """CUDA: sum of the kernels' times in one call, from a profiled call of its own."""
    kernel_launches: int | None = None
    """CUDA: kernels in that call."""
    gpu_before: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """CUDA: clocks, temperature and throttle reasons before the first block."""
    gpu_after: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A flat mapping of JSON values: the workload's fields stand beside the trial's own."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        workload = dataclasses.asdict(self.case.workload)
        fields |= {"case": self.case.id, "implementation": self.case.implementation, **workload}
        return {name: _plain(value) for name, value in fields.items()}

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> Trial:
        """The trial that `to_json` wrote. Raises ValueError, TypeError or KeyError when it is none.

        Fields that this version does not know are passed over, as a later one may have added them; those that are not
        there have their default, as an earlier one may not have had them.
        """
        if mapping["status"] not in STATUSES:
            raise ValueError(f"status is {mapping['status']!r}; expected one of {', '.join(STATUSES)}")
        mapping = {OLD_NAMES.get(name, name): value for name, value in mapping.items()}
        workload = Workload(**{name: mapping[name] for name in _WORKLOAD_FIELDS if name in mapping})
        own = {field.name for field in dataclasses.fields(cls)} & set(mapping) - {"case"}
        fields = {name: mapping[name] for name in own}
        for name in ("seconds", "backward_seconds", "blocks"):
            fields[name] = tuple(fields.get(name, ()))
        for name in ("error_output", "error_gradient"):
            fields[name] = None if fields.get(name) is None else float(fields[name])
        return cls(case=Case(mapping["implementation"], workload), **fields)


def deciding(trials: Sequence[Trial]) -> Trial:
    """The one of a case's trials, in the order of their visits, whose status the case has.

    That is the first wrong one, since no time of an implementation that is wrong is to be believed; else the last, of
    those that were not lost where there is one.
    """
    wrong = [trial for trial in trials if trial.status == "wrong"]
    whole = [trial for trial in trials if trial.lost is None or trial.status in MEASURED]
    return wrong[0] if wrong else (whole or trials)[-1]


def _plain(value: Any) -> Any:
    """JSON has no infinity: an infinite error is written as a string that float() reads."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
