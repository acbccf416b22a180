"""Checks on calls: of what type the results are, what a call leaves behind, what is said about wrong arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnimpl.conformance.compare import (
    OUTPUTS,
    ConformanceError,
    Measured,
    agree,
    build,
    infer,
    require,
    select,
    train,
    worst,
)
from rnnimpl.conformance.examples import Example
from rnnimpl.expectation import name_results
from rnnimpl.interface import NumpyArray, Rnn, Weights


def check_result_types(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Every result crosses to NumPy in the config's carrier dtype."""
    rnn = build(implementation, example, device)
    x, h0, _, _ = example.data()
    _require_carrier(example, infer(rnn, x, h0))


def check_gradient_types(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Every gradient, too."""
    rnn = build(implementation, example, device)
    _require_carrier(example, train(rnn, example.data()))


def check_inputs_unchanged(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """`forward` leaves x and h0 as they were, on the device and in NumPy."""
    rnn = build(implementation, example, device)
    given = example.data()
    x, h0 = rnn.from_numpy(given.x), rnn.from_numpy(given.h0)
    rnn.forward(x, h0)
    rnn.synchronize()
    _require_same("x", rnn.to_numpy(x), example.data().x)
    _require_same("h0", rnn.to_numpy(h0), example.data().h0)
    _require_same("the array x was made from", given.x, example.data().x)
    _require_same("the array h0 was made from", given.h0, example.data().h0)


def check_inputs_of_vjp_unchanged(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """`vjp` and its pullback leave x, h0, dy and dh_n as they were."""
    rnn = build(implementation, example, device)
    arrays = [rnn.from_numpy(array) for array in example.data()]
    x, h0, dy, dh_n = arrays
    _, _, pullback = rnn.vjp(x, h0)
    pullback(dy, dh_n)
    rnn.synchronize()
    for name, array, before in zip(("x", "h0", "dy", "dh_n"), arrays, example.data(), strict=True):
        _require_same(name, rnn.to_numpy(array), before)


def check_repeatable(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """Calls with other data and other sizes in between leave nothing behind: the same call gives the same."""
    rnn = build(implementation, example, device)
    x, h0, _, _ = example.data()
    first = infer(rnn, x, h0)
    for other in (example.reseeded(), example.resized(T=example.T + 2), example.resized(B=example.B + 2)):
        infer(rnn, other.data().x, other.data().h0)
    second = infer(rnn, x, h0)
    zeros = infer(rnn, x, None)
    return worst(
        agree(example.expected(), first, when="the first call"),
        agree(example.expected(), second, when="the same call after others"),
        agree(example.expected(given_h0=False), zeros, when="a call with h0 None after others"),
    )


def check_results_kept(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """The results of a call stay what they are when there are later calls."""
    rnn = build(implementation, example, device)
    x, h0, _, _ = (rnn.from_numpy(array) for array in example.data())
    results = rnn.forward(x, h0)
    rnn.synchronize()
    on_host = name_results(rnn, *results)
    infer(rnn, example.reseeded().data().x, example.reseeded().data().h0)
    return worst(
        agree(example.expected(), name_results(rnn, *results), when="results read after a later call"),
        agree(example.expected(), on_host, when="results read before a later call"),
    )


def check_gradients_kept(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """The gradients of a call stay what they are when there are later calls."""
    rnn = build(implementation, example, device)
    x, h0, dy, dh_n = (rnn.from_numpy(array) for array in example.data())
    y, h_n, pullback = rnn.vjp(x, h0)
    grads = pullback(dy, dh_n)
    rnn.synchronize()
    train(rnn, example.reseeded().data())
    return agree(example.expected(), name_results(rnn, y, h_n, grads), when="results read after a later call")


def check_pullback_after_other_calls(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """A pullback belongs to its own call, whatever was called since."""
    rnn = build(implementation, example, device)
    x, h0, dy, dh_n = (rnn.from_numpy(array) for array in example.data())
    y, h_n, pullback = rnn.vjp(x, h0)
    other = example.reseeded().data()
    infer(rnn, other.x, other.h0)
    train(rnn, other)
    grads = pullback(dy, dh_n)
    rnn.synchronize()
    return agree(example.expected(), name_results(rnn, y, h_n, grads), when="the pullback called after other calls")


def check_instances_independent(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """Two instances with other weights do not touch each other."""
    one, other = build(implementation, example, device), build(implementation, example.reseeded(), device)
    measured = []
    for rnn, its_example in ((one, example), (other, example.reseeded()), (one, example)):
        data = its_example.data()
        measured.append(agree(its_example.expected(), infer(rnn, data.x, data.h0), when="of two instances"))
    return worst(*measured)


def check_weights_unchanged(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """Training calls leave the weights as they were: gradients are returned, not applied."""
    rnn = build(implementation, example, device)
    data = example.data()
    train(rnn, data)
    return agree(example.expected(), select(train(rnn, data), *OUTPUTS), when="after a training call")


def check_wrong_shapes(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """x or h0 of a wrong shape is a ValueError that names the shape it has and the one it should have."""
    rnn = build(implementation, example, device)
    _require_shape_errors(rnn, example, rnn.forward)


def check_wrong_shapes_in_vjp(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """In training, too."""
    rnn = build(implementation, example, device)
    x, _, _, _ = example.data()
    rnn.vjp(rnn.from_numpy(x))
    _require_shape_errors(rnn, example, rnn.vjp)


def check_wrong_dtype(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """`from_numpy` refuses an array of another dtype with a TypeError that names both."""
    rnn = build(implementation, example, device)
    carrier = example.config.carrier
    for dtype in {"float16", "float32", "float64", "int64"} - {carrier.name}:
        array = example.data().x.astype(dtype)
        try:
            rnn.from_numpy(array)
        except TypeError as error:
            named = dtype in str(error) and carrier.name in str(error)
            require(named, f"the TypeError for {dtype} says {str(error)!r}; expected {dtype} and {carrier.name} in it")
            continue
        raise ConformanceError(f"from_numpy takes {dtype}; expected a TypeError: the carrier is {carrier}")


def check_wrong_weights(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Weights that were made for another config are a ValueError when an instance is built."""
    build(implementation, example, device)
    other = dataclasses.replace(example.config, hidden_size=example.config.hidden_size + 1)
    try:
        implementation(example.config, Weights.init(other, 0), device)
    except ValueError:
        return
    raise ConformanceError(f"weights for hidden_size {other.hidden_size} are taken; expected a ValueError")


def check_describe(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """`describe` gives text by text, and `library` among it."""
    described = build(implementation, example, device).describe()
    strings = isinstance(described, dict) and all(isinstance(each, str) for pair in described.items() for each in pair)
    require(strings, f"describe() gives {described!r}; expected a dict of str by str")
    require(bool(described.get("library")), f"describe() gives {described!r}; expected 'library' in it")


def _require_shape_errors(rnn: Rnn[Any], example: Example, call: Callable[..., Any]) -> None:
    """Call with each wrong shape; the right one must be in the message, as far as the input defines it."""
    c, B = example.config, example.B
    x, h0, _, _ = example.data()
    states, _, H = h0.shape
    wrong: list[tuple[str, NumpyArray, NumpyArray | None, str]] = [
        ("x", x[0], None, str(c.input_size)),
        ("x", x[:, :, 1:], None, str(c.input_size)),
        ("x", np.concatenate([x, x], axis=2), h0, str(c.input_size)),
        ("h0", x, np.concatenate([h0, h0]), str((states, B, H))),
        ("h0", x, h0[0], str((states, B, H))),
        ("h0", x, h0[:, :1], str((states, B, H))),
        ("h0", x, h0[:, :, 1:], str((states, B, H))),
    ]
    for name, wrong_x, wrong_h0, expected in wrong:
        shape = str((wrong_x if name == "x" else wrong_h0).shape)  # type: ignore[union-attr]  # h0 is there when named
        try:
            call(rnn.from_numpy(wrong_x), None if wrong_h0 is None else rnn.from_numpy(wrong_h0))
        except ValueError as error:
            said = str(error)
            require(
                shape in said and expected in said,
                f"the ValueError for {name} of shape {shape} says {said!r}; expected {shape} and {expected} in it",
            )
            continue
        raise ConformanceError(f"{name} of shape {shape} is taken; expected a ValueError")


def _require_same(name: str, after: NumpyArray, before: NumpyArray) -> None:
    changed = int((after != before).sum()) if after.shape == before.shape else before.size
    require(changed == 0, f"{name} {before.shape} is changed by the call in {changed} places")


def _require_carrier(example: Example, results: dict[str, NumpyArray]) -> None:
    for name, array in results.items():
        require(isinstance(array, np.ndarray), f"to_numpy gives a {type(array).__name__} for {name}; expected an array")
        expected = example.config.carrier
        require(array.dtype == expected, f"{name} has dtype {array.dtype}; expected {expected}")
