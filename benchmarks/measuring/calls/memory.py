"""Peak memory of this process, or of the GPU's allocator, since a baseline."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import NamedTuple

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class Baseline(NamedTuple):
    """Bytes in use when the measurement of a peak began; None where they are unknown."""

    device: str
    held_bytes: int | None


def start(device: str) -> Baseline:
    """Reset the peak. Memory that earlier cases freed is given back first, so that it counts when it is used again."""
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return Baseline(device, 0)
    if not sys.platform.startswith("linux"):
        return Baseline(device, None)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    try:
        # Writing 5 resets the peak resident set (proc(5)).
        _CLEAR_REFS.write_text("5")
    except OSError:
        return Baseline(device, None)
    return Baseline(device, _status_bytes("VmRSS"))


def peak(baseline: Baseline) -> int | None:
    """Bytes by which the peak since `start` exceeds the baseline; None where they are unknown."""
    if baseline.device == "cuda":
        import torch

        # PyTorch does not know another framework's allocator.
        return int(torch.cuda.max_memory_allocated()) or None
    if baseline.held_bytes is None:
        return None
    highest = _status_bytes("VmHWM")
    return None if highest is None else max(0, highest - baseline.held_bytes)


def resident() -> int:
    """Bytes of this process that are in memory; 0 where they are unknown."""
    return (_status_bytes("VmRSS") or 0) if _STATUS.exists() else 0


def _status_bytes(field: str) -> int | None:
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    return None
