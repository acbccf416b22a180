"""`regress`: why a case cannot be compared, by what the dry runs of both revisions recorded."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.regression.judging.suite_cases import by_importance, last_line, sort_cases, tolerance_of
from benchmarks.regression.processes.outcomes import PASSED, Excluded, Outcome
from benchmarks.regression.processes.process_record import ProcessRecord
from tests.synthetic_records import FAILED, record

CASE = "f.py::Class::test"
HEAD = record({CASE: "passed"})


def excluded(base: ProcessRecord) -> Excluded:
    """Why the case that head measures is not compared with this base."""
    found = sort_cases(base, HEAD)
    assert found.compared == found.lost == ()
    return found.excluded[CASE]


def test_a_case_that_fails_on_head_alone_is_lost() -> None:
    """A case that fails on both sides or on base is not, nor is one that head skips: head does not have it."""
    skips = Outcome("skipped", "too slow here")
    base = record({"f.py::a": PASSED, "f.py::b": FAILED, "f.py::c": FAILED, "f.py::d": PASSED, "f.py::e": PASSED})
    head = record({"f.py::a": FAILED, "f.py::b": FAILED, "f.py::c": PASSED, "f.py::d": skips, "f.py::f": PASSED})
    found = sort_cases(base, head)
    assert found.lost == ("f.py::a",)
    assert found.excluded["f.py::b"] == Excluded("broken", "base: failed, why; head: failed, why")
    assert found.excluded["f.py::d"] == Excluded("gone", "head: skipped, too slow here")
    assert (found.excluded["f.py::e"], found.excluded["f.py::f"]) == (Excluded("gone"), Excluded("new"))


def test_an_import_that_fails_on_head_loses_its_cases() -> None:
    """The cases of a file that cannot be imported are broken, though head does not name them."""
    base = record({"f.py::a": PASSED, "g.py::b": PASSED})
    found = sort_cases(base, record({"f.py::a": PASSED}, broken={"g.py": "ImportError: x"}))
    assert (found.compared, found.lost) == (("f.py::a",), ("g.py::b",))
    assert found.excluded["g.py::b"] == Excluded("broken", "head: ImportError: x")


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (record({"f.py::a": Outcome("skipped", "needs --slow")}), "f.py::a is skipped: needs --slow (--pytest hands"),
        (record({}, unmeasured={"f.py::a": "deselected"}), "f.py::a does not run: deselected"),
        (
            record({"f.py::a": Outcome("skipped", "Skipping non-benchmark (--benchmark-only active).")}),
            "no test of it uses",
        ),
        (record({}, status=4, output="ERROR: no module named x\n"), "no module named x"),
    ],
    ids=["skipped", "deselected", "no benchmark", "pytest refuses"],
)
def test_a_suite_without_a_benchmark_that_works_says_why(head: ProcessRecord, reason: str) -> None:
    """The reason names the option for pytest where it might help."""
    with pytest.raises(ValueError, match="head has no benchmark that works in this suite: ") as refusal:
        sort_cases(record({}), head)
    assert reason in str(refusal.value)


@pytest.mark.parametrize("place", ["f.py", ""], ids=["its file", "the whole suite"])
def test_a_case_in_what_cannot_be_imported_is_broken(place: str) -> None:
    """A file, or the whole suite, does not import."""
    assert excluded(record({}, broken={place: "ImportError: x"})) == Excluded("broken", "base: ImportError: x")


def test_a_folder_that_cannot_be_imported_breaks_its_files_alone() -> None:
    """A name that merely begins alike is in another folder."""
    head = record({"slow/f.py::a": "passed", "slower/f.py::a": "passed"})
    found = sort_cases(record({}, broken={"slow": "ImportError: x"}), head).excluded
    assert found == {"slow/f.py::a": Excluded("broken", "base: ImportError: x"), "slower/f.py::a": Excluded("new")}


def test_a_base_on_which_pytest_gives_up_breaks_its_cases() -> None:
    """It ended before it had collected, and its output says why."""
    gave_up = record({}, status=4, output="x.py:1: in <module>\nE   ImportError: x\n")
    assert excluded(gave_up) == Excluded("broken", "base: ImportError: x")


@pytest.mark.parametrize(
    "base",
    [record({}, status=0), record({}, status=5), record({"f.py::other": "failed"}, status=1, output="1 error")],
    ids=["nothing to do", "nothing collected", "others fail"],
)
def test_a_case_that_a_base_lacks_is_new(base: ProcessRecord) -> None:
    """It is, where pytest came to the tests of base or found none; there is nothing to say of it."""
    assert excluded(base) == Excluded("new")


@pytest.mark.parametrize(
    ("base", "why"),
    [
        (record({}, unmeasured={CASE: "deselected"}), "deselected"),
        (record({CASE: "skipped"}), "skipped, why"),
        (record({CASE: "passed"}, repetitions={}), "passes and measures nothing"),
    ],
    ids=["deselected", "skipped", "idle"],
)
def test_a_case_that_base_has_and_does_not_measure_is_new_and_says_why(base: ProcessRecord, why: str) -> None:
    """The reason is that of the side which does not measure it."""
    assert excluded(base) == Excluded("new", f"base: {why}")
    assert sort_cases(record({CASE: "passed", "f.py::b": "passed"}), with_another(base)).excluded[CASE] == Excluded(
        "gone", f"head: {why}"
    )


def with_another(side: ProcessRecord) -> ProcessRecord:
    """The record of the side with one more case, which works."""
    more = record({"f.py::b": "passed"})
    return dataclasses.replace(
        side,
        outcomes={**side.outcomes, **more.outcomes},
        repetitions={**side.repetitions, **more.repetitions},
    )


def test_the_reason_of_an_output_is_its_last_error() -> None:
    """That is a line which pytest marks or which names an error; else the last line that is not empty."""
    assert last_line("E   fixture 'x' not found\nin 0.1 s\n") == "fixture 'x' not found"
    assert last_line("TypeError: first\nValueError: x\nin 0.1 s\n") == "ValueError: x"
    assert last_line("usage: pytest\n  expected a file  \n\n") == "expected a file"
    assert last_line(" \n") == "pytest said nothing"


def test_refusals_name_what_is_expected() -> None:
    """They give an example."""
    with pytest.raises(ValueError, match=r"expected part of one, such as 'test'$"):
        by_importance(["f.py::test"], ["huge"])
    with pytest.raises(ValueError, match=r"expected part of one, such as 'test'$"):
        by_importance([CASE], ["huge"])
    with pytest.raises(ValueError, match=r"the share that a slowdown of it matters from: 0.03 is 3 %$"):
        tolerance_of(CASE, {"tolerance": -1}, 0.03)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (record({}, status=0, output="fine"), "no test of it uses pytest-benchmark's fixture `benchmark`"),
        (record({}, status=5, output="fine"), "no test of it uses pytest-benchmark's fixture `benchmark`"),
        (record({}, status=3, output="INTERNALERROR> x"), "INTERNALERROR> x"),
        (
            record({CASE: "passed"}, repetitions={}),
            f"{CASE} passes and measures nothing (--pytest hands options to pytest)",
        ),
        (
            record({"f.py::a": Outcome("skipped", "needs --slow")}, unmeasured={CASE: "deselected"}),
            f"{CASE} does not run: deselected (--pytest hands options to pytest)",
        ),
    ],
    ids=["no benchmark", "nothing collected", "pytest fails", "idle", "deselected"],
)
def test_the_first_reason_that_the_user_can_act_on_is_given(head: ProcessRecord, reason: str) -> None:
    """What is known of the suite's kind follows where pytest collected nothing."""
    refusal = f"head has no benchmark that works in this suite: {reason}"
    kinds: tuple[dict[str, str], ...] = ({}, {"kind": "it is a suite of asv"})
    for collected, kind, said in (
        ((), kinds[0], refusal),
        (("x",), kinds[1], refusal),
        ((), kinds[1], f"{refusal}; it is a suite of asv"),
    ):
        with pytest.raises(ValueError, match="head has no") as refused:
            sort_cases(record({}), dataclasses.replace(head, collected=collected), **kind)
        assert str(refused.value) == said
