"""The machine: read from files laid out as the kernel lays them out, from a made-up driver, and from this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from benchmarks import machine
from benchmarks.machine import nvml, software
from benchmarks.machine.cgroup import cpu_quota, memory_limit

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8480+
stepping\t: 8
flags\t\t: fpu sse4_2 avx avx2 fma avx512f amx_bf16 {more}

processor\t: 1
model name\t: another
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\n"


def files(root: Path, content: dict[str, str]) -> Path:
    for name, text in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return root


def test_this_machine_is_described_in_json() -> None:
    described = machine.describe_machine()
    assert json.loads(json.dumps(described)) == described
    assert described["key"] == machine.machine_key(described)
    assert described["memory_bytes"] == psutil.virtual_memory().total
    assert 1 <= described["cpu"]["usable_cores"] <= described["cpu"]["logical_cores"]
    assert described["numpy_blas"]


def test_a_machine_that_tells_nothing_is_described_with_nothing(tmp_path: Path) -> None:
    described = machine.describe_machine(tmp_path)
    unknown = ("vendor", "family", "microcode", "governor", "boost", "virtualized", "cpu_quota", "frequency_max_hz")
    assert {name: described["cpu"][name] for name in unknown} == dict.fromkeys(unknown)
    assert (described["cpu"]["simd"], described["caches"], described["memory_limit_bytes"]) == ([], [], None)
    assert machine.last_level_cache_bytes(tmp_path) is None
    assert machine.usable_cores(tmp_path) >= 1


def test_the_processor_is_read_from_the_kernels_files(tmp_path: Path) -> None:
    cpu0 = "sys/devices/system/cpu/cpu0"
    content = {
        "proc/cpuinfo": X86.format(more="hypervisor"),
        f"{cpu0}/cpufreq/scaling_governor": "performance",
        f"{cpu0}/cpufreq/cpuinfo_max_freq": "3800000",
        "sys/devices/system/cpu/intel_pstate/no_turbo": "0",
        "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    }
    described = machine.describe_machine(files(tmp_path, content))
    cpu = described["cpu"]
    assert cpu["model"] == "Intel(R) Xeon(R) Platinum 8480+"
    assert (cpu["vendor"], cpu["family"], cpu["model_number"], cpu["stepping"]) == ("GenuineIntel", 6, 143, 8)
    assert cpu["simd"] == ["sse4_2", "avx", "fma", "avx2", "avx512f", "amx_bf16"]
    assert (cpu["governor"], cpu["frequency_max_hz"], cpu["boost"]) == ("performance", 3_800_000_000, True)
    assert cpu["virtualized"] is True
    assert described["system"]["transparent_hugepages"] == "madvise"


def test_whether_it_is_virtualized_is_known_on_x86_only(tmp_path: Path) -> None:
    bare = machine.describe_machine(files(tmp_path, {"proc/cpuinfo": X86.format(more="")}))
    assert bare["cpu"]["virtualized"] is False
    arm = machine.describe_machine(files(tmp_path, {"proc/cpuinfo": ARM}))
    assert (arm["cpu"]["virtualized"], arm["cpu"]["simd"]) == (None, ["asimd", "sve"])


def test_caches_are_read_with_who_shares_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = "sys/devices/system/cpu/cpu0/cache"
    level1 = {"level": "1", "type": "Data", "size": "48K", "shared_cpu_list": "0,8"}
    level3 = {"level": "3", "type": "Unified", "size": "32M", "shared_cpu_list": "0-3,8-11"}
    content = {f"{cache}/index0/{name}": text for name, text in level1.items()}
    content |= {f"{cache}/index3/{name}": text for name, text in level3.items()}
    assert machine.describe_machine(files(tmp_path, content))["caches"] == [
        {"level": 1, "type": "data", "bytes": 48 * 2**10, "logical_cores": 2},
        {"level": 3, "type": "unified", "bytes": 32 * 2**20, "logical_cores": 8},
    ]
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert machine.last_level_cache_bytes(tmp_path) == 2 * 32 * 2**20


def test_usable_cores_are_physical_and_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = "sys/devices/system/cpu/cpu{}/topology/core_cpus_list"
    siblings = {cpu.format(number): f"{number % 4},{number % 4 + 4}" for number in range(8)}
    root = files(tmp_path, siblings)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 4, 1, 2}, raising=False)
    assert machine.usable_cores(root) == 3
    files(root, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "250000 100000"})
    assert machine.usable_cores(root) == 2
    files(root, {"sys/fs/cgroup/cpu.max": "50000 100000"})
    assert machine.usable_cores(root) == 1


def test_the_least_limit_of_a_group_and_its_parents_holds(tmp_path: Path) -> None:
    group = "sys/fs/cgroup"
    content = {
        "proc/self/cgroup": "0::/slurm/job",
        f"{group}/cpu.max": "max 100000",
        f"{group}/slurm/cpu.max": "400000 100000",
        f"{group}/slurm/job/cpu.max": "800000 100000",
        f"{group}/memory.max": "max",
        f"{group}/slurm/memory.max": "2147483648",
        f"{group}/slurm/job/memory.max": "1073741824",
    }
    root = files(tmp_path, content)
    assert cpu_quota(root) == 4.0
    assert memory_limit(root) == 2**30
    assert machine.available_bytes("cpu", root) == 2**30
    files(root, {f"{group}/slurm/cpu.max": "400000 0", f"{group}/slurm/job/cpu.max": "nonsense"})
    assert cpu_quota(root) is None


def test_limits_of_version_1_are_read_as_well(tmp_path: Path) -> None:
    group = "sys/fs/cgroup"
    content = {
        "proc/self/cgroup": "4:memory:/box\n1:cpu,cpuacct:/box\n0::/",
        f"{group}/cpu/box/cpu.cfs_quota_us": "150000",
        f"{group}/cpu/box/cpu.cfs_period_us": "100000",
        f"{group}/memory/box/memory.limit_in_bytes": "9223372036854771712",
    }
    root = files(tmp_path, content)
    assert (cpu_quota(root), memory_limit(root)) == (1.5, None)
    files(root, {f"{group}/cpu/box/cpu.cfs_quota_us": "-1", f"{group}/memory/box/memory.limit_in_bytes": "4096"})
    assert (cpu_quota(root), memory_limit(root)) == (None, 4096)


def test_the_key_tells_machines_apart_and_not_runs() -> None:
    described = {
        "cpu": {"model": "AMD EPYC", "family": 25, "model_number": 17, "physical_cores": 2},
        "memory_bytes": 8 * 2**30 + 12345,
        "gpus": [{"name": "NVIDIA H200"}, {"name": "NVIDIA H200"}],
        "system": {"architecture": "x86_64", "kernel": "6.1"},
    }
    assert machine.machine_key(described) == "AMD-EPYC-25.17-2cores-8GiB-2xNVIDIA-H200"
    unknown = {**described, "cpu": {"model": None, "logical_cores": 4}, "gpus": []}
    assert machine.machine_key(unknown) == "x86-64-4cores-8GiB"


class FakeNvmlError(Exception):
    """The error that a driver raises for any failure."""


def fake_nvml(**functions: Any) -> Any:
    """A driver with two GPUs, whose functions take a handle; one that is not given is not supported."""

    def refuse(*_: Any) -> Any:
        raise FakeNvmlError

    def by_index(index: int) -> str:
        return f"gpu{index}" if index < 2 else refuse()

    names = (
        *("nvmlDeviceGetMaxClockInfo", "nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetPowerUsage"),
        *("nvmlDeviceGetClockInfo", "nvmlDeviceGetTemperature", "nvmlDeviceGetMemoryInfo"),
        *("nvmlDeviceGetCurrentClocksEventReasons", "nvmlSystemGetCudaDriverVersion"),
    )
    given = {
        "NVMLError": FakeNvmlError,
        "NVML_CLOCK_SM": "sm",
        "NVML_CLOCK_MEM": "memory",
        "NVML_TEMPERATURE_GPU": "gpu",
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: b"580.1",
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": by_index,
        "nvmlDeviceGetHandleByUUID": lambda uuid: f"gpu{uuid[-1]}",
        "nvmlDeviceGetName": lambda handle: f"NVIDIA {handle}",
    }
    return SimpleNamespace(**{**dict.fromkeys(names, refuse), **given, **functions})


@pytest.fixture(autouse=True)
def _every_gpu_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise FakeNvmlError

    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(nvmlInit=no_driver))
    assert (nvml.gpu_count(), nvml.describe_gpus(), nvml.gpu_state()) == (0, [], {})
    assert machine.devices_here() == ("cpu",)
    assert machine.available_bytes("cuda") is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert (nvml.gpu_count(), nvml.describe_gpus(), nvml.gpu_state()) == (0, [], {})


def test_a_gpu_is_described_in_units_of_the_si(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = fake_nvml(
        nvmlDeviceGetMaxClockInfo=lambda _, clock: {"sm": 1980, "memory": 3201}[clock],
        nvmlDeviceGetEnforcedPowerLimit=lambda _: 700_000,
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(total=100, free=60),
        nvmlSystemGetCudaDriverVersion=lambda: 13010,
    )
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    described = nvml.describe_gpus()
    assert len(described) == 2
    assert described[0] == {
        "name": "NVIDIA gpu0",
        "memory_bytes": 100,
        "driver": "580.1",
        "cuda_driver": "13.1",
        "sm_clock_max_hz": 1_980_000_000,
        "memory_clock_max_hz": 3_201_000_000,
        "power_limit_watts": 700.0,
    }
    assert machine.devices_here() == ("cpu", "cuda")
    assert machine.available_bytes("cuda") == 60


def test_the_state_of_a_gpu_names_why_it_throttles(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = fake_nvml(
        nvmlDeviceGetClockInfo=lambda _, clock: {"sm": 1200, "memory": 3201}[clock],
        nvmlDeviceGetTemperature=lambda *_: 71,
        nvmlDeviceGetPowerUsage=lambda _: 350_500,
        nvmlDeviceGetCurrentClocksEventReasons=lambda _: 0x01 | 0x04 | 0x20,
    )
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    assert nvml.gpu_state() == {
        "sm_clock_hz": 1_200_000_000,
        "memory_clock_hz": 3_201_000_000,
        "temperature_celsius": 71,
        "power_watts": 350.5,
        "free_memory_bytes": None,
        "throttle_reasons": ["software_power_cap", "software_thermal_slowdown"],
    }


def test_what_a_gpu_does_not_report_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    assert set(nvml.gpu_state().values()) == {None}


@pytest.mark.parametrize(
    ("chosen", "names"),
    [("1", ["NVIDIA gpu1"]), ("1,0", ["NVIDIA gpu1", "NVIDIA gpu0"]), ("", []), ("-1", []), ("0,7,1", ["NVIDIA gpu0"])],
)
def test_gpus_are_those_that_cuda_may_see(monkeypatch: pytest.MonkeyPatch, chosen: str, names: list[str]) -> None:
    def by_uuid(uuid: str) -> str:
        raise FakeNvmlError(uuid)

    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(nvmlDeviceGetHandleByUUID=by_uuid))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert [gpu["name"] for gpu in nvml.describe_gpus()] == names


def test_a_gpu_may_be_chosen_by_its_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-abc1")
    assert [gpu["name"] for gpu in nvml.describe_gpus()] == ["NVIDIA gpu1"]


def test_versions_are_those_that_are_installed() -> None:
    import numpy as np

    found = software.packages()
    assert found["numpy"] == np.__version__
    assert found["python"].startswith(f"{sys.version_info.major}.")
    assert "torch" in found
    assert "pytest" not in found


def test_thread_settings_are_distinguished_from_the_rest_of_the_environment() -> None:
    environment = {"OMP_NUM_THREADS": "2", "SECRET": "x", "KMP_DUPLICATE_LIB_OK": "True", "MKL_NUM_THREADS": "1"}
    assert software.thread_environment(environment) == {"MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "2"}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_says_whether_files_changed(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert software.commit(tmp_path) is None
    files(tmp_path, {"a": "1"})
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--quiet", "--message", "a")
    revision = git(tmp_path, "rev-parse", "HEAD")
    assert software.commit(tmp_path) == {"revision": revision, "dirty": False}
    files(tmp_path, {"new": "1"})
    assert software.commit(tmp_path) == {"revision": revision, "dirty": True}


def test_a_folder_within_another_checkout_has_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "a")
    inner = tmp_path / "site-packages"
    inner.mkdir()
    assert software.commit(inner) is None


def test_no_git_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert software.commit() is None
