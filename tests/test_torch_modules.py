"""The modules of `rnnimpl.torch` compute what those of `torch.nn` do, for whatever they are given."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import pytest
import torch

import rnnimpl.torch
from rnnimpl.torch import FallbackWarning
from tests.torch_twins import NAMES, assert_same, results, state_argument, twins

FLAGS = [
    dict(zip(("bias", "batch_first", "bidirectional"), flags, strict=True))
    for flags in itertools.product((False, True), repeat=3)
]
T, B, I, H, L = 5, 3, 4, 6, 2


def inputs(
    module: torch.nn.RNNBase, *, batched: bool = True, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """x and a state of a module."""
    torch.manual_seed(2)
    batch = (B,) if batched else ()
    x = torch.randn((T, *batch, I), dtype=dtype)
    if batched and module.batch_first:
        x = x.transpose(0, 1).contiguous()
    shape = (module.num_layers * (1 + module.bidirectional), *batch, H)
    return x, tuple(torch.randn(shape, dtype=dtype) for _ in range(1 + (module.mode == "LSTM")))


@pytest.mark.parametrize("flags", FLAGS, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_results_and_gradients(name: str, flags: dict[str, bool]) -> None:
    """In each form, from a state and from none, batched and not, in float32 and float64."""
    for dtype, batched in itertools.product((torch.float32, torch.float64), (True, False)):
        ours_of = twins(name, I, H, L, dtype=dtype, **flags)
        x, state = inputs(ours_of[0], batched=batched, dtype=dtype)
        for given in ((), state):
            expected, found = (results(module, x, given) for module in ours_of)
            assert_same(found, expected)


def test_relu() -> None:
    theirs, ours = twins("RNN", I, H, L, nonlinearity="relu")
    assert_same(results(ours, *inputs(ours)), results(theirs, *inputs(theirs)))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_dropout_of_torch_nn(name: str, bidirectional: bool) -> None:
    theirs, ours = twins(name, I, H, 3, dropout=0.5, bidirectional=bidirectional, batch_first=True)
    assert_same(results(ours, *inputs(ours)), results(theirs, *inputs(theirs)))
    x, _ = inputs(ours)
    assert not torch.equal(ours(x)[0], ours(x)[0])


def test_nothing_is_dropped_in_evaluation() -> None:
    theirs, ours = twins("GRU", I, H, 3, dropout=0.5)
    assert_same(results(ours.eval(), *inputs(ours)), results(theirs.eval(), *inputs(theirs)))


def lie(x: torch.Tensor, form: str) -> torch.Tensor:
    """The same numbers, or those of one sequence or step for all, lying in memory in another way."""
    return {
        "transposed": lambda: x.transpose(0, 2).contiguous().transpose(0, 2),
        "of a wider array": lambda: torch.cat([x, x], dim=2)[:, :, :I],
        "every second step": lambda: x.repeat_interleave(2, dim=0)[::2],
        "one sequence for all": lambda: x[:, :1].expand(x.shape),
        "one step for all": lambda: x[:1].expand(x.shape),
        "one number for all": lambda: x[:1, :1, :1].expand(x.shape),
        "reversed": lambda: x.flip(0),
        "negative of a view": lambda: torch.complex(x, x).conj().imag,
    }[form]()


FORMS = (
    "transposed",
    "of a wider array",
    "every second step",
    "one sequence for all",
    "one step for all",
    "one number for all",
    "reversed",
    "negative of a view",
)


@pytest.mark.parametrize("form", FORMS)
def test_inputs_that_are_not_contiguous(form: str) -> None:
    theirs, ours = twins("LSTM", I, H, L)
    x, state = inputs(ours)
    x, state = lie(x, form), tuple(tensor.transpose(0, 1).contiguous().transpose(0, 1) for tensor in state)
    assert not x.is_contiguous() or form == "reversed"
    assert_same(results(ours, x, state), results(theirs, x, state))


def test_contiguous_tensors_are_not_copied() -> None:
    """PyTorch's profiler sees every copy of a tensor, also those of kernels."""
    _, ours = twins("GRU", I, H, batch_first=True)
    x, state = inputs(ours)
    for given, copies in ((x, 0), (lie(x, "transposed"), 1)):
        ours(x, *state)
        with torch.profiler.profile() as profile:
            ours(given, *state)
        assert sum(event.name == "aten::copy_" for event in profile.events() or ()) == copies


def test_gradients_of_what_is_asked_for_alone() -> None:
    theirs, ours = twins("LSTM", I, H, L)
    for module in (theirs, ours):
        module.weight_hh_l0.requires_grad_(False)
        module.bias_ih_l1.requires_grad_(False)
        module(inputs(module)[0])[0].square().sum().backward()
    for (name, found), expected in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (found.grad is None) == (name in ("weight_hh_l0", "bias_ih_l1"))
        torch.testing.assert_close(found.grad, expected.grad)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_the_input_alone(name: str) -> None:
    theirs, ours = (module.requires_grad_(False) for module in twins(name, I, H, L, bidirectional=True))
    x = inputs(ours)[0].requires_grad_()
    expected, found = (torch.autograd.grad(module(x)[0].square().sum(), x) for module in (theirs, ours))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("used", [0, 1, 2])
def test_gradients_where_only_one_result_is_used(used: int) -> None:
    theirs, ours = twins("LSTM", I, H, L)
    found = []
    for module in (ours, theirs):
        y, (h_n, c_n) = module(*inputs(module))
        loss = (y, h_n, c_n)[used].square().sum()
        found.append(torch.autograd.grad(loss, list(module.parameters())))
    torch.testing.assert_close(*found)


def test_without_gradients() -> None:
    theirs, ours = twins("GRU", I, H, L)
    x, state = inputs(ours)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            y, h_n = ours(x, *state)
            torch.testing.assert_close((y, h_n), theirs(x, *state))
        assert not y.requires_grad
        assert y.is_inference() == (mode is torch.inference_mode)


def wrong(name: str, x: torch.Tensor, *state: torch.Tensor, **options: Any) -> tuple[Any, ...]:
    """A call that torch.nn refuses."""
    return name, options, x, state_argument(state)


REFUSED = {
    "features": wrong("LSTM", torch.zeros(T, B, I + 1)),
    "four dimensions": wrong("GRU", torch.zeros(1, T, B, I)),
    "no steps": wrong("GRU", torch.zeros(0, B, I)),
    "dtype": wrong("RNN", torch.zeros(T, B, I, dtype=torch.float64)),
    "batch of the state": wrong("GRU", torch.zeros(T, B, I), torch.zeros(1, B + 1, H)),
    "layers of the state": wrong("RNN", torch.zeros(T, B, I), torch.zeros(2, B, H)),
    "an unbatched state": wrong("LSTM", torch.zeros(T, B, I), torch.zeros(1, H), torch.zeros(1, H)),
    "a batched state": wrong("GRU", torch.zeros(T, I), torch.zeros(1, B, H)),
    "dtype of the state": wrong("GRU", torch.zeros(T, B, I), torch.zeros(1, B, H, dtype=torch.float64)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_torch_nn_refuses_is_refused_in_its_words(case: str) -> None:
    name, options, *arguments = REFUSED[case]
    theirs, ours = twins(name, I, H, **options)
    said = []
    for module in (theirs, ours):
        with pytest.raises((RuntimeError, ValueError)) as caught:
            module(*arguments)
        said.append((caught.type, str(caught.value)))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("RNN", (I, H, 1), {"nonlinearity": "sigmoid"}),
        ("RNN", (I, H), {"proj_size": 2}),
        ("GRU", (I, H), {"proj_size": 2}),
        ("LSTM", (I, 0), {}),
        ("LSTM", (I, H), {"dropout": 2}),
        ("GRU", (I, H), {"bias": 1}),
    ],
)
def test_constructors_refuse_what_those_of_torch_nn_do(name: str, arguments: Any, options: Any) -> None:
    said = []
    for package in (torch.nn, rnnimpl.torch):
        with pytest.raises((ValueError, TypeError)) as caught:
            getattr(package, name)(*arguments, **options)
        said.append((caught.type, str(caught.value)))
    assert said[0] == said[1]


def test_the_fourth_argument_of_an_rnn_is_its_nonlinearity() -> None:
    theirs, ours = twins("RNN", I, H, 2, "relu", False)  # type: ignore[arg-type]
    assert (ours.mode, ours.bias, repr(ours)) == (theirs.mode, theirs.bias, repr(theirs))


@pytest.mark.parametrize("name", NAMES)
def test_state_dicts_go_both_ways(name: str) -> None:
    theirs, ours = twins(name, I, H, L, bidirectional=True)
    torch.manual_seed(9)
    other = getattr(torch.nn, name)(I, H, L, bidirectional=True)
    ours.load_state_dict(other.state_dict(), strict=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert_same(results(theirs, *inputs(theirs)), results(other, *inputs(other)))


def projections() -> tuple[Any, Any]:
    return twins("LSTM", I, H, proj_size=2)


def half() -> tuple[Any, Any]:
    theirs, ours = twins("LSTM", I, H)
    return theirs.bfloat16(), ours.bfloat16()


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(("make", "reason"), [(projections, "projections"), (half, "bfloat16")])
def test_what_the_kernels_lack_is_computed_as_torch_nn_does(make: Any, reason: str) -> None:
    """The module says so once."""
    theirs, ours = make()
    x = torch.randn(T, B, I).to(theirs.weight_ih_l0.dtype)
    with pytest.warns(FallbackWarning, match=reason):
        found = ours(x)
    torch.testing.assert_close(found, theirs(x), rtol=0, atol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours(x)


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has no compiler computes as torch.nn does, and says what is missing."""
    import subprocess
    import sys

    monkeypatch.setenv("CXX", "no-such-compiler")
    code = (
        "import torch, warnings, rnnimpl.torch\n"
        "warnings.simplefilter('always')\n"
        "model = torch.nn.Sequential(torch.nn.GRU(3, 4))\n"
        "print(rnnimpl.torch.replace(model))\n"
        "print(rnnimpl.torch.GRU(3, 4)(torch.zeros(2, 1, 3))[0].shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "left 0: there are no kernels: no C++ compiler" in done.stdout
    assert "torch.Size([2, 1, 4])" in done.stdout
    assert "GRU(3, 4) computes as torch.nn.GRU does: there are no kernels" in done.stderr


def test_autocast() -> None:
    theirs, ours = twins("GRU", I, H)
    x, _ = inputs(ours)
    with torch.autocast("cpu", torch.bfloat16), pytest.warns(FallbackWarning, match="autocast"):
        torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=0)


def test_transforms_of_torch_func() -> None:
    theirs, ours = twins("LSTM", I, H)
    x, _ = inputs(ours)

    def squares(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = module(x)[0]
        return y.square().sum()

    with pytest.warns(FallbackWarning, match=r"torch\.func"):
        found = torch.func.grad(lambda x: squares(ours, x))(x)
    torch.testing.assert_close(found, torch.func.grad(lambda x: squares(theirs, x))(x))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_forward_mode_derivatives() -> None:
    theirs, ours = twins("GRU", I, H)
    x, _ = inputs(ours)
    forward_ad: Any = torch.autograd.forward_ad
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        expected = forward_ad.unpack_dual(theirs(dual)[0]).tangent
        with pytest.warns(FallbackWarning, match="forward-mode"):
            found = forward_ad.unpack_dual(ours(dual)[0]).tangent
    torch.testing.assert_close(found, expected)
