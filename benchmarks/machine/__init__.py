"""The machine: processor, caches, memory, system, GPUs. Needs no rights; what cannot be read is None."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine.cgroup import cpu_quota, memory_limit
from benchmarks.machine.energy import Energy, EnergyReading, read_energy
from benchmarks.machine.nvml import describe_gpus, gpu_count, gpu_state
from benchmarks.machine.software import commit, numpy_blas, packages, thread_environment
from benchmarks.workload import Device

__all__ = [
    "Energy",
    "EnergyReading",
    "available_bytes",
    "caches",
    "commit",
    "describe_machine",
    "devices_here",
    "gpu_state",
    "last_level_cache_bytes",
    "machine_key",
    "packages",
    "read_energy",
    "usable_cores",
]

_ROOT = Path("/")
_SIMD = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni"),
    *("avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_bf16", "amx_int8", "amx_fp16"),
    *("asimd", "asimdhp", "asimddp", "bf16", "sve", "sve2", "sme", "sme2"),
)


def describe_machine(root: Path = _ROOT) -> dict[str, Any]:
    """The machine as a mapping of JSON values, `key` being its short name; `root` holds /proc and /sys."""
    described: dict[str, Any] = {
        "cpu": _cpu(root),
        "memory_bytes": psutil.virtual_memory().total,
        "memory_limit_bytes": memory_limit(root),
        "caches": caches(root),
        "system": {
            "os": platform.system(),
            "distribution": _distribution(),
            "kernel": platform.release(),
            "architecture": platform.machine(),
            "libc": " ".join(platform.libc_ver()).strip() or None,
            "transparent_hugepages": _chosen(_read(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        },
        "gpus": describe_gpus(),
        "numpy_blas": numpy_blas(),
        "thread_environment": thread_environment(),
    }
    return {"key": machine_key(described), **described}


def machine_key(machine: Mapping[str, Any]) -> str:
    """A short name that two runs share when they ran on the same kind of machine.

    It is made of the processor's model, its cores, the memory in whole GiB and the GPUs of a mapping by
    `describe_machine`: `amd-epyc-25.17-2cores-8GiB`.
    """
    cpu = machine["cpu"]
    family = ".".join(str(cpu[name]) for name in ("family", "model_number") if cpu.get(name) is not None)
    cores = cpu.get("physical_cores") or cpu.get("logical_cores")
    gpus = [gpu.get("name") or "gpu" for gpu in machine["gpus"]]
    parts = [
        cpu.get("model") or machine["system"]["architecture"],
        family,
        f"{cores}cores",
        f"{round(machine['memory_bytes'] / 2**30)}GiB",
        *(f"{gpus.count(name)}x{name}" for name in dict.fromkeys(gpus)),
    ]
    return "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", part).strip("-") for part in parts if part)


def usable_cores(root: Path = _ROOT) -> int:
    """Physical cores this process may use, by its affinity and the CPU quota of its control group; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        allowed = os.sched_getaffinity(0)
        cores = len({_core(root, cpu) for cpu in allowed})
    else:
        cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    quota = cpu_quota(root)
    return cores if quota is None else max(1, min(cores, math.floor(quota)))


def devices_here() -> tuple[Device, ...]:
    """The kinds of device that this machine has, found without a framework."""
    return ("cpu", "cuda") if gpu_count() else ("cpu",)


def available_bytes(device: Device = "cpu", root: Path = _ROOT) -> int | None:
    """Free memory of a kind of device, in bytes; None where it is unknown."""
    if device == "cuda":
        free: int | None = gpu_state().get("free_memory_bytes")
        return free
    available = psutil.virtual_memory().available
    limit = memory_limit(root)
    return available if limit is None else min(available, limit)


def last_level_cache_bytes(root: Path = _ROOT) -> int | None:
    """Bytes of the last cache, the sum over all its parts on this machine; None where they are unknown."""
    known = [cache for cache in caches(root) if cache["bytes"] and cache["logical_cores"]]
    if not known:
        return None
    last = max(known, key=lambda cache: cache["level"] or 0)
    parts = math.ceil((os.cpu_count() or 1) / last["logical_cores"])
    return int(last["bytes"] * parts)


def _cpu(root: Path) -> dict[str, Any]:
    info = _cpuinfo(root)
    flags = set((info.get("flags") or info.get("Features") or "").split())
    frequency = _number(_read(root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"))
    return {
        "model": info.get("model name") or platform.processor() or None,
        "vendor": info.get("vendor_id") or info.get("CPU implementer"),
        "family": _number(info.get("cpu family")),
        "model_number": _number(info.get("model")),
        "stepping": _number(info.get("stepping")),
        "microcode": info.get("microcode"),
        "physical_cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(logical=True),
        "usable_cores": usable_cores(root),
        "usable_logical_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "cpu_quota": cpu_quota(root),
        "simd": [name for name in _SIMD if name in flags],
        "frequency_max_hz": None if frequency is None else frequency * 1000,
        "governor": _read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "frequency_driver": _read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver"),
        "boost": _boost(root),
        # Only x86 has a flag for it.
        "virtualized": "hypervisor" in flags if "flags" in info else None,
    }


def _cpuinfo(root: Path) -> dict[str, str]:
    """The fields of the first processor in /proc/cpuinfo."""
    first = (_read(root / "proc/cpuinfo") or "").partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _core(root: Path, cpu: int) -> str:
    """A name for the physical core of a logical one: the list of its logical cores."""
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    return _read(topology / "core_cpus_list") or _read(topology / "thread_siblings_list") or str(cpu)


def caches(root: Path = _ROOT) -> list[dict[str, Any]]:
    """The caches of the first core, nearest first; `logical_cores` share each."""
    found = []
    for index in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        shared = _read(index / "shared_cpu_list")
        found.append(
            {
                "level": _number(_read(index / "level")),
                "type": (_read(index / "type") or "").lower() or None,
                "bytes": _size(_read(index / "size")),
                "logical_cores": None if shared is None else _list_length(shared),
            }
        )
    return found


def _boost(root: Path) -> bool | None:
    no_turbo = _read(root / "sys/devices/system/cpu/intel_pstate/no_turbo")
    if no_turbo is not None:
        return no_turbo == "0"
    boost = _read(root / "sys/devices/system/cpu/cpufreq/boost")
    return None if boost is None else boost == "1"


def _distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _chosen(text: str | None) -> str | None:
    """The word in brackets: `always [madvise] never`."""
    found = re.search(r"\[(\w+)\]", text or "")
    return found.group(1) if found else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None


def _size(text: str | None) -> int | None:
    """Bytes of `32K`."""
    found = re.fullmatch(r"(\d+)([KMG]?)", text or "")
    return None if found is None else int(found[1]) * {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}[found[2]]


def _list_length(text: str) -> int:
    """The number of CPUs in a kernel list such as `0-3,8`."""
    bounds = [[int(end) for end in part.split("-")] for part in text.split(",")]
    return sum(part[-1] - part[0] + 1 for part in bounds)
