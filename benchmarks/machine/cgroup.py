"""Limits of this process's Linux control group: a container, a job of Slurm, a systemd scope."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# Version 1 writes no limit as the largest multiple of a page below 2**63.
_UNLIMITED = 2**62


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs whose time the group may use, the least of its own and its parents' limits; None without one."""
    quotas = []
    for folder, unified in _groups(root, "cpu"):
        files = ("cpu.max",) if unified else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = " ".join(_read(folder / file) for file in files).split()
        # No limit is `max` in version 2 and -1 in version 1.
        if len(words) == 2 and all(word.isdigit() and int(word) for word in words):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes that the group may hold, the least of its own and its parents' limits; None without one."""
    limits = []
    for folder, unified in _groups(root, "memory"):
        text = _read(folder / ("memory.max" if unified else "memory.limit_in_bytes"))
        if text.isdigit() and int(text) < _UNLIMITED:
            limits.append(int(text))
    return min(limits, default=None)


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, bool]]:
    """The folder of this process's group and of each parent, and whether it is version 2 (unified)."""
    mount = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = mount / controller if controllers else mount
        # A path with .. is outside of this namespace.
        inner = [] if ".." in path else [part for part in path.split("/") if part]
        for depth in range(len(inner), -1, -1):
            yield top.joinpath(*inner[:depth]), not controllers


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
