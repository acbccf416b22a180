"""Hardware counters of this process, by perf_event_open(2) through ctypes, where the machine has and allows them."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

HardwareEvent = Literal["instructions", "cycles", "cache_misses"]
EVENTS: tuple[HardwareEvent, ...] = get_args(HardwareEvent)

_CONFIG: Mapping[HardwareEvent, int] = MappingProxyType({"instructions": 1, "cycles": 0, "cache_misses": 3})
"""The values PERF_COUNT_HW_... of linux/perf_event.h; their type, PERF_TYPE_HARDWARE, is 0."""
_SYSCALL = {"x86_64": 298, "aarch64": 241}
_SIZE = 112
"""PERF_ATTR_SIZE_VER5."""
_DISABLED, _EXCLUDE_KERNEL, _EXCLUDE_HYPERVISOR = 1, 1 << 5, 1 << 6
_FLAGS_AT = 40
TASKS = Path("/proc/self/task")
"""The threads of this process (proc(5))."""
_ENABLE, _DISABLE = 0x2400, 0x2401


def open_event(event: HardwareEvent, thread: int) -> int:
    """The descriptor of a stopped counter of one thread, which counts in user space alone. Raises OSError."""
    number = _SYSCALL.get(platform.machine()) if sys.platform.startswith("linux") else None
    if number is None:
        raise OSError(errno.ENOSYS, f"no counters are known for {platform.machine()} under {sys.platform}")
    attributes = bytearray(_SIZE)
    struct.pack_into("<IIQ", attributes, 0, 0, _SIZE, _CONFIG[event])
    struct.pack_into("<Q", attributes, _FLAGS_AT, _DISABLED | _EXCLUDE_KERNEL | _EXCLUDE_HYPERVISOR)
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.syscall(number, (ctypes.c_char * _SIZE).from_buffer(attributes), thread, -1, -1, 0))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor


def why_not(error: OSError) -> str:
    """The reason why there are no hardware counters, as a sentence."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            "hardware counters are not allowed here: "
            f"{error.strerror} (lower /proc/sys/kernel/perf_event_paranoid to 2 or less)"
        )
    if error.errno in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV):
        return f"this machine offers no hardware counters, as most virtual machines do not: {error.strerror}"
    return f"hardware counters cannot be read: {error.strerror}"


def count_events(
    call: Callable[[], object], calls: int, opened: Callable[[HardwareEvent, int], int] = open_event
) -> tuple[dict[HardwareEvent, float], str]:
    """{event: events of a call} as the mean of `calls` calls over all current threads, and why an event is missing.

    An event whose counter cannot be opened is left out. The reason is empty where all events are counted.
    """
    threads = [int(each.name) for each in TASKS.iterdir()]
    descriptors: dict[HardwareEvent, list[int]] = {}
    reason = ""
    for event in EVENTS:
        own: list[int] = []
        try:
            own += [opened(event, thread) for thread in threads]
        except OSError as error:
            reason = why_not(error)
            for descriptor in own:
                os.close(descriptor)
            continue
        descriptors[event] = own
    try:
        _control(descriptors, _ENABLE)
        for _ in range(calls if descriptors else 0):
            call()
        _control(descriptors, _DISABLE)
        counted = {
            event: sum(struct.unpack("<Q", os.read(each, 8))[0] for each in own) / calls
            for event, own in descriptors.items()
        }
    finally:
        for own in descriptors.values():
            for descriptor in own:
                os.close(descriptor)
    return counted, reason


def _control(descriptors: Mapping[HardwareEvent, list[int]], request: int) -> None:
    import fcntl

    for own in descriptors.values():
        for descriptor in own:
            fcntl.ioctl(descriptor, request, 0)
