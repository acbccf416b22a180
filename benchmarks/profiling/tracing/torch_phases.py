"""Which phase of the network an operator of PyTorch's belongs to.

In the forward pass the weights that it reads say so, in the backward pass the operator whose gradient it takes. What
operators read is seen in a pass of its own, below autograd; an operator there is then found again, in order, among the
events of the profiler, which does not know what they read. Nothing is added to the calls that are traced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.profiling.counting.operators import PRODUCTS
from benchmarks.profiling.tracing.chrome import Event, Slice
from benchmarks.profiling.tracing.network_phases import GATES, LAYERS, OUTPUT, PROJECTION, RECURRENCE

_JOINS = ("aten::stack", "aten::cat")
_MAKERS = ("aten::new_zeros", "aten::new_empty", "aten::empty_like", "aten::zeros_like", "aten::detach", "aten::clone")
"""What makes arrays. What an operator overwrites autograd clones first: for the profiler that lies within the operator,
below autograd it comes before it, so that no order would fit both."""
_NODE = "autograd::engine::evaluate_function: "
_ENOUGH = 1e-3
"""Microseconds by which events may overlap, being rounded."""


class Operator(NamedTuple):
    """One operator that was dispatched, and computes: no view, no array that is made."""

    name: str
    reads: frozenset[str]
    """What it reads of `x`, `w_ih`, `w_hh`, `b_ih` and `b_hh`."""


class StepOrder(NamedTuple):
    """How many time steps a call has, in each of how many layers: a layer in one direction is one."""

    steps: int
    layers: int


class Marks(NamedTuple):
    """What of a call is told apart, and in words what is not."""

    phases: list[Slice]
    steps: list[Slice]
    untold: str


def watch(call: Callable[[], object], weights: Mapping[str, Any], x: Any) -> list[Operator]:
    """The operators of one call, in order; `weights` by `torch.nn`'s names."""
    from torch import Tensor
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    roles = {x.untyped_storage().data_ptr(): "x"}
    for name, weight in weights.items():
        letter = "w" if name.startswith("weight_") else "b"
        roles[weight.untyped_storage().data_ptr()] = letter + ("_hh" if "_hh_" in name else "_ih")
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

    Who reads both weights computes a whole layer; who reads w_ih, its bias or x projects, who reads w_hh or its bias is
    in the recurrence; what joins outputs is output. All else is what makes a state of the two.
    """
    found: list[str] = []
    for each in operators:
        if each.reads >= {"w_ih", "w_hh"}:
            found.append(LAYERS)
        elif each.reads & {"w_ih", "b_ih", "x"}:
            found.append(PROJECTION)
        elif each.name in _JOINS:
            found.append(OUTPUT)
        elif each.reads & {"w_hh", "b_hh"}:
            found.append(RECURRENCE)
        else:
            found.append(GATES)
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


def mark_forward(operators: Sequence[Operator], events: Sequence[Event], order: StepOrder) -> Marks:
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
    steps, untold = _forward_steps(operators, phases, starts, [_end(events[place]) for place in places], order)
    return Marks(marked, steps, untold)


def _forward_steps(
    operators: Sequence[Operator],
    phases: Sequence[str],
    starts: Sequence[float],
    ends: Sequence[float],
    order: StepOrder,
) -> tuple[list[Slice], str]:
    """A slice a step, which begins with its first product; else none, and why.

    Each step has as many recurrent products as any other, and where each projects by itself, of projections too.
    """
    whole = [each.name for each, phase in zip(operators, phases, strict=True) if phase == LAYERS]
    if whole:
        name = whole[0].removeprefix("aten::")
        return [], f"{name} computes a whole layer in one call: its products, gates and time steps are not told apart."
    recurrent, projecting = (
        [at for at, each in enumerate(operators) if each.name in PRODUCTS and weight in each.reads]
        for weight in ("w_hh", "w_ih")
    )
    number = order.steps * order.layers
    if not recurrent or len(recurrent) % number:
        said = f"{len(recurrent)} recurrent products are not as many in each of {order.steps} time steps"
        return [], f"{said} of {order.layers} layers: these are not marked."
    each_projects = projects_in_steps(len(projecting), order)
    of_step = sorted([*recurrent, *projecting] if each_projects else recurrent)
    firsts = of_step[:: len(of_step) // number]
    within = (PROJECTION, RECURRENCE, GATES) if each_projects else (RECURRENCE, GATES)
    steps = []
    for place, (first, following) in enumerate(zip(firsts, [*firsts[1:], len(operators)], strict=True)):
        after = (at for at in range(first, following) if phases[at] not in within)
        last = next(after, following) - 1
        steps.append(Slice(_step_name(place, order), starts[first], ends[last]))
    return steps, ""


def projects_in_steps(projections: int, order: StepOrder) -> bool:
    """Whether so many products project step by step, each as often, rather than all steps at once."""
    return projections > 0 and projections % (order.steps * order.layers) == 0


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
        for marked, names in ((forward.phases, phase_of), (forward.steps, step_of)):
            names.update((number, each.name) for each in marked if each.start - _ENOUGH <= event["ts"] < each.end)
    if not any(_number(node) in phase_of for node in nodes):
        return Marks([], [], "Autograd's nodes are not those of single operators: phases of the backward pass are not.")
    phases: list[Slice] = []
    steps: list[Slice] = []
    named = step = ""
    for node, following in zip(nodes, [*nodes[1:], None], strict=True):
        end = _end(node) if following is None else following["ts"]
        number = -1 if (own := _number(node)) is None else own
        if number in phase_of:
            named, step = phase_of[number], step_of.get(number, "")
        for slices, name in ((phases, named), (steps, step)):
            if slices and slices[-1].name == name:
                slices[-1] = slices[-1]._replace(end=end)
            elif name:
                slices.append(Slice(name, node["ts"], end))
    return Marks(phases, steps, "")


def _step_name(place: int, order: StepOrder) -> str:
    layer = f", layer {place // order.steps + 1}" if order.layers > 1 else ""
    return f"step {place % order.steps + 1}{layer}"


def _outermost(events: Sequence[Event], begin: int, place: int) -> float:
    """When the first event from `begin` on starts that has this one in it."""
    inner = events[place]
    return float(next(each["ts"] for each in events[begin : place + 1] if _end(each) >= _end(inner) - _ENOUGH))


def _end(event: Event) -> float:
    return float(event["ts"]) + float(event["dur"])


def _number(event: Event) -> int | None:
    number = event.get("args", {}).get("Sequence number")
    return None if number is None else int(number)
