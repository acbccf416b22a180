"""A comparison from the request to the result: what is prepared, measured and said, without a process of a suite."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.regression import regress as comparing
from benchmarks.regression.environments.preparing import PreparedSide
from benchmarks.regression.environments.requirements import Needs
from benchmarks.regression.environments.revisions import Revision
from benchmarks.regression.environments.variants import Variant
from benchmarks.regression.judging.stopping import Rule
from benchmarks.regression.judging.verdicts import RatioEstimate
from benchmarks.regression.measuring import PairMeasuring
from benchmarks.regression.processes.control import ControlTimes
from benchmarks.regression.processes.outcomes import PASSED, Excluded, Outcome
from benchmarks.regression.processes.pairing import CONTROLS, ProcessPair
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.processes.suite_process import TimeLimits
from benchmarks.regression.regress import Request, Result, regress
from tests.synthetic_records import record

REQUEST = Request("main", None, "speed")
DRY_RUN_SECONDS, PAIR_SECONDS = 10.0, 2.0


class Machine:
    """Stand-ins for git, for environments and for processes, and the clock that they move; `done` is what they did.

    `base` and `head` are the dry runs. In pairs head takes `slower` times as long in a case, and fails in those of
    `breaking`; base takes `apart` times as long as itself, and the fixed loop `drift` times as long beside head.
    `empty` are the submodules of each side that stay empty, `note` a sentence of the preparation, and `asv` the file of
    head's suite.
    """

    def __init__(self, top: Path) -> None:
        self.top, self.now = top, 1000.0
        self.done: list[str] = []
        self.base = dataclasses.replace(record({"one": "passed"}), start_seconds=0.2, turn_seconds=2.0)
        self.head = dataclasses.replace(
            record({"one": "passed"}, extra_info={"one": {}}), start_seconds=1.0, turn_seconds=0.1
        )
        self.slower: Mapping[str, float] = {}
        self.breaking: Sequence[str] = ()
        self.empty: Mapping[str, tuple[str, ...]] = {}
        self.note = ""
        self.asv = ""
        self.apart = self.drift = 1.0
        self.prepared: dict[str, Any] = {}
        self.measuring: dict[str, Any] = {}
        self.limits: list[TimeLimits] = []

    def say(self, text: str) -> None:
        """A sentence for the user."""
        self.done.append(text)

    @contextlib.contextmanager
    def alone(self, what: str, say: Callable[[str], None]) -> Iterator[None]:
        """The lock of the machine."""
        assert say == self.say
        self.done.append(f"locked for {what}")
        yield
        self.done.append("unlocked")

    @contextlib.contextmanager
    def check_out(self, top: Path, base: str | None, head: str | None) -> Iterator[tuple[Revision, Revision]]:
        """The folders of both revisions."""
        self.done.append(f"checked out {base} and {head}")
        for name in ("base", "head"):
            (top / name / "speed").mkdir(parents=True)
        (top / "head" / "speed" / "test_a.py").write_text(self.asv)
        yield (
            Revision("main", "b" * 40, False, top / "base", self.empty.get("base", ())),
            Revision("the checkout", "c" * 40, True, top / "head", self.empty.get("head", ())),
        )
        self.done.append("removed the worktrees")

    def dry_run(self, side: Side, _limits: TimeLimits) -> ProcessRecord:
        """The dry run of a side."""
        self.done.append(f"dry run of {side.name}")
        self.now += DRY_RUN_SECONDS
        return self.base if side.name == "base" else self.head

    def measure_pair(
        self, base: Side, head: Side, cases: Sequence[str], *, number: int, limits: TimeLimits, **_: object
    ) -> tuple[ProcessPair, ProcessRecord, ProcessRecord]:
        """One pair, with noise of a thousandth; no case is slower on base again."""
        self.now += PAIR_SECONDS
        self.limits.append(limits)
        same = head.name != "head"
        fails = {case: Outcome("failed", "why") for case in cases if case in self.breaking and not same}
        ratios = {case: self.apart if same else self.slower.get(case, 1.0) for case in cases if case not in fails}
        pair = ProcessPair(
            dict.fromkeys(ratios, (1.0,)),
            {case: (ratio * (1 + 0.001 * (number % 3)),) for case, ratio in ratios.items()},
            (ControlTimes(1.0, 2.0),),
            (ControlTimes(1.0, 2.0 * self.drift * (1 + 0.001 * (number % 2))),),
        )
        passed = dict.fromkeys(cases, PASSED)
        return pair, record(passed), record({**passed, **fails})


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine of stand-ins, in whose checkout a folder `below` is the current one."""
    found = Machine(tmp_path / "top")
    (found.top / "below").mkdir(parents=True)

    class Preparation:
        """Notes its arguments, and runs both sides dry."""

        def __init__(self, top: Path, suite: str, scratch: Path, **options: Any) -> None:
            found.prepared = {"top": top, "suite": suite, "scratch": scratch, **options}
            assert scratch.is_dir()
            self.installed = {"base": {"six": "1"}, "head": {"six": "2"}}

        def pair(self, base: Revision, head: Revision, choice: str) -> tuple[PreparedSide, ...]:
            found.prepared["choice"] = choice
            if found.note:
                found.prepared["say"](found.note)
            sides = [Side(name, each.folder, "python", "speed") for name, each in (("base", base), ("head", head))]
            own: Any = None
            return tuple(PreparedSide(side, own, found.prepared["dry_run"](side)) for side in sides)

    class Noted(PairMeasuring):
        """Notes its arguments."""

        def __init__(self, **options: Any) -> None:
            found.measuring = options
            super().__init__(**options)

    def removed(say: Callable[[str], None]) -> None:
        assert say == found.say
        found.done.append("removed what was abandoned")

    def top_of(folder: Path) -> Path:
        assert folder.is_relative_to(found.top)
        return found.top

    monkeypatch.chdir(found.top / "below")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("time.monotonic", lambda: found.now)
    monkeypatch.setattr("benchmarks.machine.describe_machine", lambda: {"key": "zen"})
    monkeypatch.setattr("benchmarks.regression.dry_run.dry_run", found.dry_run)
    monkeypatch.setattr("benchmarks.regression.measuring.measure_pair", found.measure_pair)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for name, stand_in in (
        ("top_of_checkout", top_of),
        ("remove_abandoned", removed),
        ("check_out", found.check_out),
        ("measuring_alone", found.alone),
        ("Preparation", Preparation),
        ("PairMeasuring", Noted),
        ("remove_worktrees", lambda folder: found.done.append(f"removed the builds in {folder.name[:14]}")),
    ):
        monkeypatch.setattr(comparing, name, stand_in)
    return found


def compared(machine: Machine, request: Request = REQUEST) -> Result:
    """The result of a comparison that was asked for at the top of the checkout."""
    return regress(request, machine.say, machine.top)


def dry_runs(machine: Machine, base: Mapping[str, Any], head: Mapping[str, Any], **extra_info: Any) -> None:
    """Set the outcomes of both dry runs, and what the cases of head say of themselves."""
    said = {case: extra_info.get(case, {}) for case in head}
    for name, made in (("base", record(base)), ("head", record(head, extra_info=said))):
        fields = {field: getattr(made, field) for field in ("outcomes", "repetitions", "extra_info")}
        setattr(machine, name, dataclasses.replace(getattr(machine, name), **fields))


def test_a_comparison_prepares_runs_dry_measures_and_judges(machine: Machine) -> None:
    """All that is said and done comes in this order; a slowdown of a half is confirmed in five further pairs."""
    machine.slower = {"one": 1.5}
    found = compared(machine)
    assert machine.done[:8] == [
        "removed what was abandoned",
        "checked out main and None",
        "base: main (bbbbbbbbb); head: the checkout (ccccccccc with uncommitted changes)",
        f"locked for regress in {machine.top}",
        "dry run of base",
        "dry run of head",
        "1 case; the noise floor: base against itself",
        "pair 1: 1 case, at most 274 s left",
    ]
    assert machine.done[-4:] == [
        "pair 8: 1 case, at most 260 s left",
        "unlocked",
        "removed the builds in rnnbench-build",
        "removed the worktrees",
    ]
    assert (found.slower, found.exit_status) == (("one",), 1)
    assert (len(found.floor_pairs), len(found.pairs)) == (2, 8)
    assert found.decision is not None
    assert found.decision.final["one"].estimate.ratio == pytest.approx(1.5, rel=0.002)


def test_a_result_has_all_that_the_comparison_gave(machine: Machine) -> None:
    """It is the same on each side but for what sets them apart."""
    variants = (Variant(("six==1",)), Variant(variables={"A": "1"}))
    found = compared(machine, dataclasses.replace(REQUEST, variants=variants))
    assert found.base == "main (bbbbbbbbb) with six==1"
    assert found.head == "the checkout (ccccccccc with uncommitted changes) with A=1"
    assert found.suite == "speed"
    assert found.decision is not None
    assert found.decision.final["one"].verdict == "same"
    assert (found.excluded, found.lost, found.unfit, found.environment) == ({}, (), "", ())
    assert list(found.control) == list(CONTROLS)
    assert isinstance(found.control[CONTROLS[0]], RatioEstimate)
    assert found.control[CONTROLS[0]].pairs == len(found.pairs) == 3
    assert found.control[CONTROLS[1]].ratio == pytest.approx(math.exp(math.log(1.001) / 3))
    assert [pair.head["one"] for pair in found.floor_pairs] == [(1.0,), (1.001,)]
    assert found.seconds == 2 * DRY_RUN_SECONDS + 5 * PAIR_SECONDS
    assert found.machine == {"key": "zen"}
    assert found.installed == {"base": {"six": "1"}, "head": {"six": "2"}}
    assert found.variants == dict(zip(("base", "head"), variants, strict=True))


def test_sides_are_prepared_and_measured_as_the_request_says(machine: Machine) -> None:
    """The suite is named from the current folder, and the dry runs count within the budget."""
    needs, rule = Needs(install=("six",)), Rule(tolerance=0.1)
    variants = (Variant(("six==1",)), Variant(("six==2",)))
    dry_runs(machine, dict.fromkeys(("one", "two"), PASSED), dict.fromkeys(("one", "two"), PASSED))
    regress(Request(None, "topic", "../speed", "own", 100.0, rule, needs, variants, ("two",)), machine.say)
    assert machine.done[1] == "checked out None and topic"
    prepared = machine.prepared
    assert (prepared["top"], prepared["suite"], prepared["choice"]) == (machine.top, "speed", "own")
    assert (prepared["needs"], prepared["variants"]) == (needs, dict(zip(("base", "head"), variants, strict=True)))
    assert not prepared["scratch"].exists()
    measuring = machine.measuring
    assert [side.name for side in measuring["both"]] == ["base", "head"]
    assert (measuring["cases"], measuring["rule"], measuring["say"]) == (("two", "one"), rule, machine.say)
    assert (measuring["budget"].seconds, measuring["start_seconds"]) == (100.0, 1.0)
    # The longest waits of either dry run, ten times; the dry runs took 20 s.
    assert set(machine.limits) == {TimeLimits(start_seconds=10.0, turn_seconds=20.0, deadline=1100.0)}
    assert "pair 1: 2 cases, at most 74 s left" in machine.done


@pytest.mark.parametrize("side", ["base", "head"])
def test_what_the_environment_is_beside_the_code_is_said_and_kept(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    """The options that pytest is given, submodules that stay empty, and what the preparation notes, in this order."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-x")
    machine.empty, machine.note = {side: ("a", "b/c")}, "constraints.txt does not hold"
    found = compared(machine, dataclasses.replace(REQUEST, needs=Needs(options=("-k", "a b"))))
    label = {"base": "main (bbbbbbbbb)", "head": "the checkout (ccccccccc with uncommitted changes)"}[side]
    assert found.environment == (
        "pytest is given -x, by PYTEST_ADDOPTS",
        "pytest is given -k 'a b', by --pytest",
        f"a, b/c of {label} stays empty, since the checkout lacks the commits of this submodule: run git submodule "
        "update --init --recursive first if the suite needs it",
        "constraints.txt does not hold",
    )
    assert [each for each in machine.done if each in found.environment] == list(found.environment)


def test_cases_that_are_not_compared_have_a_reason(machine: Machine) -> None:
    """A case may be new, gone, broken before or broken in the pairs; only what head broke is lost."""
    base = {"one": "passed", "gone": "passed", "lost": "passed", "bad": "failed", "later": "passed"}
    head = {"one": "passed", "new": "passed", "lost": "failed", "bad": "failed", "later": "passed"}
    dry_runs(machine, base, head)
    machine.breaking = ("later",)
    found = compared(machine)
    assert found.decision is not None
    assert list(found.decision.final) == ["one"]
    assert found.excluded == {
        "new": Excluded("new"),
        "lost": Excluded("broken", "head: failed, why"),
        "bad": Excluded("broken", "base: failed, why; head: failed, why"),
        "gone": Excluded("gone"),
        "later": Excluded("broken", "head: why"),
    }
    assert found.lost == ("lost", "later")
    assert found.exit_status == 2
    place = machine.done.index("dry run of head")
    failed = ["bad failed on base: why", "lost failed on head: why", "bad failed on head: why"]
    assert machine.done[place + 1 : place + 4] == failed
    assert machine.done.count("later failed on head: why") == 2


def test_cases_for_which_the_budget_is_too_short_are_not_judged(machine: Machine) -> None:
    """The reason says how many can be, and how to choose them."""
    cases = [f"case {number}" for number in range(12)]
    dry_runs(machine, dict.fromkeys(cases, PASSED), dict.fromkeys(cases, PASSED))
    found = compared(machine, dataclasses.replace(REQUEST, budget_seconds=32.0, first=("case 7",)))
    assert found.decision is not None
    assert list(found.decision.final) == ["case 7"]
    why = "the budget of 32 s is long enough for 1 case: give more, or name those that matter by --first"
    assert found.excluded == {case: Excluded("not judged", why) for case in cases if case != "case 7"}


@pytest.mark.parametrize(
    ("base", "breaking", "excluded", "lost", "status"),
    [
        ({"other": "passed"}, (), {"one": Excluded("new"), "other": Excluded("gone")}, (), 3),
        ({"one": "passed"}, ("one",), {"one": Excluded("broken", "head: why")}, ("one",), 2),
    ],
    ids=["none in common", "none to the end"],
)
def test_without_a_case_to_judge_there_is_no_decision(
    machine: Machine,
    base: Mapping[str, str],
    breaking: Sequence[str],
    excluded: Mapping[str, Excluded],
    lost: tuple[str, ...],
    status: int,
) -> None:
    """The machine is not judged then, either; nothing is measured where nothing can be compared."""
    dry_runs(machine, base, {"one": "passed"})
    machine.breaking = breaking
    found = compared(machine)
    assert (found.decision, found.control, found.unfit, found.pairs) == (None, {}, "", ())
    assert (found.excluded, found.lost, found.exit_status) == (excluded, lost, status)
    assert any("noise floor" in each for each in machine.done) == bool(machine.limits) == bool(breaking)
    assert len(found.floor_pairs) == (2 if breaking else 0)
    assert found.installed


def test_a_case_is_judged_by_its_own_tolerance_on_head(machine: Machine) -> None:
    """The others are judged by that of the request."""
    cases = dict.fromkeys(("own", "usual", "small"), PASSED)
    dry_runs(machine, cases, cases, own={"tolerance": 0.6})
    machine.base = dataclasses.replace(machine.base, extra_info={"usual": {"tolerance": 0.9}})
    machine.slower = {"own": 1.5, "usual": 1.5, "small": 1.15}
    found = compared(machine, dataclasses.replace(REQUEST, rule=Rule(tolerance=0.2)))
    assert found.decision is not None
    assert {case: each.verdict for case, each in found.decision.final.items()} == {
        "own": "same",
        "usual": "slower",
        "small": "same",
    }
    assert found.decision.final["own"].threshold == 0.6
    assert found.decision.final["small"].threshold == 0.2


def test_a_tolerance_that_is_no_share_is_refused_with_its_case(machine: Machine) -> None:
    """Nothing is measured for it."""
    dry_runs(machine, {"one": "passed"}, {"one": "passed"}, one={"tolerance": "a lot"})
    with pytest.raises(ValueError, match=r"^one has extra_info"):
        compared(machine)
    assert machine.limits == []


def test_the_noise_floor_is_a_threshold_too(machine: Machine) -> None:
    """Base came out 20 % apart from itself, so that 15 % are none that count."""
    machine.apart, machine.slower = 1.2, {"one": 1.15}
    found = compared(machine)
    assert found.decision is not None
    assert found.decision.final["one"].threshold > 0.2
    assert found.slower == ()


def test_an_unfit_machine_is_told_with_the_result(machine: Machine) -> None:
    """A fixed loop that takes a third longer beside head is the machine's."""
    machine.drift = 1.3
    found = compared(machine)
    assert found.unfit.startswith(f"{CONTROLS[1]} came out 1.3")
    assert found.exit_status == 3


def test_a_suite_of_another_kind_is_refused_with_the_remedy(machine: Machine) -> None:
    """The kind is told by the files of head; what was checked out and built is removed."""
    dry_runs(machine, {}, {})
    machine.asv = "class Suite:\n    def time_it(self):\n        pass\n"
    with pytest.raises(ValueError, match=r"head has no benchmark that works .* of asv, .* such as test_a\.py"):
        compared(machine)
    assert machine.done[-2:] == ["dry run of head", "removed the builds in rnnbench-build"]
