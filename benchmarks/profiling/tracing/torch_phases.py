"""The phase of the network that an operator of PyTorch belongs to.

In the forward pass it follows from the weights that the operator reads, in the backward pass from the operator whose
gradient is computed. The operators and what they read are recorded in a call of their own, below autograd. The
profiler's events, which do not hold what an operator reads, are then matched with them in order. The traced calls run
as they are.

The names of operators and of autograd's nodes are those of PyTorch 2; `tests/test_profile_torch_traces.py` fails where
they change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.profiling.counting.operators import PRODUCTS
from benchmarks.profiling.tracing.chrome import Event, Slice
from benchmarks.profiling.tracing.network_phases import GATES, LAYERS, OUTPUT, PROJECTION, RECURRENCE

_JOINS = ("aten::stack", "aten::cat")
_MAKERS = ("aten::new_zeros", "aten::new_empty", "aten::empty_like", "aten::zeros_like", "aten::detach", "aten::clone")
"""Operators that make arrays. Autograd clones an array before an operator overwrites it: the profiler has the clone
within the operator, the recording before it, so that the two orders differ."""
_NODE = "autograd::engine::evaluate_function: "
_ROUNDING = 1e-3
"""Microseconds by which events overlap because their times are rounded."""


class Operator(NamedTuple):
    """One recorded operator that computes: no view, and no operator that makes an array."""

    name: str
    reads: frozenset[str]
    """The tensors among `x`, `w_ih`, `w_hh`, `b_ih` and `b_hh` that it reads."""


class StepOrder(NamedTuple):
    """The numbers of time steps and of layers of a call; each direction of a layer counts as a layer."""

    steps: int
    layers: int


class Marks(NamedTuple):
    """The phases and time steps of a call, and a sentence on what is not marked, empty where all is."""

    phases: list[Slice]
    steps: list[Slice]
    limitation: str


def record_operators(call: Callable[[], object], weights: Mapping[str, Any], x: Any) -> list[Operator]:
    """The operators of one call on the input x, in order; `weights` has the names of `torch.nn`.

    Raises RuntimeError for code that does not run while operators are recorded.
    """
    from torch import Tensor
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    roles = {x.untyped_storage().data_ptr(): "x"}
    for name, weight in weights.items():
        letter = "w" if name.startswith("weight_") else "b"
        roles[weight.untyped_storage().data_ptr()] = letter + ("_hh" if "_hh_" in name else "_ih")
    found: list[Operator] = []

    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            # In inference mode a composite operator arrives here undecomposed; the profiler has its parts as well.
            with self:
                whole = func.decompose(*args, **(kwargs or {}))
            if whole is not NotImplemented:
                return whole
            tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
            reads = frozenset(roles.get(each.untyped_storage().data_ptr(), "") for each in tensors) - {""}
            if not (func.is_view or not tensors or func._schema.name in _MAKERS):
                found.append(Operator(func._schema.name, reads))
            return func(*args, **(kwargs or {}))

    with Recorder():  # type: ignore[no-untyped-call]  # torch leaves it untyped
        call()
    return found


def phases_of(operators: Sequence[Operator]) -> list[str]:
    """The phase of each operator of a forward pass.

    An operator that reads both weights computes a whole layer. One that reads w_ih, its bias or x is in the projection,
    one that reads w_hh or its bias in the recurrence, and one that joins arrays in the output. All others are in the
    gates.
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
    """The index of each operator's event; None where operators and events do not match. Events are ordered by start.

    An operator that works in place in a call may be recorded as one that does not: `add_` matches `add`.
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
    """Phases and time steps of one forward pass, from its recorded operators and the profiler's events in order."""
    places = align(operators, events)
    if places is None:
        return Marks([], [], "The operators of the traced call differ from the recorded ones: no phases are marked.")
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
    steps, limitation = _forward_steps(operators, phases, starts, [_end(events[place]) for place in places], order)
    return Marks(marked, steps, limitation)


def _forward_steps(
    operators: Sequence[Operator],
    phases: Sequence[str],
    starts: Sequence[float],
    ends: Sequence[float],
    order: StepOrder,
) -> tuple[list[Slice], str]:
    """A slice for each time step, which begins with the step's first product; or none, and the reason.

    All steps have the same number of recurrent products, and of projections where these are made in each step.
    """
    whole = [each.name for each, phase in zip(operators, phases, strict=True) if phase == LAYERS]
    if whole:
        name = whole[0].removeprefix("aten::")
        return [], f"{name} computes a whole layer in one call: its phases and time steps are not marked."
    recurrent, projecting = (
        [at for at, each in enumerate(operators) if each.name in PRODUCTS and weight in each.reads]
        for weight in ("w_hh", "w_ih")
    )
    number = order.steps * order.layers
    if not recurrent or len(recurrent) % number:
        said = f"{len(recurrent)} recurrent products cannot be divided among {order.steps} time steps"
        return [], f"{said} of {order.layers} layers: time steps are not marked."
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
    """Whether so many products of the projection are made step by step, rather than for all steps at once."""
    return projections > 0 and projections % (order.steps * order.layers) == 0


def mark_backward(forward: Marks, before: Sequence[Event], events: Sequence[Event]) -> Marks:
    """Phases and time steps of the backward pass, by the sequence numbers that its nodes share with forward operators.

    `forward` marks the events `before` of the forward pass; `events`, those of the backward pass, hold autograd's
    nodes.
    """
    nodes = [each for each in events if each["name"].startswith(_NODE)]
    phase_of: dict[int, str] = {}
    step_of: dict[int, str] = {}
    for event in before:
        number = _number(event)
        if number is None:
            continue
        for marked, names in ((forward.phases, phase_of), (forward.steps, step_of)):
            names.update((number, each.name) for each in marked if each.start - _ROUNDING <= event["ts"] < each.end)
    if not any(_number(node) in phase_of for node in nodes):
        return Marks([], [], "Autograd's nodes are not those of single operators: its phases are not marked.")
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
    """The start of the first event from the index `begin` on that encloses the event at `place`."""
    inner = events[place]
    return float(next(each["ts"] for each in events[begin : place + 1] if _end(each) >= _end(inner) - _ROUNDING))


def _end(event: Event) -> float:
    return float(event["ts"]) + float(event["dur"])


def _number(event: Event) -> int | None:
    number = event.get("args", {}).get("Sequence number")
    return None if number is None else int(number)
