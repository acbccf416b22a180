"""The page of a report in a browser: what it shows is what Python says, and it asks for nothing outside of itself."""

from __future__ import annotations

import csv
import gzip
import io
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from benchmarks.presentation.plain_text import error, interval, seconds, share, times
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.answers.findings import CELL_LABELS
from benchmarks.reporting.answers.setting_answers import SettingAnswer, setting_answers
from benchmarks.reporting.page.build import page, run_data
from benchmarks.reporting.words.answer_words import plain as plain_name
from benchmarks.reporting.words.answer_words import rows
from benchmarks.runs.loading import LoadedRun, load_runs
from benchmarks.runs.packing import write_pack
from benchmarks.runs.pooling import contenders, time_ratio
from benchmarks.statistics import Estimate
from tests.page_in_browser import Visit, browser, missing
from tests.synthetic_runs import default_workloads, failed, measured, realistic_trials, run_of, trial, workload

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent
ZEN, XEON = (ROOT / "results" / name for name in ("reference-cpu-zen4", "reference-cpu-xeon"))
SUBSETS = 10
"""Choices of implementations that may be used, of each run."""


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[Browser]:
    lacking = missing()
    if lacking is not None:
        (pytest.fail if request.config.getoption("--require-browser") else pytest.skip)(lacking)
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def both() -> Analysis:
    return Analysis(load_runs([ZEN, XEON]))


@pytest.fixture(scope="module")
def zen(both: Analysis) -> Analysis:
    return Analysis(both.runs[:1])


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, zen: Analysis, both: Analysis) -> dict[str, Path]:
    """{name: file} of the page of a run, and of that of two."""
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, analysis in (("one", zen), ("two", both)):
        found[name] = folder / f"{name}.html"
        found[name].write_text(page(analysis), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def shown(running: Browser, pages: dict[str, Path]) -> Iterator[Visit]:
    """The page of one run; each test opens it anew."""
    visit = Visit(running, pages["one"])
    yield visit
    assert visit.errors == []
    assert visit.outside() == []


OPENINGS = 8
DRAWN = """() => new Promise(done => new PerformanceObserver(list => {
  const [painted] = list.getEntriesByName("first-contentful-paint");
  const [opened] = performance.getEntriesByType("navigation");
  if (painted) done(Math.max(painted.startTime, opened.loadEventEnd));
}).observe({type: "paint", buffered: true}))"""
"""Milliseconds from the opening of a page to its first frame and the end of its scripts."""
ANSWERS = """subsets => subsets.map(([label, without]) => {
  const run = RUNS.find(each => each.label === label);
  const plain = ratio => ratio && [ratio.median, ratio.low, ratio.high];
  const ids = workloads => workloads.map(each => each.id);
  const asAsked = answer => answer && {
    workloads: ids(answer.workloads), fastest: answer.fastest, close: answer.close, baseline: answer.baseline,
    sure: ids(answer.sure), against_baseline: plain(answer.againstBaseline),
    against_best_other: plain(answer.againstBestOther), known: answer.known,
    leads: answer.leads.map(each => [each.workload.id, each.peer.implementation, plain(each.ratio)]),
    exceptions: answer.exceptions.map(each => [each.names, each.tied, ids(each.workloads), each.where]),
    tied: answer.tied, beaten: answer.beaten,
    limit: answer.limit && [answer.limit.share, answer.limit.lowest, answer.limit.highest, answer.limit.boundBy],
    alternative: asAsked(answer.alternative),
  };
  return settingsOf(run).map(setting => asAsked(answerOf(run, membersOf(run, setting), new Set(without))));
})"""


def as_asked(answer: SettingAnswer | None) -> dict[str, Any] | None:
    """Python's answer in the form of `ANSWERS`."""
    if answer is None:
        return None
    limit = answer.limit
    return {
        "workloads": [each.id for each in answer.workloads],
        "fastest": answer.fastest,
        "close": list(answer.close),
        "baseline": answer.baseline,
        "sure": [each.id for each in answer.sure],
        "against_baseline": plain(answer.against_baseline),
        "against_best_other": plain(answer.against_best_other),
        "known": answer.known,
        "leads": [[each.workload.id, each.peer.case.implementation, plain(each.ratio)] for each in answer.leads],
        "exceptions": [
            [list(each.names), each.tied, [of.id for of in each.workloads], each.where] for each in answer.exceptions
        ],
        "tied": answer.tied,
        "beaten": answer.beaten,
        "limit": limit and [limit.share, limit.lowest, limit.highest, limit.bound_by],
        "alternative": as_asked(answer.alternative),
    }


def plain(ratio: Estimate | None) -> list[float] | None:
    return None if ratio is None else [ratio.median, ratio.low, ratio.high]


def differences(found: Any, expected: Any, at: str = "") -> list[str]:
    """Where two values of JSON differ by more than the digits that the page keeps; NaN is equal to itself."""
    if isinstance(expected, dict) and isinstance(found, dict) and found.keys() == expected.keys():
        return [each for name in expected for each in differences(found[name], expected[name], f"{at}.{name}")]
    if isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return [each for number, (one, other) in pairs for each in differences(one, other, f"{at}[{number}]")]
    if isinstance(expected, float) and isinstance(found, float | int):
        same = math.isclose(found, expected, rel_tol=1e-8) or (math.isnan(found) and math.isnan(expected))
    else:
        same = found == expected
    return [] if same else [f"{at}: {found}, expected {expected}"]


def test_the_answer_is_that_of_python_whatever_may_be_used(
    running: Browser, pages: dict[str, Path], both: Analysis
) -> None:
    """In every setting of two runs, with all implementations and with random choices of them."""
    chance = random.Random(18)
    subsets: list[tuple[str, list[str]]] = []
    for run in both.runs:
        names = sorted({case.implementation for case in run.cases})
        subsets.append((run.label, []))
        subsets += [(run.label, chance.sample(names, chance.randrange(1, len(names)))) for _ in range(SUBSETS)]
    visit = Visit(running, pages["two"])
    found = visit.ask(ANSWERS, subsets)
    runs = {run.label: run for run in both.runs}
    for (label, without), answers in zip(subsets, found, strict=True):
        expected = [as_asked(answer) for answer in setting_answers(runs[label], set(without))]
        assert differences([answer for answer in answers if answer], expected) == [], without
    assert visit.errors == []


def test_the_first_view_has_the_sentence_and_the_figures_of_the_answer(shown: Visit, zen: Analysis) -> None:
    """In each setting, by its buttons; an engine that is set aside changes the answer and the URL."""
    shown.open()
    for answer in zen.answers:
        shown.page.get_by_role("button", name=answer.mode, exact=True).click()
        shown.page.get_by_role("button", name=CELL_LABELS[answer.setting.cell], exact=True).click()
        threads = answer.setting.threads
        shown.page.get_by_role("button", name=f"{threads} thread{'s' if threads > 1 else ''}", exact=True).click()
        assert f"Use {answer.fastest}" in shown.text("#say")
        figures = shown.texts("#figures dd strong")
        assert answer.against_baseline is not None
        assert answer.against_best_other is not None
        assert answer.smallest_lead is not None
        assert answer.limit is not None
        expected = [answer.against_baseline, answer.against_best_other, answer.smallest_lead.ratio]
        assert figures[:4] == [*(times(ratio.median) for ratio in expected), share(answer.limit.share)]
    shown.page.get_by_role("button", name=answer.fastest, exact=True).first.click()
    assert answer.alternative is not None
    assert f"Use {answer.alternative.fastest}" in shown.text("#say")
    assert f"without={answer.fastest}" in shown.page.url


def test_every_cell_is_what_load_run_says(shown: Visit, zen: Analysis) -> None:
    """Times, shares and errors of every case, whatever is shown."""
    frame = zen.frame.set_index("case")
    errors = frame[["error_output", "error_gradient"]].max(axis=1)
    expected = {
        "time": frame["median_seconds"].map(seconds),
        "limit": frame["share_of_attainable"].map(share),
        "error": errors.map(error),
    }
    shown.open()
    for mode, threads, cell in (("inference", 1, "tanh"), ("training", 2, "lstm"), ("inference", 2, "gru")):
        for value, texts in expected.items():
            shown.ask("view => change(view)", {"mode": mode, "threads": threads, "cell": cell, "show": value})
            cells = shown.page.eval_on_selector_all(
                "#heat button", "all => all.map(b => [b.dataset.case, b.textContent])"
            )
            assert len(cells) > 70
            for case, text in cells:
                known = texts[case] if frame["status"][case] in ("ok", "noisy") else frame["status"][case]
                assert text.removeprefix("≈ ").removesuffix(" ~") == known, case


def test_ratios_of_all_pairs_are_those_of_python(shown: Visit, zen: Analysis) -> None:
    (run,) = zen.runs
    found = shown.ask(
        """() => RUNS[0].workloads.flatMap(w => w.cases.flatMap(a => w.cases.filter(b => a.measured && b.measured)
        .map(b => [w.id, a.implementation, b.implementation, ...Object.values(timeRatio(a, b))])))"""
    )
    by_id = {workload.id: cases for workload, cases in run.workloads.items()}
    assert len(found) > 6000
    for workload_id, above, below, *bounds in found:
        cases = by_id[workload_id]
        assert differences(bounds, plain(time_ratio(cases[above], cases[below]))) == [], (workload_id, above, below)


def case_facts(run: LoadedRun, row: pd.Series) -> dict[str, str]:
    """What the drawer says of a measured case, by Python's numbers."""
    cases = next(cases for workload, cases in run.workloads.items() if workload.id == row["workload"])
    case, base = cases[row["implementation"]], cases["nn_rnn"]
    first = min(contenders(cases).values(), key=lambda each: each.estimate.median if each.estimate else math.inf)
    bounds = f"{seconds(row['low_seconds'])} to {seconds(row['high_seconds'])}"
    said = {
        "time of a call": f"{seconds(row['median_seconds'])} ({bounds})",
        "set-up, first call": f"{seconds(row['setup_seconds'])}, {seconds(row['first_call_seconds'])}",
        "the machine's limit": f"{seconds(row['bound_seconds'])}: {share(row['share_of_attainable'])} reached",
        "bound by": row["bound_by"],
        "largest error": error(max(row["error_output"], row["error_gradient"] if row["mode"] == "training" else 0)),
    }
    for other, above, below, words in ((first, case, first, "the time"), (base, base, case, "as fast")):
        if other is not case:
            ratio = time_ratio(above, below)
            said[f"against {other.case.implementation}"] = (
                f"{times(ratio.median)} ({interval(ratio.low, ratio.high)}) {words}"
            )
    return said


def test_a_case_has_the_numbers_of_python(shown: Visit, zen: Analysis) -> None:
    (run,) = zen.runs
    shown.open()
    for _, row in zen.measured.sample(12, random_state=18).iterrows():
        shown.ask("case_ => change({case: case_})", row["case"])
        facts = dict(zip(shown.texts("#case dt"), shown.texts("#case dd"), strict=True))
        expected = case_facts(run, row)
        assert {name: facts.get(name) for name in expected} == expected, row["case"]
        assert row["case"] in shown.texts("#case pre")[1]
        assert shown.page.locator("#case figure, #case svg").count() == 2
        assert shown.page.locator("#case svg").first.locator("circle").count() == row["blocks"]


def test_the_hash_restores_the_view(running: Browser, shown: Visit, pages: dict[str, Path]) -> None:
    """A link is a view: another window shows the same, with its case."""
    shown.open()
    shown.page.get_by_role("button", name="training", exact=True).click()
    shown.page.get_by_role("button", name="2 threads", exact=True).click()
    shown.page.get_by_role("button", name="fused_cpu", exact=True).first.click()
    shown.page.get_by_label("against", exact=True).select_option("best")
    shown.page.get_by_label("show", exact=True).select_option("ratio")
    shown.page.get_by_role("button", name="batch size B").click()
    shown.page.get_by_role("button", name="largest error").click()
    shown.page.locator("#heat button").nth(3).click()
    shown.page.get_by_role("button", name="dark").click()
    other = Visit(running, pages["one"])
    other.open(shown.page.url.partition(".html")[2])
    parts = ("#say", "#figures", "#ranking", "#heat", "#scaling-note", "#case", "#engines")
    assert [other.text(part) for part in parts] == [shown.text(part) for part in parts]
    assert other.ask("document.documentElement.dataset.theme") == "dark"
    assert other.page.locator("#engines [aria-pressed=false]").all_text_contents() == ["fused_cpu"]
    assert other.errors == []


def test_a_view_that_the_data_lack_is_replaced(shown: Visit) -> None:
    shown.open(
        "#mode=none&threads=77&without=nobody&against=nobody&show=nothing&case=no/such&axis=Q&sort=x&theme=red&run=y"
    )
    assert "Use fused_cpu" in shown.text("#say")
    assert "nobody" not in shown.page.url


def test_a_case_opens_by_mouse_and_by_keyboard_and_gives_the_focus_back(shown: Visit) -> None:
    shown.open()
    cell = shown.page.locator("#heat button").nth(12)
    case = cell.get_attribute("data-case")
    assert case is not None
    cell.click()
    assert shown.text("#case h2") == case.split("/")[0]
    shown.page.keyboard.press("Escape")
    assert shown.page.locator("#case").is_hidden()
    assert shown.ask("document.activeElement.dataset.case") == case
    shown.page.keyboard.press("ArrowRight")
    shown.page.keyboard.press("ArrowDown")
    moved = shown.ask("document.activeElement.dataset.case")
    assert moved != case
    shown.page.keyboard.press("Enter")
    assert shown.text("#case h2") == moved.split("/")[0]
    assert shown.ask("document.getElementById('case').contains(document.activeElement)")
    assert "case=" in shown.page.url
    shown.page.locator("#case .close").click()
    assert shown.ask("document.activeElement.dataset.case") == moved
    shown.page.locator("#ranking circle").first.click()
    assert shown.page.locator("#case").is_visible()


def test_a_heading_sorts(shown: Visit, zen: Analysis) -> None:
    shown.open("#mode=inference&threads=1&cell=lstm")
    shown.page.get_by_role("button", name="largest error").click()
    names = shown.page.eval_on_selector_all("#ranking tr[data-engine]", "rows => rows.map(row => row.dataset.engine)")
    rows = zen.measured.query("mode == 'inference' and threads == 1 and cell == 'lstm'")
    largest = rows.groupby("implementation")["error_output"].max()
    assert largest[names].is_monotonic_increasing
    assert sorted(names) == sorted(largest.index)
    assert shown.page.locator("#ranking th[aria-sort]").count() == 1


def test_exports_have_a_row_an_engine_or_a_case(shown: Visit, zen: Analysis) -> None:
    shown.open("#mode=inference&threads=1&cell=lstm&without=torch_loop")
    rows = zen.frame.query("mode == 'inference' and threads == 1 and cell == 'lstm'")
    rows = rows[rows["implementation"] != "torch_loop"]
    names = set(rows[rows["median_seconds"].notna()]["implementation"])
    shown.page.get_by_role("button", name="Markdown").click()
    markdown = shown.page.locator("#export-text").input_value()
    assert {line.split("|")[1].strip() for line in markdown.splitlines()[2:] if line.startswith("|")} == names
    shown.page.locator("#export-close").click()
    latex = shown.ask("exported('tex')")
    assert sum(line.endswith(r" \\") for line in latex.splitlines()) == len(names) + 1
    assert r"fused\_cpu" in latex
    assert "%" not in latex.replace(r"\%", "").partition("\\begin")[2]
    found = list(csv.DictReader(io.StringIO(shown.ask("exported('csv')"))))
    assert len(found) == len(rows)
    medians = {(row["implementation"], *(int(row[size]) for size in "TBHL")): row["median_seconds"] for row in found}
    for _, row in rows[rows["median_seconds"].notna()].iterrows():
        key = (row["implementation"], *(row[size] for size in "TBHL"))
        assert float(medians[key]) == pytest.approx(row["median_seconds"], rel=1e-8)


def test_seven_hundred_cases_are_drawn_in_half_a_second(shown: Visit, zen: Analysis) -> None:
    """From opening the file to the first frame, which has all; opened again while other tests take the cores."""
    assert len(zen.frame) > 700
    milliseconds = []
    for _ in range(OPENINGS):
        shown.open()
        assert shown.page.locator("#heat button").count() > 70
        milliseconds.append(shown.ask(DRAWN))
        if milliseconds[-1] < 500:
            return
    pytest.fail(f"drawn {', '.join(f'{each:.0f}' for each in milliseconds)} ms after opening")


def test_nothing_is_wider_than_a_phone(running: Browser, pages: dict[str, Path]) -> None:
    visit = Visit(running, pages["two"], width=390, height=844)
    assert visit.ask("document.documentElement.scrollWidth") <= 390
    visit.page.locator("#heat button").first.click()
    assert visit.ask("document.documentElement.scrollWidth") <= 390
    assert visit.errors == []


def test_no_rule_of_accessibility_is_broken(running: Browser, pages: dict[str, Path]) -> None:
    """Contrast of 4.5 to 1, names, roles, headings and focus, in both themes, with a case open and without."""
    from axe_playwright_python.sync_playwright import Axe

    visit = Visit(running, pages["one"])
    visit.open("#theme=dark&without=fused_cpu&show=ratio")
    for theme in ("dark", "light"):
        visit.ask("theme => change({theme})", theme)
        found = Axe().run(visit.page).response
        broken = [(rule["id"], [node["html"][:120] for node in rule["nodes"][:3]]) for rule in found["violations"]]
        assert broken == []
        assert "color-contrast" in {rule["id"] for rule in found["passes"]}
        visit.page.locator("#heat button").first.click()


def test_a_printed_page_has_no_controls(running: Browser, pages: dict[str, Path]) -> None:
    visit = Visit(running, pages["one"])
    visit.page.emulate_media(media="print")
    assert visit.page.locator(".bar").is_hidden()
    assert visit.page.get_by_text("Arrow keys move between cells").is_hidden()
    assert visit.page.locator("#scaling-controls").is_hidden()
    assert visit.page.locator("#heat").is_visible()
    visit.page.get_by_label("dark").evaluate("button => button.click()")
    caution = "getComputedStyle(document.querySelector('.caution')).backgroundColor"
    assert visit.ask(caution) == "rgb(255, 244, 214)"


def test_two_runs_are_side_by_side_with_what_differs(running: Browser, pages: dict[str, Path], both: Analysis) -> None:
    visit = Visit(running, pages["two"])
    assert len(visit.texts("#runs thead th")) == 2
    rows = visit.page.locator("#runs tbody tr")
    assert rows.count() == len({(answer.setting, answer.mode) for answer in both.answers})
    shared = visit.texts("#differences li")[-1]
    frames = [rows.set_index("case")["median_seconds"].dropna() for _, rows in both.frame.groupby("run", sort=False)]
    ratio = (frames[1] / frames[0]).dropna()
    named = ratio[ratio.index.str.startswith("jax_scan/")]
    assert len(named) > 3
    assert f"jax_scan {times(math.exp(named.map(math.log).mean()))} ({len(named)})" in shared
    visit.page.get_by_label("run", exact=True).select_option(both.runs[1].label)
    assert "Xeon" in visit.text("#place")
    assert visit.errors == []


STRANGE = "</script><img src=x onerror=alert(1)>&amp;'\"`{{data}}"


def test_text_of_strangers_is_text(running: Browser, tmp_path: Path) -> None:
    """Names and reasons are never markup; an implementation without times shows why."""
    of = workload()
    name = STRANGE.replace("/", "")
    trials = [*measured(of, {name: 1.0, "nn_rnn": 2.0}), failed("broken", of, "failed", STRANGE)]
    run_of(tmp_path / "run", trials, command=STRANGE)
    file = tmp_path / "page.html"
    file.write_text(page(Analysis(load_runs(tmp_path / "run"))), encoding="utf-8")
    visit = Visit(running, file)
    assert f"Use {name}" in visit.text("#say")
    assert visit.page.locator("main img").count() == 0
    visit.page.locator("#heat button.failed").click()
    assert STRANGE in visit.text("#case .status")
    assert visit.errors == []
    assert visit.outside() == []


def test_what_is_not_known_has_no_number_and_no_name(running: Browser, tmp_path: Path) -> None:
    """In a setting with too few blocks nobody is the answer, and nobody what to use in its place, as in the report."""
    few = [trial(name, workload("training"), time, blocks=(3,)) for name, time in (("nn_rnn", 9.0), ("mine", 1.0))]
    trials = [*measured(workload(), {"nn_rnn": 9.0, "mine": 1.0}), *few]
    run_of(tmp_path / "run", trials)
    analysis = Analysis(load_runs(tmp_path / "run"))
    (tmp_path / "page.html").write_text(page(analysis), encoding="utf-8")
    visit = Visit(running, tmp_path / "page.html")
    shown = {cells[0]: cells[1:] for cells in visit.ask(CELLS, "#settings tbody tr")}
    for row in rows(analysis.answers, plain_name):
        cells = [row.fastest, row.against_baseline, row.against_best_other, row.smallest_lead, row.of_limit]
        assert shown[row.label] == [*cells, row.otherwise]
    visit.open("#mode=training")
    assert visit.text("#say").startswith("Not yet known for training")
    assert visit.texts("#figures dd") == []
    assert visit.ask(CELLS, "#ranking tr.answer, #ranking tr.second") == []
    assert visit.errors == []


CELLS = """selector => [...document.querySelectorAll(selector)].map(
  row => [...row.children].map(cell => cell.textContent)
)"""


def test_a_run_of_one_implementation_of_one_size_is_shown(running: Browser, tmp_path: Path) -> None:
    run_of(tmp_path / "run", [trial("nn_rnn", workload())])
    file = tmp_path / "page.html"
    file.write_text(page(Analysis(load_runs(tmp_path / "run"))), encoding="utf-8")
    visit = Visit(running, file)
    assert "Only nn_rnn is left" in visit.text("#say")
    assert visit.page.locator("#scaling-section").is_hidden()
    visit.page.get_by_role("button", name="nn_rnn", exact=True).first.click()
    assert visit.text("#say") == "Nothing is left to choose from."
    assert visit.errors == []


def test_a_packed_run_is_taken_in(running: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    """It is shown beside the others; what is no packed run is refused in a sentence."""
    run_of(tmp_path / "theirs", realistic_trials(default_workloads()[:4]))
    theirs = Analysis(load_runs(tmp_path / "theirs"))
    packed = tmp_path / "theirs.rnnbench.gz"
    write_pack(tmp_path / "theirs", run_data(theirs), packed)
    visit = Visit(running, pages["one"])
    visit.page.locator("#add-file").set_input_files(packed)
    visit.page.get_by_text("Synthetic CPU").first.wait_for()
    assert "Synthetic CPU" in visit.text("#place")
    assert len(visit.texts("#runs thead th")) == 2
    (answer,) = theirs.answers
    assert answer.against_best_other is not None
    assert times(answer.against_best_other.median) in visit.text("#runs")
    for name, content in {
        "no.gz": b"no gzip at all",
        "short.gz": gzip.compress(b"{}"),
        "forged.gz": gzip.compress(b'{}\n{"page": {"schema": 1, "settings": 3}}\n'),
    }.items():
        (tmp_path / name).write_bytes(content)
        visit.page.locator("#add-file").set_input_files(tmp_path / name)
        visit.page.get_by_text(f"{name} is not taken in").wait_for()
    assert visit.ask("RUNS.length") == 2
    assert visit.errors == []
    assert visit.outside() == []
