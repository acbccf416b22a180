"""Interchangeable implementations of a recurrent network behind one interface."""

from rnnimpl.interface import Grads, Rnn, RnnConfig, Unavailable, Unsupported, Weights
from rnnimpl.registry import load, names

__all__ = ["Grads", "Rnn", "RnnConfig", "Unavailable", "Unsupported", "Weights", "load", "names"]
