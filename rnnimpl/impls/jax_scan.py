"""JAX: the loop over time as `jax.lax.scan`, compiled by XLA, gradients by `jax.vjp` with a rule for the recurrence.

The input projection of all steps is one product outside the scan, and so is the gradient of w_hh: without the rule, a
scan sums the latter step by step in its carry (https://docs.jax.dev/en/latest/notebooks/
Custom_derivative_rules_for_Python_code.html). XLA compiles at the first call of each network
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
from rnnimpl.interface import (
    CellWeights,
    Grads,
    NotCopied,
    NumpyArray,
    Rnn,
    RnnConfig,
    Unavailable,
    Weights,
    cell_weight_names,
    select_cell,
)

MATMUL_PRECISIONS = {"ieee": "highest", "tf32": "tensorfloat32"}


class JaxScan(NotCopied, Rnn[jax.Array]):
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
        # A step multiplies by w_hh.T, which XLA would read across its rows in every step.
        recurrent = (cell_weight_names(*cell).w_hh for cell in config.cells())
        self.turned = {name: self._put(weights.arrays[name].T) for name in recurrent}
        self.zeros: dict[int, jax.Array] = {}
        self.queued: list[jax.Array] = [*self.weights.values(), *self.turned.values()]

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
        y, h_n = _forward(self.config, self.weights, self.turned, *self._inputs(x, h0))
        self._queue(y, h_n)
        return y, h_n

    def vjp(
        self, x: jax.Array, h0: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, Callable[[jax.Array, jax.Array], Grads[jax.Array]]]:
        y, h_n, compiled_pullback = _forward_with_residuals(
            self.config, self.weights, self.turned, *self._inputs(x, h0)
        )
        self._queue(y, h_n, compiled_pullback)

        def pullback(dy: jax.Array, dh_n: jax.Array) -> Grads[jax.Array]:
            self.check_dtypes(self.dtype, dy=dy, dh_n=dh_n)
            self.check_cotangents(dy, dh_n, y, h_n)
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
        self.check_dtypes(self.dtype, x=x, h0=h0)
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


Named = Mapping[str, jax.Array]


def _network(
    config: RnnConfig, turned: Named, weights: Named, x: jax.Array, h0: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """x (T, B, I), h0 (L*D, B, H) -> y (T, B, D*H), h_n (L*D, B, H); `turned` has each w_hh.T."""
    D = config.num_directions
    last_states = []
    for number in range(config.num_layers):
        outputs = []
        for direction in range(D):
            cell = select_cell(config, weights, number, direction)
            w_hh_turned = turned[cell_weight_names(number, direction).w_hh]
            start = h0[number * D + direction]  # (B, H)
            y = _recur(config.nonlinearity, direction == 1, _project(x, cell), start, cell.w_hh, w_hh_turned)
            last_states.append(y[0] if direction else y[-1])
            outputs.append(y)
        x = jnp.concatenate(outputs, axis=2)  # (T, B, D*H)
    return x, jnp.stack(last_states)


def _project(x: jax.Array, weights: CellWeights[jax.Array]) -> jax.Array:
    """The part of every step that waits for no other (T, B, H)."""
    projection = x @ weights.w_ih.T
    return projection if weights.b_ih is None or weights.b_hh is None else projection + (weights.b_ih + weights.b_hh)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _recur(
    nonlinearity: str,
    reverse: bool,
    projection: jax.Array,
    h0: jax.Array,
    w_hh: jax.Array,  # noqa: ARG001  # the pullback's
    w_hh_turned: jax.Array,
) -> jax.Array:
    """projection (T, B, H), h0 (B, H), w_hh and its transpose (H, H) -> the state after each step (T, B, H)."""
    squash = jnp.tanh if nonlinearity == "tanh" else jax.nn.relu

    def step(h: jax.Array, projection_t: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = squash(projection_t + h @ w_hh_turned)  # (B, H)
        return h, h

    _, y = jax.lax.scan(step, h0, projection, reverse=reverse)
    return y


_Residuals = tuple[jax.Array, jax.Array, jax.Array]


def _recur_forward(
    nonlinearity: str,
    reverse: bool,
    projection: jax.Array,
    h0: jax.Array,
    w_hh: jax.Array,
    w_hh_turned: jax.Array,
) -> tuple[jax.Array, _Residuals]:
    y = _recur(nonlinearity, reverse, projection, h0, w_hh, w_hh_turned)
    return y, (y, h0, w_hh)


def _recur_backward(
    nonlinearity: str,
    reverse: bool,
    residuals: _Residuals,
    dy: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, None]:
    """Gradients of projection, h0 and w_hh from dy (T, B, H): back through time, then one product of all steps."""
    y, h0, w_hh = residuals
    slope = 1 - y * y if nonlinearity == "tanh" else (y > 0).astype(y.dtype)

    def step(dh: jax.Array, at_t: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        dy_t, slope_t = at_t
        da = (dy_t + dh) * slope_t  # (B, H)
        return da @ w_hh, da

    dh0, da = jax.lax.scan(step, jnp.zeros_like(h0), (dy, slope), reverse=not reverse)
    before = jnp.concatenate([y[1:], h0[None]] if reverse else [h0[None], y[:-1]])  # (T, B, H)
    return da, dh0, jnp.einsum("tbi,tbj->ij", da, before), None


_recur.defvjp(_recur_forward, _recur_backward)


@functools.partial(jax.jit, static_argnums=0)
def _forward(
    config: RnnConfig, weights: Named, turned: Named, x: jax.Array, h0: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return _network(config, turned, weights, x, h0)


@functools.partial(jax.jit, static_argnums=0)
def _forward_with_residuals(
    config: RnnConfig, weights: Named, turned: Named, x: jax.Array, h0: jax.Array
) -> tuple[jax.Array, jax.Array, Any]:
    """y, h_n and the pullback, which holds the residuals as arrays and can leave a compiled function."""
    (y, h_n), pullback = jax.vjp(functools.partial(_network, config, turned), weights, x, h0)
    return y, h_n, pullback


@functools.partial(jax.jit)
def _pull_back(pullback: Any, dy: jax.Array, dh_n: jax.Array) -> tuple[dict[str, jax.Array], jax.Array, jax.Array]:
    dweights, dx, dh0 = pullback((dy, dh_n))
    return dweights, dx, dh0
