"""Checks on batches of sequences of unequal lengths, and on all that may be wrong with lengths.

Unsupported for a class whose calls take no lengths, or refuse unequal ones.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from rnnimpl.conformance.compare import (
    ConformanceError,
    MeasuredError,
    agree,
    build,
    infer,
    outputs,
    require,
    require_shape,
    same_bits,
    select,
    train,
    worst,
)
from rnnimpl.conformance.examples import Data, Example
from rnnimpl.expectation import is_per_sequence, state_n_names
from rnnimpl.interface import NumpyArray, Rnn, Unsupported


def check_output_of_lengths(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """y is right up to each sequence's length, in both directions, and zero beyond it."""
    rnn = _build(implementation, example, device)
    results = infer(rnn, example.data().x, None, example.lengths())
    measured = agree(example.expected_of_lengths(given_state=False), select(results, "y"))
    _require_zero_padding(example, "y", results["y"])
    return measured


def check_final_state_of_lengths(
    implementation: type[Rnn[Any]], example: Example, device: str = "cpu"
) -> MeasuredError:
    """The final state is the one at each sequence's own last step, from a given state and from zeros."""
    rnn = _build(implementation, example, device)
    data, names = example.data(), state_n_names(example.config)
    given = infer(rnn, data.x, data.state, example.lengths())
    zeros = infer(rnn, data.x, None, example.lengths())
    return worst(
        agree(example.expected_of_lengths(), select(given, *names), when="a state given"),
        agree(example.expected_of_lengths(given_state=False), select(zeros, *names), when="no state given"),
    )


def check_gradients_of_lengths(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """y, the final state and every gradient of training are right; the gradient of x is zero in the padding."""
    rnn = _build(implementation, example, device, "vjp")
    results = train(rnn, example.data(), lengths=example.lengths())
    measured = agree(example.expected_of_lengths(), results)
    _require_zero_padding(example, "y", results["y"])
    _require_zero_padding(example, "grad_x", results["grad_x"])
    return measured


def check_nan_in_padding(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """NaN in the padding of x changes nothing."""
    rnn = _build(implementation, example, device)
    data = _with_nan(example)
    results = infer(rnn, data.x, data.state, example.lengths())
    return agree(example.expected_of_lengths(), results, when="the padding of x is NaN")


def check_nan_in_padding_of_gradients(
    implementation: type[Rnn[Any]], example: Example, device: str = "cpu"
) -> MeasuredError:
    """NaN in the padding of x and dy changes no gradient."""
    rnn = _build(implementation, example, device, "vjp")
    results = train(rnn, _with_nan(example), lengths=example.lengths())
    return agree(example.expected_of_lengths(), results, when="the padding of x and dy is NaN")


def check_order_of_lengths(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """Sequences from the longest to the shortest, and the other way, give the results in that order.

    `identical` records whether to the last bit.
    """
    rnn = _build(implementation, example, device)
    data, lengths = example.data(), np.array(example.lengths())
    usual = infer(rnn, data.x, data.state, example.lengths())
    measured = []
    for order in (np.argsort(lengths, kind="stable"), np.argsort(-lengths, kind="stable")):
        state = tuple(array[:, order] for array in data.state)
        results = infer(rnn, data.x[:, order], state, tuple(lengths[order].tolist()))
        for name, array in results.items():
            require_shape(name, array, example.expected_of_lengths().values[name].shape)
        back = {name: array[:, np.argsort(order)] for name, array in results.items()}
        when = f"lengths {tuple(lengths[order].tolist())}"
        measured.append(agree(example.expected_of_lengths(), back, when=when, identical=same_bits(usual, back)))
    return worst(*measured)


def check_order_of_gradients_of_lengths(
    implementation: type[Rnn[Any]], example: Example, device: str = "cpu"
) -> MeasuredError:
    """Sequences of a batch in another order give the same results and gradients, in that order."""
    rnn = _build(implementation, example, device, "vjp")
    order = np.argsort(-np.array(example.lengths()), kind="stable")
    data = example.data()
    ordered = Data(
        *(data.x[:, order], tuple(array[:, order] for array in data.state)),
        *(data.dy[:, order], tuple(array[:, order] for array in data.dstate_n)),
    )
    results = train(rnn, ordered, lengths=tuple(example.lengths()[place] for place in order))
    back = {name: array[:, np.argsort(order)] if is_per_sequence(name) else array for name, array in results.items()}
    return agree(example.expected_of_lengths(), back, when="from the longest to the shortest")


def check_calls_with_and_without_lengths(
    implementation: type[Rnn[Any]], example: Example, device: str = "cpu"
) -> MeasuredError:
    """A call with lengths changes no later call without, and lengths that are all T are none."""
    rnn = _build(implementation, example, device)
    data = example.data()
    infer(rnn, data.x, data.state, example.lengths())
    without = agree(example.expected(), infer(rnn, data.x, data.state), when="no lengths, after a call with")
    whole = infer(rnn, data.x, data.state, (example.T,) * example.B)
    return worst(without, agree(example.expected(), select(whole, *outputs(example.config)), when="lengths all T"))


def check_wrong_lengths(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Lengths of another number, of 0 and beyond T are a ValueError that names them, other types a TypeError."""
    rnn = _build(implementation, example, device)
    x = rnn.from_numpy(example.data().x)
    T, B = example.T, example.B
    wrong: list[tuple[type[Exception], Any, tuple[str, ...]]] = [
        (ValueError, (T,) * (B - 1), (str(B - 1), str(B))),
        (ValueError, (T,) * (B + 1), (str(B + 1), str(B))),
        (ValueError, (T,) * (B - 1) + (0,), (f"lengths[{B - 1}]", "0", str(T))),
        (ValueError, (T + 1,) + (T,) * (B - 1), ("lengths[0]", str(T + 1), str(T))),
        (ValueError, (-1,) + (T,) * (B - 1), ("lengths[0]", "-1")),
        (TypeError, (1.5,) + (T,) * (B - 1), ("lengths[0]", "1.5")),
        (TypeError, (True,) + (T,) * (B - 1), ("lengths[0]", "True")),
        (TypeError, T, ("lengths", "int")),
    ]
    for error, lengths, named in wrong:
        try:
            rnn.forward(x, None, lengths)
            rnn.synchronize()
        except error as raised:
            missing = [each for each in named if each not in str(raised)]
            require(not missing, f"the {error.__name__} for lengths {lengths} says {str(raised)!r}; expected {missing}")
        else:
            raise ConformanceError(f"lengths {lengths} are accepted with x of {T} steps; expected a {error.__name__}")


def _build(implementation: type[Rnn[Any]], example: Example, device: str, call: str = "forward") -> Rnn[Any]:
    """An instance. Raises Unsupported where the call takes no lengths, or refuses unequal ones."""
    if "lengths" not in inspect.signature(getattr(implementation, call)).parameters:
        raise Unsupported(f"{implementation.__name__}.{call} takes no lengths")
    rnn = build(implementation, example, device)
    getattr(rnn, call)(rnn.from_numpy(example.data().x), None, example.lengths())
    return rnn


def _with_nan(example: Example) -> Data:
    """The data with NaN in the padding of x and dy."""
    data = example.data()
    for array in (data.x, data.dy):
        array[example.padding()] = np.nan
    return data


def _require_zero_padding(example: Example, name: str, array: NumpyArray) -> None:
    count = int(np.count_nonzero(array[example.padding()]))
    require(count == 0, f"{name} has {count} numbers other than zero beyond the sequences' lengths {example.lengths()}")
