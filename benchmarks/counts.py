"""Operations, products and bytes of a workload, by formula.

Conventions, all of them the usual ones of the field:

- A product of (M, K) and (K, N) is 2*M*N*K operations: a multiplication and an addition each.
- `flops` counts matrix products only, so that rates compare with GEMM rates and with published figures.
  (DeepBench's figures leave out the input projection as well: theirs are 2*T*B*H*H for a vanilla layer.)
- The backward pass has two products for each of the forward: one for the gradient of either factor. The
  gradient of x and of h0 is among them, since `Rnn.vjp` returns both.
- Element-wise work is counted apart; a tanh is one operation, whatever it costs.
- The first step counts as every other, since h0 may be given.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

from benchmarks.workload import Workload

TEMPORARIES = 2
"""`memory_needed` over the arrays that must exist: a loop holds its steps' results beside the stacked output, a
hoisted projection stands beside it, and NumPy's copy of what a framework holds is there while a case is checked."""

_ELEMENT_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


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
    """Operations of the forward pass's products: 2*T*B*H*(I_l + H) for each layer l and direction."""
    config = workload.config
    T, B, H = workload.T, workload.B, workload.H
    return sum(2 * T * B * H * (config.layer_input_size(layer) + H) for layer, _ in config.cells())


def backward_flops(workload: Workload) -> int:
    """Operations of the backward pass's products: twice the forward's in training, none in inference."""
    return 2 * forward_flops(workload) if workload.mode == "training" else 0


def flops(workload: Workload) -> int:
    """Operations of all matrix products of one call, forward and, in training, backward."""
    return forward_flops(workload) + backward_flops(workload)


def elementwise_flops(workload: Workload) -> int:
    """Element-wise operations of one call, beside its products.

    Forward, for each state: one addition of the two products, two of biases, one nonlinearity. Backward: one
    addition of the gradients from above and from the step after, the nonlinearity's derivative (3 for tanh:
    (1 - h*h) * g; 1 for relu) and one addition into the bias gradient, which b_ih and b_hh share; where there are
    two directions, one addition of what each says of its input.
    """
    config = workload.config
    states = workload.T * workload.B * workload.H * workload.L * config.num_directions
    forward = states * (4 if workload.bias else 2)
    if workload.mode == "inference":
        return forward
    derivative = 3 if workload.nonlinearity == "tanh" else 1
    backward = states * (1 + derivative + (1 if workload.bias else 0))
    if workload.bidirectional:
        inputs = sum(config.layer_input_size(layer) for layer in range(workload.L))
        backward += workload.T * workload.B * inputs
    return forward + backward


def products(workload: Workload) -> tuple[Product, ...]:
    """The matrix products of one call as one would best do them, equal shapes counted together.

    Only the recurrence depends on the step before: T products of (B, H, H) for each layer and direction, and as
    many again backward in time. Everything else is one product over all steps: the input projection
    (T*B, H, I_l) and, in training, the gradients of w_ih (H, I_l, T*B), w_hh (H, H, T*B) and of the input
    (T*B, I_l, H). Their operations add up to `flops`.
    """
    config = workload.config
    T, B, H = workload.T, workload.B, workload.H
    counts: Counter[tuple[int, int, int]] = Counter()
    for layer, _ in config.cells():
        features = config.layer_input_size(layer)
        counts[T * B, H, features] += 1
        counts[B, H, H] += T
        if workload.mode == "training":
            counts[B, H, H] += T
            counts[H, features, T * B] += 1
            counts[H, H, T * B] += 1
            counts[T * B, features, H] += 1
    return tuple(Product(count, *shape) for shape, count in counts.items())


def chain_steps(workload: Workload) -> int:
    """Products (B, H) by (H, H) that follow one another in each layer and direction of a call without h0.

    Forward T - 1, for the first state meets zeros; in training T more backward, down to the gradient of h0.
    """
    return workload.T - 1 + (workload.T if workload.mode == "training" else 0)


def chain_flops(workload: Workload) -> int:
    """Operations of the chains of all layers and directions."""
    return chain_steps(workload) * _cells(workload) * 2 * workload.B * workload.H**2


def necessary_flops(workload: Workload) -> int:
    """Operations that a call without h0 cannot leave out: `flops` less the products with a state of zeros.

    Those are the first step's and, in training, its part of the gradient of w_hh.
    """
    with_zeros = 1 if workload.mode == "inference" else 2
    return flops(workload) - with_zeros * _cells(workload) * 2 * workload.B * workload.H**2


def step_bytes(workload: Workload) -> int:
    """Bytes of w_hh of one layer and direction: what every step of its chain has to read."""
    return workload.H**2 * _ELEMENT_BYTES[workload.dtype]


def traffic_bytes(workload: Workload) -> int:
    """Bytes that must reach the cores in one call, from whichever cache: `least_bytes`, and w_hh once a step.

    Steps follow one another and their weights are, but for the smallest networks, more than the registers hold.
    """
    return least_bytes(workload) + chain_steps(workload) * _cells(workload) * step_bytes(workload)


def intensity(workload: Workload) -> float:
    """Operations of one call for each byte that must reach the cores: the abscissa of a roofline.

    Of a chain of (B, H) by (H, H) in float32 it is B / 2: what the batch shares of each weight that is read.
    """
    return flops(workload) / traffic_bytes(workload)


def least_bytes(workload: Workload) -> int:
    """Bytes that must move between memory and processor in one call: each input read, each result written once.

    Inference: x and the weights; y and h_n. Training adds the cotangents dy and dh_n and the gradients of x, h0
    and the weights. States that a backward pass keeps could stay in a cache and are not counted.
    """
    x, y, h_n, weights = _elements(workload)
    inference = x + weights + y + h_n
    training = y + h_n + x + h_n + weights if workload.mode == "training" else 0
    return (inference + training) * _ELEMENT_BYTES[workload.dtype]


def memory_needed(workload: Workload) -> int:
    """Bytes of memory that a case of this workload takes, about: a lower bound of its arrays times `TEMPORARIES`.

    The arrays: x, y, h_n and weights; the output of the layer below; in training dy and dh_n, every layer's
    states, and the gradients of x, h0 and the weights.
    """
    x, y, h_n, weights = _elements(workload)
    elements = x + y + h_n + weights
    if workload.mode == "training":
        elements += y + h_n + workload.L * y + x + h_n + weights
    elif workload.L > 1:
        elements += y
    return TEMPORARIES * elements * _ELEMENT_BYTES[workload.dtype]


def too_large(workload: Workload, available_bytes: int) -> str | None:
    """Why the workload cannot be tried with so much memory, in a sentence; None when it can."""
    needed = memory_needed(workload)
    if needed <= available_bytes:
        return None
    return (
        f"{workload.id} needs about {needed / 2**30:.3g} GiB of memory, {available_bytes / 2**30:.3g} GiB are "
        "available: make T, B, H or L smaller"
    )


def _cells(workload: Workload) -> int:
    return workload.L * workload.config.num_directions


def _elements(workload: Workload) -> tuple[int, int, int, int]:
    """Elements of x (T, B, I), y (T, B, D*H), h_n (L*D, B, H) and all weights."""
    config = workload.config
    D = config.num_directions
    x = workload.T * workload.B * workload.I
    y = workload.T * workload.B * D * workload.H
    h_n = workload.L * D * workload.B * workload.H
    weights = 0
    for shape in config.weight_shapes().values():
        weights += shape[0] * shape[1] if len(shape) == 2 else shape[0]
    return x, y, h_n, weights
