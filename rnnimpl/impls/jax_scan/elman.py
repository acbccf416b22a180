"""The plain recurrent layer in JAX: the scan, and the rule for its gradients."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from rnnimpl.impls.jax_scan.products import before, gradient_of_w_hh, project
from rnnimpl.interface import LayerWeights, State


def tanh_layer(
    x: jax.Array, state: State[jax.Array], weights: LayerWeights[jax.Array], w_hh_transposed: jax.Array, reverse: bool
) -> tuple[jax.Array, State[jax.Array]]:
    """x (T, B, I), a state (B, H) -> y (T, B, H) and the last state; `w_hh_transposed` is w_hh.T."""
    return _layer("tanh", x, state, weights, w_hh_transposed, reverse)


def relu_layer(
    x: jax.Array, state: State[jax.Array], weights: LayerWeights[jax.Array], w_hh_transposed: jax.Array, reverse: bool
) -> tuple[jax.Array, State[jax.Array]]:
    """As `tanh_layer`, with relu."""
    return _layer("relu", x, state, weights, w_hh_transposed, reverse)


def _layer(
    nonlinearity: str,
    x: jax.Array,
    state: State[jax.Array],
    weights: LayerWeights[jax.Array],
    w_hh_transposed: jax.Array,
    reverse: bool,
) -> tuple[jax.Array, State[jax.Array]]:
    (h0,) = state
    bias = None if weights.b_ih is None or weights.b_hh is None else weights.b_ih + weights.b_hh
    y = _recur(nonlinearity, reverse, project(x, weights.w_ih, bias), h0, weights.w_hh, w_hh_transposed)
    return y, (y[0] if reverse else y[-1],)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _recur(
    nonlinearity: str,
    reverse: bool,
    projection: jax.Array,
    h0: jax.Array,
    w_hh: jax.Array,  # noqa: ARG001  # the backward rule needs it
    w_hh_transposed: jax.Array,
) -> jax.Array:
    """projection (T, B, H), h0 (B, H), w_hh and its transpose (H, H) -> the state after each step (T, B, H)."""
    squash = jnp.tanh if nonlinearity == "tanh" else jax.nn.relu

    def step(h: jax.Array, projection_t: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = squash(projection_t + h @ w_hh_transposed)  # (B, H)
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
    w_hh_transposed: jax.Array,
) -> tuple[jax.Array, _Residuals]:
    y = _recur(nonlinearity, reverse, projection, h0, w_hh, w_hh_transposed)
    return y, (y, h0, w_hh)


def _recur_backward(
    nonlinearity: str,
    reverse: bool,
    residuals: _Residuals,
    dy: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, None]:
    """Gradients of projection, h0 and w_hh from dy (T, B, H): a scan back through time, then one product."""
    y, h0, w_hh = residuals
    slope = 1 - y * y if nonlinearity == "tanh" else (y > 0).astype(y.dtype)

    def step(dh: jax.Array, at_t: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        dy_t, slope_t = at_t
        da = (dy_t + dh) * slope_t  # (B, H)
        return da @ w_hh, da

    dh0, da = jax.lax.scan(step, jnp.zeros_like(h0), (dy, slope), reverse=not reverse)
    return da, dh0, gradient_of_w_hh(da, before(y, h0, reverse)), None


_recur.defvjp(_recur_forward, _recur_backward)
