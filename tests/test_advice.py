"""The verdict on a user's model: by known numbers, in ten lines, with a line of code that runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.advice.advise import implementations
from benchmarks.advice.question import Input, Question, Share, check_fits, count_workloads, parse_input
from benchmarks.advice.use import how_to_use
from benchmarks.advice.verdict import Verdict, judge
from benchmarks.advice.words import answer
from benchmarks.models.layers import Found, Layer
from benchmarks.models.source import Source
from benchmarks.presentation.plain_text import interval, times
from benchmarks.runs.loading import load_runs
from benchmarks.statistics import Estimate
from benchmarks.trial import NothingMeasured
from rnnimpl.interface import RnnConfig
from rnnimpl.registry import names
from tests import onnx_models
from tests.synthetic_runs import failed, run_of, trial

SMALL = Layer(name="small", config=RnnConfig(input_size=8, hidden_size=16, cell="lstm"))
LARGE = Layer(name="large", config=RnnConfig(input_size=16, hidden_size=256, cell="lstm"))
CALLS = [("small", 9, 4), ("large", 9, 4), ("large", 9, 4)]
SOURCE = Source("my_module:build", "module")


def question(calls: Sequence[tuple[str, int, int]] = CALLS, share: Share | None = None) -> Question:
    """A question on a model of two layers, of which the large one is called twice."""
    workloads = count_workloads(calls, (SMALL, LARGE), "inference", 2)
    return Question(Input(9, 4), "inference", 2, workloads, share=share)


def verdict(
    folder: Path, seconds: Mapping[str, tuple[float, float]], *, share: Share | None = None, **fields: Any
) -> Verdict:
    """The verdict where each implementation takes these seconds on the small and on the large layer."""
    asked = question(share=share)
    trials = [
        trial(name, of, took, **fields.get(name, {}))
        for name, of_layers in seconds.items()
        for of, took in zip(asked.workloads, of_layers, strict=True)
    ]
    run_of(folder, trials)
    return judge(asked, load_runs(folder)[0])


def test_the_time_is_that_of_all_calls(tmp_path: Path) -> None:
    """An implementation that is slower on the small layer wins by the two calls of the large one."""
    found = verdict(tmp_path / "run", {"nn_rnn": (1e-3, 8e-3), "fused_cpu": (3e-3, 2e-3)})
    assert found.best.name == "fused_cpu"
    assert found.best.seconds == pytest.approx(7e-3)
    assert found.speedup is not None
    assert [found.speedup.median, found.speedup.low] == pytest.approx([17 / 7, 17 / 7])
    assert not found.close


@pytest.mark.parametrize(
    ("names", "best"),
    [
        (("nn_rnn", "jax_scan", "fused_cpu"), "nn_rnn"),
        (("jax_scan", "numpy_hoisted", "fused_cpu"), "fused_cpu"),
        (("jax_scan", "numpy_hoisted"), "jax_scan"),
    ],
)
def test_of_those_too_close_to_call_the_easiest_is_best(tmp_path: Path, names: Sequence[str], best: str) -> None:
    """The present one, then the one with modules, then the fastest; the others are named."""
    around = tuple(1e-3 * (1 + 0.1 * (-1) ** (block // 3)) for block in range(18))
    others = tuple(1e-3 * (1 + 0.1 * (-1) ** ((block // 3) // 2)) for block in range(18))
    asked = question([("small", 9, 4)])
    (of,) = asked.workloads
    run_of(tmp_path, [trial(name, of, around if at else others) for at, name in enumerate(names)])
    found = judge(asked, load_runs(tmp_path)[0])
    assert found.best.name == best
    assert {found.best.name, *found.close} == set(names)


def test_without_an_interval_the_fastest_is_best(tmp_path: Path) -> None:
    """It was measured too briefly, which the answer says, and not that it is too close to call."""
    asked = question([("small", 9, 4)])
    (of,) = asked.workloads
    run_of(tmp_path, [trial(name, of, took, blocks=(3,)) for name, took in (("nn_rnn", 2e-3), ("jax_scan", 1e-3))])
    found = judge(asked, load_runs(tmp_path)[0])
    assert (found.best.name, found.close) == ("jax_scan", ())
    assert "no interval: measured too briefly" in answer(found, SOURCE, Found((SMALL,)), tmp_path)


def test_what_was_not_measured_on_all_layers_is_out(tmp_path: Path) -> None:
    """It has its reason, and no verdict follows where nothing was measured throughout."""
    asked = question()
    small, large = asked.workloads
    trials = [trial("nn_rnn", small), trial("nn_rnn", large), trial("jax_scan", small)]
    trials += [failed("jax_scan", large, "wrong", "its output is off")]
    run_of(tmp_path / "run", trials)
    found = judge(asked, load_runs(tmp_path / "run")[0])
    assert found.best.name == "nn_rnn"
    assert found.not_measured == {"jax_scan": "its output is off"}
    run_of(tmp_path / "none", [failed("nn_rnn", of, "wrong", "its output is off") for of in asked.workloads])
    with pytest.raises(NothingMeasured, match="its output is off"):
        judge(asked, load_runs(tmp_path / "none")[0])


def test_set_up_is_paid_back_by_the_calls_that_it_saves(tmp_path: Path) -> None:
    """Three layers' set-up and first call, 0.3 s more, at 10 ms saved a call."""
    found = verdict(
        tmp_path / "run",
        {"nn_rnn": (2e-3, 10e-3), "fused_cpu": (2e-3, 5e-3)},
        nn_rnn={"setup_seconds": 0.0, "first_call_seconds": 0.1},
        fused_cpu={"setup_seconds": 0.1, "first_call_seconds": 0.15},
    )
    assert found.extra_seconds == pytest.approx(0.3)
    assert found.payback_calls == pytest.approx(30)


@pytest.mark.parametrize(("share", "speedup"), [(0.5, 4 / 3), (1.02, 2.0)])
def test_the_model_gains_by_its_layers_share(tmp_path: Path, share: float, speedup: float) -> None:
    """Layers that become twice as fast, by Amdahl's law; a share above 1 is the noise of two clocks."""
    of_layers = Share(0.02, Estimate(share, share, share))
    seconds = {"nn_rnn": (2e-3, 10e-3), "fused_cpu": (1e-3, 5e-3)}
    assert verdict(tmp_path / "run", seconds, share=of_layers).model_speedup == pytest.approx(speedup)


def test_the_answer_has_ten_lines(tmp_path: Path) -> None:
    """Each line has its word, in this order, and no line is empty."""
    for number, seconds in enumerate(((1e-3, 4e-3), (4e-3, 9e-3))):
        found = verdict(tmp_path / f"run{number}", {"nn_rnn": (2e-3, 8e-3), "fused_cpu": seconds})
        lines = answer(found, SOURCE, Found((SMALL, LARGE)), tmp_path).splitlines()
        words = [line.split()[0] for line in lines]
        assert words == ["model", "layers", "answer", "next", "set-up", "exact", "limit", "whole", "do", "run"]
        assert all(len(line.split()) > 1 for line in lines)


def test_the_answer_is_what_was_judged(tmp_path: Path) -> None:
    share = Share(0.02, Estimate(0.5, 0.4, 0.6))
    found = verdict(tmp_path, {"nn_rnn": (2e-3, 10e-3), "fused_cpu": (1e-3, 5e-3)}, share=share)
    said = answer(found, SOURCE, Found((SMALL, LARGE)), tmp_path)
    assert (
        f"use fused_cpu: {times(2.0)} as fast as nn_rnn, the present one (95 % interval {interval(2.0, 2.0)})" in said
    )
    assert "11.0 ms for 22.0 ms a call" in said
    assert "large is nn.LSTM(16, 256), T 9, B 4, 2 calls" in said
    assert "the recurrent layers take 50 % (40 % to 60 %) of a call of 20.0 ms" in said
    assert f"with fused_cpu it would take 15.0 ms, {times(4 / 3)} as fast" in said
    assert "rnnimpl.torch.replace(model)" in said


@pytest.mark.parametrize("kind", ["module", "state_dict", "safetensors", "onnx"])
def test_the_line_of_code_computes_what_the_layer_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It is executed as it is printed, for an implementation without modules."""
    monkeypatch.chdir(tmp_path)
    rnn = nn.LSTM(8, 16)
    model = nn.ModuleDict({"small": rnn})
    path = {"module": "my_module:build", "state_dict": "a.pt", "safetensors": "a.safetensors", "onnx": "a.onnx"}[kind]
    if kind == "state_dict":
        torch.save({"weights": model.state_dict()}, path)
    elif kind == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(model.state_dict(), path)
    elif kind == "onnx":
        pytest.importorskip("onnx")
        onnx_models.write(Path(path), rnn)
    layer = dataclasses.replace(SMALL, name="lstm_0_0") if kind == "onnx" else SMALL
    asked = Question(Input(5, 2), "inference", 1, count_workloads([(layer.name, 5, 2)], [layer], "inference", 1))
    run_of(tmp_path / "run", [trial(name, of, s) for of in asked.workloads for name, s in FASTER.items()])
    found = Found((layer,), within=("weights",) if kind == "state_dict" else ())
    line = how_to_use(judge(asked, load_runs(tmp_path / "run")[0]), Source(path, kind), found)  # type: ignore[arg-type]  # kinds
    given: dict[str, Any] = {"model": model, "x": torch.randn(5, 2, 8).numpy()}
    exec(line, given)  # noqa: S102  # the line that a user copies
    expected, _ = rnn(torch.from_numpy(given["x"]))
    np.testing.assert_allclose(given["y"], expected.detach().numpy(), atol=1e-6)


FASTER = {"nn_rnn": 2e-3, "numpy_hoisted": 1e-3}


@pytest.mark.parametrize(
    ("text", "expected"), [("64,16", Input(64, 16)), ("1,1,24", Input(1, 1, 24)), (" 2, 3", Input(2, 3))]
)
def test_an_input_is_sizes(text: str, expected: Input) -> None:
    assert parse_input(text) == expected


@pytest.mark.parametrize("text", ["", "64", "64,16,8,4", "64,b", "0,3", "-1,3", "64;16"])
def test_what_is_no_input_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected T,B or T,B,I"):
        parse_input(text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Input(9, 4, 7), "I 7, which does not fit: its recurrent layers take 8 or 16 features"),
        (Input(8, 4), "T 8, which does not fit: the file fixes T of fixed to 9"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(given: Input, said: str) -> None:
    fixed = dataclasses.replace(SMALL, name="fixed", fixed_T=9)
    with pytest.raises(ValueError, match=said):
        check_fits(given, (SMALL, LARGE, fixed))
    check_fits(Input(9, 4, 16), (SMALL, LARGE, fixed))


def test_the_present_one_is_always_measured() -> None:
    """Without names those that run here are measured, but for loops; `all` is every one."""
    assert implementations(["jax_scan"], "nn_rnn", {"cpu"}) == {"nn_rnn": "nn_rnn", "jax_scan": "jax_scan"}
    assert {"nn_rnn", "fused_cpu"} <= implementations([], "nn_rnn", {"cpu"}).keys()
    assert "torch_loop" not in implementations([], "nn_rnn", {"cpu"})
    assert set(implementations(["all"], "nn_rnn", {"cpu"})) == set(names())
    with pytest.raises(ValueError, match="did you mean"):
        implementations(["fuse_cpu"], "nn_rnn", {"cpu"})
