"""The chain of products of this project's own kernel, which packs the weights once for all T products.

A library's chain is measured with its products (`libraries`); it packs or reads the weights again in each call. Both
are rates that were reached, not limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from benchmarks.limits.call_time import seconds_per_call
from benchmarks.limits.peak import Peak, Shape, chain_shapes, settings
from benchmarks.workload import Workload
from rnnimpl import RnnConfig, Weights, load
from rnnimpl.dtypes import Dtype
from rnnimpl.interface import CellName

KERNEL = "fused_cpu"
SECONDS = 0.03
_STEPS = (8, 512)
_OPERATIONS = 2e7
"""Operations of a chain, within the least and the largest number of steps, so that the cost of calling it is
negligible."""
_LEAST_CELL: Mapping[CellName, CellName] = MappingProxyType({"tanh": "relu"})
"""The cell with the least other work beside the same products, where that is another one."""


def chain_peaks(workloads: Sequence[Workload], clock: Callable[[], float]) -> Iterator[Peak]:
    """A step of the forward chain for each (B, H) and cell of the workloads, on their threads and on one.

    Cells that the kernel does not compute have none. Raises Unavailable.
    """
    device, dtype, precision, threads = settings(workloads[0])
    own = load(KERNEL)
    try:
        for cell, (B, rows, H) in dict.fromkeys(_chains(workloads)):
            for count in sorted({1, threads}, reverse=True):
                own.configure_process(threads=count, precision=precision)
                seconds = step_seconds(B, H, cell, dtype, clock)
                yield Peak(
                    kind="chain",
                    source=KERNEL,
                    device=device,
                    dtype=dtype,
                    precision=precision,
                    threads=count,
                    M=B,
                    N=rows,
                    K=H,
                    seconds=seconds,
                    flops_per_second=2 * B * rows * H / seconds,
                )
    finally:
        own.configure_process(threads=threads, precision=precision)


def prepare_kernels(workloads: Sequence[Workload]) -> None:
    """Compile the kernels that `chain_peaks` needs for the workloads. Raises Unavailable."""
    for cell in dict.fromkeys(cell for cell, _ in _chains(workloads)):
        config = RnnConfig(input_size=1, hidden_size=1, cell=cell, bias=False, dtype=workloads[0].dtype)
        load(KERNEL)(config, Weights(config, _steady_weights(config)), "cpu")


def _chains(workloads: Sequence[Workload]) -> Iterator[tuple[CellName, Shape]]:
    """The cell and the shape of the chain for each workload, without cells that the kernel does not have."""
    for workload in workloads:
        cell = _LEAST_CELL.get(workload.cell, workload.cell)
        if cell in load(KERNEL).cells:
            yield cell, chain_shapes(workload)[0]


def step_seconds(B: int, H: int, cell: CellName, dtype: Dtype, clock: Callable[[], float]) -> float:
    """Seconds of one product (B, H) by (H, G*H) in a long chain, with packed weights, on the threads of the process.

    They include the cell's gates and a projection from one feature, the least that a network can have.
    """
    config = RnnConfig(input_size=1, hidden_size=H, cell=cell, bias=False, dtype=dtype)
    rnn = load(KERNEL)(config, Weights(config, _steady_weights(config)), "cpu")
    T = int(min(max(_OPERATIONS / (2 * B * config.num_gates * H * H), _STEPS[0]), _STEPS[1]))
    x, state = np.zeros((T, B, 1), config.carrier), tuple(np.ones(s, config.carrier) for s in config.state_shapes(B))
    return seconds_per_call(lambda: rnn.forward(x, state), rnn.synchronize, clock, SECONDS) / T


def _steady_weights(config: RnnConfig) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.floating]]]:
    """Weights that keep a state of ones from overflow and from subnormal numbers, which are slow.

    With one gate a sum is 1, which relu keeps. With several it is about 4: each gate is nearly open, and stays so.
    """
    H, carrier = config.hidden_size, config.carrier
    rows = config.num_gates * H
    size = (1 if config.num_gates == 1 else 4) / H
    return {"weight_ih_l0": np.zeros((rows, 1), carrier), "weight_hh_l0": np.full((rows, H), size, carrier)}
