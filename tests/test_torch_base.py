"""PyTorch's implementations: no gradients in inference, TorchScript's warning, and the path of nn.RNN."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

import rnnimpl
from rnnimpl import RnnConfig, Unavailable, Weights
from rnnimpl.impls.nn_rnn import NnRnn
from rnnimpl.impls.torch_loop import TorchLoop
from rnnimpl.impls.torchscript_loop import TorchScriptLoop
from rnnimpl.registry import listing
from rnnimpl.torch_base import TorchRnn
from tests.engines import ordinary

CONFIG = RnnConfig(input_size=3, hidden_size=4)
WEIGHTS = Weights.init(CONFIG, 0)
CONFIG_SQUARE = RnnConfig(input_size=4, hidden_size=4)
X = np.ones((5, 2, 3), dtype=np.float32)

TORCH = [name for name in ordinary() if issubclass(rnnimpl.load(name), TorchRnn)]


@pytest.mark.parametrize("name", TORCH)
def test_inference_records_no_gradients(name: str) -> None:
    """The results of inference have no graph, although nn.RNN's parameters require gradients."""
    rnn = rnnimpl.load(name)(CONFIG, WEIGHTS)
    y, (h_n,) = rnn.forward(rnn.from_numpy(X))
    assert not y.requires_grad
    assert not h_n.requires_grad


@pytest.mark.parametrize("name", TORCH)
def test_training_gives_detached_results_also_without_grad_mode(name: str) -> None:
    """Results of vjp have no graph, and gradients are there under a caller's no_grad."""
    rnn = rnnimpl.load(name)(CONFIG, WEIGHTS)
    with torch.no_grad():
        y, (h_n,), pullback = rnn.vjp(rnn.from_numpy(X))
    assert not y.requires_grad
    assert not h_n.requires_grad
    grads = pullback(torch.ones_like(y), (torch.ones_like(h_n),))
    assert all(torch.isfinite(grad).all() for grad in (grads.x, *grads.state, *grads.weights.values()))


@pytest.mark.parametrize("name", TORCH)
def test_training_starts_from_what_inference_gave(name: str) -> None:
    """Results of inference are accepted as input and state of training, and have gradients."""
    rnn = rnnimpl.load(name)(CONFIG_SQUARE, Weights.init(CONFIG_SQUARE, 0))
    y, state_n = rnn.forward(rnn.from_numpy(np.ones((5, 2, 4), dtype=np.float32)))
    again, last, pullback = rnn.vjp(y, state_n)
    grads = pullback(again, last)
    assert float(grads.x.abs().max()) > 0
    assert all(float(each.abs().max()) > 0 for each in grads.state)


@pytest.mark.parametrize("name", TORCH)
def test_a_tensor_of_another_dtype_is_refused(name: str) -> None:
    rnn = rnnimpl.load(name)(CONFIG, WEIGHTS)
    with pytest.raises(TypeError, match=r"x has dtype torch.float64; expected torch.float32 .*: from_numpy makes such"):
        rnn.forward(torch.ones(5, 2, 3, dtype=torch.float64))


def test_describe_names_library_path_blas_and_threads() -> None:
    described = TorchLoop(CONFIG, WEIGHTS).describe()
    assert described["library"] == f"torch {torch.__version__}"
    assert described["path"] == "ATen"
    assert described["blas"] in torch.__config__.show()
    assert described["threads"] == str(torch.get_num_threads())


def test_configure_process_sets_threads_and_pins_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """matmul and cuDNN's RNN, whose defaults differ, have the same precision."""
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    try:
        TorchLoop.configure_process(threads=3, precision="tf32")
        assert threads == [3]
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        assert torch.backends.cudnn.rnn.fp32_precision == "tf32"  # type: ignore[attr-defined]  # set at run time
    finally:
        TorchLoop.configure_process(threads=1, precision="ieee")
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cudnn.rnn.fp32_precision == "ieee"  # type: ignore[attr-defined]  # set at run time


def test_scripting_silences_torchscripts_own_warning() -> None:
    """torch.jit.script warns, and building an implementation does not."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.jit.script(identity)
    own = [str(warning.message) for warning in caught]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TorchScriptLoop(CONFIG, WEIGHTS)
    assert any("`torch.jit.script` is deprecated" in message for message in own)
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize(
    ("message", "category"),
    [("another thing is deprecated", DeprecationWarning), ("`torch.jit.script` is deprecated", UserWarning)],
)
def test_scripting_silences_nothing_else(
    message: str, category: type[Warning], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = torch.jit.script

    def warn_and_script(function: Any) -> Any:
        warnings.warn(message, category, stacklevel=1)
        return script(function)

    monkeypatch.setattr(torch.jit, "script", warn_and_script)
    with pytest.warns(category, match=message):
        TorchScriptLoop(CONFIG, WEIGHTS)


def test_torchscript_is_unavailable_where_torch_has_it_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.jit, "script")
    with pytest.raises(Unavailable, match=r"torch \S+ has no torch.jit.script any more"):
        TorchScriptLoop(CONFIG, WEIGHTS)


def test_torchscript_is_unavailable_where_it_cannot_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of torch.jit.script is Unavailable with PyTorch's reason."""

    def refuse(_: Any) -> Any:
        raise RuntimeError("not on this Python")

    monkeypatch.setattr(torch.jit, "script", refuse)
    with pytest.raises(Unavailable, match=r"torch \S+ cannot script the loop: not on this Python"):
        TorchScriptLoop(CONFIG, WEIGHTS)


def test_torchscript_is_unavailable_from_python_3_14(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.python_version", lambda: "3.14.1")
    reason = "torchscript_loop needs python<3.14; this is Python 3.14.1"
    assert set(listing("torchscript_loop").unavailable.values()) == {reason}
    with pytest.raises(Unavailable, match=reason):
        rnnimpl.load("torchscript_loop")


def test_nn_rnn_is_unavailable_on_cuda_without_cudnn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of cuDNN, here made on an instance on the CPU, names what is missing."""
    rnn = NnRnn(CONFIG, WEIGHTS)
    monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: False)
    with pytest.raises(Unavailable, match="is built without cuDNN"):
        rnn.require_cudnn()
    monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "enabled", False)
    with pytest.raises(Unavailable, match="cuDNN is switched off"):
        rnn.require_cudnn()


def test_nn_rnn_believes_the_operator_that_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator of another name than cuDNN's is Unavailable, although cuDNN claims to be available."""
    rnn = NnRnn(CONFIG, WEIGHTS)
    monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "enabled", True)
    with pytest.raises(Unavailable, match=r"cuDNN does not take RnnConfig\(.*: torch ran \w+ in its place"):
        rnn.require_cudnn()


def identity(x: torch.Tensor) -> torch.Tensor:
    """A function for TorchScript to compile."""
    return x


def test_nn_rnn_infers_in_the_modules_inference_mode() -> None:
    """The module is in eval mode in inference: in training mode cuDNN keeps what a backward pass needs."""
    rnn = NnRnn(CONFIG, WEIGHTS)
    x = rnn.from_numpy(X)
    modes = []
    rnn.module.register_forward_hook(lambda module, *_: modes.append(module.training))
    rnn.forward(x)
    rnn.vjp(x)
    rnn.forward(x)
    assert modes == [False, True, False]
