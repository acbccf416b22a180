"""JAX: the loop over time as `jax.lax.scan`, compiled by XLA, gradients by `jax.vjp`.

The input projection of all steps is one product outside the scan. XLA compiles at the first call of each network
and shape in a process (https://docs.jax.dev/en/latest/jit-compilation.html); that call has the cost.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from rnnimpl.dtypes import Precision
from rnnimpl.interface import CellWeights, Grads, NumpyArray, Rnn, RnnConfig, Unavailable, Weights, select_cell

MATMUL_PRECISIONS = {"ieee": "highest", "tf32": "tensorfloat32"}


class JaxScan(Rnn[jax.Array]):
    """Forward, forward with residuals, and pullback: three compiled functions of weights and data."""

    devices = ("cpu", "cuda")
    requires = ("jax>=0.6",)

    started_with: ClassVar[str | None] = None
    """The thread count with which XLA was started, once it was."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        if config.dtype == "float64":
            # Without it JAX makes float32 of float64; with it float32 stays what it is.
            jax.config.update("jax_enable_x64", True)
        JaxScan.started_with = os.environ.get("PJRT_NPROC")
        self.jax_device = _find_device(device)
        self.dtype = jnp.dtype(config.dtype)
        self.weights = {name: self._put(array) for name, array in weights.arrays.items()}
        self.zeros: dict[int, jax.Array] = {}
        self.queued: list[jax.Array] = list(self.weights.values())

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        """Set threads and precision. Raises RuntimeError when XLA runs with other threads: it fixes them at start."""
        if cls.started_with not in (None, str(threads)):
            raise RuntimeError(f"XLA was started with {cls.started_with} threads in this process; got {threads}")
        os.environ["PJRT_NPROC"] = str(threads)
        # Else JAX takes three quarters of a GPU's memory at start, and no other process on it can be measured.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        jax.config.update("jax_default_matmul_precision", MATMUL_PRECISIONS[precision])
        # A compilation that an earlier process left on disk would hide what compiling costs.
        jax.config.update("jax_enable_compilation_cache", False)

    def from_numpy(self, array: NumpyArray) -> jax.Array:
        self.check_dtype(array)
        return self._put(array)

    def to_numpy(self, array: jax.Array) -> NumpyArray:
        return np.array(array).astype(self.config.carrier)

    def forward(self, x: jax.Array, h0: jax.Array | None = None) -> tuple[jax.Array, jax.Array]:
        y, h_n = _forward(self.config, self.weights, *self._inputs(x, h0))
        self._queue(y, h_n)
        return y, h_n

    def vjp(
        self, x: jax.Array, h0: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, Callable[[jax.Array, jax.Array], Grads[jax.Array]]]:
        y, h_n, compiled_pullback = _forward_with_residuals(self.config, self.weights, *self._inputs(x, h0))
        self._queue(y, h_n, compiled_pullback)

        def pullback(dy: jax.Array, dh_n: jax.Array) -> Grads[jax.Array]:
            dweights, dx, dh0 = _pull_back(compiled_pullback, dy, dh_n)
            self._queue(dweights, dx, dh0)
            return Grads(dx, dh0, {name: dweights[name] for name in self.weights})

        return y, h_n, pullback

    def synchronize(self) -> None:
        jax.block_until_ready(self.queued)
        self.queued.clear()

    def describe(self) -> dict[str, str]:
        described = {"library": f"jax {jax.__version__}", "path": f"XLA on {self.jax_device.platform}, lax.scan"}
        if self.jax_device.platform == "cpu":
            return described | {"threads": os.environ.get("PJRT_NPROC", "chosen by XLA")}
        return described | {
            "precision": str(jax.config.jax_default_matmul_precision),
            "device": self.jax_device.device_kind,
        }

    def _inputs(self, x: jax.Array, h0: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """Check x and h0, and put zeros where h0 is not given."""
        self.check_shapes(x, h0)
        B = x.shape[1]
        # JAX arrays cannot change, so one array of zeros serves all calls.
        if h0 is None and B not in self.zeros:
            states = self.config.num_layers * self.config.num_directions
            self.zeros[B] = self._put(np.zeros((states, B, self.config.hidden_size)))
        return x, self.zeros[B] if h0 is None else h0

    def _put(self, array: NumpyArray) -> jax.Array:
        # JAX may keep a NumPy array's memory as its own: it gets a copy that nobody else has.
        on_device: jax.Array = jax.device_put(np.array(array, dtype=self.dtype, order="C"), self.jax_device)
        return on_device

    def _queue(self, *results: Any) -> None:
        """Remember what is dispatched and may not be ready: `synchronize` waits for all of it, dropped or not."""
        self.queued = [array for array in self.queued if not array.is_ready()]
        self.queued += jax.tree.leaves(results)


def _find_device(device: str) -> Any:
    """The device as JAX knows it. Raises Unavailable when JAX cannot compute there."""
    kind, _, index = device.partition(":")
    try:
        found = jax.devices(kind)
    except RuntimeError as error:
        raise Unavailable(
            f"device {device}: jax {jax.__version__} has no {kind} backend ({error}); see "
            "https://docs.jax.dev/en/latest/installation.html"
        ) from error
    if int(index or 0) >= len(found):
        raise Unavailable(f"device {device}: jax sees {len(found)} {kind} devices, counted from 0")
    return found[int(index or 0)]


def _network(
    config: RnnConfig, weights: Mapping[str, jax.Array], x: jax.Array, h0: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """x (T, B, I), h0 (L*D, B, H) -> y (T, B, D*H), h_n (L*D, B, H)."""
    D = config.num_directions
    last_states = []
    for number in range(config.num_layers):
        outputs = []
        for direction in range(D):
            cell = select_cell(config, weights, number, direction)
            start = h0[number * D + direction]  # (B, H)
            h_n, y = _layer(x, start, cell, config.nonlinearity, reverse=direction == 1)
            last_states.append(h_n)
            outputs.append(y)
        x = jnp.concatenate(outputs, axis=2)  # (T, B, D*H)
    return x, jnp.stack(last_states)


def _layer(
    x: jax.Array, h0: jax.Array, weights: CellWeights[jax.Array], nonlinearity: str, *, reverse: bool
) -> tuple[jax.Array, jax.Array]:
    """x (T, B, I), h0 (B, H) -> the last state (B, H) and the state after each step (T, B, H)."""
    squash = jnp.tanh if nonlinearity == "tanh" else jax.nn.relu
    projection = x @ weights.w_ih.T  # (T, B, H)
    if weights.b_ih is not None and weights.b_hh is not None:
        projection += weights.b_ih + weights.b_hh

    def step(h: jax.Array, projection_t: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = squash(projection_t + h @ weights.w_hh.T)  # (B, H)
        return h, h

    h_n, y = jax.lax.scan(step, h0, projection, reverse=reverse)
    return h_n, y


@functools.partial(jax.jit, static_argnums=0)
def _forward(
    config: RnnConfig, weights: Mapping[str, jax.Array], x: jax.Array, h0: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return _network(config, weights, x, h0)


@functools.partial(jax.jit, static_argnums=0)
def _forward_with_residuals(
    config: RnnConfig, weights: Mapping[str, jax.Array], x: jax.Array, h0: jax.Array
) -> tuple[jax.Array, jax.Array, Any]:
    """y, h_n and the pullback, which holds the residuals as arrays and can leave a compiled function."""
    (y, h_n), pullback = jax.vjp(functools.partial(_network, config), weights, x, h0)
    return y, h_n, pullback


@functools.partial(jax.jit)
def _pull_back(pullback: Any, dy: jax.Array, dh_n: jax.Array) -> tuple[dict[str, jax.Array], jax.Array, jax.Array]:
    dweights, dx, dh0 = pullback((dy, dh_n))
    return dweights, dx, dh0
