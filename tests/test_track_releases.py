"""`track --releases`: the releases of a package, as pip names them, measured in environments and kept in a history."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.history import folder as histories
from benchmarks.history.findings import find_history
from benchmarks.history.plan import digest
from benchmarks.history.report import write_history
from benchmarks.history.track_releases import ReleasesPlan, track_releases
from benchmarks.regression.environments.preparing import Preparation
from benchmarks.regression.environments.releases import Release, days_of_files, releases_of
from benchmarks.regression.environments.requirements import Needs
from benchmarks.regression.processes.control import ControlTimes
from benchmarks.regression.processes.outcomes import PASSED
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from tests.synthetic_history import CASE
from tests.synthetic_records import record, rounds
from tests.tracked_project import git, invoke

SAID = """2 location(s) to search for versions of engine:
* file:///somewhere/simple/engine/
engine (1.10.0)
Available versions: 1.10.0, 1.9.0, 1.2.0, 1.1.0
  INSTALLED: 1.9.0
"""


def test_the_releases_are_those_that_pip_names_and_the_requirement_allows() -> None:
    """They come in the order of versions; where the index has no dates, that is said and they are empty."""
    said: list[str] = []
    asked: list[list[str]] = []

    def ask(words: list[str]) -> str:
        asked.append(words)
        return SAID

    found = releases_of("Engine>=1.2", said.append, ask=ask)
    assert [each.requirement for each in found] == ["Engine==1.2.0", "Engine==1.9.0", "Engine==1.10.0"]
    assert {each.released for each in found} == {""}
    assert said == ["the index of packages does not say when the releases of Engine came out"]
    assert asked == [["index", "versions", "Engine", "--verbose", "--verbose"]]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("engine>>1", "--releases is 'engine>>1': "),
        ("engine @ https://example.org/x.whl", "names an address or extras"),
        ("engine>2", r"pip finds no such release; pip knows 1\.1\.0, 1\.2\.0, 1\.9\.0, 1\.10\.0; expected a package"),
    ],
)
def test_what_names_no_release_is_refused(text: str, why: str) -> None:
    """The refusal has the releases that there are."""
    with pytest.raises(ValueError, match=why):
        releases_of(text, lambda _: None, ask=lambda _: SAID)


def test_a_release_has_the_day_of_its_first_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is the one that pip asked, in the form that has the times of uploads."""
    files = [
        {"filename": "engine-1.2.0-cp311-abi3-linux_x86_64.whl", "upload-time": "2026-03-02T09:00:00Z"},
        {"filename": "engine-1.2.0.tar.gz", "upload-time": "2026-03-01T23:59:59.5Z"},
        {"filename": "my-engine-1.3.0.zip", "upload-time": "2026-04-01T00:00:00Z"},
        {"filename": "engine-1.4.0.tar.gz"},
    ]
    assert days_of_files(files) == {"1.2.0": "2026-03-01", "1.3.0": "2026-04-01"}
    asked: list[tuple[str, str | None]] = []

    class Answer:
        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *_: object) -> None: ...

        def read(self) -> bytes:
            return json.dumps({"files": files}).encode()

    def answer(request: Any, **_: object) -> Answer:
        asked.append((request.full_url, request.get_header("Accept")))
        return Answer()

    monkeypatch.setattr("urllib.request.urlopen", answer)
    said = SAID.replace("file:///somewhere", "https://index.example.org")
    found = releases_of("engine==1.2.*", lambda _: pytest.fail("the dates are known"), ask=lambda _: said)
    assert found == [Release("engine", "1.2.0", "2026-03-01")]
    assert asked == [("https://index.example.org/simple/engine/", "application/vnd.pypi.simple.v1+json")]


RELEASES = tuple(Release("engine", f"1.{number}.0", f"2026-0{number + 1}-01") for number in range(8))


@pytest.fixture
def plan(project: Path) -> ReleasesPlan:
    """Three processes for each of eight releases."""
    return ReleasesPlan(
        top=project,
        revision=git(project, "rev-parse", "HEAD"),
        releases=RELEASES,
        suite="speed",
        suite_digest=digest(project / "speed"),
        processes=3,
        folder=project / "results" / "history",
        machine="machine",
        system={"kernel": "6.1"},
        needs=Needs(),
    )


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requirements of the environments that are built: one of 1.7.0 cannot be."""
    built: list[str] = []

    def one(self: Preparation, name: str, revision: Any, *, own: bool) -> Any:
        assert own
        built.append(name)
        if name == "1.7.0":
            raise ValueError("the environment cannot be built: no such release")
        self.installed[name] = {"engine": name, "protobuf": "5" if name >= "1.4" else "4"}
        side = Side(name, revision.folder, "python", "speed")
        ready = ProcessRecord(outcomes={CASE: PASSED})
        return type("Ready", (), {"side": side, "dry_run": ready})

    monkeypatch.setattr(Preparation, "one", one)
    return built


class Groups:
    """A stand-in for the processes: from 1.4.0 on they take 1.3 times as long; the k-th group is interrupted."""

    def __init__(self, most: int = 99) -> None:
        self.most = most
        self.ran: list[list[str]] = []

    def __call__(
        self, sides: Sequence[Side], cases: Sequence[str], *, number: int
    ) -> tuple[list[ProcessRecord], list[list[ControlTimes]]]:
        if len(self.ran) >= self.most:
            raise KeyboardInterrupt
        self.ran.append([side.name for side in sides])
        found = []
        for place, side in enumerate(sides):
            seconds = (1.3 if side.name >= "1.4" else 1.0) * (1 + 0.003 * ((place * 7 + number * 3) % 5))
            found.append(record({CASE: PASSED}, repetitions={CASE: [rounds([9.0]), rounds([seconds] * 3)]}))
        return found, [[ControlTimes(1.0, 1.0)]] * len(sides)


def test_the_releases_are_measured_in_groups_with_an_anchor(plan: ReleasesPlan, environments: list[str]) -> None:
    """What was recorded is not measured again, and a release that cannot be installed is recorded so."""
    first, again, nothing = Groups(most=2), Groups(), Groups()
    ticks = iter(range(1000))
    with pytest.raises(KeyboardInterrupt):
        track_releases(plan, lambda _: None, measure=first, clock=lambda: next(ticks))
    track_releases(plan, lambda _: None, measure=again, clock=lambda: next(ticks))
    assert {group[0] for group in first.ran + again.ran} == {"1.0.0"}
    assert max(map(len, again.ran)) <= 4
    assert track_releases(plan, lambda _: None, measure=nothing) == 0
    assert environments.count("1.7.0") == 1
    processes = histories.read(plan.folder, "machine")[0]
    measured = [each.version for each in processes if each.failure is None]
    assert all(measured.count(f"1.{number}.0") >= 3 for number in range(7))
    (failed,) = [each for each in processes if each.failure is not None]
    assert (failed.version, failed.failure) == ("1.7.0", "the environment cannot be built: no such release")
    assert {(each.package, each.released[:4], each.revision) for each in processes} == {
        ("engine", "2026", plan.revision)
    }


@pytest.mark.usefixtures("environments", "unrendered")
def test_the_history_of_a_package_shows_its_steps_with_what_came_along(
    plan: ReleasesPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands apart from that of the project's own commits, with the days of the releases."""
    monkeypatch.setattr("benchmarks.history.plot.save", lambda _figure, folder, stem: (folder / f"{stem}.png").touch())
    ticks = iter(range(1000))
    track_releases(plan, lambda _: None, measure=Groups(), clock=lambda: next(ticks))
    (found,) = find_history(plan.top, plan.folder)
    assert (found.package, found.suite_revision, found.failures) == (
        *("engine", plan.revision),
        ("1.7.0: the environment cannot be built: no such release",),
    )
    (case,) = found.cases
    (change,) = case.changes
    assert change.commits == ("engine 1.3.0 → 1.4.0", "protobuf 4 → 5")
    assert change.kind == "release"
    text = write_history([found], tmp_path / "report").read_text()
    assert "1 step in 1 case over 7 releases." in text
    assert "regress --base-with engine==1.3.0 --head-with engine==1.4.0" in text
    assert "1.3.0 (2026-04-01), 1.4.0 (2026-05-01)" in text
    measured = next(each for each in histories.read(plan.folder, "machine")[0] if each.cases)
    own = dataclasses.replace(measured, package="", version="", group="x")
    histories.append(plan.folder, "machine", own)
    assert [each.package for each in find_history(plan.top, plan.folder)] == ["", "engine"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--releases", "engine>1", "--range", "HEAD~1..HEAD"], "expected it without --range and --cluster"),
        (["--releases", "engine>1", "--rev", "HEAD", "--rev", "HEAD~1"], "with one --rev at most"),
        (["--install", "six"], "--install is for --releases"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words: Sequence[str], why: str, project: Path) -> None:
    """Nothing is asked of pip for them."""
    status, said = invoke("track", "--suite", str(project / "speed"), *words)
    assert status == 2
    assert why in said
