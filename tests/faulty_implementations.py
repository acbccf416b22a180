"""Implementations with every failure that a sweep must survive; each is right until it fails."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.interface import NumpyArray, RnnConfig, State, Unavailable, Unsupported, Weights

NumpyState = State[NumpyArray]


class Sound(NumpyLoop):
    """A sound one that prints to standard output, as some libraries do, and describes its process."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        print("this must not reach the parent as a reply")
        return super().forward(x, state)

    def describe(self) -> dict[str, str]:
        return {**super().describe(), "process": str(os.getpid())}


class PlainAlone(NumpyLoop):
    """Names the plain cells alone."""

    cells = ("tanh", "relu")


class RaisesAtBuild(NumpyLoop):
    """Raises RuntimeError when it is built."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        raise RuntimeError("no such kernel")


class Missing(NumpyLoop):
    """Raises Unavailable."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        raise Unavailable("the library is not installed: install it")


class Picky(NumpyLoop):
    """Raises Unsupported."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        raise Unsupported("hidden_size must be a multiple of 128")


class WrongByOnePercent(NumpyLoop):
    """Gives outputs that are wrong by one percent."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        y, state_n = super().forward(x, state)
        return y * np.float32(1.01), state_n


class Hangs(NumpyLoop):
    """Never returns."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        while True:
            time.sleep(1)


class Dies(NumpyLoop):
    """Is killed by a signal, as by a fault in native code."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        os.kill(os.getpid(), signal.SIGSEGV)
        return super().forward(x, state)


class DiesLater(NumpyLoop):
    """Is killed by a signal after `describe`, which a sweep calls after the warm-up."""

    described = False

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        if self.described:
            os.kill(os.getpid(), signal.SIGABRT)
        return super().forward(x, state)

    def describe(self) -> dict[str, str]:
        self.described = True
        return super().describe()


class Exits(NumpyLoop):
    """Exits with a message."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        print("licence expired", file=sys.stderr, flush=True)
        os._exit(7)


class ExhaustsMemory(NumpyLoop):
    """Allocates more memory than there is."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        np.empty(1 << 60, dtype=np.uint8)
        return super().forward(x, state)


def sockets() -> list[int]:
    """The descriptors of this process that are sockets, its connection to the sweep among them."""
    found = []
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                found.append(number)
        except OSError:
            continue
    return found


class WritesStrayLine(NumpyLoop):
    """Writes a line to every descriptor that is open."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        for number in sockets():
            os.write(number, b"warning: deprecated\n")
        return super().forward(x, state)


class WritesWithoutEnd(NumpyLoop):
    """Never stops writing to the descriptors that are open."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        while True:
            for number in sockets():
                os.write(number, b"\xff" * 4096)


class ClosesEverything(NumpyLoop):
    """Closes all descriptors, as a program that becomes a daemon does."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        os.closerange(3, 4096)
        return super().forward(x, state)


class DescribesItselfByAList(NumpyLoop):
    """Describes itself by a value that is no text."""

    def describe(self) -> dict[str, str]:
        return {"path": ["fast"]}  # type: ignore[dict-item]  # the fault


class ReadsStandardInput(NumpyLoop):
    """Reads standard input in a call."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        assert sys.stdin.read() == ""
        return super().forward(x, state)


class StartsHelpers(NumpyLoop):
    """Starts two processes that keep cores busy: a child, and a daemon with a session of its own."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.child = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
        between = os.fork()
        if between == 0:
            os.setsid()
            if os.fork() == 0:
                os.closerange(0, 4096)
                while True:
                    pass
            os._exit(0)
        os.waitpid(between, 0)


class ForksAndGoesOn(NumpyLoop):
    """Forks, and the child runs on in the parent's program."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        os.fork()


class KillsSupervisor(NumpyLoop):
    """Kills the process that started it, and has a child."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
        return super().forward(x, state)


class KilledAtVisits(NumpyLoop):
    """Is killed in the visits that VISITS_KILLED names; VISITS_MADE is a file that counts them."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        counter = Path(os.environ["VISITS_MADE"])
        made = len(counter.read_bytes()) if counter.exists() else 0
        counter.write_bytes(b"x" * (made + 1))
        if str(made) in os.environ["VISITS_KILLED"].split():
            os.kill(os.getpid(), signal.SIGKILL)


class RemovesRunFolder(NumpyLoop):
    """Removes the folder of the file that is its standard error."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        folder = Path("/proc/self/fd/2").readlink().parent
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        return super().forward(x, state)
