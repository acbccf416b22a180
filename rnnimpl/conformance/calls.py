"""Checks on calls: the types of results, effects of a call on later calls, errors for wrong arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnimpl.conformance.compare import (
    ConformanceError,
    MeasuredError,
    agree,
    build,
    by_name,
    infer,
    moved,
    outputs,
    require,
    same_bits,
    select,
    train,
    worst,
)
from rnnimpl.conformance.examples import Data, Example
from rnnimpl.interface import CELL_NAMES, NumpyArray, Rnn, Unsupported, Weights


def check_result_types(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Every result crosses to NumPy in the config's carrier dtype."""
    rnn = build(implementation, example, device)
    data = example.data()
    _require_carrier(example, infer(rnn, data.x, data.state))


def check_gradient_types(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Every gradient crosses to NumPy in the config's carrier dtype."""
    rnn = build(implementation, example, device)
    _require_carrier(example, train(rnn, example.data()))


def check_inputs_unchanged(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """`forward` leaves x and the state unchanged, on the device and in NumPy."""
    rnn = build(implementation, example, device)
    given = example.data()
    x, state, _, _ = moved(rnn, given)
    rnn.forward(x, state)
    rnn.synchronize()
    for name, array, source, before in zip(
        _names(example), (x, *state), (given.x, *given.state), example.data().arrays, strict=False
    ):
        _require_same(name, rnn.to_numpy(array), before)
        _require_same(f"the array {name} was made from", source, before)


def check_inputs_of_vjp_unchanged(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """`vjp` and its pullback leave x, the state, dy and dstate_n unchanged."""
    rnn = build(implementation, example, device)
    x, state, dy, dstate_n = moved(rnn, example.data())
    _, _, pullback = rnn.vjp(x, state)
    pullback(dy, dstate_n)
    rnn.synchronize()
    arrays = (x, *state, dy, *dstate_n)
    for name, array, before in zip(_names(example), arrays, example.data().arrays, strict=True):
        _require_same(name, rnn.to_numpy(array), before)


def check_repeatable(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """A call gives the same results again after calls with other data and sizes.

    They agree within the tolerance; `identical` records whether they agree to the last bit.
    """
    rnn = build(implementation, example, device)
    data = example.data()
    first = infer(rnn, data.x, data.state)
    for other in (example.reseeded(), example.resized(T=example.T + 2), example.resized(B=example.B + 2)):
        infer(rnn, other.data().x, other.data().state)
    second = infer(rnn, data.x, data.state)
    zeros = infer(rnn, data.x, None)
    return worst(
        agree(example.expected(), first, when="the first call"),
        agree(example.expected(), second, when="the same call after others", identical=same_bits(first, second)),
        agree(example.expected(given_state=False), zeros, when="a call without a state after others"),
    )


def check_gradients_repeatable(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """A training call gives the same gradients again: none are added to those of an earlier call.

    They agree within the tolerance; `identical` records whether they agree to the last bit.
    """
    rnn = build(implementation, example, device)
    first = train(rnn, example.data())
    train(rnn, example.reseeded().data())
    second = train(rnn, example.data())
    return worst(
        agree(example.expected(), first, when="the first call"),
        agree(example.expected(), second, when="the same call after others", identical=same_bits(first, second)),
    )


def check_results_kept(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """A later call leaves the results of a call unchanged."""
    rnn = build(implementation, example, device)
    x, state, _, _ = moved(rnn, example.data())
    results = rnn.forward(x, state)
    rnn.synchronize()
    on_host = by_name(rnn, *results)
    other = example.reseeded().data()
    infer(rnn, other.x, other.state)
    return worst(
        agree(example.expected(), by_name(rnn, *results), when="results read after a later call"),
        agree(example.expected(), on_host, when="results read before a later call"),
    )


def check_gradients_kept(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """A later call leaves the gradients of a call unchanged."""
    rnn = build(implementation, example, device)
    x, state, dy, dstate_n = moved(rnn, example.data())
    y, state_n, pullback = rnn.vjp(x, state)
    grads = pullback(dy, dstate_n)
    rnn.synchronize()
    train(rnn, example.reseeded().data())
    return agree(example.expected(), by_name(rnn, y, state_n, grads), when="results read after a later call")


def check_pullback_after_other_calls(
    implementation: type[Rnn[Any]], example: Example, device: str = "cpu"
) -> MeasuredError:
    """A pullback gives the gradients of its own call after other calls."""
    rnn = build(implementation, example, device)
    x, state, dy, dstate_n = moved(rnn, example.data())
    y, state_n, pullback = rnn.vjp(x, state)
    other = example.reseeded().data()
    infer(rnn, other.x, other.state)
    train(rnn, other)
    grads = pullback(dy, dstate_n)
    rnn.synchronize()
    return agree(example.expected(), by_name(rnn, y, state_n, grads), when="the pullback called after other calls")


def check_instances_independent(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """Two instances with different weights do not affect each other."""
    one, other = build(implementation, example, device), build(implementation, example.reseeded(), device)
    measured = []
    for rnn, its_example in ((one, example), (other, example.reseeded()), (one, example)):
        data = its_example.data()
        measured.append(agree(its_example.expected(), infer(rnn, data.x, data.state), when="of two instances"))
    return worst(*measured)


def check_weights_unchanged(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """Training calls leave the weights unchanged: gradients are returned, not applied."""
    rnn = build(implementation, example, device)
    data = example.data()
    train(rnn, data)
    return agree(example.expected(), select(train(rnn, data), *outputs(example.config)), when="after a training call")


def check_wrong_shapes(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """x or an array of the state of a wrong shape is a ValueError that names the shape it has and the right one."""
    rnn = build(implementation, example, device)
    _require_shape_errors(rnn, example, rnn.forward)


def check_wrong_shapes_in_vjp(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """`vjp` refuses x and the state of a wrong shape as `forward` does."""
    rnn = build(implementation, example, device)
    rnn.vjp(rnn.from_numpy(example.data().x))
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
        raise ConformanceError(f"from_numpy accepts {dtype}; expected a TypeError: the carrier is {carrier}")


def check_wrong_weights(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Weights that were made for another config are a ValueError when an instance is built."""
    build(implementation, example, device)
    other = dataclasses.replace(example.config, hidden_size=example.config.hidden_size + 1)
    try:
        implementation(example.config, Weights.init(other, 0), device)
    except ValueError:
        return
    raise ConformanceError(f"weights for hidden_size {other.hidden_size} are accepted; expected a ValueError")


def check_other_cells(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """A cell that the class does not name in `cells` is Unsupported, and every name in `cells` is known."""
    build(implementation, example, device)
    unknown = [cell for cell in implementation.cells if cell not in CELL_NAMES]
    require(not unknown, f"cells names {', '.join(unknown)}; expected some of {', '.join(CELL_NAMES)}")
    for cell in CELL_NAMES:
        if cell in implementation.cells:
            continue
        config = dataclasses.replace(example.config, cell=cell)
        try:
            implementation(config, Weights.init(config, 0), device)
        except Unsupported:
            continue
        named = ", ".join(implementation.cells)
        raise ConformanceError(
            f"cell {cell} is accepted, but cells names {named} alone; expected it there or Unsupported"
        )


def check_describe(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """`describe` gives a dict of str by str that has `library`."""
    described = build(implementation, example, device).describe()
    strings = isinstance(described, dict) and all(isinstance(each, str) for pair in described.items() for each in pair)
    require(strings, f"describe() gives {described!r}; expected a dict of str by str")
    require(bool(described.get("library")), f"describe() gives {described!r}; expected 'library' in it")


def _require_shape_errors(rnn: Rnn[Any], example: Example, call: Callable[..., Any]) -> None:
    """Require a ValueError for each wrong shape, with the right one as far as the input defines it."""
    data, features = example.data(), str(example.config.input_size)
    _require_shape_error(rnn, call, data._replace(x=data.x[0], state=()), "x", data.x[0].shape, features)
    narrow, wide = data.x[:, :, 1:], np.concatenate([data.x, data.x], axis=2)
    _require_shape_error(rnn, call, data._replace(x=narrow, state=()), "x", narrow.shape, features)
    _require_shape_error(rnn, call, data._replace(x=wide), "x", wide.shape, features)
    for place, name in enumerate(example.config.state_names):
        right = data.state[place]
        for wrong in (np.concatenate([right, right]), right[0], right[:, :1], right[:, :, 1:]):
            state = (*data.state[:place], wrong, *data.state[place + 1 :])
            _require_shape_error(rnn, call, data._replace(state=state), f"{name}0", wrong.shape, str(right.shape))


def _require_shape_error(
    rnn: Rnn[Any], call: Callable[..., Any], data: Data, name: str, shape: tuple[int, ...], expected: str
) -> None:
    """Require a ValueError for x and the state, none where it is empty, with both shapes in its message."""
    state = tuple(rnn.from_numpy(array) for array in data.state)
    try:
        call(rnn.from_numpy(data.x), state or None)
    except ValueError as error:
        said = str(error)
        require(
            str(shape) in said and expected in said,
            f"the ValueError for {name} of shape {shape} says {said!r}; expected {shape} and {expected} in it",
        )
        return
    raise ConformanceError(f"{name} of shape {shape} is accepted; expected a ValueError")


def _names(example: Example) -> tuple[str, ...]:
    """The names of the arrays in an example's data, in their order."""
    return ("x", *(f"{name}0" for name in example.config.state_names), *example.cotangents)


def _require_same(name: str, after: NumpyArray, before: NumpyArray) -> None:
    changed = int((after != before).sum()) if after.shape == before.shape else before.size
    require(changed == 0, f"{name} {before.shape} is changed by the call in {changed} places")


def _require_carrier(example: Example, results: dict[str, NumpyArray]) -> None:
    for name, array in results.items():
        require(isinstance(array, np.ndarray), f"to_numpy gives a {type(array).__name__} for {name}; expected an array")
        expected = example.config.carrier
        require(array.dtype == expected, f"{name} has dtype {array.dtype}; expected {expected}")
