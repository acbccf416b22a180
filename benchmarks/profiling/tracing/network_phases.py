"""What a recurrent network does within a call: the names of its phases in traces."""

from __future__ import annotations

PROJECTION, RECURRENCE, GATES, OUTPUT = "input projection", "recurrence", "gates", "output"
"""What the network does: x @ w_ih.T; h @ w_hh.T; the sums and functions that make the next state of both, of a plain
RNN its tanh or relu; what joins outputs. Backward, their gradients."""
LAYERS = "whole layers"
"""What is one call of compiled code a layer, in which none of these is told apart."""
