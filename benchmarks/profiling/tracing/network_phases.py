"""The phases of a recurrent network within a call, by their names in traces."""

from __future__ import annotations

PROJECTION = "input projection"
"""x @ w_ih.T; backward, the gradients of x and w_ih."""
RECURRENCE = "recurrence"
"""h @ w_hh.T; backward, the gradients of h and w_hh."""
GATES = "gates"
"""The sums and functions that make the next state of both products, such as tanh; backward, their gradients."""
OUTPUT = "output"
"""The joining of outputs."""
LAYERS = "whole layers"
"""A call of compiled code that computes a whole layer, in which the other phases cannot be distinguished."""
