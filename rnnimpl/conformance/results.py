"""Checks that outputs, final states and gradients are the reference's, for every structure of network."""

from __future__ import annotations

from typing import Any

from rnnimpl.conformance.compare import OUTPUTS, Measured, agree, build, infer, require, select, train, worst
from rnnimpl.conformance.examples import Example
from rnnimpl.interface import Rnn


def check_output(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """The output y, from a state of zeros."""
    rnn = build(implementation, example, device)
    results = infer(rnn, example.data().x, None)
    return agree(example.expected(given_h0=False), select(results, "y"))


def check_final_state(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """The final state h_n of each layer and direction, from a state of zeros."""
    rnn = build(implementation, example, device)
    results = infer(rnn, example.data().x, None)
    return agree(example.expected(given_h0=False), select(results, "h_n"))


def check_initial_state(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """y and h_n from a state that is given."""
    rnn = build(implementation, example, device)
    x, h0, _, _ = example.data()
    return agree(example.expected(), infer(rnn, x, h0))


def check_outputs_of_vjp(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """Training computes the same y and h_n as inference."""
    rnn = build(implementation, example, device)
    results = train(rnn, example.data())
    return agree(example.expected(), select(results, *OUTPUTS))


def check_gradient_of_x(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """The gradient with respect to the input."""
    rnn = build(implementation, example, device)
    return agree(example.expected(), select(train(rnn, example.data()), "grad_x"))


def check_gradient_of_h0(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """The gradient with respect to the initial state, given or, when it is not, with respect to the zeros."""
    rnn = build(implementation, example, device)
    given = train(rnn, example.data())
    zeros = train(rnn, example.data(), given_h0=False)
    return worst(
        agree(example.expected(), select(given, "grad_h0"), when="h0 given"),
        agree(example.expected(given_h0=False), select(zeros, "grad_h0"), when="h0 None"),
    )


def check_gradient_of_weights(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """The gradient of every weight, by `nn.RNN`'s names and no others."""
    rnn = build(implementation, example, device)
    results = train(rnn, example.data())
    names = [f"grad_{name}" for name in example.config.weight_shapes()]
    unknown = results.keys() - {*OUTPUTS, "grad_x", "grad_h0", *names}
    require(not unknown, f"there are gradients of {sorted(unknown)}; expected {', '.join(names)}")
    return agree(example.expected(), select(results, *names))


def check_gradient_through_final_state(
    implementation: type[Rnn[Any]], example: Example, device: str = "cpu"
) -> Measured:
    """The gradients when the loss depends on h_n alone, and when it depends on y alone."""
    rnn = build(implementation, example, device)
    return worst(
        *(
            agree(
                example.expected(without=cotangent),
                train(rnn, example.data_without(cotangent)),
                when=f"{cotangent} is zero",
            )
            for cotangent in ("dy", "dh_n")
        )
    )
