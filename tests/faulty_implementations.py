"""Implementations that go wrong in every way a sweep must survive; each is right until it does."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np

from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.interface import NumpyArray, RnnConfig, Unavailable, Unsupported, Weights


class Sound(NumpyLoop):
    """Nothing is wrong with it; it prints to standard output, as some libraries do, and says which process it is in."""

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        print("this must not reach the parent as a reply")
        return super().forward(x, h0)

    def describe(self) -> dict[str, str]:
        return {**super().describe(), "process": str(os.getpid())}


class RaisesAtBuild(NumpyLoop):
    """Cannot be constructed."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        raise RuntimeError("no such kernel")


class Missing(NumpyLoop):
    """Says that this machine cannot run it."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        raise Unavailable("the library is not installed: install it")


class Picky(NumpyLoop):
    """Says that it does not do this config."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        raise Unsupported("hidden_size must be a multiple of 128")


class WrongByOnePercent(NumpyLoop):
    """Gives results that are near, but not near enough."""

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        y, h_n = super().forward(x, h0)
        return y * np.float32(1.01), h_n


class Hangs(NumpyLoop):
    """Never returns."""

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        while True:
            time.sleep(1)


class Dies(NumpyLoop):
    """Is killed by a signal, as by a fault in native code."""

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        os.kill(os.getpid(), signal.SIGSEGV)
        return super().forward(x, h0)


class DiesLater(NumpyLoop):
    """Is right until it was asked which path ran, which is after its warm-up, and dies while it is sampled."""

    described = False

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        if self.described:
            os.kill(os.getpid(), signal.SIGABRT)
        return super().forward(x, h0)

    def describe(self) -> dict[str, str]:
        self.described = True
        return super().describe()


class Exits(NumpyLoop):
    """Leaves, with a last word."""

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        print("licence expired", file=sys.stderr, flush=True)
        os._exit(7)


class ExhaustsMemory(NumpyLoop):
    """Asks for more memory than there is."""

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        np.empty(1 << 60, dtype=np.uint8)
        return super().forward(x, h0)
