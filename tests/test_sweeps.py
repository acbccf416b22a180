"""Sweeps: grids to workloads, overrides, presets, published sizes, TOML files, JSON."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sweeps import PRESETS, Grid, Sweep, load_sweep, parse_duration, sweep_names
from benchmarks.sweeps.file import read_sweep_file
from benchmarks.sweeps.published import published_names, slug


def sweep(*grids: Grid, **fields: Any) -> Sweep:
    return Sweep(**{"name": "test", "summary": "", "grids": grids or (Grid(),), "budget_seconds": 1.0, **fields})


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_grid_is_the_product_of_its_axes() -> None:
    grid = Grid(mode=("inference",), T=(8, 16), B=(1, 2), H=(4,), device=("cpu",), threads=(3,))
    ids = [workload.id for workload in sweep(grid).workloads(("cpu",), 1)]
    assert sorted(ids) == sorted(
        f"cpu/inference/T{T}-B{B}-I4-H4-L1-tanh-float32-threads3" for T in (8, 16) for B in (1, 2)
    )


def test_no_workload_comes_twice() -> None:
    twice = sweep(Grid(T=(8, 16, 8)), Grid(T=(16, 32)))
    assert [workload.T for workload in twice.override(mode="training").workloads(("cpu",), 1)] == [8, 16, 32]


def test_an_input_size_that_is_not_given_is_the_hidden_size() -> None:
    workloads = sweep(Grid(H=(8, 16), mode=("inference",))).workloads(("cpu",), 1)
    assert [(workload.I, workload.H) for workload in workloads] == [(8, 8), (16, 16)]
    workloads = sweep(Grid(H=(8, 16), I=(3,), mode=("inference",))).workloads(("cpu",), 1)
    assert [(workload.I, workload.H) for workload in workloads] == [(3, 8), (3, 16)]


def test_devices_and_threads_that_are_not_given_are_those_of_the_machine() -> None:
    workloads = sweep(Grid(mode=("inference",))).workloads(("cpu", "cuda"), 6)
    assert [(workload.device, workload.threads) for workload in workloads] == [("cpu", 6), ("cuda", 1)]


def test_a_named_device_is_kept_where_the_machine_has_none() -> None:
    workloads = sweep(Grid(device=("cuda",), threads=(4, 8), mode=("inference",))).workloads(("cpu",), 2)
    assert [(workload.device, workload.threads) for workload in workloads] == [("cuda", 1)]


def test_tf32_is_for_float32_on_cuda_and_ieee_elsewhere() -> None:
    grid = Grid(mode=("inference",), dtype=("float32", "float64"), precision=("ieee", "tf32"))
    found = {(w.device, w.dtype, w.precision) for w in sweep(grid).workloads(("cpu", "cuda"), 2)}
    ieee = {(device, dtype, "ieee") for device in ("cpu", "cuda") for dtype in ("float32", "float64")}
    assert found == ieee | {("cuda", "float32", "tf32")}
    only_tf32 = sweep(Grid(mode=("inference",), precision=("tf32",))).workloads(("cpu",), 2)
    assert [workload.precision for workload in only_tf32] == ["ieee"]


def test_workloads_of_one_setting_stand_together_and_small_ones_come_first() -> None:
    grid = Grid(mode=("inference",), H=(64, 16), T=(8, 4), threads=(2, 1))
    found = [(w.threads, w.H, w.T) for w in sweep(grid).workloads(("cpu",), 1)]
    assert found == [(threads, H, T) for threads in (1, 2) for H in (16, 64) for T in (4, 8)]


def test_an_override_replaces_the_axis_in_every_grid() -> None:
    changed = sweep(Grid(T=(8,), H=(4,)), Grid(T=(9,))).override(T=(1, 2), device="cpu", mode=["training"])
    assert [grid.T for grid in changed.grids] == [(1, 2), (1, 2)]
    assert [grid.device for grid in changed.grids] == [("cpu",), ("cpu",)]
    assert changed.grids[0].H == (4,)
    assert changed.grids[0].mode == ("training",)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"T": ()}, "T is empty"),
        ({"H": (-4,)}, "H is -4; expected a whole number from 1"),
        ({"B": (0,)}, "B is 0"),
        ({"L": (True,)}, "L is True"),
        ({"T": (1.5,)}, "T is 1.5"),
        ({"T": ("16",)}, "T is '16'"),
        ({"T": None}, "T is None"),
        ({"dtype": ("float8",)}, "dtype is 'float8'; expected one of float16"),
        ({"mode": ("both",)}, "mode is 'both'; expected one of inference, training"),
        ({"bias": (1,)}, "bias is 1; expected true or false"),
        ({"seq_len": (16,)}, "axis 'seq_len' is not known; did you mean T?"),
        ({"cel": ("relu",)}, "did you mean cell?"),
    ],
)
def test_an_axis_that_makes_no_workload_is_refused_with_its_name(axes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        sweep().override(**axes)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"budget_seconds": 0}, "budget is 0 seconds; expected more than 0"),
        ({"budget_seconds": float("nan")}, "budget is nan"),
        ({"target_interval": 5}, "target_interval is 5"),
        ({"timeout_seconds": -1}, "timeout is -1 seconds"),
        ({"name": "../up"}, "name is '../up'"),
        ({"grids": ()}, "expected one or more"),
    ],
)
def test_a_sweep_with_a_bad_field_is_refused_with_its_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        sweep(**fields)


@pytest.mark.parametrize("name", sweep_names())
def test_a_sweep_survives_json(name: str) -> None:
    whole = load_sweep(name).override(I=(5,), device=None, threads=(1, 2))
    assert Sweep.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_json_that_is_no_sweep_is_refused() -> None:
    record = sweep().to_json()
    with pytest.raises(ValueError, match="the sweep has no grids"):
        Sweep.from_json({name: value for name, value in record.items() if name != "grids"})
    with pytest.raises(ValueError, match="field of a sweep 'extra' is not known"):
        Sweep.from_json({**record, "extra": 1})
    with pytest.raises(ValueError, match="H is 'wide'"):
        Sweep.from_json({**record, "grids": [{"H": "wide"}]})


def test_an_old_grid_names_its_cell_nonlinearity() -> None:
    """Runs and sweep files from before there were other cells."""
    assert Grid.from_mapping({"nonlinearity": ["relu"]}) == Grid(cell=("relu",))
    with pytest.raises(ValueError, match="nonlinearity is an old name of the axis cell, which is given too"):
        Grid.from_mapping({"nonlinearity": "relu", "cell": "lstm"})


def test_the_presets_measure_what_they_promise() -> None:
    sizes = {(w.B, w.H, w.T, w.L) for w in PRESETS["quick"].workloads(("cpu",), 2)}
    assert sizes == {(B, H, 64, 1) for B in (1, 16) for H in (64, 256)}
    three = PRESETS["default"].workloads(("cpu",), 2)
    assert {w.cell for w in three} == {"lstm", "gru", "tanh"}
    for cell in ("lstm", "gru", "tanh"):
        assert {(w.T, w.B, w.H) for w in three if w.cell == cell} == {
            *((64, 1, 64), (64, 1, 256), (64, 16, 64), (64, 16, 256), (64, 64, 256), (256, 16, 256), (64, 16, 1024))
        }
    default = PRESETS["default"].override(cell="lstm").workloads(("cpu",), 2)
    assert {w.cell for w in default} == {"lstm"}
    assert len(default) == 2 * 17
    assert {w.T for w in default if (w.B, w.H, w.L) == (16, 256, 1)} == {16, 64, 256, 1024}
    assert {w.H for w in default if (w.T, w.B, w.L) == (64, 16, 1)} == {64, 128, 256, 512, 1024}
    assert {w.B for w in default if (w.T, w.H, w.L) == (64, 256, 1)} == {1, 4, 16, 64}
    assert {w.L for w in default if (w.T, w.B, w.H) == (64, 16, 256)} == {1, 2, 4}
    assert {(w.B, w.H) for w in default if w.T == 64} >= {(B, H) for B in (1, 16, 64) for H in (64, 256, 1024)}


def test_the_engines_are_set_side_by_side_on_six_sizes_in_both_modes() -> None:
    workloads = PRESETS["peers"].workloads(("cpu",), 2)
    sizes = {
        (64, 1, 64, 1),
        (128, 1, 256, 1),
        (128, 16, 256, 2),
        (128, 64, 512, 1),
        (256, 32, 1024, 1),
        (50, 64, 1760, 1),
    }
    for mode in ("inference", "training"):
        assert {(w.T, w.B, w.H, w.L) for w in workloads if w.mode == mode} == sizes
    assert len(workloads) == 2 * len(sizes)


def test_published_sizes_of_one_cell_are_a_sweep() -> None:
    """DeepBench has sizes of three cells; an RNN is measured with tanh."""
    workloads = load_sweep("deepbench-rnn").workloads(("cpu",), 2)
    training = {(w.T, w.B, w.H) for w in workloads if w.mode == "training"}
    assert training == {(50, B, H) for B in (16, 32, 64, 128) for H in (1760, 2048, 2560)}
    assert {(w.T, w.B, w.H) for w in workloads if w.mode == "inference"} == {(672, 1, 32), (96, 1, 64)}
    assert {w.cell for w in workloads} == {"tanh"}
    assert {w.cell for w in load_sweep("deepbench-lstm").workloads(("cpu",), 2)} == {"lstm"}
    assert {w.cell for w in load_sweep("deepbench-gru").workloads(("cpu",), 2)} == {"gru"}


def test_an_origins_own_name_is_all_of_its_sizes() -> None:
    """The sizes of an origin are those of all its cells together."""
    cells = [load_sweep(f"deepbench-{cell}").workloads(("cpu",), 2) for cell in ("rnn", "lstm", "gru")]
    every = load_sweep("deepbench").workloads(("cpu",), 2)
    assert len(every) == sum(map(len, cells)) > 50
    assert set(every) == {workload for workloads in cells for workload in workloads}


def test_every_published_size_is_measured_with_its_cell() -> None:
    """The workloads are the rows of the table, in the modes that they name."""
    table = Path(__file__).parent.parent / "benchmarks" / "data" / "workloads.csv"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    measured = {"rnn": "tanh", "lstm": "lstm", "gru": "gru"}
    for name in {slug(row["origin"]) for row in rows}:
        own = [row for row in rows if slug(row["origin"]) == name]
        expected = {
            (measured[row["cell"]], mode, *(int(row[letter]) for letter in "TBIHL"), row["bidirectional"] == "1")
            for row in own
            for mode in ("inference", "training")
            if row["mode"] in (mode, "both")
        }
        workloads = load_sweep(name).workloads(("cpu",), 2)
        assert {(w.cell, w.mode, w.T, w.B, w.I, w.H, w.L, w.bidirectional) for w in workloads} == expected


def test_an_origin_of_one_cell_has_one_name() -> None:
    """Haste's sizes are all an LSTM's, and so is the one of PyTorch's pull request."""
    assert [name for name in published_names() if name.startswith("haste")] == ["haste"]
    (theirs,) = load_sweep("pytorch-pr-126051").override(mode="training").workloads(("cpu",), 2)
    assert (theirs.cell, theirs.bidirectional, theirs.I, theirs.L) == ("lstm", True, 1, 3)
    assert load_sweep("haste").summary == "The problem sizes of Haste, LSTM"


def test_sizes_stand_on_either_side_of_where_onnx_runtime_splits_otherwise() -> None:
    """B 1 and 2, 4 and 5, H 256 and 257, on the two threads that it then splits over."""
    two = {(w.B, w.H) for w in load_sweep("sizes").workloads(("cpu",), 2) if w.threads == 2}
    assert two == {(B, H) for B in (1, 2, 4, 5) for H in (256, 257)}


def test_an_unknown_sweep_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="sweep is 'defalt'; did you mean default"):
        load_sweep("defalt")


def test_a_file_defines_a_sweep(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'summary = "lengths"\nbudget = "1h30m"\ntarget_interval = 0.02\ntimeout = "20s"\n'
        '[[grid]]\nT = [16, 64]\nH = 8\nmode = "training"\n[[grid]]\nbias = false\n[override]\ncell = "relu"\n',
    )
    assert load_sweep(path) == Sweep(
        name="mine",
        summary="lengths",
        grids=(
            Grid(T=(16, 64), H=(8,), mode=("training",), cell=("relu",)),
            Grid(bias=(False,), cell=("relu",)),
        ),
        budget_seconds=5400.0,
        target_interval=0.02,
        timeout_seconds=20.0,
    )


def test_a_file_may_start_from_a_preset(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "q2"\nbase = "quick"\n[[grid]]\nT = 5\n[override]\nthreads = 1\n')
    assert load_sweep(path).grids == (*PRESETS["quick"].override(threads=1).grids, Grid(T=(5,), threads=(1,)))
    base = sweep(summary="a base", budget_seconds=7.0, target_interval=0.2)
    loaded = read_sweep_file(Path(path), {"quick": base}.__getitem__)
    assert (loaded.name, loaded.summary) == ("q2", "a base")
    assert (loaded.budget_seconds, loaded.target_interval) == (7.0, 0.2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grids = 3", "key 'grids' is not known; did you mean grid?"),
        ("summery = 'x'\n[[grid]]\nT = 1", "did you mean summary?"),
        ("[[grid]]\nhidden = 64", "axis 'hidden' is not known; did you mean H?"),
        ("[[grid]]\nT = []", "T is empty"),
        ("[[grid]]\nT = [16, -1]", "T is -1"),
        ("[grid]\nT = 16", "[[grid]] with two brackets"),
        ("[[grid]]\nT = 1\n[override]\nHH = 2", "axis 'HH' is not known; did you mean H?"),
        ("override = 3\n[[grid]]\nT = 1", "override is 3; expected a table"),
        ("budget = 0\n[[grid]]\nT = 1", "budget is 0; expected more than 0"),
        ("budget = '0s'\n[[grid]]\nT = 1", "budget is '0s'"),
        ("budget = true\n[[grid]]\nT = 1", "budget is True"),
        ("timeout = 0\n[[grid]]\nT = 1", "timeout is 0; expected more than 0"),
        ("base = 'defalt'", "did you mean default"),
        ("base = 3", "base is 3; expected text in quotes"),
        ("summary = 'nothing'", "neither a [[grid]] table nor a base"),
        ("T = = 3", "mine.toml"),
    ],
)
def test_a_file_that_makes_no_sweep_is_refused_with_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        load_sweep(path)
    assert path in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.toml cannot be read: No such file"):
        load_sweep(str(tmp_path / "nowhere.toml"))
    (tmp_path / "latin.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(ValueError, match=r"latin\.toml is no UTF-8"):
        load_sweep(str(tmp_path / "latin.toml"))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1h2m3s", 3723), ("0.5h", 1800)]
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "m", "5x", "-5m", "5m1h", "0", "0m", "9" * 400, "1e3", "1001h", "\N{ARABIC-INDIC DIGIT FIVE}m"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"--budget is .*; expected a time like 90s, 5m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["5", "300", "1.5"])
def test_a_number_without_a_unit_is_asked_for_one(text: str) -> None:
    """Seconds and minutes are both what somebody might mean by 5."""
    with pytest.raises(ValueError, match=rf"did you mean {text}s or {text}m\?"):
        parse_duration(text)


def test_sweeps_and_machine_start_without_heavy_libraries() -> None:
    code = (
        "import sys, benchmarks.sweeps, benchmarks.machine, benchmarks.limits.bounds\n"
        "print([name for name in ('torch', 'pandas', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "seconds"), [("'50us'", (5e-5,)), ("['10ms', '1 ms', '0.5s']", (1e-3, 1e-2, 0.5)), ("'20µs'", (2e-5,))]
)
def test_deadlines_have_a_unit_and_come_in_order(tmp_path: Path, text: str, seconds: tuple[float, ...]) -> None:
    """A file's deadlines are those of its sweep, also after JSON; without any they are those of its base."""
    found = load_sweep(write(tmp_path, f"base = 'streaming'\ndeadlines = {text}"))
    assert found.deadlines_seconds == pytest.approx(seconds)
    assert Sweep.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert load_sweep(write(tmp_path, "base = 'streaming'")).deadlines_seconds == Sweep.deadlines_seconds


@pytest.mark.parametrize("text", ["1", "'1'", "'1h'", "[]", "['1ms', 2]", "'0ms'"])
def test_what_is_no_deadline_is_refused(tmp_path: Path, text: str) -> None:
    """The value is shown, with the form."""
    with pytest.raises(ValueError, match="deadlines is"):
        load_sweep(write(tmp_path, f"base = 'quick'\ndeadlines = {text}"))


def test_processes_that_are_not_given_are_the_cores() -> None:
    """`many-at-once` sets a process on each core beside a thread on each."""
    found = PRESETS["many-at-once"].workloads(("cpu",), 4)
    assert {(workload.threads, workload.processes) for workload in found} == {(4, 1), (1, 4)}


def test_every_new_mode_and_condition_can_be_named_in_a_file(tmp_path: Path) -> None:
    """The axes of a TOML file are those of a workload."""
    text = "[[grid]]\nmode = 'serving'\ncaches = ['warm', 'cold']\nprocesses = 2\ndenormals = 'flushed'\nthreads = 1"
    found = load_sweep(write(tmp_path, text)).workloads(("cpu",), 2)
    assert sorted(workload.conditions for workload in found) == [
        "2 processes, cold caches, denormals flushed",
        "2 processes, denormals flushed",
    ]
