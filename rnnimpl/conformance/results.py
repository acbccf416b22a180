"""Checks that outputs, final states and gradients are the reference's, for every structure of network."""

from __future__ import annotations

from typing import Any

from rnnimpl.conformance.compare import (
    MeasuredError,
    agree,
    build,
    grad_state_names,
    infer,
    outputs,
    require,
    select,
    train,
    worst,
)
from rnnimpl.conformance.examples import Example
from rnnimpl.expectation import state_n_names
from rnnimpl.interface import Rnn


def check_output(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """y is right from a state of zeros."""
    rnn = build(implementation, example, device)
    results = infer(rnn, example.data().x, None)
    return agree(example.expected(given_state=False), select(results, "y"))


def check_final_state(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """Each array of the final state is right from a state of zeros."""
    rnn = build(implementation, example, device)
    results = infer(rnn, example.data().x, None)
    return agree(example.expected(given_state=False), select(results, *state_n_names(example.config)))


def check_initial_state(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """y and the final state are right from a given state."""
    rnn = build(implementation, example, device)
    data = example.data()
    return agree(example.expected(), infer(rnn, data.x, data.state))


def check_outputs_of_vjp(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """y and the final state of training are right."""
    rnn = build(implementation, example, device)
    results = train(rnn, example.data())
    return agree(example.expected(), select(results, *outputs(example.config)))


def check_gradient_of_x(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """The gradient of x is right."""
    rnn = build(implementation, example, device)
    return agree(example.expected(), select(train(rnn, example.data()), "grad_x"))


def check_gradient_of_initial_state(
    implementation: type[Rnn[Any]], example: Example, device: str = "cpu"
) -> MeasuredError:
    """The gradient of each array of the initial state is right, with a given state and with zeros."""
    rnn = build(implementation, example, device)
    names = grad_state_names(example.config)
    given = train(rnn, example.data())
    zeros = train(rnn, example.data(), given_state=False)
    return worst(
        agree(example.expected(), select(given, *names), when="a state given"),
        agree(example.expected(given_state=False), select(zeros, *names), when="no state given"),
    )


def check_gradient_of_weights(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """The gradient of every weight is right, and there are no others."""
    rnn = build(implementation, example, device)
    results = train(rnn, example.data())
    names = [f"grad_{name}" for name in example.config.weight_shapes()]
    others = (*outputs(example.config), "grad_x", *grad_state_names(example.config))
    unknown = results.keys() - {*others, *names}
    require(not unknown, f"there are gradients of {sorted(unknown)}; expected {', '.join(names)}")
    return agree(example.expected(), select(results, *names))


def check_gradient_through_final_state(
    implementation: type[Rnn[Any]], example: Example, device: str = "cpu"
) -> MeasuredError:
    """All gradients are right for a loss of y alone, and of each array of the final state alone."""
    rnn = build(implementation, example, device)
    return worst(
        *(
            agree(
                example.expected(cotangent=cotangent),
                train(rnn, example.data_of_one(cotangent)),
                when=f"all cotangents but {cotangent} are zero",
            )
            for cotangent in example.cotangents
        )
    )
