"""The check on copies of an instance: by `copy.copy`, `copy.deepcopy` and `pickle`."""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

from rnnimpl.conformance.compare import (
    ConformanceError,
    MeasuredError,
    agree,
    build,
    infer,
    poison,
    require,
    train,
    worst,
)
from rnnimpl.conformance.examples import Example
from rnnimpl.interface import Rnn, Unsupported


def check_copies(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """A copy and its original compute the same, also after the other is used and freed; or copying is a TypeError.

    The TypeError names the class, as that of `NotCopied` does.
    """
    copiers: dict[str, Callable[[Any], Any]] = {"copy.copy": copy.copy, "copy.deepcopy": copy.deepcopy}
    # pickle cannot find a class that is defined in a function.
    if "<locals>" not in implementation.__qualname__:
        copiers["pickle"] = lambda rnn: pickle.loads(pickle.dumps(rnn))  # noqa: S301  # its own output
    rnn = build(implementation, example, device)
    measured = [_right(rnn, example, "before it is copied")]
    copies = []
    for name, copier in copiers.items():
        other = _copied(rnn, name, copier)
        if other is not None:
            measured.append(_right(other, example, f"the copy that {name} gives"))
            _use(other, example.reseeded())
            measured.append(_right(rnn, example, f"after a copy by {name} was used"))
            copies.append(other)
            del other
    copies.clear()
    _free(rnn, example)
    measured.append(_right(rnn, example, "after its copies are gone"))
    for name, copier in copiers.items():
        original = build(implementation, example, device)
        other = _copied(original, name, copier)
        del original
        if other is not None:
            _free(other, example)
            measured.append(_right(other, example, f"a copy by {name} whose original is gone"))
    return worst(*measured)


def _free(rnn: Rnn[Any], example: Example) -> None:
    """Collect instances without references, and overwrite the memory that they freed."""
    # The instances are young; a full collection would take longer than the rest of the check.
    gc.collect(1)
    poison(rnn, example)


def _copied(rnn: Rnn[Any], name: str, copier: Callable[[Any], Any]) -> Rnn[Any] | None:
    """A copy; None where copying raises the right TypeError."""
    class_name = type(rnn).__name__
    expected = f"expected a copy, or a TypeError that names {class_name}: rnnimpl.interface.NotCopied raises it"
    try:
        other = copier(rnn)
    except TypeError as error:
        require(class_name in str(error), f"{name} raises TypeError: {error}; {expected}")
        return None
    except Exception as error:
        raise ConformanceError(f"{name} raises {type(error).__name__}: {error}; {expected}") from error
    require(type(other) is type(rnn), f"{name} gives a {type(other).__name__}; {expected}")
    require(other is not rnn, f"{name} gives the instance itself; {expected}")
    copied: Rnn[Any] = other
    return copied


def _right(rnn: Rnn[Any], example: Example, when: str) -> MeasuredError:
    data = example.data()
    return agree(example.expected(), infer(rnn, data.x, data.state), when=when)


def _use(rnn: Rnn[Any], example: Example) -> None:
    """Call `forward`, and `vjp` unless it is unsupported, on another example's data."""
    data = example.data()
    infer(rnn, data.x, data.state)
    with contextlib.suppress(Unsupported):
        train(rnn, example.data())
