"""DeepBench's published times: what the frame holds, and which of our workloads stand beside them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.reporting.topics.deepbench import deepbench_published, join_published
from benchmarks.runs.frames import load_run
from tests.synthetic_runs import run_of, trial, workload


def test_columns_are_those_documented_in_seconds() -> None:
    """Every column that the module's docstring names, times in seconds, all three cells."""
    frame = deepbench_published()
    assert list(frame.columns) == [
        *("source", "device", "sheet", "kind", "cell", "T", "B", "H"),
        *("forward_seconds", "backward_inputs_seconds", "backward_weights_seconds", "backward_seconds"),
        "forward_tflops",
    ]
    assert len(frame) == 745
    assert set(frame["cell"]) == {"rnn", "lstm", "gru"}
    assert set(frame["kind"]) >= {"train", "inference-server"}


def test_a_published_row_is_as_published() -> None:
    """Vanilla, T 50, B 16, H 1760 on a V100 in float32: 4.20 ms forward, 1.2 TFLOP/s without the projection."""
    frame = deepbench_published()
    (found,) = frame[
        (frame["device"] == "NV_V100")
        & frame["sheet"].str.contains("FP32")
        & (frame["cell"] == "rnn")
        & (frame["T"] == 50)
        & (frame["B"] == 16)
        & (frame["H"] == 1760)
    ].to_dict("records")
    assert found["forward_seconds"] == pytest.approx(4.2e-3, rel=0.01)
    assert found["forward_tflops"] == pytest.approx(2 * 50 * 16 * 1760**2 / found["forward_seconds"] / 1e12, rel=0.01)


def test_the_frame_is_ones_own() -> None:
    """A change to the frame by one caller does not reach the next."""
    frame = deepbench_published()
    frame["T"] = 0
    assert (deepbench_published()["T"] > 0).all()


def joined(tmp_path: Path, **changes: object) -> pd.DataFrame:
    sizes: dict[str, object] = {"mode": "inference", "T": 50, "B": 16, "H": 1760, "I": 1760}
    of = workload(**(sizes | changes))  # type: ignore[arg-type]  # any field of a workload
    run_of(tmp_path / "run", [trial("nn_rnn", of, 1.0)])
    return join_published(load_run(tmp_path / "run"))


def test_the_same_size_stands_beside_every_device(tmp_path: Path) -> None:
    """A published size is joined with each device's time."""
    found = joined(tmp_path)
    assert found["published_device"].nunique() > 5
    assert (found["published_forward_seconds"] > 0).all()
    assert (found["median_seconds"] == 1.0).all()


def test_training_stands_beside_training(tmp_path: Path) -> None:
    """The published time that a training case is compared with is of both passes."""
    found = joined(tmp_path, mode="training")
    assert len(found) > 5
    assert (found["published_total_seconds"] > found["published_forward_seconds"]).all()


@pytest.mark.parametrize("change", [{"T": 51}, {"B": 17}, {"H": 1761}, {"I": 64}, {"L": 2}, {"bidirectional": True}])
def test_another_workload_stands_beside_nothing(tmp_path: Path, change: dict[str, object]) -> None:
    """A workload that differs in any size, layers or directions is not the published one."""
    assert joined(tmp_path, **change).empty


@pytest.mark.parametrize(
    ("cell", "sizes", "published"),
    [
        ("lstm", {"mode": "training", "T": 25, "B": 16, "H": 512}, "lstm"),
        ("gru", {"mode": "inference", "T": 1500, "B": 1, "H": 2816}, "gru"),
        ("relu", {"mode": "inference", "T": 50, "B": 16, "H": 1760}, "rnn"),
    ],
)
def test_a_cell_stands_beside_its_own_times(
    cell: str, sizes: dict[str, object], published: str, tmp_path: Path
) -> None:
    """A case is joined with the times that DeepBench published for its cell, of every device."""
    found = joined(tmp_path, cell=cell, **{"I": sizes["H"], **sizes})
    table = deepbench_published()
    same = (table["cell"] == published) & (table["T"] == sizes["T"]) & (table["B"] == sizes["B"])
    theirs = table[same & (table["H"] == sizes["H"])]
    assert len(theirs) > 0
    assert sorted(found["published_forward_seconds"]) == sorted(theirs["forward_seconds"])
    assert set(found["published_cell"]) == {published}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_size_that_was_published_for_another_cell_stands_beside_nothing(cell: str, tmp_path: Path) -> None:
    """T 50, B 16, H 1760 is a plain RNN's."""
    assert joined(tmp_path, cell=cell).empty
