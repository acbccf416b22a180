"""What is made of a GPU profiler's events and of its allocator's figures, with neither at hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.profiler import DeviceType

from benchmarks.measuring.calls import memory
from benchmarks.measuring.calls.gpu import sum_kernels


def event(device: DeviceType, microseconds: float, *, annotation: bool = False) -> SimpleNamespace:
    return SimpleNamespace(device_type=device, device_time=microseconds, is_user_annotation=annotation)


def test_kernels_are_what_ran_on_the_device() -> None:
    """Calls on the host and ranges that a program names are none."""
    events = [
        event(DeviceType.CUDA, 3.0),
        event(DeviceType.CPU, 100.0),
        event(DeviceType.CUDA, 5.0, annotation=True),
        event(DeviceType.CUDA, 2.0),
    ]
    assert sum_kernels(events) == {"kernel_seconds": pytest.approx(5e-6), "kernel_launches": 2}


def test_a_tracer_that_sees_nothing_is_no_call_without_kernels() -> None:
    assert sum_kernels([event(DeviceType.CPU, 1.0)]) == {"kernel_seconds": None, "kernel_launches": None}


@pytest.mark.parametrize(("allocated", "peak"), [(4096, 4096), (0, None)])
def test_memory_that_pytorch_did_not_allocate_is_not_known(
    allocated: int, peak: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JAX takes its own; nothing is not what it took."""
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: allocated)
    assert memory.peak(memory.Baseline("cuda", 0)) == peak
