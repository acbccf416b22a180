"""The GRU layer of `torch.nn.GRU`, the reset gate after the product: the scan, and the rule for its gradients.

    r = sigmoid(x[t] @ w_ir.T + b_ir + h[t-1] @ w_hr.T + b_hr)     blocks of H in the order r, z, n
    z = sigmoid(x[t] @ w_iz.T + b_iz + h[t-1] @ w_hz.T + b_hz)
    s = h[t-1] @ w_hn.T + b_hn
    n = tanh(x[t] @ w_in.T + b_in + r * s)
    h[t] = (1 - z) * n + z * h[t-1]

All biases but b_hn, which r multiplies, are added to the projection of all steps. The rule, with "da_" for the gradient
of the loss with respect to the pre-activation of a gate, and "dq" for that with respect to any other q:

    dh[t] = dy[t] + (da_r, da_z, ds)[t+1] @ w_hh + dh[t+1] * z[t+1]
    da_n = dh[t] * (1 - z) * (1 - n**2)          ds = da_n * r
    da_z = dh[t] * (h[t-1] - n) * z * (1 - z)
    da_r = da_n * s * r * (1 - r)

The factors of dh and da_n depend on no other step, and are computed for all steps before the scan.
"""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from rnnimpl.impls.jax_scan.products import before, gradient_of_w_hh, keep, project
from rnnimpl.interface import LayerWeights, State

_Step: TypeAlias = tuple[jax.Array, jax.Array, jax.Array, jax.Array]
"""r, z, n and s, each (B, H), or of all steps (T, B, H)."""


def layer(
    x: jax.Array,
    state: State[jax.Array],
    weights: LayerWeights[jax.Array],
    w_hh_transposed: jax.Array,
    reverse: bool,
    valid: jax.Array | None,
) -> tuple[jax.Array, State[jax.Array]]:
    """x (T, B, I), h (B, H) -> y (T, B, H) and the last h; `w_hh_transposed` is w_hh.T.

    In padding, where `valid` (T, B, 1) is false, the state stays as it is, and y is that state.
    """
    (h0,) = state
    bias = b_hn = None
    if weights.b_ih is not None and weights.b_hh is not None:
        b_hr_and_b_hz, b_hn = jnp.split(weights.b_hh, [2 * h0.shape[1]])
        bias = weights.b_ih + jnp.concatenate([b_hr_and_b_hz, jnp.zeros_like(b_hn)])
    y = _recur(reverse, project(x, weights.w_ih, bias), h0, weights.w_hh, b_hn, w_hh_transposed, valid)
    return y, (y[0] if reverse else y[-1],)


def _advance(
    h: jax.Array,
    at_t: tuple[jax.Array, jax.Array | None],
    b_hn: jax.Array | None,
    w_hh_transposed: jax.Array,
) -> tuple[jax.Array, _Step]:
    """One step: h before it, the input's sums (B, 3*H) and valid (B, 1) -> h after it, and r, z, n and s."""
    projection_t, valid_t = at_t
    input_r, input_z, input_n = jnp.split(projection_t, 3, axis=1)
    state_r, state_z, s = jnp.split(h @ w_hh_transposed, 3, axis=1)
    s = s if b_hn is None else s + b_hn
    r, z = jax.nn.sigmoid(input_r + state_r), jax.nn.sigmoid(input_z + state_z)
    n = jnp.tanh(input_n + r * s)
    return keep(valid_t, (1 - z) * n + z * h, h), (r, z, n, s)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _recur(
    reverse: bool,
    projection: jax.Array,
    h0: jax.Array,
    w_hh: jax.Array,  # noqa: ARG001  # the backward rule needs it
    b_hn: jax.Array | None,
    w_hh_transposed: jax.Array,
    valid: jax.Array | None,
) -> jax.Array:
    """projection (T, B, 3*H), h0 (B, H), w_hh (3*H, H), b_hn (H,), w_hh.T, valid (T, B, 1) -> h of all steps."""

    def step(h: jax.Array, at_t: tuple[jax.Array, jax.Array | None]) -> tuple[jax.Array, jax.Array]:
        h, _ = _advance(h, at_t, b_hn, w_hh_transposed)
        return h, h

    _, y = jax.lax.scan(step, h0, (projection, valid), reverse=reverse)
    return y


_Residuals: TypeAlias = tuple[jax.Array, _Step, jax.Array, jax.Array, jax.Array | None, jax.Array | None]


def _recur_forward(
    reverse: bool,
    projection: jax.Array,
    h0: jax.Array,
    w_hh: jax.Array,
    b_hn: jax.Array | None,
    w_hh_transposed: jax.Array,
    valid: jax.Array | None,
) -> tuple[jax.Array, _Residuals]:
    """The result of `_recur`, and as residuals the gates of every step."""

    def step(h: jax.Array, at_t: tuple[jax.Array, jax.Array | None]) -> tuple[jax.Array, tuple[jax.Array, _Step]]:
        h, on_the_way = _advance(h, at_t, b_hn, w_hh_transposed)
        return h, (h, on_the_way)

    _, (y, on_the_way) = jax.lax.scan(step, h0, (projection, valid), reverse=reverse)
    return y, (y, on_the_way, h0, w_hh, b_hn, valid)


def _recur_backward(
    reverse: bool, residuals: _Residuals, dy: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array | None, None, None]:
    """Gradients of projection, h0, w_hh and b_hn from dy (T, B, H)."""
    y, (r, z, n, s), h0, w_hh, b_hn, valid = residuals
    h_before = before(y, h0, reverse)
    of_h = ((1 - z) * (1 - n * n), (h_before - n) * z * (1 - z))  # d h[t] / d a_n, a_z
    n_by_r = s * r * (1 - r)  # d a_n / d a_r

    def step(dh: jax.Array, at_t: tuple[Any, ...]) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        dy_t, valid_t, r_t, z_t, h_by_n, h_by_z, n_by_r_t = at_t
        dh = dy_t + dh
        into_h = keep(valid_t, dh, jnp.zeros_like(dh))
        da_n = into_h * h_by_n
        of_state = jnp.concatenate([da_n * n_by_r_t, into_h * h_by_z, da_n * r_t], axis=1)  # da_r, da_z, ds: (B, 3*H)
        return keep(valid_t, of_state @ w_hh + dh * z_t, dh), (of_state, da_n)

    dh0, (of_state, da_n) = jax.lax.scan(
        step, jnp.zeros_like(h0), (dy, valid, r, z, *of_h, n_by_r), reverse=not reverse
    )
    da_r_and_da_z, ds = jnp.split(of_state, [2 * h0.shape[1]], axis=2)
    db_hn = None if b_hn is None else ds.sum((0, 1))
    of_input = jnp.concatenate([da_r_and_da_z, da_n], axis=2)
    return of_input, dh0, gradient_of_w_hh(of_state, h_before), db_hn, None, None


_recur.defvjp(_recur_forward, _recur_backward)
