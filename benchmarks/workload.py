"""Workload and case: what is computed, and which implementation computes it, with IDs that can be typed again.

nn_rnn/cuda/training/T256-B32-I128-H128-L1-tanh-float32
numpy_loop/cpu/inference/T64-B1-I64-H64-L2-D2-relu-nobias-float64-threads2
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from benchmarks.quoting import quoted
from rnnimpl.dtypes import PRECISIONS, Dtype, Precision
from rnnimpl.interface import CellName, RnnConfig

Mode = Literal["inference", "training"]
Device = Literal["cpu", "cuda"]

OLD_NAMES: Mapping[str, str] = MappingProxyType({"nonlinearity": "cell"})
"""{name in earlier versions: name} of fields of a workload."""
MODES: tuple[Mode, ...] = get_args(Mode)
DEVICES: tuple[Device, ...] = get_args(Device)

LARGEST_SIZE = 2**31 - 1
"""The type with which libraries count the elements of an axis; formulas stay within the range of a float."""
MOST_LAYERS = 1000
"""Limit of the layers in a stranger's file: formulas are sums over layers."""
LONGEST_NAME = 120
"""Bytes of an implementation's name, which is part of file names together with the workload's ID."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
    """A computation: a mode, the sizes, the network's options, and where and how it runs.

    `inference` is one `forward`; `training` one `vjp` and its pullback. `threads` counts CPU threads. `precision` is
    how float32 products are computed and is `ieee` for every other dtype and on the CPU. Raises ValueError or
    TypeError, naming the field, when a value makes no workload.
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

    def __post_init__(self) -> None:
        for name in ("T", "B", "I", "H", "L", "threads"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} is {quoted(value)}; expected a whole number of 1 or more")
            if value < 1:
                raise ValueError(f"{name} is {quoted(value)}; expected 1 or more")
            most = MOST_LAYERS if name == "L" else LARGEST_SIZE
            if value > most:
                raise ValueError(f"{name} is {quoted(value)}; expected at most {most}")
        for name, known in (("mode", MODES), ("device", DEVICES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {quoted(getattr(self, name))}; expected one of {', '.join(known)}")
        if self.precision == "tf32" and (self.device != "cuda" or self.dtype != "float32"):
            raise ValueError(f"precision tf32 is for float32 on cuda; got {self.dtype} on {self.device}")
        self.config  # noqa: B018  # checks the sizes and options that make up the network

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
        parts = [f"T{self.T}", f"B{self.B}", f"I{self.I}", f"H{self.H}", f"L{self.L}"]
        parts += ["D2"] if self.bidirectional else []
        parts += [self.cell]
        parts += [] if self.bias else ["nobias"]
        parts += [self.dtype]
        parts += [] if self.precision == "ieee" else [self.precision]
        parts += [] if self.threads == 1 else [f"threads{self.threads}"]
        return f"{self.device}/{self.mode}/{'-'.join(parts)}"

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
    r"(?P<device>cpu|cuda)/(?P<mode>inference|training)/"
    rf"T(?P<T>{_NUMBER})-B(?P<B>{_NUMBER})-I(?P<I>{_NUMBER})-H(?P<H>{_NUMBER})-L(?P<L>{_NUMBER})(?P<D2>-D2)?"
    r"-(?P<cell>[a-z]+)(?P<nobias>-nobias)?-(?P<dtype>[a-z0-9]+?)(?P<tf32>-tf32)?"
    rf"(-threads(?P<threads>{_NUMBER}))?"
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
