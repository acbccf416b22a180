"""Checks that calls refuse arrays of another dtype, cotangents of wrong shapes and states of another form."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from rnnimpl.conformance.compare import ConformanceError, build, moved, require
from rnnimpl.conformance.examples import Example
from rnnimpl.interface import Rnn, State

CONVERSIONS = {"int32": "int", "bool": "bool", "float16": "half", "float32": "float", "float64": "double"}
"""The wrong dtypes that are tried, with the names of PyTorch's methods that convert to them."""


def check_wrong_dtype_in_forward(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Integer, boolean, wider and narrower x and states are a TypeError that names both dtypes."""
    rnn = build(implementation, example, device)
    x, state, _, _ = moved(rnn, example.data())
    _require_dtype_errors(rnn, example, rnn.forward, _Arguments("x", x, _state_names(example, "{}0"), state))


def check_wrong_dtype_in_vjp(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """`vjp` refuses x and states of another dtype as `forward` does."""
    rnn = build(implementation, example, device)
    x, state, _, _ = moved(rnn, example.data())
    rnn.vjp(x, state)
    _require_dtype_errors(rnn, example, rnn.vjp, _Arguments("x", x, _state_names(example, "{}0"), state))


def check_wrong_dtype_in_pullback(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """The pullback refuses dy and dstate_n of another dtype in the same way."""
    rnn = build(implementation, example, device)
    x, state, dy, dstate_n = moved(rnn, example.data())
    rnn.vjp(x, state)

    def pull_back(dy: Any, dstate_n: Any) -> None:
        # A new pullback each time, because one may be called once only.
        rnn.vjp(x, state)[2](dy, dstate_n)

    _require_dtype_errors(rnn, example, pull_back, _Arguments("dy", dy, _state_names(example, "d{}_n"), dstate_n))


def check_wrong_shapes_in_pullback(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """dy or an array of dstate_n of a wrong shape is a ValueError that names the shape it has and the right one."""
    rnn = build(implementation, example, device)
    data = example.data()
    wrong = [("dy", data._replace(dy=dy), dy, data.dy) for dy in (data.dy[0], data.dy[:, :1], data.dy[:, :, 1:])]
    for place, name in enumerate(_state_names(example, "d{}_n")):
        right = data.dstate_n[place]
        for array in (right[0], right[:, :1], np.concatenate([right, right])):
            given = (*data.dstate_n[:place], array, *data.dstate_n[place + 1 :])
            wrong.append((name, data._replace(dstate_n=given), array, right))
    for name, spoilt, array, right in wrong:
        x, state, dy, dstate_n = moved(rnn, spoilt)
        pullback = rnn.vjp(x, state)[2]
        with _expected(ValueError, f"{name} of shape {array.shape}", str(array.shape), str(right.shape)):
            pullback(dy, dstate_n)


def check_wrong_state(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """A bare array or a list in place of the tuple is a TypeError, one array too few or too many a ValueError."""
    rnn = build(implementation, example, device)
    x, state, _, _ = moved(rnn, example.data())
    _require_form_errors(state, "state", lambda wrong: rnn.forward(x, wrong))


def check_wrong_state_in_training(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """`vjp` and its pullback refuse a state and a dstate_n of another form as `forward` does."""
    rnn = build(implementation, example, device)
    x, state, dy, dstate_n = moved(rnn, example.data())
    rnn.vjp(x, state)
    _require_form_errors(state, "state", lambda wrong: rnn.vjp(x, wrong))
    _require_form_errors(dstate_n, "dstate_n", lambda wrong: rnn.vjp(x, state)[2](dy, wrong))


class _Arguments(NamedTuple):
    """The arguments of a call, an array and a state, with their names."""

    name: str
    array: Any
    state_names: tuple[str, ...]
    state: State[Any]


def _state_names(example: Example, form: str) -> tuple[str, ...]:
    """The names of a state's arrays in a form: `{}0` makes h0 and c0."""
    return tuple(form.format(name) for name in example.config.state_names)


def _require_dtype_errors(rnn: Rnn[Any], example: Example, call: Callable[[Any, Any], Any], right: _Arguments) -> None:
    """Require a TypeError, with both dtypes, for each of the arrays in each wrong dtype."""
    arrays = (right.array, *right.state)
    for place, name in enumerate((right.name, *right.state_names)):
        for dtype in CONVERSIONS:
            wrong = _convert(arrays[place], dtype)
            if wrong is None or str(wrong.dtype) == str(arrays[place].dtype):
                continue
            given = (*arrays[:place], wrong, *arrays[place + 1 :])
            with _expected(TypeError, f"{name} of dtype {dtype}", dtype, example.config.dtype):
                call(given[0], given[1:])
                rnn.synchronize()


def _require_form_errors(right: State[Any], name: str, call: Callable[[Any], Any]) -> None:
    """Require an error, which names the form, for each wrong form of a state."""
    first = right[0]
    with _expected(TypeError, f"a bare array as {name}", name, "tuple"):
        call(first)
    with _expected(TypeError, f"a list as {name}", name, "list", "tuple"):
        call(list(right))
    for wrong in (right[:-1], (*right, first)):
        with _expected(ValueError, f"a {name} of {len(wrong)} arrays", name, str(len(wrong)), str(len(right))):
            call(wrong)


def _convert(array: Any, dtype: str) -> Any:
    """The framework's array in another dtype; None where the framework has no such array or no known conversion."""
    with warnings.catch_warnings():
        # JAX warns that it makes float32 of float64 unless it is set to do otherwise.
        warnings.simplefilter("ignore")
        if hasattr(array, "astype"):
            return array.astype(dtype)
        convert = getattr(array, CONVERSIONS[dtype], None)
        return None if convert is None else convert()


@contextlib.contextmanager
def _expected(error: type[Exception], what: str, *named: str) -> Iterator[None]:
    """Raise ConformanceError unless the error is raised within, with all of `named` in its message."""
    try:
        yield
    except error as raised:
        said = str(raised)
        missing = [each for each in named if each not in said]
        require(not missing, f"the {error.__name__} for {what} says {said!r}; expected {' and '.join(named)} in it")
        return
    raise ConformanceError(f"{what} is accepted; expected a {error.__name__}")
