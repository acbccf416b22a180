"""The energy that the machine has used, where its counters can be read: RAPL of the processors, NVML of the GPUs.

RAPL counts microjoules of each processor package in /sys/class/powercap, which Linux lets root alone read unless an
administrator allows more; AMD's processors have it there under Intel's name. Nothing is set.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.machine.nvml import gpu_joules

_ROOT = Path("/")
_PACKAGES = "sys/class/powercap/intel-rapl:*"


@dataclasses.dataclass(frozen=True)
class EnergyReading:
    """Counters at one time: each a number of joules that only grows, until it begins again at its range."""

    at: float
    """Seconds of the monotonic clock."""
    zones: Mapping[str, tuple[float, float]]
    """{zone of RAPL: (joules, the range of its counter)}, of packages and of memory that has a counter of its own."""
    gpu: float | None
    """Joules of all GPUs that this process may use; None where there are none or they do not count."""


@dataclasses.dataclass
class Energy:
    """The energy and time between pairs of readings."""

    seconds: float = 0.0
    cpu_joules: float | None = None
    gpu_joules: float | None = None

    def add(self, before: EnergyReading, after: EnergyReading) -> None:
        """Count what was used between two readings."""
        self.seconds += after.at - before.at
        if before.zones and before.zones.keys() == after.zones.keys():
            used = sum(
                joules - before.zones[zone][0] + (span if joules < before.zones[zone][0] else 0.0)
                for zone, (joules, span) in after.zones.items()
            )
            self.cpu_joules = used + (self.cpu_joules or 0.0)
        if before.gpu is not None and after.gpu is not None:
            self.gpu_joules = after.gpu - before.gpu + (self.gpu_joules or 0.0)

    @property
    def cpu_watts(self) -> float | None:
        """The mean power of all processor packages with their memory; None where it cannot be read."""
        return self.cpu_joules / self.seconds if self.cpu_joules is not None and self.seconds > 0 else None

    @property
    def gpu_watts(self) -> float | None:
        """The mean power of the GPUs; None where it cannot be read."""
        return self.gpu_joules / self.seconds if self.gpu_joules is not None and self.seconds > 0 else None


def read_energy(device: str, root: Path = _ROOT) -> EnergyReading:
    """The counters now: of the processors, and on `cuda` of the GPUs; `root` holds /sys."""
    zones: dict[str, tuple[float, float]] = {}
    for package in sorted(root.glob(_PACKAGES)):
        name = package.name
        is_package = name.count(":") == 1 and _text(package / "name").startswith("package")
        is_memory = name.count(":") == 2 and _text(package / "name") == "dram"
        if is_package or is_memory:
            counter, span = _text(package / "energy_uj"), _text(package / "max_energy_range_uj")
            if counter.isdigit() and span.isdigit():
                zones[name] = (int(counter) / 1e6, int(span) / 1e6)
    return EnergyReading(time.monotonic(), zones, gpu_joules() if device == "cuda" else None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
