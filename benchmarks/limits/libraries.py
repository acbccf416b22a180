"""The libraries whose products, copies and calls are measured as the machine's peaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from benchmarks.workload import Workload


class Pass(NamedTuple):
    """One pass over memory, and the bytes it reads and writes."""

    run: Callable[[], object]
    moved_bytes: int


class MeasuredLibrary(Protocol):
    """A library under one device, dtype, precision and thread count. Its functions run without allocating."""

    name: str

    def gemm(self, M: int, N: int, K: int) -> Callable[[], object]:
        """Multiplies (M, K) by the transpose of (N, K), as a layer does with its weights."""

    def chain(self, M: int, N: int, K: int) -> Callable[[], object]:
        """Multiplies (M, K) by (K, N) twice, the second product needing the first.

        The steps of a network do so: forward (N >= K) by the transpose of w_hh (N, K), a block of each result being the
        next product's factor; backward (N < K) by w_hh (K, N), each result being a block of the next factor.
        """

    def passes(self, array_bytes: int) -> list[Pass]:
        """Ways to move arrays of about `array_bytes` bytes each."""

    def call(self) -> Callable[[], object]:
        """The shortest call of the library: an addition to one element."""

    def synchronize(self) -> None:
        """Waits until all calls are done."""


def libraries(workload: Workload) -> tuple[MeasuredLibrary, ...]:
    """The libraries that can compute with the workload's settings."""
    if workload.device == "cpu" and workload.dtype in ("float32", "float64"):
        return _torch(workload), _numpy(workload)
    return (_torch(workload),)


def _torch(workload: Workload) -> MeasuredLibrary:
    import torch

    from rnnimpl.torch_base import TorchRnn

    TorchRnn.configure_process(threads=workload.threads, precision=workload.precision)
    dtype: torch.dtype = getattr(torch, workload.dtype)
    device = workload.device

    class Torch:
        name = "torch"

        def gemm(self, M: int, N: int, K: int) -> Callable[[], object]:
            a, b = _uniform(M, K), _uniform(N, K).t()
            out = torch.empty(M, N, dtype=dtype, device=device)
            return lambda: torch.mm(a, b, out=out)

        def chain(self, M: int, N: int, K: int) -> Callable[[], object]:
            # Sums of K times 1/K keep ones at one: they neither overflow nor become subnormal, which is slow.
            one, other = (torch.ones(M, max(N, K), dtype=dtype, device=device) for _ in range(2))
            held = (N, K) if N >= K else (K, N)
            w_hh = torch.full(held, 1 / K, dtype=dtype, device=device)
            weights = w_hh.t() if N >= K else w_hh
            read_one, read_other, write_one, write_other = one[:, :K], other[:, :K], one[:, :N], other[:, :N]

            def twice() -> None:
                torch.mm(read_one, weights, out=write_other)
                torch.mm(read_other, weights, out=write_one)

            return twice

        def passes(self, array_bytes: int) -> list[Pass]:
            a, b, out = (torch.ones(array_bytes // dtype.itemsize, dtype=dtype, device=device) for _ in range(3))
            size = a.nbytes
            return [
                Pass(lambda: out.copy_(a), 2 * size),
                Pass(lambda: torch.add(a, b, alpha=0.5, out=out), 3 * size),
            ]

        def call(self) -> Callable[[], object]:
            one = torch.zeros(1, dtype=dtype, device=device)

            def add() -> None:
                with torch.no_grad():
                    one.add_(1)

            return add

        def synchronize(self) -> None:
            if device == "cuda":
                torch.cuda.synchronize()

    def _uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, device=device).to(dtype)

    return Torch()


def _numpy(workload: Workload) -> MeasuredLibrary:
    import numpy as np

    dtype = np.dtype(workload.dtype)
    generator = np.random.default_rng(0)

    class Numpy:
        name = "numpy"

        def gemm(self, M: int, N: int, K: int) -> Callable[[], object]:
            a = generator.random((M, K)).astype(dtype)
            b = generator.random((N, K)).astype(dtype).T
            out = np.empty((M, N), dtype)
            return lambda: np.matmul(a, b, out=out)

        def chain(self, M: int, N: int, K: int) -> Callable[[], object]:
            one, other = (np.ones((M, max(N, K)), dtype) for _ in range(2))
            weights = np.full((N, K), 1 / K, dtype).T if N >= K else np.full((K, N), 1 / K, dtype)
            read_one, read_other, write_one, write_other = one[:, :K], other[:, :K], one[:, :N], other[:, :N]

            def twice() -> None:
                np.matmul(read_one, weights, out=write_other)
                np.matmul(read_other, weights, out=write_one)

            return twice

        def passes(self, array_bytes: int) -> list[Pass]:
            # NumPy has no triad in one pass, and copies with one thread.
            a, out = (np.ones(array_bytes // dtype.itemsize, dtype) for _ in range(2))
            return [Pass(lambda: np.copyto(out, a), 2 * a.nbytes)]

        def call(self) -> Callable[[], object]:
            one = np.zeros(1, dtype)
            return lambda: np.add(one, one, out=one)

        def synchronize(self) -> None:
            pass

    return Numpy()
