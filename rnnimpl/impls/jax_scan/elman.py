"""The plain recurrent layer in JAX: the scan, and the rule for its gradients."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from rnnimpl.impls.jax_scan.products import before, gradient_of_w_hh, keep, project
from rnnimpl.interface import LayerWeights, State


def tanh_layer(
    x: jax.Array,
    state: State[jax.Array],
    weights: LayerWeights[jax.Array],
    w_hh_transposed: jax.Array,
    reverse: bool,
    valid: jax.Array | None,
) -> tuple[jax.Array, State[jax.Array]]:
    """x (T, B, I), a state (B, H) -> y (T, B, H) and the last state; `w_hh_transposed` is w_hh.T.

    In padding, where `valid` (T, B, 1) is false, the state stays as it is, and y is that state.
    """
    return _layer("tanh", x, state, weights, w_hh_transposed, reverse, valid)


def relu_layer(
    x: jax.Array,
    state: State[jax.Array],
    weights: LayerWeights[jax.Array],
    w_hh_transposed: jax.Array,
    reverse: bool,
    valid: jax.Array | None,
) -> tuple[jax.Array, State[jax.Array]]:
    """As `tanh_layer`, with relu."""
    return _layer("relu", x, state, weights, w_hh_transposed, reverse, valid)


def _layer(
    nonlinearity: str,
    x: jax.Array,
    state: State[jax.Array],
    weights: LayerWeights[jax.Array],
    w_hh_transposed: jax.Array,
    reverse: bool,
    valid: jax.Array | None,
) -> tuple[jax.Array, State[jax.Array]]:
    (h0,) = state
    bias = None if weights.b_ih is None or weights.b_hh is None else weights.b_ih + weights.b_hh
    y = _recur(nonlinearity, reverse, project(x, weights.w_ih, bias), h0, weights.w_hh, w_hh_transposed, valid)
    return y, (y[0] if reverse else y[-1],)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _recur(
    nonlinearity: str,
    reverse: bool,
    projection: jax.Array,
    h0: jax.Array,
    w_hh: jax.Array,  # noqa: ARG001  # the backward rule needs it
    w_hh_transposed: jax.Array,
    valid: jax.Array | None,
) -> jax.Array:
    """projection (T, B, H), h0 (B, H), w_hh, its transpose (H, H), valid (T, B, 1) -> h after each step (T, B, H)."""
    squash = jnp.tanh if nonlinearity == "tanh" else jax.nn.relu

    def step(h: jax.Array, at_t: tuple[jax.Array, jax.Array | None]) -> tuple[jax.Array, jax.Array]:
        projection_t, valid_t = at_t
        h = keep(valid_t, squash(projection_t + h @ w_hh_transposed), h)  # (B, H)
        return h, h

    _, y = jax.lax.scan(step, h0, (projection, valid), reverse=reverse)
    return y


_Residuals = tuple[jax.Array, jax.Array, jax.Array, jax.Array | None]


def _recur_forward(
    nonlinearity: str,
    reverse: bool,
    projection: jax.Array,
    h0: jax.Array,
    w_hh: jax.Array,
    w_hh_transposed: jax.Array,
    valid: jax.Array | None,
) -> tuple[jax.Array, _Residuals]:
    y = _recur(nonlinearity, reverse, projection, h0, w_hh, w_hh_transposed, valid)
    return y, (y, h0, w_hh, valid)


def _recur_backward(
    nonlinearity: str,
    reverse: bool,
    residuals: _Residuals,
    dy: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, None, None]:
    """Gradients of projection, h0 and w_hh from dy (T, B, H): a scan back through time, then one product."""
    y, h0, w_hh, valid = residuals
    slope = 1 - y * y if nonlinearity == "tanh" else (y > 0).astype(y.dtype)

    def step(dh: jax.Array, at_t: tuple[jax.Array, jax.Array, jax.Array | None]) -> tuple[jax.Array, jax.Array]:
        dy_t, slope_t, valid_t = at_t
        dh = dy_t + dh
        da = keep(valid_t, dh * slope_t, jnp.zeros_like(dh))  # (B, H)
        return keep(valid_t, da @ w_hh, dh), da

    dh0, da = jax.lax.scan(step, jnp.zeros_like(h0), (dy, slope, valid), reverse=not reverse)
    return da, dh0, gradient_of_w_hh(da, before(y, h0, reverse)), None, None


_recur.defvjp(_recur_forward, _recur_backward)
