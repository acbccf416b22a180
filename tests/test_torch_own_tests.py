"""The modules of `rnnimpl.torch` pass what PyTorch's own tests of `nn.RNN`, `nn.LSTM` and `nn.GRU` check of a module.

The samples, references and expected errors are those that PyTorch is tested with, and installs
(`torch.testing._internal.common_modules`); the tests that take them (its test/test_modules.py) are not installed. Here
is what each of those checks on a CPU, but for second derivatives, which the kernels do not have, other devices, and
memory formats, which images have.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_modules import ModuleErrorEnum, ModuleInfo, module_db

import rnnimpl.torch
from tests.torch_twins import NAMES

INFOS: dict[str, ModuleInfo] = {info.name.removeprefix("nn."): info for info in module_db if info.name[3:] in NAMES}
pytestmark = [
    pytest.mark.filterwarnings("ignore::rnnimpl.torch.FallbackWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]


def samples(name: str, dtype: torch.dtype, training: bool = True, packed: bool = False) -> Iterator[tuple[Any, ...]]:
    """A module of `rnnimpl.torch` with the arguments of a call, and the reference's function, of each sample."""
    info = INFOS[name]
    options = {"with_packed_sequence": True} if packed else {}
    for sample in info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=True, training=training, **options
    ):
        made = sample.constructor_input
        torch.manual_seed(0)
        module = getattr(rnnimpl.torch, name)(*made.args, **made.kwargs, dtype=dtype).train(training)
        yield module, sample.forward_input.args, sample.forward_input.kwargs, sample.reference_fn


def tensors_of(results: Any) -> list[torch.Tensor]:
    """The tensors in what a module takes or returns."""
    if isinstance(results, torch.Tensor):
        return [results]
    if isinstance(results, torch.nn.utils.rnn.PackedSequence):
        return [results.data]
    return [tensor for each in results for tensor in tensors_of(each)]


def test_the_samples_are_there() -> None:
    assert INFOS.keys() == set(NAMES)
    assert all(sum(1 for _ in samples(name, torch.float32)) >= 16 for name in NAMES)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_forward(name: str, dtype: torch.dtype, training: bool) -> None:
    """Results are those of the reference, and of torch.nn's own module with the same weights."""
    for module, arguments, options, reference in samples(name, dtype, training):
        found = module(*arguments, **options)
        torch.testing.assert_close(found, reference(module, *arguments, **options))
        own = copy.deepcopy(module)
        rnnimpl.torch.restore(own)
        torch.testing.assert_close(found, own(*arguments, **options))


@pytest.mark.parametrize("name", ["RNN", "GRU"])
def test_packed_sequences(name: str) -> None:
    for module, arguments, options, _ in samples(name, torch.float64, packed=True):
        own = copy.deepcopy(module)
        rnnimpl.torch.restore(own)
        found, expected = (tensors_of(each(*arguments, **options)) for each in (module, own))
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", NAMES)
def test_grad(name: str) -> None:
    """Gradients of inputs and weights agree with differences."""
    for module, arguments, options, _ in list(samples(name, torch.float64))[::3]:
        flat = tensors_of(arguments)

        def outputs(*_: torch.Tensor, module: Any = module, arguments: Any = arguments, options: Any = options) -> Any:
            return tuple(tensors_of(module(*arguments, **options)))

        assert torch.autograd.gradcheck(outputs, (*flat, *module.parameters()), fast_mode=True)


@pytest.mark.parametrize("name", NAMES)
def test_non_contiguous_tensors(name: str) -> None:
    for module, arguments, options, _ in samples(name, torch.float64):
        with torch.no_grad():
            spread = [tensor.repeat_interleave(2, dim=-1)[..., ::2] for tensor in tensors_of(arguments)]
            assert not any(tensor.is_contiguous() for tensor in spread)
            given = [spread[0], *([tuple(spread[1:]) if name == "LSTM" else spread[1]] if spread[1:] else [])]
            torch.testing.assert_close(module(*given, **options), module(*arguments, **options))


@pytest.mark.parametrize("name", NAMES)
def test_save_and_load(name: str) -> None:
    for module, arguments, options, _ in samples(name, torch.float32):
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=False)
        torch.testing.assert_close(loaded(*arguments, **options), module(*arguments, **options))


@pytest.mark.parametrize("name", NAMES)
def test_to_and_to_empty(name: str) -> None:
    """A module goes to another dtype, and from the device "meta" to memory, keeping its parameters' objects or not."""
    for module, arguments, options, _ in samples(name, torch.float32):
        expected = module(*arguments, **options)
        torch.testing.assert_close(module.double().float()(*arguments, **options), expected)
        weights = copy.deepcopy(module.state_dict())
        module.to("meta").to_empty(device="cpu").load_state_dict(weights)
        torch.testing.assert_close(module(*arguments, **options), expected)


@pytest.mark.parametrize("name", NAMES)
def test_factory_arguments(name: str) -> None:
    info = INFOS[name]
    for sample in info.module_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=False, training=True):
        made = sample.constructor_input
        module = getattr(rnnimpl.torch, name)(*made.args, **made.kwargs, device="meta", dtype=torch.float64)
        assert all(weight.is_meta and weight.dtype == torch.float64 for weight in module.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_representation(name: str) -> None:
    for module, *_ in samples(name, torch.float32):
        own = copy.deepcopy(module)
        rnnimpl.torch.restore(own)
        assert repr(module) == repr(own)


@pytest.mark.parametrize("name", NAMES)
def test_errors(name: str) -> None:
    info = INFOS[name]
    for case in info.module_error_inputs_func(
        info, device="cpu", dtype=torch.float32, requires_grad=False, training=True
    ):
        made, given = case.module_error_input.constructor_input, case.module_error_input.forward_input
        construct = getattr(rnnimpl.torch, name)
        if case.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(case.error_type, match=case.error_regex):
                construct(*made.args, **made.kwargs)
        else:
            module = construct(*made.args, **made.kwargs)
            with pytest.raises(case.error_type, match=case.error_regex):
                module(*given.args, **given.kwargs)
