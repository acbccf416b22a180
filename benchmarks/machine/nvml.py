"""NVIDIA GPUs as their driver describes them (NVML), without any framework. No driver, no GPUs.

Clocks are read, never set.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

_MHZ = 1_000_000

# Bits of nvmlDeviceGetCurrentClocksEventReasons that say that the GPU runs slower than asked to. Left out are an
# idle GPU and clocks that a person has set: neither spoils a measurement.
_THROTTLE_REASONS = {
    0x04: "software_power_cap",
    0x08: "hardware_slowdown",
    0x10: "sync_boost",
    0x20: "software_thermal_slowdown",
    0x40: "hardware_thermal_slowdown",
    0x80: "hardware_power_brake",
}


def gpu_count() -> int:
    """The number of GPUs that a CUDA program in this process may use; 0 where there is no driver."""
    with _nvml() as nvml:
        return 0 if nvml is None else len(_visible(nvml))


def describe_gpus() -> list[dict[str, Any]]:
    """Each GPU that this process may use: name, memory, driver, highest clocks. What cannot be read is None."""
    with _nvml() as nvml:
        if nvml is None:
            return []
        driver = _text(_read(nvml, nvml.nvmlSystemGetDriverVersion))
        cuda = _read(nvml, nvml.nvmlSystemGetCudaDriverVersion)
        return [
            {
                "name": _text(_read(nvml, nvml.nvmlDeviceGetName, handle)),
                "memory_bytes": getattr(_read(nvml, nvml.nvmlDeviceGetMemoryInfo, handle), "total", None),
                "driver": driver,
                "cuda_driver": None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
                "sm_clock_max_hz": _hertz(_read(nvml, nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_SM)),
                "memory_clock_max_hz": _hertz(_read(nvml, nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_MEM)),
                "power_limit_watts": _watts(_read(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)),
            }
            for handle in _visible(nvml)
        ]


def gpu_state() -> dict[str, Any]:
    """The state of the first GPU: clocks (Hz), temperature (degrees Celsius), power (W), free memory, throttle reasons.

    `throttle_reasons` is a list of names, empty when nothing slows the GPU down and None when that cannot be read.
    Empty where there is no GPU.
    """
    with _nvml() as nvml:
        handles = [] if nvml is None else _visible(nvml)
        if nvml is None or not handles:
            return {}
        handle = handles[0]
        reasons = _read(nvml, nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
        return {
            "sm_clock_hz": _hertz(_read(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM)),
            "memory_clock_hz": _hertz(_read(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_MEM)),
            "temperature_celsius": _read(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
            "power_watts": _watts(_read(nvml, nvml.nvmlDeviceGetPowerUsage, handle)),
            "free_memory_bytes": getattr(_read(nvml, nvml.nvmlDeviceGetMemoryInfo, handle), "free", None),
            "throttle_reasons": None if reasons is None else throttle_reasons(reasons),
        }


def gpu_joules() -> float | None:
    """Joules that the GPUs of this process have used since their driver was loaded.

    None without a GPU, and where one does not count them: those before Volta do not.
    """
    with _nvml() as nvml:
        if nvml is None:
            return None
        used = [_read(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, handle) for handle in _visible(nvml)]
        return None if not used or None in used else sum(used) / 1000


def throttle_reasons(bits: int) -> list[str]:
    """The names of the reasons in NVML's bits."""
    return [name for bit, name in _THROTTLE_REASONS.items() if bits & bit]


@contextlib.contextmanager
def _nvml() -> Iterator[Any]:
    """The NVML module, ready for use; None without the package, a driver or a GPU."""
    try:
        import pynvml
    except ModuleNotFoundError:
        yield None
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _visible(nvml: Any, environment: Mapping[str, str] = os.environ) -> list[Any]:
    """Handles of the GPUs in CUDA's order; CUDA_VISIBLE_DEVICES selects by index or UUID until one is unknown."""
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        chosen = ",".join(map(str, range(_read(nvml, nvml.nvmlDeviceGetCount) or 0)))
    handles = []
    for name in filter(None, map(str.strip, chosen.split(","))):
        by_index = name.isdigit()
        of = nvml.nvmlDeviceGetHandleByIndex if by_index else nvml.nvmlDeviceGetHandleByUUID
        handle = _read(nvml, of, int(name) if by_index else name)
        if handle is None:
            break
        handles.append(handle)
    return handles


def _read(nvml: Any, function: Any, *arguments: Any) -> Any:
    """The value of an NVML function; None where this GPU or driver does not have it."""
    try:
        return function(*arguments)
    except nvml.NVMLError:
        return None


def _text(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


def _hertz(megahertz: int | None) -> int | None:
    return None if megahertz is None else megahertz * _MHZ


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1000
