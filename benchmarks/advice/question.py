"""A question about a model: its layers' workloads at one input, in one mode, on some threads."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from benchmarks.models.layers import Layer
from benchmarks.quoting import quoted
from benchmarks.runs.pooling import BASELINE
from benchmarks.statistics import Estimate
from benchmarks.sweeps import Grid
from benchmarks.workload import LARGEST_SIZE, Mode, Workload


class Input(NamedTuple):
    """An input of the model: T time steps of B sequences with I features; None where the model says how many."""

    T: int
    B: int
    I: int | None = None

    def __str__(self) -> str:
        return f"T {self.T}, B {self.B}" + ("" if self.I is None else f", I {self.I}")


def parse_input(text: str) -> Input:
    """The input that `T,B` or `T,B,I` names. Raises ValueError, with the form, for anything else."""
    parts = text.split(",")
    try:
        sizes = [int(part) for part in parts]
    except ValueError:
        sizes = []
    if len(sizes) not in (2, 3) or not all(1 <= size <= LARGEST_SIZE for size in sizes):
        raise ValueError(
            f"--input is {quoted(text)}; expected T,B or T,B,I: time steps, sequences in a batch and input features, "
            "whole numbers from 1, such as 64,16"
        )
    return Input(*sizes)


def check_fits(given: Input, layers: Sequence[Layer]) -> None:
    """Raise ValueError where the features of an input are those of no layer, or a layer fixes other sizes."""
    accepted = sorted({layer.config.input_size for layer in layers})
    if given.I is not None and given.I not in accepted:
        sizes = " or ".join(map(str, accepted))
        raise ValueError(
            f"--input has I {given.I}, which does not fit: its recurrent layers take {sizes} features; give I as "
            f"{sizes}, or leave it out"
        )
    for layer in layers:
        for letter, fixed in (("T", layer.fixed_T), ("B", layer.fixed_B)):
            if fixed is not None and fixed != getattr(given, letter):
                raise ValueError(
                    f"--input has {letter} {getattr(given, letter)}, which does not fit: the file fixes {letter} of "
                    f"{layer.name} to {fixed}"
                )


class Share(NamedTuple):
    """The part of the model's time that its recurrent layers take."""

    whole_seconds: float
    """The median time of the model's call."""
    of_layers: Estimate
    """The time of the layers alone over that of the whole call."""


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked: the workloads of the model's recurrent layers, with how often a call of the model has each."""

    given: Input
    mode: Mode
    threads: int
    workloads: Mapping[Workload, int]
    """{workload: calls in a call of the model}."""
    present: str = BASELINE
    """The implementation that computes the layers now."""
    share: Share | None = None
    unknown_share: str = ""
    """Why the share is not known."""
    is_packed: bool = False
    """Whether the model packs sequences of unequal lengths, which are measured as if all had the longest."""

    def to_json(self) -> dict[str, Any]:
        """A mapping of JSON values, with the times of the whole model."""
        share = self.share
        return {
            "input": list(self.given),
            "mode": self.mode,
            "threads": self.threads,
            "present": self.present,
            "calls": {workload.id: calls for workload, calls in self.workloads.items()},
            "whole_seconds": None if share is None else share.whole_seconds,
            "share_of_layers": None if share is None else dataclasses.astuple(share.of_layers),
            "unknown_share": self.unknown_share,
            "is_packed": self.is_packed,
        }

    @property
    def largest(self) -> Workload:
        """The workload that most operations go to."""
        from benchmarks.counts import flops

        return max(self.workloads, key=lambda each: self.workloads[each] * flops(each))


def count_workloads(
    calls: Iterable[tuple[str, int, int]], layers: Sequence[Layer], mode: Mode, threads: int
) -> Mapping[Workload, int]:
    """{workload: calls} from the calls (layer, T, B) of layers."""
    named = {layer.name: layer for layer in layers}
    return MappingProxyType(Counter(_workload(named[name], T, B, mode, threads) for name, T, B in calls))


def _workload(layer: Layer, T: int, B: int, mode: Mode, threads: int) -> Workload:
    config = layer.config
    return Workload(
        mode=mode,
        T=T,
        B=B,
        I=config.input_size,
        H=config.hidden_size,
        L=config.num_layers,
        bidirectional=config.bidirectional,
        cell=config.cell,
        bias=config.bias,
        dtype=config.dtype,
        device=layer.device,  # type: ignore[arg-type]  # cpu or cuda
        threads=1 if layer.device == "cuda" else threads,
    )


def as_grid(workload: Workload) -> Grid:
    """The grid that has this workload alone."""
    return Grid.from_mapping(dataclasses.asdict(workload))
