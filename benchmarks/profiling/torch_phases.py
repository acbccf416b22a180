"""Which phase of the network an operator of PyTorch's belongs to.

In the forward pass the weights that it reads say so, in the backward pass the operator whose gradient it takes. What
operators read is seen in a pass of its own, below autograd; an operator there is then found again, in order, among the
events of the profiler, which does not know what they read. Nothing is added to the calls that are traced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.profiling.chrome import Event, Slice
from benchmarks.profiling.operators import PRODUCTS
from benchmarks.profiling.phases import OUTPUT, PROJECTION, RECURRENCE

_JOINS = ("aten::stack", "aten::cat")
_SQUASHES = ("aten::tanh", "aten::relu", "aten::tanh_", "aten::relu_")
_MAKERS = ("aten::new_zeros", "aten::new_empty", "aten::empty_like", "aten::zeros_like", "aten::detach")
_NODE = "autograd::engine::evaluate_function: "
_SQUASH_NODES = ("TanhBackward", "ReluBackward")
_ENOUGH = 1e-3
"""Microseconds by which events may overlap, being rounded."""


class Operator(NamedTuple):
    """One operator that was dispatched, and computes: no view, no array that is made."""

    name: str
    reads: frozenset[str]
    """What it reads of `x`, `w_ih` and `w_hh`, with their biases."""


class Marks(NamedTuple):
    """What of a call is told apart, and in words what is not."""

    phases: list[Slice]
    steps: list[Slice]
    untold: str


def watch(call: Callable[[], object], weights: Mapping[str, Any], x: Any) -> list[Operator]:
    """The operators of one call, in order; `weights` by `nn.RNN`'s names."""
    from torch import Tensor
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    roles = {x.untyped_storage().data_ptr(): "x"}
    for name, weight in weights.items():
        roles[weight.untyped_storage().data_ptr()] = "w_hh" if "_hh_" in name else "w_ih"
    found: list[Operator] = []

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            # In inference mode operators that are made of others arrive whole, and the profiler sees both.
            with self:
                whole = func.decompose(*args, **(kwargs or {}))
            if whole is not NotImplemented:
                return whole
            tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
            reads = frozenset(roles.get(each.untyped_storage().data_ptr(), "") for each in tensors) - {""}
            if not (func.is_view or not tensors or func._schema.name in _MAKERS):
                found.append(Operator(func._schema.name, reads))
            return func(*args, **(kwargs or {}))

    with Watch():  # type: ignore[no-untyped-call]  # torch leaves it untyped
        call()
    return found


def phases_of(operators: Sequence[Operator]) -> list[str]:
    """The phase of each operator of a forward pass.

    Who reads w_ih or x projects, who reads w_hh is in the recurrence; what joins states is output. All else is what
    a state goes through.
    """
    found: list[str] = []
    for each in operators:
        if each.reads & {"w_ih", "x"}:
            found.append(PROJECTION)
        elif each.name in _JOINS:
            found.append(OUTPUT)
        else:
            found.append(RECURRENCE)
    return found


def align(operators: Sequence[Operator], events: Sequence[Event]) -> list[int] | None:
    """The event of each operator, by index; None where they are not the same. Events are ordered by their start.

    Some of PyTorch's operators work in place, but not where they are watched: `add_` is taken for `add`.
    """
    found, at = [], 0
    for each in operators:
        while at < len(events) and events[at]["name"].removesuffix("_") != each.name.removesuffix("_"):
            at += 1
        if at == len(events):
            return None
        found.append(at)
        at += 1
    multiplied = sum(event["name"] in PRODUCTS for event in events)
    return found if multiplied == sum(each.name in PRODUCTS for each in operators) else None


def mark_forward(operators: Sequence[Operator], events: Sequence[Event], cells: int) -> Marks:
    """Phases and time steps of one forward pass: its operators, and the profiler's events, by their start."""
    places = align(operators, events)
    if places is None:
        return Marks([], [], "The operators of the traced call are not those seen beside it: no phases are marked.")
    if not all(any(weight in each.reads for each in operators) for weight in ("w_ih", "w_hh")):
        return Marks([], [], "No operator reads the weights as they were given: no phases are marked.")
    phases = phases_of(operators)
    starts = [_outermost(events, 0 if not at else places[at - 1] + 1, place) for at, place in enumerate(places)]
    end = max(_end(event) for event in events)
    marked: list[Slice] = []
    for at, phase in enumerate(phases):
        if at and phase == phases[at - 1]:
            continue
        last = next((other for other in range(at, len(phases)) if phases[other] != phase), None)
        marked.append(Slice(phase, starts[at], end if last is None else starts[last]))
    steps, untold = _forward_steps(operators, starts, [_end(events[place]) for place in places], cells)
    return Marks(marked, steps, untold)


def _forward_steps(
    operators: Sequence[Operator], starts: Sequence[float], ends: Sequence[float], cells: int
) -> tuple[list[Slice], str]:
    """A slice a step, which a nonlinearity ends; else none, and why."""
    squashes = [at for at, each in enumerate(operators) if each.name in _SQUASHES]
    if not squashes or len(squashes) % cells:
        return [], f"{len(squashes)} nonlinearities are no whole number of steps: these are not marked."
    T = len(squashes) // cells
    projections = sum(each.name in PRODUCTS and "w_ih" in each.reads for each in operators)
    of_step = {"w_ih", "w_hh"} if projections == len(squashes) else {"w_hh"}
    products = [each.name in PRODUCTS and bool(each.reads & of_step) for each in operators]
    steps, at = [], 0
    for number, squash in enumerate(squashes):
        first = next((place for place in range(at, squash) if products[place]), squash)
        steps.append(Slice(_step_name(number, T, cells), starts[first], ends[squash]))
        at = squash + 1
    return steps, ""


def mark_backward(forward: Marks, before: Sequence[Event], events: Sequence[Event]) -> Marks:
    """Phases and steps of the backward pass, by the numbers that autograd's nodes share with forward operators.

    `forward` marks the events `before`; the nodes are among `events`.
    """
    nodes = [each for each in events if each["name"].startswith(_NODE)]
    phase_of: dict[int, str] = {}
    step_of: dict[int, str] = {}
    for event in before:
        number = _number(event)
        if number is None:
            continue
        for each in forward.phases:
            if each.start - _ENOUGH <= event["ts"] < each.end:
                phase_of[number] = each.name
        if event["name"] in _SQUASHES:
            within = (each.name for each in forward.steps if each.start <= event["ts"] < each.end)
            step_of.update((number, name) for name in within)
    if not any(_number(node) in phase_of for node in nodes):
        return Marks([], [], "Autograd's nodes are not those of single operators: phases of the backward pass are not.")
    each_step_projects = len(forward.steps) == sum(each.name == PROJECTION for each in forward.phases)
    of_step = (RECURRENCE, PROJECTION) if each_step_projects else (RECURRENCE,)
    phases: list[Slice] = []
    steps: list[Slice] = []
    named = ""
    for node, following in zip(nodes, [*nodes[1:], None], strict=True):
        end = _end(node) if following is None else following["ts"]
        number = _number(node)
        named = phase_of.get(-1 if number is None else number, named)
        if not named:
            continue
        if phases and phases[-1].name == named:
            phases[-1] = phases[-1]._replace(end=end)
        else:
            phases.append(Slice(named, node["ts"], end))
        squash = node["name"].removeprefix(_NODE).startswith(_SQUASH_NODES)
        if squash and number in step_of:
            steps.append(Slice(step_of[number], node["ts"], end))
        elif steps and named in of_step and steps[-1].end >= node["ts"] - _ENOUGH:
            steps[-1] = steps[-1]._replace(end=end)
    return Marks(phases, steps, "")


def _step_name(number: int, T: int, cells: int) -> str:
    return f"step {number % T + 1}" + (f", cell {number // T + 1}" if cells > 1 else "")


def _outermost(events: Sequence[Event], begin: int, place: int) -> float:
    """When the first event from `begin` on starts that has this one in it."""
    inner = events[place]
    return float(next(each["ts"] for each in events[begin : place + 1] if _end(each) >= _end(inner) - _ENOUGH))


def _end(event: Event) -> float:
    return float(event["ts"]) + float(event["dur"])


def _number(event: Event) -> int | None:
    number = event.get("args", {}).get("Sequence number")
    return None if number is None else int(number)
