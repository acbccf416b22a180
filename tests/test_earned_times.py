"""No time without the work: what is caught in timed calls, by what, and that honest implementations pass."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring.checking.call_checking import SpotCheck, read_results
from benchmarks.measuring.checking.expectations import Expectations, checked_steps
from benchmarks.measuring.inputs import fresh_feature
from benchmarks.measuring.measure import CheckedCall, Subject, Wrong
from benchmarks.measuring.sweeping.runner import Sweeper
from benchmarks.store import create_run
from benchmarks.sweeps.grid import Grid, Sweep
from benchmarks.trial import MEASURED, Trial
from benchmarks.workload import Workload
from rnnimpl import load
from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.interface import NumpyArray, Rnn, State
from tests import cheating_implementations as cheats
from tests.small_sweeps import Said
from tests.visits_in_process import BLOCKS, EXPECTATIONS, visit


@pytest.mark.parametrize(
    ("cheat", "caught"),
    [
        (cheats.SameArray, "did not compute its input"),
        (cheats.SameBeginning, "did not compute its input"),
        (cheats.NothingLater, "is a NoneType; expected a ndarray"),
        (cheats.EmptyLater, "did not compute its input"),
        (cheats.HalfBatchLater, "had another shape than of the first call"),
        (cheats.HalfBatchTwice, "did not compute its input"),
        (cheats.FewStepsLater, "did not compute its input"),
        (cheats.Promise, "is a function; expected a ndarray"),
        (cheats.LazyArray, "is a Lazy; expected a ndarray"),
        (cheats.LaterThread, "is a tuple; expected a ndarray"),
        (cheats.FillingThread, "did not compute its input"),
        (cheats.WorkInFromNumpy, "did not compute its input"),
        (cheats.OneBuffer, "changed while another was made"),
        (cheats.BareState, "the final state is a ndarray; expected a tuple (h_n,)"),
    ],
)
def test_a_timed_forward_pass_without_the_work_is_wrong(cheat: type[Rnn[Any]], caught: str) -> None:
    """The first call is right, and a later one is not: the check of a timed call says so."""
    reason = visit(cheat, Workload(mode="inference", T=12, B=4, I=6, H=5))
    assert reason is not None
    assert caught in reason


@pytest.mark.parametrize("cheat", [cheats.CachedPullback, cheats.CachedWeightGradients, cheats.NoGradientOfState])
@pytest.mark.parametrize("cell", ["tanh", "relu", "lstm", "gru"])
def test_a_gradient_of_an_earlier_call_is_wrong(cheat: type[Rnn[Any]], cell: str) -> None:
    """Every gradient of a checked call is compared, those of weights too."""
    workload = Workload(mode="training", T=12, B=4, I=6, H=5, cell=cell)  # type: ignore[arg-type]
    reason = visit(cheat, workload)
    assert reason is not None
    assert "did not compute its input: grad_" in reason


@pytest.mark.parametrize("name", ["numpy_loop", "numpy_hoisted", "nn_rnn", "torch_hoisted"])
@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize(
    "options",
    [{}, {"bidirectional": True, "L": 2}, {"cell": "relu"}, {"cell": "lstm"}, {"cell": "gru"}, {"I": 1, "B": 1}],
)
def test_an_honest_implementation_passes(name: str, mode: str, options: dict[str, object]) -> None:
    """Honest implementations pass with every option of a workload."""
    workload = Workload(**{"mode": mode, "T": 12, "B": 4, "I": 6, "H": 5, **options})  # type: ignore[arg-type]
    assert visit(load(name), workload) is None


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_an_honest_implementation_passes_in_other_dtypes(dtype: str) -> None:
    """The input's memory holds bits of bfloat16."""
    assert visit(load("nn_rnn"), Workload(mode="training", T=12, B=4, I=6, H=5, dtype=dtype)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", ["tanh", "gru"])
def test_rounding_of_values_that_are_small_by_chance_is_no_fault(cell: str) -> None:
    """A network of one unit has one value of each result: near zero in some calls, and saturated in others."""
    workload = Workload(mode="training", T=1, B=1, I=1, H=1, cell=cell)  # type: ignore[arg-type]  # one of the cells
    for _ in range(20):
        assert visit(load("numpy_loop"), workload) is None
    assert visit(cheats.CachedPullback, workload) is not None


def test_a_cheat_is_caught_in_bfloat16() -> None:
    """Results of another input differ by more than bfloat16 rounds."""
    nn_rnn = load("nn_rnn")

    class SameTensor(nn_rnn):  # type: ignore[misc,valid-type]  # of what load gives
        """Gives the last result again for the same tensor."""

        known = None

        def forward(self, x: object, state: object = None) -> object:
            if self.known is not x:
                self.known, self.result = x, super().forward(x, state)
            return self.result

    reason = visit(SameTensor, Workload(mode="inference", T=12, B=4, I=64, H=64, dtype="bfloat16"))
    assert reason is not None
    assert "did not compute its input" in reason


def large(workload: Workload) -> Workload:
    """The workload, so long that only its first steps are checked in the first call."""
    assert checked_steps(workload) < workload.T
    return workload


def test_a_long_sequence_in_both_directions_is_checked_in_timed_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call's check ends after some steps; the timed calls' goes to the last step of some sequences."""
    monkeypatch.setattr("benchmarks.measuring.checking.expectations.REFERENCE_FLOPS", 1e4)
    monkeypatch.setattr("benchmarks.measuring.checking.call_checking.SPOT_FLOPS", 1e4)
    monkeypatch.setattr("benchmarks.measuring.checking.call_checking.WHOLE_FLOPS", 1e4)
    workload = large(Workload(mode="training", T=40, B=4, I=6, H=5, bidirectional=True))
    assert visit(load("numpy_loop"), workload) is None
    for check in EXPECTATIONS.spot_checks(workload, BLOCKS):
        assert check.steps == workload.T
        assert set(check.values) == {"y", "h_n", "grad_x", "grad_h0"}
        assert 1 <= len(check.rows) < workload.B
    reason = visit(cheats.CachedPullback, workload)
    assert reason is not None
    assert "grad_" in reason


def test_all_results_of_a_costly_workload_are_checked_in_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some sequences in every block, the gradients of weights in one, so that a visit's checks cost no more."""
    monkeypatch.setattr("benchmarks.measuring.checking.call_checking.SPOT_FLOPS", 1e4)
    workload = Workload(mode="training", T=40, B=4, I=6, H=5)
    checks = EXPECTATIONS.spot_checks(workload, 5)
    assert [check.weights for check in checks].count(True) == 1
    assert all(check.values["y"].shape[1] == len(check.rows) for check in checks)


def test_checks_are_drawn_anew() -> None:
    """No implementation can have seen the input, or the place, of a checked call before."""
    workload = Workload(mode="inference", T=12, B=4, I=6, H=5)
    calls = [check.call for _ in range(3) for check in EXPECTATIONS.spot_checks(workload, 2)]
    assert len({call.seed for call in calls}) == len(calls)
    assert Expectations().seed != Expectations().seed


def test_the_checked_call_is_at_its_place_and_the_others_have_other_inputs() -> None:
    """Every call of a block has an input of its own; one has the feature that was asked for."""
    seen: list[NumpyArray] = []

    class Recording(NumpyLoop):
        """Remembers its inputs."""

        devices = ("cpu",)

        def forward(
            self, x: NumpyArray, state: State[NumpyArray] | None = None
        ) -> tuple[NumpyArray, State[NumpyArray]]:
            seen.append(x.copy())
            return super().forward(x, state)

    workload = Workload(mode="inference", T=3, B=2, I=4, H=5)
    subject = Subject(Recording, workload, clock=time.perf_counter)
    subject.first_call(workload.T)
    subject.warm_up(0.0)
    seen.clear()
    block = subject.block(CheckedCall(place=0.5, feature=2, seed=7))
    inputs = seen[-block.calls :]
    assert len({each.tobytes() for each in inputs}) == len(inputs)
    places = [n for n, each in enumerate(inputs) if np.array_equal(each[:, :, 2], fresh_feature(workload, 7))]
    assert len(places) == 1
    checked = inputs[places[0]]
    assert np.array_equal(np.delete(checked, 2, axis=2), np.delete(subject.inputs.x, 2, axis=2))


@pytest.fixture
def trials(tmp_path: Path) -> dict[str, Trial]:
    """A trial of one visit in a worker, for each implementation that attacks the measuring process."""
    names = ("ReplacedChecker", "FindsExpectation", "RecognisesInputs", "SlowClock", "SlowModuleClock")
    implementations = {name: f"tests.attacking_implementations:{name}" for name in names}
    grid = Grid(mode=("inference",), T=(12,), B=(4,), I=(6,), H=(5,), threads=(1,), device=("cpu",))
    sweep = Sweep(
        name="cheats",
        summary="for a test",
        grids=(grid,),
        budget_seconds=60.0,
        target_interval=0.99,
        stop_interval=0.99,
        timeout_seconds=60.0,
    )
    run = create_run(tmp_path / "run", {"sweep": sweep.to_json(), "implementations": implementations})
    workloads = sweep.workloads(("cpu",), 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.measuring.sweeping.runner.MAX_VISITS", 1)
        Sweeper(run, sweep, workloads, implementations, scratch=tmp_path, progress=Said()).measure()
    return {trial.case.implementation: trial for trial in run.trials()}


def test_attacks_on_the_measuring_process_give_no_time(trials: dict[str, Trial]) -> None:
    """Expected results, checker and a second clock are in another process, and data are drawn for the sweep."""
    reasons = {
        "ReplacedChecker": "did not compute its input",
        "FindsExpectation": "y (12, 4, 5) has error",
        "SlowClock": "its clock",
    }
    for name, reason in reasons.items():
        assert trials[name].status == "wrong"
        assert reason in (trials[name].reason or "")
        assert trials[name].seconds == ()
    # What is known of the suite's data, and a clock replaced in its module, are of no use.
    for name in ("RecognisesInputs", "SlowModuleClock"):
        assert trials[name].status in MEASURED
        assert trials[name].input_seed is not None


@pytest.mark.parametrize("kind", ["missing", "garbage", "pipe", "link", "bomb", "large"])
def test_a_file_that_holds_no_results_is_wrong(tmp_path: Path, kind: str) -> None:
    """A worker may leave anything where its results should be; nothing of it is waited for or unpacked."""
    path = tmp_path / "results.npz"
    match kind:
        case "garbage":
            path.write_bytes(b"PK\x03\x04garbage")
        case "pipe":
            os.mkfifo(path)
        case "link":
            np.savez(tmp_path / "other.npz", y=np.zeros(1))
            path.symlink_to(tmp_path / "other.npz")
        case "bomb":
            np.savez_compressed(path, y=np.zeros(10_000_000))
        case "large":
            np.savez(path, y=np.zeros(10_000_000))
    with pytest.raises(Wrong, match=r"could not be read|bytes; expected 8 at most"):
        read_results(path, 8)
    assert not path.exists()
    assert (tmp_path / "other.npz").exists() is (kind == "link")


def test_a_check_names_what_is_missing() -> None:
    """A worker may answer with anything."""
    limits = {"y": 1e-6}
    call = CheckedCall(place=0.0, feature=0, seed=0)
    check = SpotCheck(call, (0,), 1, False, {"y": np.zeros((1, 1, 1))}, limits, {"y": 1.0})
    assert "gave nothing; expected y" in (check.problem({}) or "")
    assert "has shape (2,); expected (1, 1, 1)" in (check.problem({"y": np.zeros(2)}) or "")
    assert "error inf" in (check.problem({"y": np.full((1, 1, 1), np.nan)}) or "")
