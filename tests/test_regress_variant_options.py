"""The options that make the variant of a side: requirements, an interpreter and variables, and what is refused."""

from __future__ import annotations

import re

import pytest

from benchmarks.regression.environments import variants
from benchmarks.regression.environments.variants import AS_IT_IS, Variant, interpreter, isolated, variant

EXPECTED = "expected a version such as 3.13, whose python3.13 is on the PATH, or the path of an interpreter"


class Pythons:
    """A stand-in for the programs on the PATH: all are in /opt, and print `says`, or fail."""

    def __init__(self) -> None:
        self.says: str | None = "3 13 3.13.5 (main)  [GCC 14]\n"
        self.asked: list[tuple[list[str], float]] = []

    def which(self, command: str) -> str | None:
        return None if command in ("python3.99", "nowhere") else f"/opt/{command}"

    def output_of(self, command: list[str], *, seconds: float) -> str:
        self.asked.append((command, seconds))
        if self.says is None:
            raise ValueError("it did not end")
        return self.says


@pytest.fixture
def pythons(monkeypatch: pytest.MonkeyPatch) -> Pythons:
    """Programs in place of those of this machine."""
    found = Pythons()
    monkeypatch.setattr("shutil.which", found.which)
    monkeypatch.setattr(variants, "output_of", found.output_of)
    return found


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("3", "/opt/python3"),
        ("3.13", "/opt/python3.13"),
        ("3.13t", "/opt/python3.13t"),
        ("python3.12", "/opt/python3.12"),
        ("pypy3", "/opt/pypy3"),
        ("3.13.2", "/opt/3.13.2"),
        ("bin/3", "/opt/bin/3"),
    ],
)
def test_a_python_is_named_by_version_command_or_path(pythons: Pythons, name: str, path: str) -> None:
    """It is asked once, apart from the current folder and the user's packages, and says its version in full."""
    assert interpreter(name, "--base-python") == (path, "3.13.5 (main)  [GCC 14]")
    ((command, seconds),) = pythons.asked
    assert (command[:3], seconds) == ([path, "-I", "-c"], 60)


@pytest.mark.parametrize(("says", "version"), [("3 9 3.9.0", "3.9.0"), ("3 10 3.10 x", "3.10 x"), ("4 0 4.0", "4.0")])
def test_a_python_from_3_9_on_can_measure(pythons: Pythons, says: str, version: str) -> None:
    """Numbers are compared, and not their digits."""
    pythons.says = says
    assert interpreter("3", "--base-python")[1] == version


@pytest.mark.parametrize(
    ("name", "says", "why"),
    [
        ("3.99", "", f"and there is no python3.99 here; {EXPECTED}"),
        ("nowhere", "", f"and there is no nowhere here; {EXPECTED}"),
        ("3", None, f"and /opt/python3 is no Python that runs; {EXPECTED}"),
        ("git", "3 13", f"and /opt/git is no Python that runs; {EXPECTED}"),
        ("git", "git version 2", f"and /opt/git is no Python that runs; {EXPECTED}"),
        ("3", "3 8 3.8.20", "which is Python 3.8; expected 3.9 or newer"),
        ("2", "2 10 2.10", "which is Python 2.10; expected 3.9 or newer"),
    ],
)
def test_what_is_no_python_here_is_refused(pythons: Pythons, name: str, says: str | None, why: str) -> None:
    """The refusal names the option, its value, what was found and what is expected."""
    pythons.says = says
    with pytest.raises(ValueError, match="^" + re.escape(f"--head-python is '{name}', {why}") + "$"):
        interpreter(name, "--head-python")


def test_a_variant_has_what_the_options_of_its_side_name(pythons: Pythons) -> None:
    """Without a Python none is asked; a variable that is set twice has its last value."""
    found = variant("head", ["six==1.*", "numpy"], "3.13", ["A=1", "_b2=x=y", "A=2", "empty="])
    assert found == Variant(
        requirements=("six==1.*", "numpy"),
        python="/opt/python3.13",
        python_version="3.13.5 (main)  [GCC 14]",
        variables={"A": "2", "_b2": "x=y", "empty": ""},
    )
    assert found.label == " with six==1.*, numpy, /opt/python3.13, A=2, _b2=x=y, empty=''"
    assert len(pythons.asked) == 1
    assert variant("head", ["six"], None, []) == Variant(("six",))
    assert variant("head", [], None, ["A=a b"]) == Variant(variables={"A": "a b"})
    assert len(pythons.asked) == 1


@pytest.mark.parametrize(
    ("side", "label"),
    [
        (AS_IT_IS, ""),
        (Variant(("six",)), " with six"),
        (Variant(python="/opt/python3", python_version="3"), " with /opt/python3"),
        (Variant(variables={"A": "a b", "C": "d"}), " with A='a b', C=d"),
    ],
)
def test_a_label_has_what_the_side_has(side: Variant, label: str) -> None:
    """A value is quoted where a shell would need it; the default has no label."""
    assert side.label == label


def test_an_older_python_is_isolated_by_an_option_that_it_knows() -> None:
    """-P came with 3.11; that of `regress` has it, and inherits the variables of the environment."""
    assert isolated(Variant(python="/opt/python3.9", python_version="3.9")) == "-I"
    assert isolated(AS_IT_IS) == isolated(Variant(("six",), variables={"A": "1"})) == "-P"


@pytest.mark.parametrize("side", ["base", "head"])
@pytest.mark.parametrize(
    ("requirements", "python", "variables", "why"),
    [
        (
            *(["six=1"], None, []),
            "--SIDE-with is 'six=1': Expected semicolon (after name with no version specifier) or end; "
            "expected a requirement as pip takes it: 'onnxruntime==1.31.*'",
        ),
        ([], "nowhere", [], f"--SIDE-python is 'nowhere', and there is no nowhere here; {EXPECTED}"),
        ([], None, ["A=1", "CC"], "--SIDE-env is 'CC'; expected NAME=VALUE, such as CC=clang"),
        ([], None, ["=x"], "--SIDE-env is '=x'; expected NAME=VALUE, such as CC=clang"),
        ([], None, ["1C=x"], "--SIDE-env is '1C=x'; expected NAME=VALUE, such as CC=clang"),
        ([], None, ["C-C=x"], "--SIDE-env is 'C-C=x'; expected NAME=VALUE, such as CC=clang"),
        ([], None, ["Cé=x"], "--SIDE-env is 'Cé=x'; expected NAME=VALUE, such as CC=clang"),
        ([], None, ["A=x\0y"], r"--SIDE-env is 'A=x\x00y'; expected NAME=VALUE, such as CC=clang"),
        *(
            (
                *([], None, [f"{name}=x"]),
                f"--SIDE-env sets {name}, which regress sets for each process itself; expected another variable",
            )
            for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONHASHSEED", "RNNBENCH_TURNS")
        ),
    ],
)
@pytest.mark.usefixtures("pythons")
def test_what_makes_no_variant_is_refused(
    side: str, requirements: list[str], python: str | None, variables: list[str], why: str
) -> None:
    """The refusal names the option, its value and what is expected, on one line."""
    with pytest.raises(ValueError, match="^" + re.escape(why.replace("SIDE", side)) + "$"):
        variant(side, requirements, python, variables)
