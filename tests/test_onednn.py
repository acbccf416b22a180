"""oneDNN's reports of its kernels are read, and nothing else of a process changes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from rnnimpl import Unavailable, load, onednn
from rnnimpl.onednn import Primitive, created_during, executed_by_torch, rnn_kernels

HEADER = "onednn_verbose,v1,info,oneDNN v3.13.0 (commit 1289c3b65dd6a119a5ed12a816517d9c3a21d81b)"
TEMPLATE = "onednn_verbose,v1,primitive,info,template:operation,engine,primitive,implementation,prop_kind,exec_time"
REORDER = "onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32::blocked:abdec::f0,,,1x1x5x4x16,0.0029"
LSTM = (
    "onednn_verbose,v1,primitive,{event},cpu,rnn,brgemm:avx512_core,forward_inference,src_layer:f32::blocked:abc::f0,"
    "attr-scratchpad:user,alg:vanilla_lstm direction:unidirectional_left2right activation:undef flags:,l1t3mb2,0.14"
)
RNN = Primitive("rnn", "brgemm:avx512_core", "forward_inference", "vanilla_lstm")

needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]  # torch leaves it untyped
    reason="PyTorch is built without oneDNN",
)


@pytest.fixture(autouse=True)
def _not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that does not set oneDNN's variables."""
    for variable in onednn.VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def write(*lines: str) -> None:
    """Write a line as oneDNN does: to the descriptor, not to Python's `sys.stdout`."""
    os.write(1, "".join(f"{line}\n" for line in lines).encode())


@pytest.mark.parametrize("event", ["create:cache_miss", "create:cache_hit"])
def test_primitives_are_read_whether_new_or_known_to_onednn(event: str) -> None:
    """A created primitive is read also when it is a hit in oneDNN's cache."""
    _, primitives = created_during(lambda: write(HEADER, TEMPLATE, REORDER, LSTM.format(event=event)))
    assert primitives == (RNN,)


def test_fields_before_the_event_may_be_others() -> None:
    """Lines with a time stamp, and those of older versions, are read."""
    older = LSTM.format(event="create:cache_miss").replace("v1,primitive,", "")
    stamped = LSTM.format(event="create:cache_miss").replace("v1,", "v1,1764412345.678,")
    _, primitives = created_during(lambda: write(older, stamped))
    assert primitives == (RNN, RNN)


def test_a_primitive_that_is_executed_is_not_one_that_is_created() -> None:
    _, primitives = created_during(lambda: write(HEADER, LSTM.format(event="exec")))
    assert primitives is None


def test_the_environment_asks_during_the_call_and_not_after_it() -> None:
    asked, _ = created_during(lambda: os.environ.get("ONEDNN_VERBOSE"))
    assert asked == "profile_create"
    assert "ONEDNN_VERBOSE" not in os.environ


@pytest.mark.parametrize("variable", onednn.VARIABLES)
def test_what_a_user_asked_of_onednn_is_left_as_it_is(
    variable: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where the user has set ONEDNN_VERBOSE, its lines go to standard output."""
    monkeypatch.setenv(variable, "2")
    line = LSTM.format(event="create:cache_miss")
    seen: list[str] = []

    def call() -> None:
        seen.extend(os.environ[each] for each in onednn.VARIABLES if each in os.environ)
        write(line)

    _, primitives = created_during(call)
    assert seen == ["2"]
    assert primitives is None
    assert executed_by_torch(lambda: write(line)) is None
    assert capfd.readouterr().out == f"{line}\n" * 2


def test_what_others_write_meanwhile_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    """Only the lines of oneDNN are kept off standard output."""
    created_during(lambda: write("before", LSTM.format(event="create:cache_miss"), "after"))
    write("later")
    assert capfd.readouterr().out == "before\nafter\nlater\n"


def test_an_error_of_the_call_leaves_everything_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        write("on the way")
        raise ValueError("no such model")

    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH208, PTH112
    with pytest.raises(ValueError, match="no such model"):
        created_during(fail)
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
    assert "ONEDNN_VERBOSE" not in os.environ
    write("heard")
    assert capfd.readouterr().out == "on the way\nheard\n"


def test_without_a_standard_output_the_kernel_is_not_known() -> None:
    """A call is made without a standard output, and its kernels are not known."""
    code = "import os; os.close(1); from rnnimpl import onednn; assert onednn.created_during(lambda: 3) == (3, None)"
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_onednn
def test_the_kernels_of_an_lstm_in_pytorch_are_named(capfd: pytest.CaptureFixture[str]) -> None:
    """An LSTM executes one RNN primitive for each layer, and nothing is written to the screen."""
    module, x = torch.nn.LSTM(3, 4, num_layers=2).eval(), torch.ones(5, 2, 3)
    with torch.inference_mode():
        primitives = executed_by_torch(lambda: module(x))
        module(x)
    assert primitives is not None
    assert [(each.algorithm, each.purpose) for each in primitives if each.kind == "rnn"] == [
        ("vanilla_lstm", "forward_inference")
    ] * 2
    assert rnn_kernels(primitives).startswith("oneDNN vanilla_lstm ")
    assert capfd.readouterr().out == ""


@needs_onednn
def test_a_gru_in_pytorch_runs_no_primitive_of_onednn() -> None:
    """The result of a call without oneDNN is (), not None."""
    module, x = torch.nn.GRU(3, 4), torch.ones(5, 2, 3)
    primitives = executed_by_torch(lambda: module(x))
    assert primitives == ()
    assert rnn_kernels(primitives) == "no RNN primitive of oneDNN"


def test_kernels_in_words() -> None:
    """Each RNN kernel is named once for any number of layers; other primitives are left out."""
    backward = Primitive("rnn", "ref", "backward", "vanilla_lstm")
    reorder = Primitive("reorder", "jit:uni", "undef", "")
    assert rnn_kernels((reorder, RNN, RNN, backward)) == "oneDNN vanilla_lstm brgemm:avx512_core, vanilla_lstm ref"
    assert rnn_kernels(None) == "oneDNN, kernel not known"
    assert rnn_kernels((reorder,)) == "no RNN primitive of oneDNN"


OPENVINO = """
import numpy as np
from rnnimpl import RnnConfig, Weights, load
OpenVinoRnn = load("openvino_rnn")
if {configured}:
    OpenVinoRnn.configure_process(threads=1, precision="ieee")
for cell in {cells}:
    config = RnnConfig(input_size=3, hidden_size=4, cell=cell)
    rnn = OpenVinoRnn(config, Weights.init(config, 0))
    rnn.forward(np.ones((5, 2, 3), np.float32))
    print(rnn.describe()["path"])
    rnn.forward(np.ones((5, 2, 3), np.float32))
"""


def described_by_openvino(*, configured: bool, cells: tuple[str, ...]) -> list[str]:
    """The kernels that `describe` has in a process of its own, which must write nothing else to standard output."""
    try:
        load("openvino_rnn")
    except Unavailable as reason:
        pytest.skip(str(reason))
    code = OPENVINO.format(configured=configured, cells=cells)
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.engines
def test_the_kernels_of_each_cell_in_openvino_are_named() -> None:
    """The algorithm is that of the cell; that of a GRU has its reset gate after the product."""
    said = described_by_openvino(configured=True, cells=("tanh", "lstm", "gru"))
    assert [line.rpartition(" ")[0] for line in said] == [
        "oneDNN vanilla_rnn",
        "oneDNN vanilla_lstm",
        "oneDNN lbr_gru",
    ]


@pytest.mark.engines
def test_openvino_is_not_asked_in_a_process_that_was_not_configured() -> None:
    assert described_by_openvino(configured=False, cells=("gru",)) == ["oneDNN, kernel not known"]
