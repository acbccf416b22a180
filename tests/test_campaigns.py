"""The run folders of a campaign are one run: a machine a kind, alike nodes pooled, what is missing said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reporting.report import build_report
from benchmarks.runs.frames import load_run
from benchmarks.runs.loading import load_runs
from benchmarks.store import StoreError
from tests.synthetic_campaigns import campaign_of, measured_by
from tests.synthetic_runs import trial, workload

ONE, TWO, THREE = (workload(H=H) for H in (64, 128, 256))


def job(**fields: Any) -> list[dict[str, Any]]:
    return [{"id": "7", "exclusive": True, "other_jobs": 0, **fields}]


def both(of: Any, seconds: float = 1e-3) -> list[Any]:
    return [trial(name, of, seconds) for name in ("nn_rnn", "numpy_loop")]


def test_the_parts_of_a_kind_are_one_run_and_the_kind_is_its_machine(tmp_path: Path) -> None:
    campaign = campaign_of(tmp_path / "c", {"zen5-000": [ONE], "zen5-001": [TWO], "xeon-000": [ONE, TWO]})
    measured_by(campaign, "zen5-000", "n1", both(ONE, 1e-3))
    measured_by(campaign, "zen5-001", "n2", both(TWO, 2e-3))
    measured_by(campaign, "xeon-000", "n9", [*both(ONE, 3e-3), *both(TWO, 4e-3)])
    frame = load_run(campaign.folder)
    times = {(row.machine, row.H, row.implementation): row.median_seconds for row in frame.itertuples()}
    zen5 = {("zen5", H, name): H / 64e3 for H in (64, 128) for name in ("nn_rnn", "numpy_loop")}
    xeon = {("xeon", H, name): s for H, s in ((64, 3e-3), (128, 4e-3)) for name in ("nn_rnn", "numpy_loop")}
    assert times == pytest.approx(zen5 | xeon)
    assert [run.cautions for run in load_runs(campaign.folder)] == [(), ()]


def test_a_workload_counts_from_one_node_alone(tmp_path: Path) -> None:
    """n1 was lost amid ONE, which n2 measured whole; TWO was measured by both, and the earlier counts."""
    campaign = campaign_of(tmp_path / "c", {"zen5-000": [ONE, TWO]})
    early: dict[str, Any] = {"started_at": "2026-01-01T00:00:00"}
    late: dict[str, Any] = {"started_at": "2026-01-02T00:00:00"}
    lost = [trial("nn_rnn", ONE, 5e-3, **early), *(trial(each.source, TWO, 1e-3, **early) for each in both(TWO))]
    measured_by(campaign, "zen5-000", "n1", lost, finished=False)
    again = [trial(name, of, 2e-3, **late) for of in (ONE, TWO) for name in ("nn_rnn", "numpy_loop")]
    measured_by(campaign, "zen5-000", "n2", again)
    (run,) = load_runs(campaign.folder)
    by_size = {(case.workload.H, case.implementation): pooled for case, pooled in run.cases.items()}
    assert {key: pooled.estimate.median for key, pooled in by_size.items() if pooled.estimate} == pytest.approx(
        {(64, "nn_rnn"): 2e-3, (64, "numpy_loop"): 2e-3, (128, "nn_rnn"): 1e-3, (128, "numpy_loop"): 1e-3}
    )
    assert all(len(pooled.trials) == 1 for pooled in by_size.values())
    assert [problem for problem in run.problems if "passed over" in problem] == [
        "zen5-000: 1 trials of n1 are passed over, of workloads that n2 measured as well",
        "zen5-000: 2 trials of n2 are passed over, of workloads that n1 measured as well",
    ]


@pytest.mark.parametrize(
    ("rate", "machines"),
    [(1.03, ["zen5"]), (0.97, ["zen5"]), (1.2, ["zen5", "zen5 (n3)"]), (0.8, ["zen5", "zen5 (n3)"])],
)
def test_a_node_with_other_peaks_is_a_machine_of_its_own(tmp_path: Path, rate: float, machines: list[str]) -> None:
    """Peaks within 5 % of the others' are alike."""
    campaign = campaign_of(tmp_path / "c", {f"zen5-00{at}": [of] for at, of in enumerate((ONE, TWO, THREE))})
    for part, node, of, of_node in (("0", "n1", ONE, 1.0), ("1", "n2", TWO, 1.0), ("2", "n3", THREE, rate)):
        measured_by(campaign, f"zen5-00{part}", node, both(of), rate=of_node)
    runs = load_runs(campaign.folder)
    assert [run.machine for run in runs] == machines
    assert sum(len(run.cases) for run in runs) == 6
    said = [caution for run in runs for caution in run.cautions]
    assert ("n3" in " ".join(said)) is (len(machines) > 1)


def test_a_node_is_not_told_from_another_by_what_it_does_not_repeat(tmp_path: Path) -> None:
    """n1 reached 0.85 and 1.15 times the same peaks in two parts, so n2's 1.2 is no difference."""
    campaign = campaign_of(tmp_path / "c", {f"zen5-00{at}": [of] for at, of in enumerate((ONE, TWO, THREE))})
    for part, node, of, rate in (("0", "n1", ONE, 0.85), ("1", "n1", TWO, 1.15), ("2", "n2", THREE, 1.2)):
        measured_by(campaign, f"zen5-00{part}", node, both(of), rate=rate)
    assert [run.machine for run in load_runs(campaign.folder)] == ["zen5"]


@pytest.mark.usefixtures("unrendered")
def test_what_is_missing_is_named(tmp_path: Path) -> None:
    campaign = campaign_of(
        tmp_path / "c", {"zen5-000": [ONE, TWO], "zen5-001": [THREE], "xeon-000": [ONE], "old-000": [ONE]}
    )
    measured_by(campaign, "zen5-000", "n1", both(ONE), finished=False)
    measured_by(campaign, "xeon-000", "n9", both(ONE), finished=False)
    zen5, xeon, old = load_runs(campaign.folder)
    assert list(zen5.cautions) == ["on zen5, 2 of 3 workloads not measured: zen5-000 has 1 of 2, zen5-001 has 0 of 1"]
    assert list(xeon.cautions) == ["on xeon, xeon-000 ended before the end of the budget"]
    assert list(old.cautions) == ["on old, 1 of 1 workload not measured: old-000 has 0 of 1"]
    assert build_report(campaign.folder) == campaign.folder / "report.md"
    report = (campaign.folder / "report.md").read_text(encoding="utf-8")
    assert "on zen5, 2 of 3 workloads not measured" in report


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"jobs": job()}, ()),
        ({"jobs": job(exclusive=False)}, ("n1 was not exclusive to job 7: other jobs could run there",)),
        ({"jobs": job(exclusive=None)}, ()),
        ({"jobs": job(other_jobs=2)}, ("2 other jobs ran on n1 beside job 7",)),
        ({"machine": {"cpu": {"usable_cores": 4}}}, ("n1 had 4 of the 8 cores promised",)),
        (
            {"machine": {"cpu": {"governor": "powersave"}}},
            ("n1 had the governor powersave, the others performance",),
        ),
        ({"packages": {"torch": "1.0"}}, ("n1 had packages other than the others'",)),
        ({"jobs": "none", "machine": 7, "packages": None}, ()),
    ],
)
def test_a_node_that_was_not_as_it_should_be_is_in_the_caution(
    tmp_path: Path, fields: dict[str, Any], said: tuple[str, ...]
) -> None:
    usual: dict[str, Any] = {
        "machine": {"cpu": {"usable_cores": 8, "governor": "performance"}},
        "packages": {"torch": "2.0"},
    }
    sizes = {f"zen5-00{at}": [workload(H=16 * (at + 1))] for at in range(4)}
    campaign = campaign_of(tmp_path / "c", sizes, zen5={"cores": 8})
    for at, (part, (of,)) in enumerate(sizes.items()):
        own: dict[str, Any] = {"jobs": job()} | usual
        if at == 0:
            own |= fields
            own["machine"] = {"cpu": usual["machine"]["cpu"] | own["machine"]["cpu"]} if own["machine"] != 7 else 7
        measured_by(campaign, part, f"n{at + 1}", both(of), **own)
    (run,) = load_runs(campaign.folder)
    expected = {*said} | ({"n1 had packages other than the others'"} if fields.get("packages", 0) is None else set())
    expected |= {"n1 had the governor None, the others performance"} if fields.get("machine") == 7 else set()
    assert {*run.cautions} == expected


def test_a_campaign_and_a_run_are_reported_together(tmp_path: Path) -> None:
    from tests.synthetic_runs import run_of

    campaign = campaign_of(tmp_path / "c", {"zen5-000": [ONE], "xeon-000": [ONE]})
    for part in ("zen5-000", "xeon-000"):
        measured_by(campaign, part, "n1", both(ONE))
    run_of(tmp_path / "mine", both(ONE))
    frame = load_run([campaign.folder, tmp_path / "mine"])
    assert list(dict.fromkeys(frame["run"])) == ["c/zen5", "c/xeon", "mine"]
    assert list(dict.fromkeys(frame["machine"])) == ["zen5", "xeon", "synthetic-2cores-8GiB"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "later than the 1"),
        ({"parts": [{"name": "../x", "kind": "zen5", "workloads": []}]}, "'../x'"),
        ({"parts": [{"name": "a", "kind": "none", "workloads": []}]}, "kind none"),
        ({"parts": [{"name": "a", "kind": "zen5", "workloads": ["x"]}]}, "workload is 'x'"),
        ({"implementations": {}}, "implementations"),
        ({"kinds": 3}, "kinds is 3"),
    ],
)
def test_a_broken_record_of_a_campaign_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    campaign = campaign_of(tmp_path / "c", {"zen5-000": [ONE]})
    file = campaign.folder / "campaign.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(StoreError, match=said):
        load_runs(campaign.folder)
