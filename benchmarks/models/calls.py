"""The calls of a running model's recurrent layers: with which sizes, and for what share of the model's time.

Imported in the process that holds the model alone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import PackedSequence

from benchmarks.models.inputs import METHOD, candidates
from benchmarks.models.layers import CannotCall
from benchmarks.statistics import MINIMUM_BLOCKS

WARM_UP_CALLS = 3
MOST_BLOCKS = 200
LEAST_SAMPLE_SECONDS = 1e-3


class Call(NamedTuple):
    """One call of a recurrent layer within a call of the model."""

    layer: str
    T: int
    B: int
    arguments: tuple[Any, ...]
    """Its input, and the state where one was given."""

    @property
    def is_packed(self) -> bool:
        """Whether its sequences have lengths of their own."""
        return isinstance(self.arguments[0], PackedSequence)


def run_once(model: torch.nn.Module, layers: Sequence[str], T: int, B: int, I: int | None) -> tuple[Any, list[Call]]:
    """The arguments of `forward` that the model takes for T steps of B sequences, and the calls of its layers.

    Raises CannotCall, with what was tried, where none of the candidates runs or reaches a layer, Unsupported where I
    does not fit the model.
    """
    problem = f"its input cannot be guessed from its first layer: give the model a method {METHOD}(T, B)"
    first: tuple[Any, list[Call]] | None = None
    for arguments in candidates(model, T, B, I):
        placed = tuple(_on_device_of(model, each) for each in arguments)
        try:
            with torch.no_grad(), recorded(model, layers) as calls:
                model(*placed)
        except Exception as error:  # noqa: BLE001  # a user's model may raise anything, which is why it cannot be run
            shapes = ", ".join(_shown(each) for each in placed)
            problem = f"it cannot be called with {shapes} ({type(error).__name__}: {_short(error)})"
            continue
        if any((call.T, call.B) == (T, B) for call in calls):
            return placed, calls
        if calls and first is None:
            first = placed, calls
        problem = "its forward calls none of its recurrent layers"
    if first is not None:
        return first
    raise CannotCall(problem)


@contextlib.contextmanager
def recorded(model: torch.nn.Module, layers: Sequence[str]) -> Iterator[list[Call]]:
    """Record the calls of these modules in the block."""
    calls: list[Call] = []

    def record(name: str, module: Any) -> Callable[..., None]:
        def hook(_: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            x = arguments[0] if arguments else named["input"]
            state = arguments[1] if len(arguments) > 1 else named.get("hx")
            T, B = _sizes(x, batch_first=module.batch_first)
            calls.append(Call(name, T, B, (x,) if state is None else (x, state)))

        return hook

    modules = dict(model.named_modules())
    handles = [
        modules[name].register_forward_pre_hook(record(name, modules[name]), with_kwargs=True) for name in layers
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _sizes(x: Any, *, batch_first: bool) -> tuple[int, int]:
    """(T, B) of a layer's input; of a packed one the longest sequence and the number of all."""
    if isinstance(x, PackedSequence):
        return len(x.batch_sizes), int(x.batch_sizes[0])
    if x.dim() == 2:
        return int(x.shape[0]), 1
    T, B = x.shape[:2]
    return (int(B), int(T)) if batch_first else (int(T), int(B))


class Times(NamedTuple):
    """Seconds of whole calls and of their recurrent layers alone, measured in turns: block for block."""

    whole: list[float]
    layers: list[float]


def measure(
    model: torch.nn.Module,
    arguments: Any,
    calls: Sequence[Call],
    *,
    trains: bool,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Time the model's call, and the calls of its layers alone, in turns for so many seconds.

    In training a call is the forward pass and the gradients of all parameters, and of a layer's input.
    """
    modules = dict(model.named_modules())
    model.train(trains)
    whole = _training(model, arguments) if trains else _inference(model, arguments)
    parts = [
        (_training if trains else _inference)(modules[call.layer], _detached(call.arguments, trains=trains))
        for call in calls
    ]
    for _ in range(WARM_UP_CALLS):
        for call in (whole, *parts):
            call()
    # A shorter sample would show the clock and the scheduler.
    repeats = max(1, int(LEAST_SAMPLE_SECONDS / max(_timed([whole], 1, clock), 1e-7)))
    times = Times([], [])
    end = clock() + seconds
    while len(times.whole) < MINIMUM_BLOCKS or (clock() < end and len(times.whole) < MOST_BLOCKS):
        times.whole.append(_timed([whole], repeats, clock))
        times.layers.append(_timed(parts, repeats, clock))
    model.eval()
    return times


def _timed(calls: Sequence[Callable[[], None]], repeats: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(repeats):
        for call in calls:
            call()
    return (clock() - start) / repeats


def _inference(module: torch.nn.Module, arguments: Any) -> Callable[[], None]:
    def call() -> None:
        with torch.no_grad():
            module(*arguments)
        _wait(module)

    return call


def _training(module: torch.nn.Module, arguments: Any) -> Callable[[], None]:
    def call() -> None:
        module.zero_grad(set_to_none=True)
        outputs = [each for each in _tensors(module(*arguments)) if each.requires_grad]
        torch.autograd.backward(outputs, [torch.ones_like(each) for each in outputs])
        _wait(module)

    return call


def _wait(module: torch.nn.Module) -> None:
    if any(each.device.type == "cuda" for each in module.parameters()):
        torch.cuda.synchronize()


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in a result: tuples, lists, mappings and packed sequences are walked."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, PackedSequence):
        yield value.data
    elif isinstance(value, dict | tuple | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _tensors(each)


def _detached(value: Any, *, trains: bool) -> Any:
    """A copy of a layer's arguments that belongs to no graph; in training its gradients are computed too."""
    if isinstance(value, PackedSequence):
        return value._replace(data=_detached(value.data, trains=trains))
    if isinstance(value, torch.Tensor):
        copied = value.detach().clone()
        return copied.requires_grad_(trains and copied.is_floating_point())
    return tuple(_detached(each, trains=trains) for each in value) if isinstance(value, tuple) else value


def _on_device_of(model: torch.nn.Module, value: Any) -> Any:
    parameter = next(model.parameters(), None)
    moves = isinstance(value, torch.Tensor) and parameter is not None
    return value.to(parameter.device) if moves else value  # type: ignore[union-attr]  # it is not None where it moves


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return type(value).__name__


def _short(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return said if len(said) <= 200 else f"{said[:199]}…"
