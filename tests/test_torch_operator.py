"""`torch.ops.rnnimpl.fused_rnn` is an operator by PyTorch's rules: gradients, shapes, compiling, exporting."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

import rnnimpl.torch
from tests.torch_twins import NAMES, state_argument, twins

T, B, I, H = 4, 3, 2, 3
CELLS = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}


def arguments(cell: str, layers: int, bidirectional: bool, requires_grad: bool) -> tuple[Any, ...]:
    """Arguments of the operator in float64."""
    torch.manual_seed(0)
    rows, D = CELLS[cell] * H, 1 + bidirectional

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, dtype=torch.float64, requires_grad=requires_grad)

    weights = []
    for layer, _ in itertools.product(range(layers), range(D)):
        weights += [draw(rows, D * H if layer else I), draw(rows, H), draw(rows), draw(rows)]
    state = layers * D, B, H
    return draw(T, B, I), draw(*state), draw(*state) if cell == "lstm" else None, weights, cell, layers, bidirectional


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_it_passes_the_checks_of_torch_library(cell: str, requires_grad: bool) -> None:
    """PyTorch checks its schema, that gradients are registered, its shapes without data, and that it can be traced."""
    checks = ["test_schema", "test_autograd_registration", "test_faketensor"]
    if not requires_grad:
        # It compares all that two calls return, and what is saved for a gradient has gaps of any value.
        checks.append("test_aot_dispatch_dynamic")
    given = arguments(cell, 2, True, requires_grad)
    torch.library.opcheck(torch.ops.rnnimpl.fused_rnn.default, given, test_utils=checks)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_agree_with_differences(cell: str, bidirectional: bool) -> None:
    x, h0, c0, weights, *structure = arguments(cell, 2, bidirectional, True)

    def outputs(x: torch.Tensor, h0: torch.Tensor, c0: torch.Tensor | None, *weights: torch.Tensor) -> Any:
        y, h_n, c_n, _ = torch.ops.rnnimpl.fused_rnn(x, h0, c0, weights, *structure)
        return (y, h_n, c_n) if cell == "lstm" else (y, h_n)

    assert torch.autograd.gradcheck(outputs, (x, h0, c0, *weights))


@pytest.mark.parametrize("name", NAMES)
def test_a_second_derivative_is_refused_in_words(name: str) -> None:
    """Gradients that could be differentiated again are right; differentiating them is what fails."""
    theirs, ours = twins(name, I, H)
    x = torch.randn(T, B, I, requires_grad=True)
    expected, found = (
        torch.autograd.grad(module(x)[0].square().sum(), x, create_graph=True)[0] for module in (theirs, ours)
    )
    torch.testing.assert_close(found, expected)
    with pytest.raises(RuntimeError, match=r"no second derivative.*rnnimpl\.torch\.restore"):
        torch.autograd.grad(found.square().sum(), x)


class Classifier(torch.nn.Module):
    """A class of each sequence."""

    def __init__(self, name: str) -> None:
        super().__init__()
        options = {"num_layers": 2, "batch_first": True, "bidirectional": True}
        self.rnn = getattr(rnnimpl.torch, name)(I, H, **options)
        self.head = torch.nn.Linear(2 * H, 3)

    def forward(self, x: torch.Tensor, state: Any = None) -> torch.Tensor:
        """Sequences (B, T, I) -> scores (B, 3)."""
        scores: torch.Tensor = self.head(self.rnn(x, state)[0].sum(dim=1))
        return scores


@pytest.mark.parametrize("name", NAMES)
def test_compile_does_not_break_its_graph(name: str) -> None:
    """The whole model is one graph, in evaluation and in training, and weights are packed once for all calls."""
    torch._dynamo.reset()
    model = Classifier(name)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x = torch.randn(B, T, I)
    state = state_argument(tuple(torch.randn(4, B, H) for _ in range(1 + (name == "LSTM"))))
    for given in (None, state):
        found = compiled(x, given)
        torch.testing.assert_close(found, model(x, given))
        grads = [torch.autograd.grad(y.square().sum(), list(model.parameters())) for y in (found, model(x, given))]
        torch.testing.assert_close(*grads)
    before = rnnimpl.torch.pack_count()
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x))
    compiled(x).sum().backward()
    assert rnnimpl.torch.pack_count() == before


def test_compile_sees_steps_of_an_optimizer() -> None:
    torch._dynamo.reset()
    model = Classifier("GRU")
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x = torch.randn(B, T, I)
    for _ in range(3):
        optimizer.zero_grad()
        found = compiled(x)
        torch.testing.assert_close(found, model(x))
        found.square().sum().backward()
        optimizer.step()


def test_one_graph_serves_all_lengths() -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = Classifier("LSTM")
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager")
    for steps in (3, 7, 11):
        x = torch.randn(steps, steps + 1, I)
        torch.testing.assert_close(compiled(x), model(x))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize("name", NAMES)
def test_export_names_the_operator(name: str) -> None:
    model = Classifier(name).eval()
    x = torch.randn(B, T, I)
    batch, steps = torch.export.Dim("batch"), torch.export.Dim("steps")
    program = torch.export.export(model, (x,), dynamic_shapes=({0: batch, 1: steps},))
    called = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert torch.ops.rnnimpl.fused_rnn.default in called
    longer = torch.randn(B + 1, T + 2, I)
    torch.testing.assert_close(program.module()(longer), model(longer))


WRONG = {
    "x": (0, torch.zeros(T, B), r"x is \(4, 3\) of torch.float32; expected \(T, B, I\)"),
    "weight": (3, [torch.zeros(3, 2)], "1 weights for Structure"),
    "shape of a weight": (3, [torch.zeros(3, 2), torch.zeros(2, 3)], r"weight_hh_l0 is \(2, 3\)"),
    "state": (1, torch.zeros(1, 2, H), r"h0 is \(1, 2, 3\) of torch.float32; expected \(1, 3, 3\)"),
    "cell state": (2, torch.zeros(1, B, H), "c0 is given together with h0 to an LSTM"),
    "cell": (4, "peephole", "cell is 'peephole'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_operator_refuses_what_does_not_fit(case: str) -> None:
    """The kernels would read beyond the ends of such arrays."""
    weights = [torch.zeros(H, I), torch.zeros(H, H)]
    given: list[Any] = [torch.zeros(T, B, I), None, None, weights, "tanh", 1, False]
    torch.ops.rnnimpl.fused_rnn(*given)
    at, wrong, said = WRONG[case]
    given[at] = wrong
    with pytest.raises(ValueError, match=said):
        torch.ops.rnnimpl.fused_rnn(*given)
