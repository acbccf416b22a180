"""`track`: the record of a process on disk, its times, its suite and its packages."""

from __future__ import annotations

import json
import math
import platform
from pathlib import Path

import pytest

from benchmarks.history import folder as histories
from benchmarks.history.plan import digest
from benchmarks.history.record import CaseTimes, Measurement
from benchmarks.regression.environments.installed import installed_packages
from tests.synthetic_history import CASE, process


def test_a_process_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """A torn line spoils no other."""
    histories.append(tmp_path, "machine", process(1, 1.0))
    with (tmp_path / "machine" / "processes.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"torn": ')
    histories.append(tmp_path, "machine", process(2, 2.0))
    found, problems = histories.read(tmp_path, "machine")
    assert found == [process(1, 1.0), process(2, 2.0)]
    assert len(problems) == 1
    assert "line 2: not a process's record" in problems[0]


def test_the_history_of_this_project_is_read() -> None:
    """Every line in results/history is a process, in the form that it was written in."""
    kept = Path(__file__).parent.parent / histories.HISTORY
    for machine in histories.machines(kept):
        found, problems = histories.read(kept, machine)
        assert found
        assert problems == []
        written = (kept / machine / "processes.jsonl").read_text().splitlines()
        assert [each.to_json() for each in found] == [json.loads(line) for line in written]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 3),
        ("revision", 7),
        ("group", None),
        ("controls", {"loop": -1}),
        ("cases", {CASE: {}}),
        ("cases", {CASE: {"low_seconds": 1.0, "median_seconds": 1.0, "min_seconds": 0.0, "rounds": 3}}),
        ("cases", {CASE: {"low_seconds": math.inf, "median_seconds": 1.0, "min_seconds": 1.0, "rounds": 3}}),
        ("cases", {CASE: {"low_seconds": 1.0, "median_seconds": True, "min_seconds": 1.0, "rounds": 3}}),
        ("packages", {"torch": 2}),
        ("system", ["kernel"]),
        ("suite", None),
        ("suite_digest", 1),
        ("measured_at", 1.5),
        ("failure", 3),
    ],
)
def test_a_record_of_another_form_is_refused(field: str, value: object) -> None:
    """Each field is checked."""
    record = json.loads(json.dumps(process(1, 1.0).to_json()))
    assert Measurement.from_json(record) == process(1, 1.0)
    with pytest.raises((ValueError, TypeError)):
        Measurement.from_json({**record, field: value})
    with pytest.raises(ValueError, match="a list; expected a mapping"):
        Measurement.from_json([record])


def test_a_cases_times_are_those_of_its_repetitions() -> None:
    """The low time is the median over repetitions of their first deciles; median and least are those of all rounds."""
    repetitions = [[5.0, 1.0, 9.0], [2.0, 2.0], [4.0, 3.0, 8.0]]
    assert CaseTimes.of_repetitions(repetitions) == CaseTimes(2.0, 3.5, 1.0, 8)


def test_a_suites_digest_follows_its_files(tmp_path: Path) -> None:
    """Content and names of Python files count, in folders below, too; other files do not."""
    (tmp_path / "deeper").mkdir()
    file = tmp_path / "deeper" / "a.py"
    file.write_text("1")
    before = digest(tmp_path)
    (tmp_path / "a.pyc").write_text("1")
    assert digest(tmp_path) == before
    assert digest(file) == before
    file.write_text("2")
    assert digest(tmp_path) != before
    file.write_text("1")
    file.rename(tmp_path / "deeper" / "b.py")
    assert digest(tmp_path) != before


class Distribution:
    """An installed package; `origin` is its direct_url.json."""

    def __init__(self, name: str | None, version: str, origin: str | None = None) -> None:
        self.metadata, self.version, self.origin = {"Name": name}, version, origin

    def read_text(self, _: str) -> str | None:
        """The note of pip on the package's origin."""
        return self.origin


def test_a_package_installed_from_a_folder_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code is under test. Of two packages of a name the first counts, which is imported."""
    found = [
        Distribution("B_c", "2"),
        Distribution("a", "1", '{"url": "https://example.org/a.whl"}'),
        Distribution("mine", "0", '{"dir_info": {"editable": true}}'),
        Distribution("b-c", "1"),
        Distribution(None, "1"),
    ]
    monkeypatch.setattr("importlib.metadata.distributions", lambda: found)
    assert installed_packages() == {"a": "1", "b-c": "2", "python": platform.python_version()}
