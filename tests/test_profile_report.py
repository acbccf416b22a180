"""The report of a profile, from records with known numbers: its sentences, tables and files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.profiling.reporting.frames import breakdown_frame, shares_of
from benchmarks.profiling.reporting.report import write_report
from benchmarks.profiling.reporting.summary import summary_lines
from benchmarks.profiling.sampling.blocks import pairs_record
from benchmarks.profiling.sampling.pairs import LEAST_PAIRS, BlockPair, CallBlock

WORKLOAD = "cpu/inference/T8-B2-I4-H4-L1-tanh-float32"
OTHER = "cpu/inference/T4-B1-I4-H4-L1-tanh-float32"
REFUSED = f"x:Missing/{WORKLOAD}"
COUNTS: dict[str, Any] = {
    "threads": 1,
    "counters": {},
    "counters_reason": "no counters here",
    "operators": None,
    "allocated_bytes": 0,
    "instructions": {"bytecodes": 800, "operations": 160, "products": 0},
    "marginal_step": None,
    "limitations": ["Its phases are not known."],
}


def record(case: str, kinds: dict[str, int], seconds: float = 1.0, repeat: int = 0, **more: Any) -> dict[str, Any]:
    """A record of equal pairs, whose calls take this many seconds, with samples by kind."""
    unprofiled = CallBlock([(seconds, 0.0)], 0.0, context_switches=0)
    profiled = dataclasses.replace(unprofiled, attributed_seconds=seconds)
    sampled = {"kinds": kinds, "preempted": 0, "computing_threads": 1.0, "functions": []}
    pairs = pairs_record([BlockPair.of(unprofiled, profiled)] * LEAST_PAIRS, [unprofiled] * LEAST_PAIRS)
    return {"case": case, "repeat": repeat, "peak_bytes": 1, "passes": {"1": sampled}, **pairs, **more}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a slow case, a fast case, a case without samples, and a case on another workload."""
    slow = (
        {"products": 6, "overhead": 4},
        {"products": 6, "elementwise": 4},
        {"products": 2, "overhead": 4, "elementwise": 4},
    )
    records = [record(f"numpy_loop/{WORKLOAD}", kinds, 2.0, repeat) for repeat, kinds in enumerate(slow)]
    records[0]["counts"] = COUNTS
    records += [
        record(f"nn_rnn/{WORKLOAD}", {"overhead": 10}, counts=COUNTS),
        record(f"jax_scan/{WORKLOAD}", {}, 0.5),
        record(f"nn_rnn/{OTHER}", {"overhead": 10}),
    ]
    folder = tmp_path_factory.mktemp("profile")
    write_report(folder, records, {REFUSED: "unavailable: the library is missing"}, [])
    return folder


@pytest.fixture
def text(folder: Path) -> str:
    """`profile.md`."""
    return (folder / "profile.md").read_text(encoding="utf-8")


def row_of(text: str, implementation: str) -> dict[str, str]:
    """The first row of an implementation in the table of the first workload, by its header."""
    lines = text.splitlines()
    header = next(at for at, line in enumerate(lines) if line.startswith("| implementation"))
    row = next(line for line in lines[header:] if line.startswith(f"| `{implementation}`"))
    header_cells, cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in (lines[header], row))
    return dict(zip(header_cells, cells, strict=True))


def test_the_fastest_implementation_comes_first(text: str) -> None:
    """The order of measuring does not count."""
    assert text.index("- `nn_rnn` spends 100 %") < text.index("- `numpy_loop`")


def test_a_conclusion_rests_on_shares_that_add_up(text: str) -> None:
    """Medians of 60, 40 and 40 % do not: products have 43 % of their sum."""
    assert "- `numpy_loop` has no kind of work with half of its time: matrix products 43 %" in text


def test_a_cell_has_the_share_that_the_conclusion_has_with_the_least_and_the_most(text: str) -> None:
    """Products of 60, 60 and 20 %. A kind that a case does not have is a dash, one that no case has no column."""
    assert row_of(text, "numpy_loop")["matrix products"] == "43 % (20.0 to 60.0)"
    assert row_of(text, "nn_rnn")["framework and interpreter"] == "100 %"
    assert row_of(text, "nn_rnn")["matrix products"] == "\N{EN DASH}"
    assert "memory movement" not in row_of(text, "numpy_loop")


def test_a_case_without_samples_has_its_time_alone(text: str, folder: Path) -> None:
    """The sampler may be preempted for the whole time: the case then has no conclusion."""
    limits = pd.read_csv(folder / "limits.csv").set_index("implementation")
    assert limits.loc["jax_scan", "median_seconds"] == 0.5
    assert "- `jax_scan`" not in text


def test_each_workload_has_its_plot(text: str, folder: Path) -> None:
    for stem in ("breakdown", "breakdown-2"):
        assert (folder / f"{stem}.png").stat().st_size > 0
        assert f"({stem}.png)" in text


def test_reasons_for_what_is_missing_stand_there_once(text: str) -> None:
    """Each reason names its implementations or its case."""
    assert text.count("- In traces of `numpy_loop`, `nn_rnn`: Its phases are not known.") == 1
    assert text.count("Its phases are not known.") == 1
    assert text.count("- No counters here.") == 1
    assert f"- `{REFUSED}` could not be profiled: unavailable: the library is missing" in text


def test_a_share_is_of_the_whole_call() -> None:
    """One second forward, all of it products, and three backward, all of them overhead: a quarter and three."""
    samples = ({"products": 10}, {"overhead": 5})
    passes = {str(number): {"kinds": kinds} for number, kinds in enumerate(samples, start=1)}
    case = f"numpy_loop/{WORKLOAD.replace('inference', 'training')}"
    frame = breakdown_frame([{"case": case, "repeat": 0, "pass_seconds": [1.0, 3.0], "passes": passes}])
    median = shares_of(frame, case)["median"]
    assert (median["products"], median["overhead"]) == (0.25, 0.75)


@pytest.mark.parametrize("width", [60, 100])
def test_a_terminal_shows_bars_and_verdicts(folder: Path, width: int) -> None:
    """A bar has a place for each fortieth of a call; lines fit, and tables stay in the file."""
    lines = summary_lines(folder, width)
    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    assert "  nn_rnn  1.00 s\n    " + "░" * 40 in text
    assert "█" * 17 + "▓" * 11 + "░" * 11 in text
    assert text.index("  nn_rnn  1.00 s") < text.index("  numpy_loop  2.00 s")
    assert "spends 100 % in framework and interpreter" in " ".join(text.split())
    assert "█ matrix products" in text
    assert "|" not in text


def test_a_caution_stands_before_the_verdicts(tmp_path: Path) -> None:
    """In the file and on the terminal, where most pairs were disturbed."""
    disturbed = record(f"nn_rnn/{WORKLOAD}", {"overhead": 10, "products": 1})
    for pair in disturbed["pairs"]:
        pair["unprofiled_preempted"] = pair["profiled_preempted"] = 0.5
    disturbed["pairs"][0]["unprofiled_preempted"] = disturbed["pairs"][0]["profiled_preempted"] = 0.0
    write_report(tmp_path, [disturbed], {}, [])
    text = (tmp_path / "profile.md").read_text(encoding="utf-8")
    assert text.index("> **Caution.** Other programs disturbed") < text.index("- `nn_rnn` spends")
    assert summary_lines(tmp_path, 200)[0].startswith("! Other programs disturbed")
