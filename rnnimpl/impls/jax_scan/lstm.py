"""The LSTM layer of `torch.nn.LSTM`: the scan, and the rule for its gradients.

    a = x[t] @ w_ih.T + b_ih + h[t-1] @ w_hh.T + b_hh              blocks of H in the order i, f, g, o
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), tanh(a_g), sigmoid(a_o)
    c[t] = f * c[t-1] + i * g
    h[t] = o * tanh(c[t])

The rule, with "dz" for the gradient of the loss with respect to z:

    dh[t] = dy[t] + da[t+1] @ w_hh
    dc[t] = dh[t] * o * (1 - tanh(c[t])**2) + dc[t+1] * f[t+1]
    da = (dc * g * i * (1 - i),  dc * c[t-1] * f * (1 - f),  dc * i * (1 - g**2),  dh * tanh(c) * o * (1 - o))

The factors of dh and dc depend on no other step, and are computed for all steps before the scan.
"""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from rnnimpl.impls.jax_scan.products import before, gradient_of_w_hh, keep, project
from rnnimpl.interface import LayerWeights, State

_Carried: TypeAlias = tuple[jax.Array, jax.Array]
"""h and c, each (B, H)."""
_Gates: TypeAlias = tuple[jax.Array, jax.Array, jax.Array, jax.Array]
"""i, f, g and o, each (B, H), or of all steps (T, B, H)."""


def layer(
    x: jax.Array,
    state: State[jax.Array],
    weights: LayerWeights[jax.Array],
    w_hh_transposed: jax.Array,
    reverse: bool,
    valid: jax.Array | None,
) -> tuple[jax.Array, State[jax.Array]]:
    """x (T, B, I), h and c (B, H) -> y (T, B, H) and the last h and c; `w_hh_transposed` is w_hh.T.

    In padding, where `valid` (T, B, 1) is false, both states stay as they are, and y is h.
    """
    h0, c0 = state
    bias = None if weights.b_ih is None or weights.b_hh is None else weights.b_ih + weights.b_hh
    y, c_n = _recur(reverse, project(x, weights.w_ih, bias), (h0, c0), weights.w_hh, w_hh_transposed, valid)
    return y, (y[0] if reverse else y[-1], c_n)


def _advance(
    carried: _Carried, projection_t: jax.Array, valid_t: jax.Array | None, w_hh_transposed: jax.Array
) -> tuple[_Carried, _Gates]:
    """One step: h and c before it, the input's sums (B, 4*H), valid (B, 1) -> h and c after it, and its gates."""
    h, c = carried
    a_i, a_f, a_g, a_o = jnp.split(projection_t + h @ w_hh_transposed, 4, axis=1)
    i, f, g, o = jax.nn.sigmoid(a_i), jax.nn.sigmoid(a_f), jnp.tanh(a_g), jax.nn.sigmoid(a_o)
    new_c = f * c + i * g
    return (keep(valid_t, o * jnp.tanh(new_c), h), keep(valid_t, new_c, c)), (i, f, g, o)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _recur(
    reverse: bool,
    projection: jax.Array,
    start: _Carried,
    w_hh: jax.Array,  # noqa: ARG001  # the backward rule needs it
    w_hh_transposed: jax.Array,
    valid: jax.Array | None,
) -> tuple[jax.Array, jax.Array]:
    """projection (T, B, 4*H), h and c (B, H), w_hh (4*H, H), w_hh.T, valid (T, B, 1) -> h (T, B, H), the last c."""

    def step(carried: _Carried, at_t: tuple[jax.Array, jax.Array | None]) -> tuple[_Carried, jax.Array]:
        carried, _ = _advance(carried, *at_t, w_hh_transposed)
        return carried, carried[0]

    (_, c_n), y = jax.lax.scan(step, start, (projection, valid), reverse=reverse)
    return y, c_n


_Residuals: TypeAlias = tuple[jax.Array, jax.Array, _Gates, _Carried, jax.Array, jax.Array | None]


def _recur_forward(
    reverse: bool,
    projection: jax.Array,
    start: _Carried,
    w_hh: jax.Array,
    w_hh_transposed: jax.Array,
    valid: jax.Array | None,
) -> tuple[tuple[jax.Array, jax.Array], _Residuals]:
    """The result of `_recur`, and as residuals h, c and the gates of every step."""

    def step(carried: _Carried, at_t: tuple[jax.Array, jax.Array | None]) -> tuple[_Carried, tuple[_Carried, _Gates]]:
        carried, gates = _advance(carried, *at_t, w_hh_transposed)
        return carried, (carried, gates)

    (_, c_n), ((y, c), gates) = jax.lax.scan(step, start, (projection, valid), reverse=reverse)
    return (y, c_n), (y, c, gates, start, w_hh, valid)


def _recur_backward(
    reverse: bool, residuals: _Residuals, cotangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, _Carried, jax.Array, None, None]:
    """Gradients of projection, h0, c0 and w_hh from dy (T, B, H) and that of the last c (B, H)."""
    y, c, (i, f, g, o), (h0, c0), w_hh, valid = residuals
    dy, dc_n = cotangents
    squashed = jnp.tanh(c)
    of_c = (g * i * (1 - i), before(c, c0, reverse) * f * (1 - f), i * (1 - g * g))  # d c[t] / d a_i, a_f, a_g
    of_h = (squashed * o * (1 - o), o * (1 - squashed * squashed))  # d h[t] / d a_o, c[t]

    def step(after: _Carried, at_t: tuple[Any, ...]) -> tuple[_Carried, jax.Array]:
        dh_after, dc_after = after
        dy_t, valid_t, f_t, c_by_i, c_by_f, c_by_g, h_by_o, h_by_c = at_t
        dh = dy_t + dh_after
        dc = dc_after + dh * h_by_c
        da = jnp.concatenate([dc * c_by_i, dc * c_by_f, dc * c_by_g, dh * h_by_o], axis=1)  # (B, 4*H)
        da = keep(valid_t, da, jnp.zeros_like(da))
        return (keep(valid_t, da @ w_hh, dh), keep(valid_t, dc * f_t, dc_after)), da

    start, da = jax.lax.scan(step, (jnp.zeros_like(h0), dc_n), (dy, valid, f, *of_c, *of_h), reverse=not reverse)
    return da, start, gradient_of_w_hh(da, before(y, h0, reverse)), None, None


_recur.defvjp(_recur_forward, _recur_backward)
