"""JAX: the loop over time as `jax.lax.scan`, compiled by XLA, gradients by `jax.vjp` with a rule for the recurrence.

The input projection of all steps is one product outside the scan, and so is the gradient of w_hh: without the rule a
scan adds it up step by step in its carry (https://docs.jax.dev/en/latest/notebooks/
Custom_derivative_rules_for_Python_code.html). `elman.py`, `lstm.py` and `gru.py` each have one layer in one direction.
XLA compiles in the first call of each network and shape in a process (https://docs.jax.dev/en/latest/
jit-compilation.html), whose time includes that.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from rnnimpl.dtypes import Precision
from rnnimpl.impls.jax_scan import elman, gru, lstm
from rnnimpl.impls.jax_scan.products import keep, valid_steps
from rnnimpl.interface import (
    Grads,
    Lengths,
    NotCopied,
    NumpyArray,
    Pullback,
    Rnn,
    RnnConfig,
    State,
    Unavailable,
    Weights,
    layer_weight_names,
    select_layer,
)
from rnnimpl.layer_stack import run_stack

LAYERS = {"tanh": elman.tanh_layer, "relu": elman.relu_layer, "lstm": lstm.layer, "gru": gru.layer}
MATMUL_PRECISIONS = {"ieee": "highest", "tf32": "tensorfloat32"}


class JaxScan(NotCopied, Rnn[jax.Array]):
    """Three compiled functions of weights and data: forward, forward with residuals, and pullback."""

    devices = ("cpu", "cuda")
    cells = ("tanh", "relu", "lstm", "gru")
    requires = ("jax>=0.6",)

    started_with: ClassVar[str | None] = None
    """The number of threads with which XLA was started in this process; None before it is started."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        if config.dtype == "float64":
            # Without it JAX converts float64 to float32; it leaves float32 as it is.
            jax.config.update("jax_enable_x64", True)
        JaxScan.started_with = os.environ.get("PJRT_NPROC")
        self.jax_device = _find_device(device)
        self.dtype = jnp.dtype(config.dtype)
        self.weights = {name: self._put(array) for name, array in weights.arrays.items()}
        # A step multiplies by w_hh.T, which XLA would otherwise read with a stride in every step.
        recurrent = (layer_weight_names(*key).w_hh for key in config.layers())
        self.transposed = {name: self._put(weights.arrays[name].T) for name in recurrent}
        self.zeros: dict[int, State[jax.Array]] = {}
        self.queued: list[jax.Array] = [*self.weights.values(), *self.transposed.values()]

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        """As `Rnn.configure_process`. Raises RuntimeError when XLA was started with another number of threads."""
        if cls.started_with not in (None, str(threads)):
            raise RuntimeError(f"XLA was started with {cls.started_with} threads in this process; got {threads}")
        os.environ["PJRT_NPROC"] = str(threads)
        # By default JAX takes three quarters of a GPU's memory at its start, which other processes then lack.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        jax.config.update("jax_default_matmul_precision", MATMUL_PRECISIONS[precision])
        # Compiled code on disk from an earlier process would hide the time of compiling.
        jax.config.update("jax_enable_compilation_cache", False)

    def from_numpy(self, array: NumpyArray) -> jax.Array:
        self.check_dtype(array)
        on_device = self._put(array)
        self._queue(on_device)
        return on_device

    def to_numpy(self, array: jax.Array) -> NumpyArray:
        return np.array(array).astype(self.config.carrier)

    def forward(
        self, x: jax.Array, state: State[jax.Array] | None = None, lengths: Lengths = None
    ) -> tuple[jax.Array, State[jax.Array]]:
        y, state_n = _forward(self.config, self.weights, self.transposed, *self._inputs(x, state, lengths))
        self._queue(y, state_n)
        return y, state_n

    def vjp(
        self, x: jax.Array, state: State[jax.Array] | None = None, lengths: Lengths = None
    ) -> tuple[jax.Array, State[jax.Array], Pullback[jax.Array]]:
        y, state_n, compiled_pullback = _forward_with_residuals(
            self.config, self.weights, self.transposed, *self._inputs(x, state, lengths)
        )
        self._queue(y, state_n, compiled_pullback)

        def pullback(dy: jax.Array, dstate_n: State[jax.Array]) -> Grads[jax.Array]:
            self.check_cotangents(dy, dstate_n, y, self.dtype)
            dweights, dx, dstate = _pull_back(compiled_pullback, dy, dstate_n)
            self._queue(dweights, dx, dstate)
            return Grads(dx, dstate, {name: dweights[name] for name in self.weights})

        return y, state_n, pullback

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

    def _inputs(
        self, x: jax.Array, state: State[jax.Array] | None, lengths: Lengths
    ) -> tuple[jax.Array, State[jax.Array], jax.Array | None]:
        """x, the state, zeros where none is given, and the lengths as an array, after checking them."""
        self.check_inputs(x, state, self.dtype)
        checked = self.check_lengths(lengths, x)
        # An argument of the compiled function and no constant of it: other lengths need no compiling.
        ends = None if checked is None else jax.device_put(np.array(checked, np.int32), self.jax_device)
        if state is not None:
            return x, state, ends
        B = x.shape[1]
        # JAX arrays cannot change, so the same zeros serve all calls.
        if B not in self.zeros:
            self.zeros[B] = tuple(map(self._put, self.config.zero_state(B)))
        return x, self.zeros[B], ends

    def _put(self, array: NumpyArray) -> jax.Array:
        # JAX may use a NumPy array's memory as its own, so it gets a copy.
        on_device: jax.Array = jax.device_put(np.array(array, dtype=self.dtype, order="C"), self.jax_device)
        return on_device

    def _queue(self, *results: Any) -> None:
        """Keep the results that may not be ready: `synchronize` waits for them, also where a caller dropped them."""
        self.queued = [array for array in self.queued if not array.is_ready()]
        self.queued += jax.tree.leaves(results)


def _find_device(device: str) -> Any:
    """The JAX device of a name such as cuda:1. Raises Unavailable when JAX has none."""
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
    config: RnnConfig,
    transposed: Named,
    lengths: jax.Array | None,
    weights: Named,
    x: jax.Array,
    state: State[jax.Array],
) -> tuple[jax.Array, State[jax.Array]]:
    """x (T, B, I), state (L*D, B, H) -> y (T, B, D*H) and the final state; `transposed` has w_hh.T by name of w_hh.

    `lengths` (B,) are those of the sequences. Steps beyond them are computed and masked.
    """
    valid = None if lengths is None else valid_steps(x, lengths)  # (T, B, 1)

    def run_layer(
        layer: int, direction: int, x: jax.Array, start: State[jax.Array]
    ) -> tuple[jax.Array, State[jax.Array]]:
        w_hh_transposed = transposed[layer_weight_names(layer, direction).w_hh]
        own = select_layer(config, weights, layer, direction)
        return LAYERS[config.cell](x, start, own, w_hh_transposed, direction == 1, valid)

    x = keep(valid, x, jnp.zeros_like(x))
    y, state_n = run_stack(config, run_layer, x, state, concatenate=_concatenate, stack=jnp.stack)
    return keep(valid, y, jnp.zeros_like(y)), state_n


def _concatenate(outputs: list[jax.Array]) -> jax.Array:
    """The outputs (T, B, H) of both directions as one (T, B, 2*H)."""
    return jnp.concatenate(outputs, axis=2)


@functools.partial(jax.jit, static_argnums=0)
def _forward(
    config: RnnConfig,
    weights: Named,
    transposed: Named,
    x: jax.Array,
    state: State[jax.Array],
    lengths: jax.Array | None,
) -> tuple[jax.Array, State[jax.Array]]:
    return _network(config, transposed, lengths, weights, x, state)


@functools.partial(jax.jit, static_argnums=0)
def _forward_with_residuals(
    config: RnnConfig,
    weights: Named,
    transposed: Named,
    x: jax.Array,
    state: State[jax.Array],
    lengths: jax.Array | None,
) -> tuple[jax.Array, State[jax.Array], Any]:
    """y, the final state and the pullback, a pytree of residuals that a compiled function can return."""
    (y, state_n), pullback = jax.vjp(functools.partial(_network, config, transposed, lengths), weights, x, state)
    return y, state_n, pullback


@functools.partial(jax.jit)
def _pull_back(
    pullback: Any, dy: jax.Array, dstate_n: State[jax.Array]
) -> tuple[dict[str, jax.Array], jax.Array, State[jax.Array]]:
    dweights, dx, dstate = pullback((dy, dstate_n))
    return dweights, dx, dstate
