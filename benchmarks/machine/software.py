"""The software of a measurement: versions, BLAS, thread settings, revision. Imports no framework but NumPy."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent.parent

PACKAGES = (
    *("numpy", "torch", "scipy", "pandas", "matplotlib", "threadpoolctl", "nvidia-ml-py"),
    *("jax", "jaxlib", "onnx", "onnxruntime", "openvino", "numba", "triton", "mkl", "intel-openmp", "cupy"),
)
"""Packages that may take part in a measurement; those of NVIDIA (cuDNN, cuBLAS) are found by their prefix."""

_NVIDIA = "nvidia-"
_THREAD_SETTINGS = (
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "NUMEXPR_", "VECLIB_", "GOTO_"),
    *(
        "ATEN_",
        "TORCH_NUM",
        "XLA_FLAGS",
        "DNNL_",
        "ONEDNN_",
        "NPY_DISABLE",
        "NUMBA_NUM",
        "CUDA_VISIBLE_DEVICES",
        "NVIDIA_TF32",
    ),
)
_GIT_SECONDS = 20


def packages() -> dict[str, str]:
    """Version of Python and of each installed package that may take part in a measurement."""
    found = {"python": platform.python_version()}
    for distribution in importlib.metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        if name in PACKAGES or name.startswith(_NVIDIA):
            found.setdefault(name, distribution.version)
    return found


def numpy_blas() -> list[dict[str, Any]]:
    """The BLAS libraries that NumPy loads: name, version, kernel architecture, threads it would use."""
    import numpy as np  # noqa: F401  # loads the libraries that threadpoolctl looks for
    import threadpoolctl

    fields = ("internal_api", "version", "architecture", "threading_layer", "num_threads")
    pools = threadpoolctl.threadpool_info()
    return [{field: pool.get(field) for field in fields} for pool in pools if pool.get("user_api") == "blas"]


def thread_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that set how many threads the libraries start, how they wait, and what they may use."""
    return {
        name: value
        for name, value in sorted(environment.items())
        # threadpoolctl sets this one in every process that imports it.
        if name.startswith(_THREAD_SETTINGS) and name != "KMP_DUPLICATE_LIB_OK"
    }


def commit(folder: Path = PROJECT) -> dict[str, Any] | None:
    """{"revision", "dirty"} of the git checkout whose top is `folder`; None when there is none or git fails.

    Files that git neither tracks nor ignores make it dirty, too: a new implementation is one.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    revision = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain")
    if top is None or revision is None or changes is None or Path(top).resolve() != folder.resolve():
        return None
    return {"revision": revision, "dirty": bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603  # the arguments are this module's own
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],  # noqa: S607  # the git that is on the path
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
