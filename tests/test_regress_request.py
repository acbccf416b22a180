"""The request that the options of `regress` make, and what is refused before anything is measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.regression.environments.requirements import NOTHING_ELSE, Needs
from benchmarks.regression.environments.variants import AS_IT_IS, Variant
from benchmarks.regression.judging.stopping import Rule
from benchmarks.regression.regress import Request, plan, suite_path

SIX = Variant(("six", "numpy"))
PYTHON = Variant(python="/opt/python3", python_version="3.13")
SET = Variant(variables={"A": "1"})


def planned(**changes: Any) -> Request:
    """The plan of main beside the checkout, with these options in place of the usual ones."""
    options = {"base": "main", "head": None, "suite": "speed", "tolerance": 0.03, "budget": "5m", "environment": "auto"}
    return plan(**{**options, **changes})


def test_a_request_has_the_options_as_they_are_meant() -> None:
    """The budget is in seconds; what is not named is nothing else."""
    assert planned() == Request(
        base="main",
        head=None,
        suite="speed",
        environment="auto",
        budget_seconds=300.0,
        rule=Rule(),
        needs=NOTHING_ELSE,
        variants=(AS_IT_IS, AS_IT_IS),
        first=(),
    )
    assert planned() == Request("main", None, "speed")
    needs = Needs(options=("-x",), build=(("make",),))
    asked = {"head": "topic", "tolerance": 0.1, "budget": "90s", "environment": "shared", "needs": needs}
    assert planned(**asked, variants=(AS_IT_IS, SET), first=["a", "b"]) == Request(
        base="main",
        head="topic",
        suite="speed",
        environment="shared",
        budget_seconds=90.0,
        rule=Rule(tolerance=0.1),
        needs=needs,
        variants=(AS_IT_IS, SET),
        first=("a", "b"),
    )


@pytest.mark.parametrize("environment", ["auto", "shared", "own"])
def test_each_environment_can_be_chosen(environment: str) -> None:
    """Without needs it is as it was chosen."""
    assert planned(environment=environment).environment == environment


@pytest.mark.parametrize("tolerance", [1e-9, 0.999])
def test_a_tolerance_is_a_share(tolerance: float) -> None:
    """It lies above 0 and below 1."""
    assert planned(tolerance=tolerance).rule == Rule(tolerance=tolerance)


@pytest.mark.parametrize("variants", [(SIX, AS_IT_IS), (AS_IT_IS, PYTHON), (SET, SET), (SET, AS_IT_IS)])
def test_a_base_need_not_be_named_where_variants_set_the_sides_apart(variants: tuple[Variant, Variant]) -> None:
    """It is the revision of head then."""
    assert planned(base=None, variants=variants).base is None


BOTH = "; expected one of the two: install it yourself, or leave --environment out"
NEEDS = [
    ({"needs": Needs(install=("six", "numpy"))}, "--install is six numpy"),
    ({"needs": Needs(extras=("a", "b"))}, "extras is a b"),
    ({"needs": Needs(groups=("a", "b"))}, "groups is a b"),
    ({"variants": (SIX, AS_IT_IS)}, "--base-with is six numpy"),
    ({"variants": (AS_IT_IS, SIX)}, "--head-with is six numpy"),
    ({"variants": (PYTHON, AS_IT_IS)}, "--base-python is /opt/python3"),
    ({"variants": (AS_IT_IS, PYTHON)}, "--head-python is /opt/python3"),
    ({"variants": (SIX, PYTHON)}, "--base-with is six numpy"),
    ({"needs": Needs(install=("six",), extras=("a",))}, "--install is six"),
]


@pytest.mark.parametrize(("options", "why"), NEEDS)
def test_what_is_installed_needs_environments_of_their_own(options: dict[str, Any], why: str) -> None:
    """They are chosen for it; to share the environment all the same is refused, with the first option and its value."""
    for environment in ("auto", "own"):
        assert planned(environment=environment, **options).environment == "own"
    expected = f"{why} and --environment shared, in which nothing is installed{BOTH}"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        planned(environment="shared", **options)


def test_what_installs_nothing_needs_no_environment() -> None:
    """No extras and no groups are those of a project that its suite does not need; variables are in force anywhere."""
    options: dict[str, Any] = {"needs": Needs(extras=(), groups=(), options=("-x",)), "variants": (SET, AS_IT_IS)}
    for environment in ("auto", "shared", "own"):
        assert planned(environment=environment, **options).environment == environment


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"base": None},
            "--base is missing, and nothing else sets the sides apart; expected a revision to compare with (--base "
            "main), or what one side has and the other has not (--base-with and --head-with, --base-python, "
            "--base-env)",
        ),
        ({"tolerance": 0.0}, "--tolerance is 0.0; expected a share above 0 and below 1: 0.03 is 3 %"),
        ({"tolerance": 1.0}, "--tolerance is 1.0; expected a share above 0 and below 1: 0.03 is 3 %"),
        ({"environment": "mine"}, "--environment is 'mine'; expected one of auto, shared, own"),
        ({"budget": "soon"}, "--budget is 'soon'; expected a time like 90s, 5m or 1h30m"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(options: dict[str, Any], why: str) -> None:
    """The refusal names the option, its value and what is expected."""
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        planned(**options)


def test_a_suite_is_named_from_the_top_of_the_checkout(tmp_path: Path) -> None:
    """It is given from the current folder; a link to the checkout is the checkout."""
    top = tmp_path / "project"
    (top / "below" / "speed").mkdir(parents=True)
    (tmp_path / "link").symlink_to(top)
    assert suite_path(top / "below", top, "speed") == "below/speed"
    assert suite_path(top / "below", top, "..") == "."
    assert suite_path(tmp_path / "link", top, "below/speed") == "below/speed"
    assert suite_path(top, tmp_path / "link", str(top / "speed")) == "speed"
    expected = f"--suite is ../other, which is outside of the checkout {top}; expected a path in it"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        suite_path(top, top, "../other")
