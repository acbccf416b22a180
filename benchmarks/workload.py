"""Workload and case: what is computed, and which implementation computes it, with IDs that can be typed again.

nn_rnn/cuda/training/T256-B32-I128-H128-L1-tanh-float32
numpy_loop/cpu/inference/T64-B1-I64-H64-L2-D2-relu-nobias-float64-threads2
fused_cpu/cpu/streaming/T1-B1-I64-H64-L1-lstm-float32-cold
nn_rnn/cpu/training/T128-speech-B64-I256-H256-L1-lstm-float32
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from benchmarks.quoting import quoted
from benchmarks.sequence_lengths import LENGTHS, LengthsName, draw_lengths
from rnnimpl.dtypes import PRECISIONS, Dtype, Precision
from rnnimpl.interface import CellName, RnnConfig

Mode = Literal["inference", "training", "streaming", "serving", "many-lengths"]
Device = Literal["cpu", "cuda"]
Caches = Literal["warm", "cold"]
Signal = Literal["normal", "decaying"]
Denormals = Literal["kept", "flushed"]

OLD_NAMES: Mapping[str, str] = MappingProxyType({"nonlinearity": "cell"})
"""{name in earlier versions: name} of fields of a workload."""
MODES: tuple[Mode, ...] = get_args(Mode)
DEVICES: tuple[Device, ...] = get_args(Device)
CACHES: tuple[Caches, ...] = get_args(Caches)
SIGNALS: tuple[Signal, ...] = get_args(Signal)
DENORMALS: tuple[Denormals, ...] = get_args(Denormals)

DEFAULT_MODES: tuple[Mode, ...] = ("inference", "training")
"""The modes of a grid that names none."""
LEAST_LONGEST = 8
"""The least T of mode many-lengths, whose lengths are below it."""
LATENCY_MODES: tuple[Mode, ...] = ("streaming", "serving")
"""The modes in which the time of every call is kept."""

LARGEST_SIZE = 2**31 - 1
"""The type with which libraries count the elements of an axis; formulas stay within the range of a float."""
MOST_LAYERS = 1000
"""Limit of the layers in a stranger's file: formulas are sums over layers."""
LONGEST_NAME = 120
"""Bytes of an implementation's name, which is part of file names together with the workload's ID."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
    """A computation: a mode, the sizes, the network's options, and where and how it runs.

    `inference` is one `forward`; `training` one `vjp` and its pullback. `streaming` is a `forward` of T steps from the
    state that the call before returned, `serving` one of whole sequences from a zero state; both keep the time of every
    call. `many-lengths` is a `forward` at each of many lengths up to T, in one process that has had none of them.

    `threads` counts CPU threads. `precision` is how float32 products are computed and is `ieee` for every other dtype
    and on the CPU. Raises ValueError or TypeError, naming the field, when a value makes no workload.
    """

    mode: Mode
    T: int
    B: int
    I: int
    H: int
    L: int = 1
    bidirectional: bool = False
    cell: CellName = "tanh"
    bias: bool = True
    dtype: Dtype = "float32"
    precision: Precision = "ieee"
    device: Device = "cpu"
    threads: int = 1
    processes: int = 1
    """Processes that make such calls at once, each with `threads` threads on cores of its own."""
    caches: Caches = "warm"
    """`cold`: between calls, twice the last-level cache is read."""
    signal: Signal = "normal"
    """`decaying`: x, and with it every state, falls into the range of denormal numbers and stays there."""
    denormals: Denormals = "kept"
    """`flushed`: the process takes denormal numbers for zero, before the implementation is loaded."""
    lengths: LengthsName = "equal"
    """The distribution of the lengths of the sequences (`benchmarks.sequence_lengths`); `equal`: all have T steps."""

    def __post_init__(self) -> None:
        for name in ("T", "B", "I", "H", "L", "threads", "processes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} is {quoted(value)}; expected a whole number of 1 or more")
            if value < 1:
                raise ValueError(f"{name} is {quoted(value)}; expected 1 or more")
            most = MOST_LAYERS if name == "L" else LARGEST_SIZE
            if value > most:
                raise ValueError(f"{name} is {quoted(value)}; expected at most {most}")
        for name, known in _CHOICES:
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {quoted(getattr(self, name))}; expected one of {', '.join(known)}")
        if self.precision == "tf32" and (self.device != "cuda" or self.dtype != "float32"):
            raise ValueError(f"precision tf32 is for float32 on cuda; got {self.dtype} on {self.device}")
        self._check_conditions()
        self.config  # noqa: B018  # checks the sizes and options that make up the network

    def _check_conditions(self) -> None:
        if self.mode == "streaming" and self.bidirectional:
            raise ValueError("bidirectional is true; expected false in mode streaming: later steps are not there yet")
        if self.mode not in LATENCY_MODES:
            for name, usual in (("processes", 1), ("caches", "warm")):
                if getattr(self, name) != usual:
                    modes = " and ".join(LATENCY_MODES)
                    raise ValueError(f"{name} is {getattr(self, name)!r}; expected {usual!r}: others are for {modes}")
        if self.processes > 1 and self.device != "cpu":
            raise ValueError(f"processes is {self.processes}; expected 1 on {self.device}")
        if self.signal == "decaying":
            for name, needed, why in (
                ("bias", False, "a bias keeps the states from decaying"),
                ("dtype", "float32", "the signal falls into the range of float32's denormal numbers"),
            ):
                if getattr(self, name) != needed:
                    raise ValueError(
                        f"{name} is {getattr(self, name)!r}; expected {needed!r} of a decaying signal: {why}"
                    )
            if self.mode not in DEFAULT_MODES:
                modes = " and ".join(DEFAULT_MODES)
                raise ValueError(f"signal is decaying; expected normal in mode {self.mode}: others are for {modes}")
        if self.lengths != "equal" and (self.mode not in DEFAULT_MODES or self.signal != "normal"):
            modes = " and ".join(DEFAULT_MODES)
            raise ValueError(
                f"lengths is {self.lengths!r}; expected 'equal' in mode {self.mode} with a {self.signal} signal: "
                f"others are for {modes} of a normal one"
            )
        if self.mode == "many-lengths" and self.T < LEAST_LONGEST:
            raise ValueError(f"T is {self.T}; expected {LEAST_LONGEST} or more in mode many-lengths")

    @property
    def config(self) -> RnnConfig:
        """The network."""
        return RnnConfig(
            input_size=self.I,
            hidden_size=self.H,
            num_layers=self.L,
            cell=self.cell,
            bias=self.bias,
            bidirectional=self.bidirectional,
            dtype=self.dtype,
        )

    @property
    def id(self) -> str:
        """The workload in a word, without the parts that have their default."""
        parts = [
            f"T{self.T}",
            *([] if self.lengths == "equal" else [self.lengths]),
            f"B{self.B}",
            f"I{self.I}",
            f"H{self.H}",
            f"L{self.L}",
        ]
        parts += ["D2"] if self.bidirectional else []
        parts += [self.cell]
        parts += [] if self.bias else ["nobias"]
        parts += [self.dtype]
        parts += [] if self.precision == "ieee" else [self.precision]
        parts += [] if self.threads == 1 else [f"threads{self.threads}"]
        parts += [] if self.processes == 1 else [f"processes{self.processes}"]
        parts += [] if self.caches == "warm" else [self.caches]
        parts += [] if self.signal == "normal" else [self.signal]
        parts += [] if self.denormals == "kept" else [self.denormals]
        return f"{self.device}/{self.mode}/{'-'.join(parts)}"

    @property
    def sequence_lengths(self) -> tuple[int, ...] | None:
        """The number of steps of each of the B sequences; None where all have T."""
        return draw_lengths(self.lengths, self.T, self.B)

    @property
    def valid_steps(self) -> int:
        """Steps of all sequences that are no padding: T*B where lengths are equal.

        In mode many-lengths they are those of a call at the median of the lengths below T.
        """
        if self.mode == "many-lengths":
            return self.T // 2 * self.B
        lengths = self.sequence_lengths
        return self.T * self.B if lengths is None else sum(lengths)

    @property
    def has_one_length(self) -> bool:
        """Whether each sequence of each call has T steps."""
        return self.lengths == "equal" and self.mode != "many-lengths"

    @property
    def conditions(self) -> str:
        """The conditions of its calls that are not the default, in words: `2 processes, cold caches`."""
        said = [] if self.processes == 1 else [f"{self.processes} processes"]
        said += [] if self.caches == "warm" else [f"{self.caches} caches"]
        said += [] if self.signal == "normal" else [f"{self.signal} signal"]
        said += [] if self.lengths == "equal" else [f"{self.lengths} lengths"]
        return ", ".join(said + ([] if self.denormals == "kept" else [f"denormals {self.denormals}"]))

    @property
    def keeps_latencies(self) -> bool:
        """Whether the time of every call is kept."""
        return self.mode in LATENCY_MODES

    @classmethod
    def parse(cls, text: str) -> Workload:
        """The workload that an ID names. Raises ValueError that shows the form when it names none."""
        matched = _ID.fullmatch(text)
        if matched is None:
            raise ValueError(f"workload is {quoted(text)}; expected a form like {_EXAMPLE}")
        fields = matched.groupdict()
        return cls(
            mode=fields["mode"],  # type: ignore[arg-type]  # the pattern admits no other
            **{letter: int(fields[letter]) for letter in "TBIHL"},
            bidirectional=fields["D2"] is not None,
            cell=fields["cell"],  # type: ignore[arg-type]  # checked by RnnConfig
            bias=fields["nobias"] is None,
            dtype=fields["dtype"],  # type: ignore[arg-type]  # checked by RnnConfig
            precision="tf32" if fields["tf32"] else "ieee",
            device=fields["device"],  # type: ignore[arg-type]  # the pattern admits no other
            threads=int(fields["threads"] or 1),
            processes=int(fields["processes"] or 1),
            caches="cold" if fields["cold"] else "warm",
            signal="decaying" if fields["decaying"] else "normal",
            denormals="flushed" if fields["flushed"] else "kept",
            lengths=fields["lengths"] or "equal",  # type: ignore[arg-type]  # the pattern admits no other
        )


_CHOICES: tuple[tuple[str, tuple[str, ...]], ...] = (
    *(("mode", MODES), ("device", DEVICES), ("precision", PRECISIONS)),
    *(("caches", CACHES), ("signal", SIGNALS), ("denormals", DENORMALS), ("lengths", LENGTHS)),
)


def check_name(name: str) -> str:
    """The name of an implementation. Raises ValueError where files, tables and IDs could not hold it."""
    if not name or "/" in name or not name.isprintable():
        raise ValueError(f"implementation is {quoted(name)}; expected a name of printable letters without a slash")
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        raise ValueError(
            f"implementation is {quoted(name)}, a name of {len(name.encode(errors='replace'))} bytes; expected at most "
            f"{LONGEST_NAME}: give it a shorter one by LABEL=NAME"
        )
    return name


_EXAMPLE = "cuda/training/T256-B32-I128-H128-L1-tanh-float32"
# Python reads no whole number of some thousand digits.
_NUMBER = "[0-9]{1,19}"
_ID = re.compile(
    rf"(?P<device>cpu|cuda)/(?P<mode>{'|'.join(MODES)})/"
    rf"T(?P<T>{_NUMBER})(-(?P<lengths>{'|'.join(LENGTHS[1:])}))?-B(?P<B>{_NUMBER})-I(?P<I>{_NUMBER})-H(?P<H>{_NUMBER})-L(?P<L>{_NUMBER})(?P<D2>-D2)?"
    r"-(?P<cell>[a-z]+)(?P<nobias>-nobias)?-(?P<dtype>[a-z0-9]+?)(?P<tf32>-tf32)?"
    rf"(-threads(?P<threads>{_NUMBER}))?(-processes(?P<processes>{_NUMBER}))?"
    r"(?P<cold>-cold)?(?P<decaying>-decaying)?(?P<flushed>-flushed)?"
)


@dataclasses.dataclass(frozen=True)
class Case:
    """One implementation, under the name it has in a run, on one workload."""

    implementation: str
    workload: Workload

    @property
    def id(self) -> str:
        """IMPLEMENTATION/DEVICE/MODE/SIZES-OPTIONS."""
        return f"{self.implementation}/{self.workload.id}"

    @classmethod
    def parse(cls, text: str) -> Case:
        """The case that an ID names. Raises ValueError that shows the form when it names none."""
        implementation, _, workload = text.partition("/")
        if not implementation or not workload:
            raise ValueError(f"case is {quoted(text)}; expected a form like nn_rnn/{_EXAMPLE}")
        return cls(implementation, Workload.parse(workload))
