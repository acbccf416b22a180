"""Sweeps by name, and a sweep from a name or a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from benchmarks.sweeps.file import parse_duration, read_sweep_file
from benchmarks.sweeps.grid import AXES, Grid, Sweep
from benchmarks.sweeps.published import published_names, published_sweep
from rnnimpl.suggestions import did_you_mean

__all__ = ["AXES", "PRESETS", "Grid", "Sweep", "load_sweep", "parse_duration", "sweep_names"]

_QUICK = Sweep(
    name="quick",
    summary="Four sizes, inference and training, in a minute",
    grids=(Grid(T=(64,), B=(1, 16), H=(64, 256)),),
    budget_seconds=60.0,
)

# T, B, H and L each through a centre of T64 B16 H256 L1, and all of batch and hidden for the map of winners.
_ALL_SIZES = (
    Grid(T=(64,), B=(1, 16, 64), H=(64, 256, 1024)),
    Grid(T=(16, 64, 256, 1024), B=(16,), H=(256,)),
    Grid(T=(64,), B=(16,), H=(128, 512)),
    Grid(T=(64,), B=(4,), H=(256,)),
    Grid(T=(64,), B=(16,), H=(256,), L=(1, 2, 4)),
)

# The budget leaves time to install torch within ten minutes. Three cells in it have fewer sizes each.
_DEFAULT = Sweep(
    name="default",
    summary="LSTM, GRU and the plain RNN, inference and training; --cell names one, on more sizes",
    grids=(
        Grid(T=(64,), B=(1, 16), H=(64, 256), cell=("lstm", "gru", "tanh")),
        Grid(T=(64,), B=(64,), H=(256,), cell=("lstm", "gru", "tanh")),
        Grid(T=(256,), B=(16,), H=(256,), cell=("lstm", "gru", "tanh")),
        Grid(T=(64,), B=(16,), H=(1024,), cell=("lstm", "gru", "tanh")),
    ),
    grids_of_one_cell=_ALL_SIZES,
    budget_seconds=390.0,
)

_FULL = Sweep(
    name="full",
    summary="Every combination of length, batch, hidden size and layers; takes hours",
    grids=(
        Grid(
            T=(16, 64, 256, 1024),
            B=(1, 4, 16, 64, 256),
            H=(32, 64, 128, 256, 512, 1024, 2048),
            L=(1, 2, 4),
        ),
    ),
    budget_seconds=8 * 3600.0,
)

# From sizes bound by a call's overhead to sizes bound by the multipliers, one or two powers of two apart, and
# DeepBench's odd 1760.
_PEERS = Sweep(
    name="peers",
    summary="Six sizes from the smallest network to the largest, to set engines side by side",
    grids=tuple(
        Grid(T=(T,), B=(B,), H=(H,), L=(L,))
        for T, B, H, L in (
            (64, 1, 64, 1),
            (128, 1, 256, 1),
            (128, 16, 256, 2),
            (128, 64, 512, 1),
            (256, 32, 1024, 1),
            (50, 64, 1760, 1),
        )
    ),
    budget_seconds=600.0,
)

# The sizes include both sides of the borders of a kernel's vectors, blocks and caches. Sequences are short,
# so that the largest call takes milliseconds. ONNX Runtime splits a call over threads by sequences from B 5 on, and
# from B 2 where H is 256 or less: both sides of these borders are included on all cores, where they matter.
_SIZES = Sweep(
    name="sizes",
    summary="Every H to 300 and every B to 40 on one thread, to find cliffs; name an implementation or two",
    grids=(
        Grid(mode=("inference",), T=(32,), B=(1, 16), H=tuple(range(1, 301)), threads=(1,)),
        Grid(mode=("inference",), T=(32,), B=tuple(range(1, 41)), H=(64, 250), threads=(1,)),
        Grid(mode=("inference",), T=(32,), B=(1, 2, 4, 5), H=(256, 257)),
    ),
    budget_seconds=360.0,
)

# A control loop or a stream of audio has one sequence. Chunks are what a decoder or an enhancer may wait for.
_STREAMING = Sweep(
    name="streaming",
    summary="One step at a time with the state handed on, each call's time kept: percentiles, deadlines, silence",
    grids=(
        Grid(mode=("streaming",), T=(1,), B=(1,), H=(64, 128, 256, 512), cell=("lstm", "gru", "tanh"), threads=(1,)),
        Grid(mode=("streaming",), T=(2, 8, 16), B=(1,), H=(64,), cell=("lstm",), threads=(1,)),
        Grid(mode=("streaming",), T=(1,), B=(1,), H=(64, 256), cell=("lstm",), threads=(1,), caches=("cold",)),
    ),
    budget_seconds=600.0,
)

_MANY_AT_ONCE = Sweep(
    name="many-at-once",
    summary="A process of one thread on each core against one with a thread on each: sequences a second, latency",
    grids=(
        Grid(mode=("serving",), B=(1, 16), H=(64, 256), cell=("lstm",), device=("cpu",)),
        Grid(mode=("serving",), B=(1, 16), H=(64, 256), cell=("lstm",), device=("cpu",), threads=(1,), processes=None),
    ),
    budget_seconds=180.0,
)

# So long that the states of a network, which halve in a step, follow the signal.
_DENORMALS = Sweep(
    name="denormals",
    summary="Signals that decay into denormal numbers beside normal ones, with and without flushing",
    grids=(
        Grid(
            mode=("inference",),
            T=(512,),
            B=(1,),
            H=(64,),
            cell=("lstm", "gru", "tanh"),
            bias=(False,),
            device=("cpu",),
            threads=(1,),
            signal=("normal", "decaying"),
            denormals=("kept", "flushed"),
        ),
    ),
    budget_seconds=240.0,
)

_MANY_LENGTHS = Sweep(
    name="many-lengths",
    summary="A hundred different sequence lengths in one new process: the first call at each, and the memory",
    grids=(Grid(mode=("many-lengths",), T=(256,), B=(16,), H=(64,), cell=("lstm", "gru", "tanh"), threads=(1,)),),
    budget_seconds=180.0,
)

# Packed, padded and masked sequences beside the same sizes without padding, at a batch of a server and of a training.
_LENGTHS = Sweep(
    name="lengths",
    summary="Sequences of unequal lengths beside equal ones: time per valid and per padded step, and bucketing",
    grids=(
        Grid(
            T=(128,),
            B=(16, 64),
            H=(256,),
            cell=("lstm", "tanh"),
            device=("cpu",),
            threads=(1,),
            lengths=("equal", "uniform", "speech", "text", "one-long"),
        ),
    ),
    budget_seconds=900.0,
)

PRESETS: Mapping[str, Sweep] = MappingProxyType(
    {
        sweep.name: sweep
        for sweep in (
            _QUICK,
            _DEFAULT,
            _PEERS,
            _SIZES,
            _STREAMING,
            _MANY_AT_ONCE,
            _DENORMALS,
            _MANY_LENGTHS,
            _LENGTHS,
            _FULL,
        )
    }
)
"""The sweeps of this suite by name; those of published sizes come from `published_sweep`."""


def sweep_names() -> tuple[str, ...]:
    """The names that `load_sweep` takes: the presets, then the origins of published sizes."""
    return (*PRESETS, *published_names())


def load_sweep(name_or_path: str) -> Sweep:
    """The sweep of a preset, an origin of published sizes (`deepbench`), or a TOML file (see `sweeps.file`).

    Raises ValueError for a name that is not known, with the nearest that is, and for a file that makes no sweep.
    """
    if name_or_path.endswith(".toml"):
        return read_sweep_file(Path(name_or_path), _named)
    return _named(name_or_path)


def _named(name: str) -> Sweep:
    if name in PRESETS:
        return PRESETS[name]
    if name in published_names():
        return published_sweep(name)
    hint = did_you_mean(name, sweep_names(), most=2)
    raise ValueError(f"sweep is {name!r}; {hint}Known: {', '.join(sweep_names())}; a file of your own ends in .toml")
