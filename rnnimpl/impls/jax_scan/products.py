"""Computations over all steps at once: products, and the states before the steps."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def project(x: jax.Array, w_ih: jax.Array, bias: jax.Array | None) -> jax.Array:
    """The input projection of all steps: x (T, B, I), w_ih (G*H, I), bias (G*H,) or None -> (T, B, G*H)."""
    projection: jax.Array = x @ w_ih.T
    return projection if bias is None else projection + bias


def before(states: jax.Array, start: jax.Array, reverse: bool) -> jax.Array:
    """The state before each step (T, B, H), from those after each (T, B, H) and the one before the first (B, H)."""
    started: jax.Array = jnp.concatenate([states[1:], start[None]] if reverse else [start[None], states[:-1]])
    return started


def gradient_of_w_hh(of_state: jax.Array, h_before: jax.Array) -> jax.Array:
    """The gradient of w_hh (G*H, H), from those of the state's sums (T, B, G*H) and h before each step (T, B, H)."""
    gradient: jax.Array = jnp.einsum("tbi,tbj->ij", of_state, h_before)
    return gradient


def valid_steps(x: jax.Array, lengths: jax.Array) -> jax.Array:
    """Whether a step of x (T, B, I) belongs to its sequence of `lengths` (B,) and is no padding: (T, B, 1)."""
    valid: jax.Array = (jnp.arange(x.shape[0])[:, None] < lengths)[:, :, None]
    return valid


def keep(valid: jax.Array | None, new: jax.Array, old: jax.Array) -> jax.Array:
    """`new` where a step is valid and `old` in padding; `new` where there is no padding."""
    return new if valid is None else jnp.where(valid, new, old)
