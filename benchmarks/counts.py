"""Operations, products and bytes of a workload, by formula.

Conventions, as usual in the field:

- A product of (M, K) and (K, N) is 2*M*N*K operations: a multiplication and an addition each.
- `flops` counts matrix products only, so that rates compare with GEMM rates and with published figures.
  (DeepBench's figures leave out the input projection as well: theirs are 2*T*B*H*H for a vanilla layer.)
- G is the number of the cell's gates: 1 of tanh and relu, 4 of an LSTM, 3 of a GRU.
- The backward pass has two products for each of the forward: one for the gradient of either factor. They include the
  gradients of x and of the state, since `Rnn.vjp` returns both.
- Element-wise work is counted apart; a tanh or a sigmoid is one operation.
- The first step counts as every other, since a state may be given.
- Of sequences of unequal lengths, valid steps count and padding does not, in place of all T*B.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.workload import Workload
from rnnimpl.cells import CELLS

ELEMENT_BYTES: Mapping[str, int] = MappingProxyType({"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8})
"""Bytes of an element of each dtype."""


@dataclasses.dataclass(frozen=True, order=True)
class Product:
    """`count` matrix products of (M, K) and (K, N), one after another."""

    count: int
    M: int
    N: int
    K: int

    @property
    def flops(self) -> int:
        """Operations of all `count` products."""
        return 2 * self.count * self.M * self.N * self.K

    @property
    def shape(self) -> tuple[int, int, int]:
        """(M, N, K)."""
        return self.M, self.N, self.K


def forward_flops(workload: Workload) -> int:
    """Operations of the forward pass's products: 2*T*B*G*H*(I_l + H) for each layer l and direction."""
    config = workload.config
    steps, H = workload.valid_steps, workload.H
    rows = config.num_gates * H
    return sum(2 * steps * rows * (config.layer_input_size(layer) + H) for layer, _ in config.layers())


def backward_flops(workload: Workload) -> int:
    """Operations of the backward pass's products: twice the forward's in training, none in inference."""
    return 2 * forward_flops(workload) if workload.mode == "training" else 0


def flops(workload: Workload) -> int:
    """Operations of all matrix products of one call, forward and, in training, backward."""
    return forward_flops(workload) + backward_flops(workload)


def elementwise_flops(workload: Workload) -> int:
    """Element-wise operations of one call, which `flops` does not count.

    For each unit and step they are those of `Cell.elementwise`, forward and backward. Biases add two additions a gate
    forward, and backward one for each bias gradient that differs: b_ih and b_hh share theirs where the two sums of a
    gate are simply added. Two directions add one addition for each of their inputs.
    """
    config = workload.config
    cell = CELLS[config.cell]
    units = workload.valid_steps * workload.H * config.num_stacked
    forward = units * (cell.elementwise[0] + (2 * cell.num_gates if workload.bias else 0))
    if workload.mode != "training":
        return forward
    backward = units * (cell.elementwise[1] + (cell.num_gates + len(cell.separate) if workload.bias else 0))
    if workload.bidirectional:
        inputs = sum(config.layer_input_size(layer) for layer in range(workload.L))
        backward += workload.valid_steps * inputs
    return forward + backward


def products(workload: Workload) -> tuple[Product, ...]:
    """The matrix products of one call as best computed, with equal shapes counted together.

    Only the recurrence depends on the step before: T products of (B, G*H, H) for each layer and direction, and in
    training T of (B, H, G*H) backward in time. Everything else is one product over all steps: the input projection
    (T*B, G*H, I_l) and, in training, the gradients of w_ih (G*H, I_l, T*B), w_hh (G*H, H, T*B) and of the input (T*B,
    I_l, G*H). Their operations add up to `flops`. With unequal lengths a step's product has the rows of that step.
    """
    config = workload.config
    steps, H = workload.valid_steps, workload.H
    rows = config.num_gates * H
    counts: Counter[tuple[int, int, int]] = Counter()
    for layer, _ in config.layers():
        features = config.layer_input_size(layer)
        counts[steps, rows, features] += 1
        for sequences, number in _sequences_of_steps(workload).items():
            counts[sequences, rows, H] += number
            if workload.mode == "training":
                counts[sequences, H, rows] += number
        if workload.mode == "training":
            counts[rows, features, steps] += 1
            counts[rows, H, steps] += 1
            counts[steps, features, rows] += 1
    return tuple(Product(count, *shape) for shape, count in counts.items())


def _sequences_of_steps(workload: Workload) -> Counter[int]:
    """{number of sequences that have a step: number of such steps}."""
    lengths = workload.sequence_lengths
    if lengths is None:
        return Counter({workload.B: workload.T})
    return Counter(sum(length > step for length in lengths) for step in range(workload.T))


def chain_steps(workload: Workload) -> int:
    """Products that follow one another in each layer and direction of a call without a state.

    Forward T - 1 of (B, H) by (H, G*H), for the first state is zeros; in training T more backward of (B, G*H) by (G*H,
    H), down to the gradient of h0.
    """
    return workload.T - 1 + (workload.T if workload.mode == "training" else 0)


def chain_flops(workload: Workload) -> int:
    """Necessary operations of the chains of all layers and directions: those of `chain_reads` steps."""
    steps = chain_steps(workload) * workload.config.num_stacked * _step_flops(workload)
    return steps - (_idle_chain_flops(workload) if workload.mode == "training" else 0)


def chain_reads(workload: Workload) -> float:
    """How often a call without a state has to read w_hh of each layer and direction; a part of it counts as a part.

    It is once a step. The last backward step of a cell of several gates can skip the block of a gate that multiplies
    zeros, as an LSTM's forget gate multiplies c0, since its gradient is zero.
    """
    steps = chain_steps(workload)
    gates = workload.config.num_gates
    return steps - 1 / gates if gates > 1 and workload.mode == "training" else steps


def necessary_flops(workload: Workload) -> int:
    """Necessary operations of a call without a state: `flops` without the products with zeros.

    Products with zeros are the first step's and, in training, its part of the gradient of w_hh. In the first step of a
    cell of several gates, one gate may multiply zeros: an LSTM's forget gate c0, a GRU's reset gate a product without a
    bias. It need not be computed in inference, and in training its gradient is zero. One such gate is left out for
    every such cell.
    """
    with_zeros = 1 if workload.mode != "training" else 2
    needed = flops(workload) - with_zeros * workload.config.num_stacked * _step_flops(workload)
    config = workload.config
    if config.num_gates == 1:
        return needed
    block = 2 * workload.B * workload.H * sum(config.layer_input_size(layer) for layer, _ in config.layers())
    # Backward: the gradients of w_ih and of the input, and the chain's last step.
    return needed - (block if workload.mode != "training" else 2 * block + _idle_chain_flops(workload))


def step_bytes(workload: Workload) -> int:
    """Bytes of w_hh of one layer and direction, which every step of its chain has to read."""
    return workload.config.num_gates * workload.H**2 * ELEMENT_BYTES[workload.dtype]


def traffic_bytes(workload: Workload) -> int:
    """Bytes that must reach the cores in one call, from whichever cache: `least_bytes`, and w_hh once a step.

    Steps follow one another, and except in the smallest networks the registers do not hold their weights.
    """
    return least_bytes(workload) + chain_steps(workload) * workload.config.num_stacked * step_bytes(workload)


def intensity(workload: Workload) -> float:
    """Operations of one call for each byte that must reach the cores: the abscissa of a roofline.

    For a chain of (B, H) by (H, G*H) in float32 it is B / 2, as the sequences of a batch share each weight that is
    read.
    """
    return flops(workload) / traffic_bytes(workload)


def least_bytes(workload: Workload) -> int:
    """Bytes that must move between memory and processor in one call: each input read, each result written once.

    Inference: x and the weights; y and the final state. Training adds the cotangents of both and the gradients of x,
    the state and the weights. Values kept for a backward pass could stay in a cache and are not counted.
    """
    x, y, state, weights = elements(workload)
    inference = x + weights + y + state
    training = y + state + x + state + weights if workload.mode == "training" else 0
    return (inference + training) * ELEMENT_BYTES[workload.dtype]


def elements(workload: Workload) -> tuple[int, int, int, int]:
    """Elements of x (T, B, I), y (T, B, D*H), the state's arrays (L*D, B, H) and all weights."""
    config = workload.config
    D = config.num_directions
    x = workload.T * workload.B * workload.I
    y = workload.T * workload.B * D * workload.H
    state = len(config.state_names) * config.num_stacked * workload.B * workload.H
    weights = 0
    for shape in config.weight_shapes().values():
        weights += shape[0] * shape[1] if len(shape) == 2 else shape[0]
    return x, y, state, weights


def _step_flops(workload: Workload) -> int:
    """Operations of the recurrent product of one step of one layer and direction."""
    return 2 * workload.B * workload.config.num_gates * workload.H**2


def _idle_chain_flops(workload: Workload) -> int:
    """Operations of the chains' last backward steps for a gate whose gradient is zero there."""
    config = workload.config
    return config.num_stacked * _step_flops(workload) // config.num_gates if config.num_gates > 1 else 0
