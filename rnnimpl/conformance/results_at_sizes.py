"""Checks that outputs and gradients are the reference's at the sizes at which kernels switch algorithms."""

from __future__ import annotations

from typing import Any

from rnnimpl.conformance.compare import MeasuredError, agree, build, infer, train, worst
from rnnimpl.conformance.examples import Example
from rnnimpl.interface import Rnn


def check_outputs_at_sizes(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """y and the final state of inference are right, from a given state and from zeros."""
    rnn = build(implementation, example, device)
    data = example.data()
    return worst(
        agree(example.expected(), infer(rnn, data.x, data.state), when="a state given"),
        agree(example.expected_from_zeros(), infer(rnn, data.x, None), when="no state given"),
    )


def check_gradients_at_sizes(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """y, the final state and every gradient of training are right, from a given state."""
    rnn = build(implementation, example, device)
    return agree(example.expected(), train(rnn, example.data()))
