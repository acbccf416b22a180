"""The report: every section where it has something to say, in order, and nothing a stranger's run can break."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.reporting import report as reports
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.page.build import run_data
from benchmarks.reporting.report import build_report
from benchmarks.runs.frames import COLUMNS, load_run
from benchmarks.runs.loading import load_runs
from benchmarks.runs.packing import SUFFIX, write_pack
from benchmarks.store import StoreError
from tests.reports_of_trials import report, section
from tests.synthetic_runs import (
    COSTS,
    default_workloads,
    failed,
    measured,
    realistic_trials,
    run_of,
    trial,
    typed,
    workload,
)

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.usefixtures("unrendered")


CENTRE = workload()
PAIR = [trial("nn_rnn", CENTRE, 2e-3), trial("mine", CENTRE, 1e-3)]


def test_the_sections_stand_in_their_order(tmp_path: Path) -> None:
    """The answer, the plots, what could not run, noise, how it was measured; each plot is there as PNG and SVG."""
    trials = realistic_trials(default_workloads(), ["nn_rnn", "numpy_hoisted", "torch_loop"], noise=0.1)
    trials.append(failed("numba_loop", CENTRE, "unavailable", "numba is not installed: pip install numba"))
    text = report(tmp_path / "run", trials)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "The answer",
        "nn_rnn against the best of the others",
        "Times as fast as nn_rnn",
        "How sizes change the lead over nn_rnn",
        "Share of the limit of this machine",
        "Set-up cost",
        "Every time",
        "What could not run, and why",
        "How it was measured",
    ]
    linked = re.findall(r"\((plots/[^)]*)\)", text)
    plots = tmp_path / "run" / "plots"
    assert sorted(linked) == sorted(f"plots/{path.name}" for path in plots.glob("*.png"))
    assert {path.stem for path in plots.glob("*.svg")} == {path.stem for path in plots.glob("*.png")}
    assert len(linked) == 6


def test_the_summary_is_the_frame(tmp_path: Path) -> None:
    """summary.csv holds every column and row of load_run."""
    report(tmp_path / "run", PAIR)
    summary = pd.read_csv(tmp_path / "run" / "summary.csv")
    assert list(summary.columns) == list(COLUMNS)
    frame = load_run(tmp_path / "run")
    assert list(summary["median_seconds"]) == list(frame["median_seconds"])
    assert list(summary["case"]) == list(frame["case"])


def test_the_ranking_is_kept_as_a_table_too(tmp_path: Path) -> None:
    """ranking.csv has the fastest, or who was asked for; a report that has nothing to compare leaves none behind."""
    report(tmp_path / "run", PAIR)
    rows = pd.read_csv(tmp_path / "run" / "ranking.csv")
    assert rows[["subject", "peer", "ratio"]].to_numpy().tolist() == [["mine", "nn_rnn", 2.0]]
    text = build_report(tmp_path / "run", subject="nn_rnn").read_text(encoding="utf-8")
    assert "| inference | 1 | 0.500x (0.500-0.500) |" in section(typed(text), "nn_rnn against the best of the others")
    assert list(pd.read_csv(tmp_path / "run" / "ranking.csv")["subject"]) == ["nn_rnn"]
    run_of(tmp_path / "alone", PAIR[:1])
    (tmp_path / "alone" / "ranking.csv").write_text("an earlier report's")
    assert "against the best of the others" not in build_report(tmp_path / "alone").read_text(encoding="utf-8")
    assert not (tmp_path / "alone" / "ranking.csv").exists()


def test_the_ranking_of_an_earlier_version_is_replaced(tmp_path: Path) -> None:
    """A new report removes `standing.csv` and the plot `standing` of an earlier version."""
    run = run_of(tmp_path / "run", PAIR).folder
    (run / "plots").mkdir()
    earlier = [run / "standing.csv", run / "plots" / "standing.png", run / "plots" / "standing-2.svg"]
    for path in earlier:
        path.write_text("an earlier report's")
    build_report(run)
    assert (run / "ranking.csv").exists()
    assert not any(path.exists() for path in earlier)


def test_the_tables_hold_the_numbers(tmp_path: Path) -> None:
    """The answer with intervals, speed-ups by setting, and the files beside the report."""
    text = report(tmp_path / "run", PAIR)
    assert "| inference | 2.00x (2.00-2.00) | 2.00x (2.00-2.00) | 2.00x `nn_rnn` |" in section(text, "The answer")
    assert section(text, "Times as fast as nn_rnn").splitlines()[-3:] == [
        "|  | `mine` |",
        "| :-- | --: |",
        "| inference | 2.00x |",
    ]
    answer = pd.read_csv(tmp_path / "run" / "answer.csv")
    assert answer[["fastest", "against_best_other", "smallest_lead_over"]].to_numpy().tolist() == [
        ["mine", 2, "nn_rnn"]
    ]
    ratios = pd.read_csv(tmp_path / "run" / "ratios.csv")
    assert ratios[["faster", "slower", "ratio"]].to_numpy().tolist() == [["mine", "nn_rnn", 2]]


def test_what_is_measured_on_part_of_the_workloads_is_starred(tmp_path: Path) -> None:
    trials = [*PAIR, trial("other", CENTRE, 4e-3), trial("nn_rnn", workload(T=9)), trial("mine", workload(T=9))]
    text = section(report(tmp_path / "run", trials), "Times as fast as nn_rnn")
    assert "| inference | 1.41x | 0.500x* |" in text
    assert r"\* over part of the workloads." in text


def test_what_is_too_close_to_the_baseline_is_marked(tmp_path: Path) -> None:
    """A mean whose interval holds 1 is neither faster nor slower."""
    trials = measured(CENTRE, {"nn_rnn": 1.02, "mine": 1.0, "slow": 2.0}, mine=0.3)
    text = section(report(tmp_path / "run", trials), "Times as fast as nn_rnn")
    assert "| inference | ≈ 1.02x | 0.510x |" in text
    assert "≈ is too close to `nn_rnn` to call." in text


def test_what_is_not_known_to_be_fastest_has_no_price(tmp_path: Path) -> None:
    """It is no answer, so nobody pays it."""
    few = [trial(name, CENTRE, time, blocks=(3,)) for name, time in (("nn_rnn", 9.0), ("mine", 1.0))]
    assert "**Price.**" not in report(tmp_path / "few", few)
    assert "**Price.** `mine` takes" in report(tmp_path / "run", PAIR)


def test_the_price_names_what_the_first_use_needs(tmp_path: Path) -> None:
    """An implementation of this project says it; one that is not known says nothing."""
    made = ": it compiles the kernels of a cell and dtype with the machine's C++ compiler."
    for name, said in (("fused_cpu", f"once{made}"), ("mine", "once.")):
        trials = [trial("nn_rnn", CENTRE, 2.0), trial(name, CENTRE, 1.0)]
        text = report(tmp_path / name, trials, once_per_machine={name: {"tanh float32": 10.0}})
        assert f" Its first use on a machine takes 10.0 s, {said}" in text


def test_a_default_report_is_short(tmp_path: Path) -> None:
    """Three cells, two modes and seven sizes of seven implementations: 12 kB at most, the answer within the first 2."""
    sizes = [{}, {"T": 256}, {"B": 1}, {"B": 64}, {"H": 64}, {"H": 1024}, {"L": 2}]
    modes, cells = ("inference", "training"), ("lstm", "gru", "tanh")
    workloads = [workload(mode, cell=cell, **each) for cell in cells for mode in modes for each in sizes]
    run_of(tmp_path / "run", realistic_trials(workloads, [*COSTS, "fused_cpu"], noise=0.1))
    text = build_report(tmp_path / "run").read_bytes()
    assert len(text) <= 12_000
    assert text.index(b"## The answer") + len(b"| GRU, training |") < text.rindex(b"| GRU, training |", 0, 3500)


def test_payback_is_told_in_calls(tmp_path: Path) -> None:
    """After how many calls on the median workload, at most, and on how many workloads never."""
    trials = []
    for T, (call, setup) in {16: (1.0, 11.0), 17: (1.5, 11.0), 18: (3.0, 11.0), 19: (1.0, 1.0)}.items():
        trials.append(trial("nn_rnn", workload(T=T), 2.0, setup_seconds=1.0, first_call_seconds=2.0))
        trials.append(trial("mine", workload(T=T), call, setup_seconds=setup, first_call_seconds=2.0))
    text = section(report(tmp_path / "run", trials, once_per_machine={"mine": {"tanh float32": 9.5}}), "Set-up cost")
    assert "| `mine` | 11.0 s | 2.00 s | 13.0 s | 9.50 s | 10 calls (at most 20); never on 1 of 4 |" in text
    assert "| `nn_rnn` | 1.00 s | 2.00 s | 3.00 s | - | - |" in text


def test_a_run_links_to_its_profile(tmp_path: Path) -> None:
    """The link is relative to the report, with the profiled cases; a run without a profile has no such section."""
    assert "Where the time of a case goes" not in report(tmp_path / "run", PAIR)
    folder = tmp_path / "run" / "profile"
    folder.mkdir()
    (folder / "profile.md").touch()
    (folder / "breakdown.csv").write_text(f"case,kind\n{PAIR[0].case.id},products\n", encoding="utf-8")
    beside = build_report(tmp_path / "run", tmp_path / "out").read_text(encoding="utf-8")
    own = section(build_report(tmp_path / "run").read_text(encoding="utf-8"), "Where the time of a case goes")
    assert "[Profile of 1 case](profile/profile.md)" in own
    assert f"`{PAIR[0].case.id}`" in own
    assert "(../run/profile/profile.md)" in beside


@pytest.mark.parametrize("machine", ["xeon", "zen3", "zen4", "zen5"])
def test_the_report_of_one_machine_is_short(machine: str) -> None:
    """On a Zen 3 it has eleven implementations with three cells on one thread and on two."""
    assert len((ROOT / "results" / f"reference-cpu-{machine}" / "report.md").read_bytes()) <= 12_000


def test_what_could_not_run_is_reported_once_with_its_reason(tmp_path: Path) -> None:
    """Cases that share status and reason stand in one row with their number."""
    trials = [*PAIR, *(failed("numba_loop", workload(T=T), "unavailable", "numba is missing") for T in (1, 2, 3))]
    trials.append(failed("mine", workload(T=9), "out_of_memory", "needs 9 GiB"))
    text = section(report(tmp_path / "run", trials), "What could not run, and why")
    assert "| `numba_loop` | unavailable | numba is missing | 3 |" in text
    assert "| `mine` | out of memory | needs 9 GiB | 1 |" in text


def test_two_names_for_one_implementation_are_compared(tmp_path: Path) -> None:
    """How far the same code comes apart from itself is said in a sentence."""
    trials = [trial("a", CENTRE, 1.0, source="nn_rnn"), trial("b", CENTRE, 1.02, source="nn_rnn")]
    assert section(report(tmp_path / "run", trials), "The same implementation under two names") == (
        "`a` and `b` are both `nn_rnn` (run `run`): their medians are within 3.0 % of each other on 100 % of 1 "
        f"workload, at worst 2.0 % apart, on `{CENTRE.id}`."
    )


def test_published_times_stand_beside_ours(tmp_path: Path) -> None:
    """DeepBench's fastest and slowest device are next to the fastest here, on the same workload."""
    of = workload(T=50, B=16, H=1760)
    trials = [trial("nn_rnn", of, 0.2), trial("mine", of, 0.1), trial("mine", workload("training", T=50, B=16, H=1760))]
    text = section(report(tmp_path / "run", trials), "Beside DeepBench's published times")
    assert f"| `{of.id}` | forward | `mine` | 100 ms | 2.96 ms (" in text
    assert "| forward and backward |" in text
    assert "leave out the input projection" in text


def test_device_clocks_stand_side_by_side(tmp_path: Path) -> None:
    """Wall, span and kernels of a CUDA case, with the number of launches."""
    of = workload(device="cuda", threads=1)
    trials = [trial("nn_rnn", of, 4e-3, device_span_seconds=3e-3, kernel_seconds=2e-3, kernel_launches=40)]
    text = section(report(tmp_path / "run", trials), "Wall time, span on the device, and sum of kernels")
    assert f"| `nn_rnn/{of.id}` | 4.00 ms | 3.00 ms | 2.00 ms | 40 | 2.00x |" in text


def test_a_caution_stands_before_the_answer(tmp_path: Path) -> None:
    """A run that was disturbed throughout says so first."""
    text = report(tmp_path / "run", [trial("nn_rnn", CENTRE, elsewhere_share=0.5)])
    assert text.index("> **Caution.** Other programs took") < text.index("## The answer")
    assert "Caution" not in report(tmp_path / "calm", [trial("nn_rnn", CENTRE, 0.004)])


def test_a_caution_has_the_command_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the report and on the page, as it can be pasted; those who are given a run in one file have no folder."""
    monkeypatch.chdir(tmp_path)
    run_of(tmp_path / "my run", [trial("mine", CENTRE, 0.004, blocks=(3,), source="code.of:Mine")])
    command = "python -m benchmarks sweep --resume 'my run' --impl mine=code.of:Mine"
    text = build_report("my run").read_text(encoding="utf-8")
    assert "1 of 1 case has too few blocks for an interval." in text
    assert f" To measure longer: `{command}`.\n" in text
    (run,) = load_runs(tmp_path / "my run")
    assert run.resume_command == command
    analysis = Analysis([run])
    assert run_data(analysis)["runs"][0]["cautions"][-1] == f"To measure longer: {command}"
    assert "longer" not in str(run_data(analysis, is_for_others=True)["runs"][0]["cautions"])
    write_pack(tmp_path / "my run", run_data(analysis, is_for_others=True), tmp_path / f"given{SUFFIX}")
    assert load_runs(tmp_path / f"given{SUFFIX}")[0].resume_command == ""


def test_several_runs_stand_side_by_side(tmp_path: Path) -> None:
    """Every table has the run, each run its own machine, and no run's own report is touched."""
    for name, seconds_mine in (("old", 1e-3), ("new", 3e-3)):
        run_of(tmp_path / name, [trial("nn_rnn", CENTRE, 2e-3), trial("mine", CENTRE, seconds_mine)])
    path = build_report([tmp_path / "old", tmp_path / "new"])
    assert path == tmp_path / "old" / "side-by-side" / "report.md"
    assert not (tmp_path / "old" / "report.md").exists()
    text = typed(path.read_text(encoding="utf-8"))
    assert text.startswith("# 2 runs side by side: `old`, `new`")
    assert "| old, inference | `mine` | 2.00x" in text
    assert "| new, inference | `nn_rnn` | -" in text
    assert "## How it was measured: new" in text


def test_the_report_goes_where_it_is_asked(tmp_path: Path) -> None:
    """With `out`, the run's folder is only read."""
    run_of(tmp_path / "run", PAIR)
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert build_report(tmp_path / "run", tmp_path / "out") == tmp_path / "out" / "report.md"
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before


def test_a_report_built_again_is_the_same(tmp_path: Path) -> None:
    """The same trials give the same report.md, summary.csv and record of files."""
    first = report(tmp_path / "run", PAIR)
    kept = {name: (tmp_path / "run" / name).read_bytes() for name in ("summary.csv", ".rnnbench-files.json")}
    assert typed(build_report(tmp_path / "run").read_text(encoding="utf-8")) == first
    assert {name: (tmp_path / "run" / name).read_bytes() for name in kept} == kept


def test_plots_of_an_earlier_report_do_not_stay(tmp_path: Path) -> None:
    """A report on other trials in the same folder has none of them; what is not a report's stays."""
    run_of(tmp_path / "long", [trial(name, workload(T=T)) for name in ("nn_rnn", "mine") for T in (8, 16, 32)])
    run_of(tmp_path / "run", PAIR)
    build_report(tmp_path / "long", tmp_path / "out")
    (tmp_path / "out" / "plots" / "notes.txt").write_text("mine")
    assert (tmp_path / "out" / "plots" / "scaling.png").exists()
    build_report(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out" / "plots" / "scaling.png").exists()
    assert (tmp_path / "out" / "plots" / "notes.txt").exists()


def test_a_run_without_trials_has_a_report(tmp_path: Path) -> None:
    """A sweep that was stopped before its first trial says that nothing was measured."""
    text = report(tmp_path / "run", [])
    assert section(text, "The answer") == "**Nothing was measured.**"
    assert "## How it was measured" in text


def test_a_run_where_all_failed_has_a_report(tmp_path: Path) -> None:
    """Reasons are there where times are not."""
    text = report(tmp_path / "run", [failed("nn_rnn", CENTRE, "crashed", "SIGSEGV")])
    assert section(text, "The answer") == "**Nothing was measured.**"
    assert "SIGSEGV" in section(text, "What could not run, and why")


def test_broken_lines_are_reported(tmp_path: Path) -> None:
    """A line that is no trial is in the report with its number."""
    run = run_of(tmp_path / "run", PAIR)
    with (run.folder / "trials.jsonl").open("a") as file:
        file.write("<b>broken</b>\n")
    text = build_report(run.folder).read_text(encoding="utf-8")
    assert "Some lines could not be read:" in text
    assert "line 3: not a trial" in text


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in place of the folder, and a full disk, are StoreErrors that name the place; old files stay."""
    run_of(tmp_path / "run", PAIR)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write the files of report to .*file"):
        build_report(tmp_path / "run", tmp_path / "file")
    before = build_report(tmp_path / "run").read_bytes()

    def full(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(reports, "write", full)
        with pytest.raises(StoreError, match="No space left on device"):
            build_report(tmp_path / "run")
    assert (tmp_path / "run" / "report.md").read_bytes() == before
    assert [path.name for path in (tmp_path / "run").glob(".*")] == [".rnnbench-files.json"]


HOSTILE = "<script>alert(1)</script>|`x`\n# heading\x1b[31m ![i](http://evil) =cmd()"


def test_a_strangers_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    """Markup, terminal escapes, table borders and formulas in names and reasons are text in every file."""
    trials = [
        *PAIR,
        trial("=" + HOSTILE, CENTRE, describe={HOSTILE: HOSTILE}, source="@" + HOSTILE),
        failed("x", CENTRE, "failed", HOSTILE),
    ]
    text = report(
        tmp_path / "run", trials, command=HOSTILE, packages={HOSTILE: HOSTILE}, machine={"cpu": {"model": HOSTILE}}
    )
    outside_code = re.sub(r"`[^`\n]*`", "", text)
    assert "<script>" not in outside_code
    assert not re.search(r"(?<!\\)\]\(http", outside_code)
    assert "\x1b" not in text
    assert "\n# heading" not in text
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in section(text, "What could not run, and why").splitlines()]
    assert len(set(widths)) == 1
    for name in ("summary.csv", "ranking.csv", "answer.csv", "ratios.csv"):
        written = (tmp_path / "run" / name).read_text(encoding="utf-8")
        assert "\x1b" not in written
        assert not re.search(r'(^|,)"?[=@]', written, re.MULTILINE)


def test_a_long_table_is_cut(tmp_path: Path) -> None:
    """Thirty rows, then where the rest is."""
    trials = [trial("nn_rnn", workload(T=T)) for T in range(1, 81)]
    text = section(report(tmp_path / "run", trials), "Every time")
    assert "50 more rows are in `summary.csv`" in text
    assert "| T30 B16 H256 |" in text
    assert "| T31 B16 H256 |" not in text


def test_reading_and_reporting_import_no_torch(tmp_path: Path) -> None:
    """Store, frames, plots and report work without PyTorch being imported."""
    run_of(tmp_path / "run", PAIR)
    program = (
        "import sys; from benchmarks.reporting.report import build_report; build_report(sys.argv[1]); "
        "print('torch' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "False"]
