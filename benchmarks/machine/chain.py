"""The chain of products of our own kernel: what packing the weights once makes of T products one after another.

A library's chain is measured with its products (`peak_engines`); it packs or reads the weights anew in each call.
Neither is a limit that nothing can pass, but what has been reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.machine.call_time import seconds_per_call
from benchmarks.machine.peak import Peak, chain_shape, settings
from benchmarks.workload import Workload
from rnnimpl import RnnConfig, Weights, load
from rnnimpl.dtypes import Dtype

ENGINE = "fused_cpu"
SECONDS = 0.03
_STEPS = (8, 512)
_OPERATIONS = 2e7
"""A chain has about so many operations, and at least and at most so many steps: calling it is next to nothing."""


def chain_peaks(workloads: Sequence[Workload], clock: Callable[[], float]) -> Iterator[Peak]:
    """A step of the chain for each (B, H) of the workloads, on their threads and on one. Raises Unavailable."""
    device, dtype, precision, threads = settings(workloads[0])
    own = load(ENGINE)
    try:
        for B, H, _ in dict.fromkeys(map(chain_shape, workloads)):
            for count in sorted({1, threads}, reverse=True):
                own.configure_process(threads=count, precision=precision)
                seconds = step_seconds(B, H, dtype, clock)
                yield Peak(
                    kind="chain",
                    engine=ENGINE,
                    device=device,
                    dtype=dtype,
                    precision=precision,
                    threads=count,
                    M=B,
                    N=H,
                    K=H,
                    seconds=seconds,
                    flops_per_second=2 * B * H * H / seconds,
                )
    finally:
        own.configure_process(threads=threads, precision=precision)


def step_seconds(B: int, H: int, dtype: Dtype, clock: Callable[[], float]) -> float:
    """Seconds of one product (B, H) by (H, H) in a long chain, with packed weights, on the threads of the process.

    relu and a projection from one feature are in it, which is as little as a network can have beside.
    """
    config = RnnConfig(input_size=1, hidden_size=H, nonlinearity="relu", bias=False, dtype=dtype)
    carrier = config.carrier
    # Rows of 1/H keep a state of ones as it is: it neither overflows nor becomes so small that it is slow.
    arrays = {"weight_ih_l0": np.zeros((H, 1), carrier), "weight_hh_l0": np.full((H, H), 1 / H, carrier)}
    rnn = load(ENGINE)(config, Weights.from_state_dict(config, arrays), "cpu")
    T = int(min(max(_OPERATIONS / (2 * B * H * H), _STEPS[0]), _STEPS[1]))
    x, h0 = np.zeros((T, B, 1), carrier), np.ones((1, B, H), carrier)
    return seconds_per_call(lambda: rnn.forward(x, h0), rnn.synchronize, clock, SECONDS) / T
