"""The page of a report as a file: its data are those of `load_run`, and it holds all that it needs."""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measuring.sweeping.sweep_plan import plan_sweep
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.page.build import page
from benchmarks.reporting.page.commands import measure_file, measure_options
from benchmarks.runs.loading import load_runs
from benchmarks.sweeps import load_sweep
from benchmarks.workload import Workload
from tests.synthetic_runs import default_workloads, failed, loaded, realistic_trials, run_of, workload

ROOT = Path(__file__).parent.parent
VENDOR = ROOT / "benchmarks" / "reporting" / "page" / "vendor"
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
LARGEST = 1_500_000


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    trials = realistic_trials(default_workloads()[:6], noise=0.05)
    trials.append(failed("broken", workload(), "failed", "it </script> fails"))
    return Analysis([loaded(tmp_path_factory.mktemp("page") / "run", trials)])


def embedded(text: str) -> dict[str, Any]:
    """The data that a page holds."""
    (found,) = DATA.findall(text)
    data: dict[str, Any] = json.loads(found)
    return data


def test_the_page_holds_what_load_run_says(analysis: Analysis) -> None:
    """Every column of every case to nine digits, texts in full, nothing for NaN."""
    data = embedded(page(analysis))
    rows = analysis.frame.set_index("case")
    (run,) = data["runs"]
    known = 0
    for of in run["workloads"]:
        for values in of["cases"]:
            case = dict(zip(data["case_columns"], values, strict=True))
            row = rows.loc[f"{case['implementation']}/{of['id']}"]
            for name, value in case.items():
                if value is None:
                    assert row[name] is None or row[name] != row[name]
                elif value == "inf":
                    assert row[name] == math.inf
                else:
                    assert value == (pytest.approx(row[name], rel=1e-8) if isinstance(value, float) else row[name])
                known += 1
    assert known == len(rows) * len(data["case_columns"])


def test_the_page_holds_the_ratios_of_all_pairs(analysis: Analysis) -> None:
    """With their bounds, the slower over the faster, as `ratios.csv` has them."""
    data = embedded(page(analysis))
    name_at = data["case_columns"].index("implementation")
    found: dict[Any, list[float]] = {}
    for of in data["runs"][0]["workloads"]:
        names = [row[name_at] for row in of["cases"]]
        found |= {(of["id"], names[below], names[above]): bounds for above, below, *bounds in of["ratios"]}
    rows = analysis.ratios_frame.set_index(["workload", "faster", "slower"])[["ratio", "ratio_low", "ratio_high"]]
    assert found.keys() == set(rows.index)
    for key, bounds in found.items():
        assert bounds == pytest.approx(rows.loc[key].tolist(), rel=1e-8)


def test_the_page_holds_blocks_in_measured_order(analysis: Analysis) -> None:
    data = embedded(page(analysis))
    (run,) = analysis.runs
    for of, cases in zip(data["runs"][0]["workloads"], run.workloads.values(), strict=True):
        for blocks, case in zip(of["blocks"], cases.values(), strict=True):
            assert [number for number, _ in blocks] == [trial.round for trial, _ in case.visits]
            for (_, medians), (_, expected) in zip(blocks, case.visits, strict=True):
                assert medians == pytest.approx(expected, rel=1e-4)


def test_axes_and_modes_are_those_of_workloads(analysis: Analysis) -> None:
    """Each field of a workload is a setting or a size, so that a new one is on the page as soon as it is there."""
    data = embedded(page(analysis))
    assert set(Workload.__dataclass_fields__) <= {*data["settings"], *data["sizes"]}
    for of in data["runs"][0]["workloads"]:
        assert {name: of[name] for name in Workload.__dataclass_fields__} == vars(Workload.parse(of["id"]))


def test_no_text_ends_the_data(analysis: Analysis) -> None:
    """A reason that holds `</script>` is still the reason."""
    text = page(analysis)
    assert "it </script> fails" not in text
    assert "it </script> fails" in json.dumps(embedded(text), ensure_ascii=False)


def test_the_page_asks_for_nothing_else(analysis: Analysis) -> None:
    """It names no script, style or picture elsewhere, and tells the browser to load none."""
    text = page(analysis)
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=", text)
    assert "default-src 'none'" in text
    assert not re.findall(r"\{\{(?:title|style|licences|data|scripts)\}\}", text)


def test_a_page_of_700_cases_fits() -> None:
    """A committed run of more than 700 cases, with everything inlined."""
    analysis = Analysis(load_runs(ROOT / "results" / "reference-cpu-zen4"))
    assert len(analysis.frame) > 700
    assert len(page(analysis).encode()) < LARGEST


def test_the_same_trials_give_the_same_page(analysis: Analysis) -> None:
    assert page(Analysis(load_runs([run.folder for run in analysis.runs]))) == page(analysis)


def test_libraries_are_those_that_are_described(analysis: Analysis) -> None:
    """Bytes, versions and licences of what is not ours; every page has the licences."""
    described = (VENDOR / "README.md").read_text(encoding="utf-8")
    text = page(analysis)
    rows = re.findall(r"^\| `([^`]+)` \| .*? \| ([0-9.]+) \| .*`([0-9a-f]{64})` \|$", described, re.MULTILINE)
    assert {name for name, _, _ in rows} == {path.name for path in VENDOR.glob("*.js")}
    for name, version, digest in rows:
        content = (VENDOR / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        assert f"v{version}".encode() in content[:200]
    for path in VENDOR.glob("*.LICENSE"):
        assert path.read_text(encoding="utf-8") in text


@pytest.mark.parametrize("of", [workload(), workload("training", T=7, B=3, H=5, L=2, I=9, cell="lstm", threads=1)])
def test_the_options_measure_the_workload_alone(of: Workload) -> None:
    """Those of a sweep's command line, given to the sweep's own parser."""
    words = measure_options(of).split()
    names = {"--seq-len": "T", "--batch": "B", "--input": "I", "--hidden": "H", "--layers": "L"}
    pairs = [(names.get(option, option[2:]), value) for option, value in zip(words[::2], words[1::2], strict=True)]
    axes = {name: (int(value) if value.isdigit() else value,) for name, value in pairs}
    assert tuple(plan_sweep("default", implementations=["numpy_loop"], axes=axes).sweep.workloads(("cpu",), 2)) == (of,)


def test_a_workload_without_options_has_a_sweep_file(tmp_path: Path) -> None:
    of = workload(bidirectional=True, bias=False)
    assert measure_options(of) == ""
    (tmp_path / "case.toml").write_text(measure_file(of))
    assert tuple(load_sweep(str(tmp_path / "case.toml")).workloads(("cpu",), 2)) == (of,)


def test_several_runs_are_on_one_page(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_of(tmp_path / name, realistic_trials(default_workloads()[:2]))
    data = embedded(page(Analysis(load_runs([tmp_path / "one", tmp_path / "two"]))))
    assert [run["label"] for run in data["runs"]] == ["one", "two"]
    alone = embedded(page(Analysis(load_runs(tmp_path / "two"))))
    assert data["runs"][1] == alone["runs"][0]
