"""The report: every section where it has something to say, in order, and nothing a stranger's run can break."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from benchmarks.presentation.plain_text import clean, code, escape, interval, seconds, share, significant, table
from benchmarks.reporting import plots
from benchmarks.reporting import report as reports
from benchmarks.reporting.findings import winners_by_workload
from benchmarks.reporting.provenance import activity_shares
from benchmarks.reporting.report import build_report, terminal_table
from benchmarks.runs.frames import COLUMNS, load_run
from benchmarks.store import StoreError
from benchmarks.trial import Trial
from tests.synthetic_runs import default_workloads, failed, realistic_trials, run_of, trial, workload

CENTRE = workload()
PAIR = [trial("nn_rnn", CENTRE, 2e-3), trial("mine", CENTRE, 1e-3)]


@pytest.fixture(autouse=True)
def _unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn up but not rendered, which would take most of the time; test_plots renders them."""

    def touch(_figure: object, folder: Path, stem: str) -> None:
        for ending in ("png", "svg"):
            (folder / f"{stem}.{ending}").touch()

    monkeypatch.setattr(plots, "save", touch)


def typed(text: str) -> str:
    """The text with the signs that a keyboard has."""
    return text.replace("\N{MULTIPLICATION SIGN}", "x").replace("\N{EN DASH}", "-")


def report(folder: Path, trials: list[Trial], **fields: Any) -> str:
    """The report of a run of these trials."""
    run_of(folder, trials, **fields)
    return typed(build_report(folder).read_text(encoding="utf-8"))


def section(text: str, title: str) -> str:
    """What stands under a heading of the second level."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0].strip()


def test_the_sections_stand_in_their_order(tmp_path: Path) -> None:
    """The answer, the plots, what could not run, noise, how it was measured; each image is there."""
    trials = realistic_trials(default_workloads(), ["nn_rnn", "numpy_hoisted", "torch_loop"], noise=0.1)
    trials.append(failed("numba_loop", CENTRE, "unavailable", "numba is not installed: pip install numba"))
    text = report(tmp_path / "run", trials)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "The answer",
        "Against the best of the others",
        "Time of a call over sequence length T",
        "Time of a call over batch size B",
        "Time of a call over hidden size H",
        "Time of a call over layers L",
        "The fastest implementation over batch and hidden size",
        "Speed-up against nn_rnn",
        "Share of this machine's measured matrix-product peak",
        "Error against time",
        "What stands before the second call: set-up and first call",
        "Every time and error",
        "What could not run, and why",
        "Noisy cases",
        "How it was measured",
    ]
    linked = re.findall(r"\((plots/[^)]*)\)", text)
    assert sorted(linked) == sorted(f"plots/{path.name}" for path in (tmp_path / "run" / "plots").iterdir())
    assert len(linked) == 20


def test_the_summary_is_the_frame(tmp_path: Path) -> None:
    """summary.csv holds every column and row of load_run."""
    report(tmp_path / "run", PAIR)
    summary = pd.read_csv(tmp_path / "run" / "summary.csv")
    assert list(summary.columns) == list(COLUMNS)
    frame = load_run(tmp_path / "run")
    assert list(summary["median_seconds"]) == list(frame["median_seconds"])
    assert list(summary["case"]) == list(frame["case"])


def test_the_ranking_is_kept_as_a_table_too(tmp_path: Path) -> None:
    """ranking.csv says what the section says; a report that has nothing to compare leaves none behind."""
    text = section(report(tmp_path / "run", PAIR), "Against the best of the others")
    assert "`mine` is faster than the best of the others on all 1 workload: 2.00x (2.00-2.00)" in text
    rows = pd.read_csv(tmp_path / "run" / "ranking.csv")
    assert rows[["subject", "peer", "ratio"]].to_numpy().tolist() == [["mine", "nn_rnn", 2.0]]
    build_report(tmp_path / "run", subject="nn_rnn")
    assert list(pd.read_csv(tmp_path / "run" / "ranking.csv")["subject"]) == ["nn_rnn"]
    run_of(tmp_path / "alone", PAIR[:1])
    (tmp_path / "alone" / "ranking.csv").write_text("an earlier report's")
    assert "Against the best" not in build_report(tmp_path / "alone").read_text(encoding="utf-8")
    assert not (tmp_path / "alone" / "ranking.csv").exists()


def test_the_ranking_of_an_earlier_version_is_replaced(tmp_path: Path) -> None:
    """Its table is `standing.csv` and its plot `standing`: a new report leaves neither beside its own."""
    run = run_of(tmp_path / "run", PAIR).folder
    (run / "plots").mkdir()
    earlier = [run / "standing.csv", run / "plots" / "standing.png", run / "plots" / "standing-2.svg"]
    for path in earlier:
        path.write_text("an earlier report's")
    build_report(run)
    assert (run / "ranking.csv").exists()
    assert not any(path.exists() for path in earlier)


def test_the_tables_hold_the_numbers(tmp_path: Path) -> None:
    """Winners by region and by workload with intervals; speed-ups with wins; the peak's share."""
    text = report(tmp_path / "run", PAIR)
    answer = section(text, "The answer")
    for place in ("the only workload", "a small batch (B 16), a medium hidden size (H 256)"):
        assert (
            f"| inference | tanh RNN, cpu, float32, 2 threads | {place} | 1 | `mine` | 2.00x (2.00-2.00) | `nn_rnn` "
            "| 2.00x (2.00-2.00) |" in answer
        )
    assert f"| `{CENTRE.id}` | `mine` | 1.00 ms | 2.00x (2.00-2.00) | `nn_rnn` | 2.00x (2.00-2.00) |" in answer
    speedups = section(text, "Speed-up against nn_rnn")
    assert "| inference | cpu | `mine` | 1 | 2.00x | 2.00x | 2.00x | 1 | 0 | 0 |" in speedups
    assert "| run |" not in text


def test_payback_is_told_in_calls(tmp_path: Path) -> None:
    """How many workloads pay back at once, after how many calls, or never."""
    trials = []
    for T, (call, setup) in {16: (1.0, 11.0), 17: (1.5, 11.0), 18: (3.0, 11.0), 19: (1.0, 1.0)}.items():
        trials.append(trial("nn_rnn", workload(T=T), 2.0, setup_seconds=1.0, first_call_seconds=2.0))
        trials.append(trial("mine", workload(T=T), call, setup_seconds=setup, first_call_seconds=2.0))
    text = section(report(tmp_path / "run", trials), "What stands before the second call: set-up and first call")
    assert "| inference | cpu | `mine` | 11.0 s | 2.00 s | 1 of 4 | 2 of 4 (10 to 20) | 1 of 4 |" in text
    assert "| inference | cpu | `nn_rnn` | 1.00 s | 2.00 s | - | - | - |" in text


def test_a_run_links_to_its_profile(tmp_path: Path) -> None:
    """From wherever the report lies, with the cases that were profiled; without a profile there is no such section."""
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


def test_what_could_not_run_is_told_once_with_its_reason(tmp_path: Path) -> None:
    """Cases that share status and reason stand in one row with their number."""
    trials = [*PAIR, *(failed("numba_loop", workload(T=T), "unavailable", "numba is missing") for T in (1, 2, 3))]
    trials.append(failed("mine", workload(T=9), "out_of_memory", "needs 9 GiB"))
    text = section(report(tmp_path / "run", trials), "What could not run, and why")
    assert f"| `numba_loop` | unavailable | numba is missing | 3 | `{workload(T=1).id}` |" in text
    assert f"| `mine` | out of memory | needs 9 GiB | 1 | `{workload(T=9).id}` |" in text


def test_noisy_cases_are_listed_the_widest_first(tmp_path: Path) -> None:
    """With the interval, the visits, and what others took of the cores."""
    wide = [sample for block in (0.8, 1, 1, 1, 1, 1.2) for sample in (block,) * 3]
    wider = [sample for block in (0.7, 1, 1, 1, 1, 1.3) for sample in (block,) * 3]
    trials = [trial("nn_rnn", CENTRE, wide, elsewhere_share=0.25), trial("mine", CENTRE, wider), trial("calm", CENTRE)]
    text = section(report(tmp_path / "run", trials), "Noisy cases")
    assert text.startswith("2 of 3 measured cases.")
    assert text.index(f"| `mine/{CENTRE.id}` | 1.00 s | ±30 % | 1 | - |") < text.index(
        f"| `nn_rnn/{CENTRE.id}` | 1.00 s | ±20 % | 1 | 25 % |"
    )


def test_two_names_for_one_implementation_are_compared(tmp_path: Path) -> None:
    """How far the same code comes apart from itself is said in a sentence."""
    trials = [trial("a", CENTRE, 1.0, source="nn_rnn"), trial("b", CENTRE, 1.02, source="nn_rnn")]
    assert section(report(tmp_path / "run", trials), "The same implementation under two names") == (
        "`a` and `b` are both `nn_rnn` (run `run`): their medians are within 3.0 % of each other on 100 % of 1 "
        f"workload, at worst 2.0 % apart, on `{CENTRE.id}`."
    )


def test_published_times_stand_beside_ours(tmp_path: Path) -> None:
    """Where the workload is DeepBench's, its fastest and slowest device stand beside the fastest here."""
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


def test_how_it_was_measured_is_told(tmp_path: Path) -> None:
    """Machine, software, commit, command, peaks, where the time went, and which path ran."""
    described = trial("nn_rnn", CENTRE, describe={"library": "torch 2.13"}, elsewhere_share=0.4)
    text = section(report(tmp_path / "run", [described]), "How it was measured")
    assert r"- machine: Synthetic CPU \@ 2.00GHz, 2 physical cores, 4 logical cores, 8.00 GiB memory" in text
    assert "- software: python 3.11.7, numpy 2.4.6, torch 2.13.0" in text
    assert "- commit: `0123456789abcdef0123456789abcdef01234567`\n" in text
    assert "- command: `python -m benchmarks sweep`" in text
    assert "- samples: 18 samples of 1 case in 1 visit" in text
    assert "- disturbed from outside: other programs took 10 % or more of the cores' time in 1 of 1 case" in text
    assert "| cpu, float32, 2 threads | 200 GFLOP/s (" in text
    assert "20.0 GB/s | 800 ns (torch) |" in text
    assert "Of 400 s that the sweep took, 79 % was warm-up and sampling:" in text
    assert "| sampling | 195 s | 49 % |" in text
    assert "| `nn_rnn` | tanh | cpu | library: torch 2.13 | 1 |" in text


def test_a_caution_stands_before_the_answer(tmp_path: Path) -> None:
    """A run that was disturbed throughout says so first."""
    text = report(tmp_path / "run", [trial("nn_rnn", CENTRE, elsewhere_share=0.5)])
    assert text.index("> **Caution.** Other programs took") < text.index("## The answer")
    assert "Caution" not in report(tmp_path / "calm", [trial("nn_rnn", CENTRE, 0.004)])


def test_caches_have_their_units(tmp_path: Path) -> None:
    """Bytes stand in the unit that fits; instruction caches are left out."""
    caches = [{"level": 1, "type": "data", "bytes": 2**15}, {"level": 1, "type": "instruction", "bytes": 2**15}]
    text = report(tmp_path / "run", PAIR, machine={"caches": [*caches, {"level": 2, "bytes": 2**20}]})
    assert "- machine: L1 32.0 KiB, L2 1.00 MiB\n" in text


def test_changes_that_are_not_committed_are_told(tmp_path: Path) -> None:
    """A number measured on a changed tree says so."""
    text = report(tmp_path / "run", PAIR, commit={"revision": "abc", "dirty": True})
    assert "- commit: `abc` with changes that are not committed" in text


@pytest.mark.parametrize("junk", [None, 7, "text", [], [1], {"cpu": 3, "gpus": 4, "caches": [None]}, {"x": {"y": []}}])
def test_a_record_that_holds_anything_breaks_nothing(tmp_path: Path, junk: object) -> None:
    """Every field of a stranger's run.json may be missing or of another kind."""
    names = ["name", "sweep", "implementations", "machine", "packages", "commit", "command", "started_at"]
    names += ["finished_at", "peaks", "activity_seconds"]
    text = report(tmp_path / "run", PAIR, **dict.fromkeys(names, junk))
    assert "use `mine`" in text


def test_shares_of_activities_add_up() -> None:
    """The largest first; what is no time is left out."""
    record = {"activity_seconds": {"a": 1.0, "b": 3, "c": -1, "d": "long", "e": float("inf")}}
    assert activity_shares(record) == {"b": 0.75, "a": 0.25}
    assert list(activity_shares(record)) == ["b", "a"]
    assert activity_shares({}) == {}


def test_several_runs_stand_side_by_side(tmp_path: Path) -> None:
    """Every table has the run, each run its own machine, and no run's own report is touched."""
    for name, seconds_mine in (("old", 1e-3), ("new", 3e-3)):
        run_of(tmp_path / name, [trial("nn_rnn", CENTRE, 2e-3), trial("mine", CENTRE, seconds_mine)])
    path = build_report([tmp_path / "old", tmp_path / "new"])
    assert path == tmp_path / "old" / "side-by-side" / "report.md"
    assert not (tmp_path / "old" / "report.md").exists()
    text = typed(path.read_text(encoding="utf-8"))
    assert text.startswith("# 2 runs side by side: `old`, `new`")
    assert f"| `old` | `{CENTRE.id}` | `mine` | 1.00 ms |" in text
    assert f"| `new` | `{CENTRE.id}` | `nn_rnn` | 2.00 ms |" in text
    assert "**`old`: Inference" in text
    assert "## How it was measured: new" in text


def test_the_report_goes_where_it_is_told(tmp_path: Path) -> None:
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
    assert (tmp_path / "out" / "plots" / "time-over-T.png").exists()
    build_report(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out" / "plots" / "time-over-T.png").exists()
    assert (tmp_path / "out" / "plots" / "notes.txt").exists()


def test_a_run_without_trials_has_a_report(tmp_path: Path) -> None:
    """A sweep that was stopped before its first trial says that nothing was measured."""
    text = report(tmp_path / "run", [])
    assert section(text, "The answer") == "Nothing was measured."
    assert "## How it was measured" in text


def test_a_run_where_all_failed_has_a_report(tmp_path: Path) -> None:
    """Reasons are there where times are not."""
    text = report(tmp_path / "run", [failed("nn_rnn", CENTRE, "crashed", "SIGSEGV")])
    assert section(text, "The answer") == "Nothing was measured."
    assert "SIGSEGV" in section(text, "What could not run, and why")


def test_broken_lines_are_told(tmp_path: Path) -> None:
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
    for name in ("summary.csv", "ranking.csv"):
        written = (tmp_path / "run" / name).read_text(encoding="utf-8")
        assert "\x1b" not in written
        assert not re.search(r'(^|,)"?[=@]', written, re.MULTILINE)


def test_a_long_table_is_cut(tmp_path: Path) -> None:
    """A hundred rows, then where the rest is."""
    trials = [trial("nn_rnn", workload(T=T)) for T in range(1, 151)]
    answer = section(report(tmp_path / "run", trials), "The answer")
    assert "50 more rows are in `summary.csv`" in answer
    assert workload(T=100).id in answer
    assert workload(T=101).id not in answer


def printed(folder: Path, trials: list[Trial], width: int = 120) -> str:
    """What the terminal shows at the end of a sweep."""
    run_of(folder, trials)
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    frame = load_run(folder)
    console.print(terminal_table(frame, winners_by_workload(frame)))
    assert isinstance(console.file, io.StringIO)
    return typed(console.file.getvalue())


def test_the_terminal_shows_the_winners(tmp_path: Path) -> None:
    """A row a workload: what all share stands in the title, the second with its lead or as too close."""
    trials = [*PAIR, trial("nn_rnn", workload(T=65)), trial("mine", workload(T=65))]
    text = printed(tmp_path / "run", [*trials, failed("other", CENTRE, "crashed", "SIGSEGV")])
    title = " ".join(text.split("\n\n")[0].split())
    assert (
        "(inference, B 16, H 256, L 1, 2 threads, one direction, with bias, tanh, float32, ieee, cpu, I = H)" in title
    )
    assert re.search(r"^ *64 +mine +1\.00 ms +2\.00x +nn_rnn 2\.00x", text, re.MULTILINE)
    assert re.search(r"^ *65 +mine +1\.00 ms +1\.00x +≈ nn_rnn", text, re.MULTILINE)
    assert "5 cases: 4 ok, 1 crashed; the report says why" in text


def test_the_terminal_shows_what_differs(tmp_path: Path) -> None:
    """A field that differs between workloads is a column, so that rows can be told apart."""
    other = workload(device="cuda", threads=1, dtype="float16")
    text = printed(tmp_path / "run", [trial("nn_rnn", CENTRE), trial("nn_rnn", other)])
    assert re.search(r"2 +float32 +cpu +nn_rnn", text)
    assert re.search(r"1 +float16 +cuda +nn_rnn", text)


def test_the_terminal_shows_no_markup_of_a_stranger(tmp_path: Path) -> None:
    """A name in brackets is no style, an escape no command."""
    text = printed(tmp_path / "run", [trial("[red]x[/red]\x1b]0;t\x07", CENTRE)])
    assert "[red]x[/red]" in text
    assert "\x1b" not in text


def test_the_terminal_shows_an_empty_run(tmp_path: Path) -> None:
    """Nothing measured is no error."""
    assert "The fastest implementation" in printed(tmp_path / "run", [])


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


def test_numbers_are_written_for_people() -> None:
    """Three digits that count, in the unit that fits, never in scientific notation."""
    assert [seconds(value) for value in (1.234e-9, 9.999e-7, 1.5e-6, 0.0123, 0.99999, 75.31, 4000)] == [
        *("1.23 ns", "1.00 µs", "1.50 µs", "12.3 ms", "1.00 s", "75.3 s", "4000 s"),
    ]
    assert [significant(value) for value in (0, 0.01234, 1, 999.6, 12345)] == ["0", "0.0123", "1.00", "1000", "12345"]
    assert [share(value) for value in (0.001, 0.5, 1)] == ["0.10 %", "50 %", "100 %"]
    assert typed(interval(1.0012, 1.2)) == "1.001-1.20"
    assert interval(float("nan"), 1.2) == "no interval"
    assert typed(seconds(float("nan")) + share(float("inf")) + significant(float("nan"))) == "---"


def test_text_is_made_plain() -> None:
    """One line, printable, as long as it may be; names keep their underscores."""
    assert clean("a\n\tb\x00c\u200bd") == "a b c d"
    assert clean("x" * 10, 5) == "xxxx…"
    assert escape("torch_loop _is_ *b* <i> & a|b [l](u)") == (r"torch_loop \_is\_ \*b\* &lt;i&gt; &amp; a\|b \[l\](u)")
    assert code("a`b|c") == "`a'b¦c`"
    assert code("") == "` `"
    assert table(["a", "b"], [["x", "1"], ["y", "2"]]) == "| a | b |\n| :-- | --: |\n| x | 1 |\n| y | 2 |"
