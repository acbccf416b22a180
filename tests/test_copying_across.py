"""A suite is copied into another revision's files: neither tree is left, whatever links either has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.files import copy_across
from tests.precious_files import content


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A checkout with a suite."""
    (tmp_path / "here" / "bench" / "suite" / "__pycache__").mkdir(parents=True)
    (tmp_path / "here" / "bench" / "suite" / "test_a.py").write_text("now")
    (tmp_path / "here" / "bench" / "suite" / "__pycache__" / "x.pyc").write_text("compiled")
    (tmp_path / "here" / "code.py").write_text("code now")
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Files of an old revision."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "code.py").write_text("code then")
    return tmp_path / "there"


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder of the user's that looks like a suite."""
    (tmp_path / "precious" / "suite").mkdir(parents=True)
    (tmp_path / "precious" / "suite" / "thesis.txt").write_text("years of work")
    return tmp_path / "precious"


LAID = {"bench/suite/test_a.py": "now", "code.py": "code then"}


def test_a_suite_takes_the_place_of_an_older_one(here: Path, there: Path) -> None:
    """All of it, without what Python compiled, and nothing else."""
    (there / "bench" / "suite").mkdir(parents=True)
    (there / "bench" / "suite" / "test_old.py").write_text("then")
    assert copy_across(here, there, "bench/suite") == []
    assert content(there) == LAID


@pytest.mark.parametrize("was", ["bench", "bench/suite"])
def test_a_file_gives_way_to_a_folder(was: str, here: Path, there: Path) -> None:
    """A file in the middle of the path, or at its end, is replaced."""
    (there / was).parent.mkdir(exist_ok=True)
    (there / was).write_text("then")
    copy_across(here, there, "bench/suite")
    assert content(there) == LAID


def test_a_folder_gives_way_to_a_file(here: Path, there: Path) -> None:
    """A suite of one file, with its mode."""
    (there / "test_a.py").mkdir()
    (here / "test_a.py").write_text("now")
    (here / "test_a.py").chmod(0o750)
    copy_across(here, there, "test_a.py")
    assert content(there) == {"code.py": "code then", "test_a.py": "now"}
    assert (there / "test_a.py").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("is_relative", [False, True])
@pytest.mark.parametrize(
    "leads_to", ["precious", "precious/suite/thesis.txt", "precious/none", "here", ".", "here/bench"]
)
@pytest.mark.parametrize("link", ["bench", "bench/suite"])
def test_a_link_out_of_the_revision_is_refused(
    link: str, leads_to: str, is_relative: bool, here: Path, there: Path, precious: Path
) -> None:
    """A link to a folder, a file, nothing, the checkout or the folder above is refused, in the middle or at the end."""
    place = there / link
    place.parent.mkdir(exist_ok=True)
    target = precious.parent / leads_to
    place.symlink_to(os.path.relpath(target, place.parent) if is_relative else target)
    before = content(precious.parent)
    with pytest.raises(ValueError, match=r"bench/suite leads out of .* by a link, to .*nothing there was changed"):
        copy_across(here, there, "bench/suite")
    assert content(precious.parent) == before


@pytest.mark.parametrize("link", ["bench", "bench/suite"])
def test_a_link_in_a_circle_is_refused(link: str, here: Path, there: Path) -> None:
    """A link in a circle has no target."""
    (there / link).parent.mkdir(exist_ok=True)
    (there / link).symlink_to(Path(link).name)
    with pytest.raises(ValueError, match="bench/suite leads out of"):
        copy_across(here, there, "bench/suite")


def test_a_link_within_the_revision_gives_way(here: Path, there: Path) -> None:
    """The link is replaced and not its target, which may be code."""
    (there / "bench").mkdir()
    (there / "bench" / "suite").symlink_to("../code.py")
    copy_across(here, there, "bench/suite")
    assert content(there) == LAID


def test_links_in_the_replaced_suite_are_not_followed(here: Path, there: Path, precious: Path) -> None:
    """The links are removed, and their targets stay."""
    (there / "bench" / "suite").mkdir(parents=True)
    (there / "bench" / "suite" / "data").symlink_to(precious)
    copy_across(here, there, "bench/suite")
    assert content(there) == LAID
    assert content(precious) == {"suite/thesis.txt": "years of work"}


@pytest.mark.parametrize("name", ["..", "../there", "/x", ".", "bench/../.."])
def test_a_name_that_leads_out_is_refused(name: str, here: Path, there: Path) -> None:
    """The name of the whole tree is refused too, as it would replace the revision's code."""
    with pytest.raises(ValueError, match="no name of something in a folder"):
        copy_across(here, there, name)
    assert content(there) == {"code.py": "code then"}


@pytest.mark.parametrize("is_relative", [False, True])
def test_a_link_to_the_projects_code_leads_to_the_revisions_own(is_relative: bool, here: Path, there: Path) -> None:
    """The checkout's code behind the link is not measured in place of the revision's."""
    target = here / "code.py"
    (here / "bench" / "suite" / "code.py").symlink_to("../../code.py" if is_relative else target)
    assert copy_across(here, there, "bench/suite") == []
    assert (there / "bench" / "suite" / "code.py").read_text() == "code then"


def test_a_link_out_of_the_checkout_is_said(here: Path, there: Path, precious: Path) -> None:
    """The link is copied as a link, so its target is neither copied nor written to."""
    (here / "bench" / "suite" / "data").symlink_to(precious)
    (said,) = copy_across(here, there, "bench/suite")
    assert said.endswith(f"data is a link out of the checkout: every revision meets what is in {precious} now")
    assert content(there)["bench/suite/data"] == f"-> {precious}"
    copy_across(here, there, "bench/suite")
    assert content(precious) == {"suite/thesis.txt": "years of work"}


def test_what_cannot_be_laid_is_passed_over_and_said(here: Path, there: Path) -> None:
    """Named pipes, and links that lead nowhere or in a circle, without waiting."""
    suite = here / "bench" / "suite"
    os.mkfifo(suite / "pipe")
    (suite / "dangling").symlink_to("none")
    (suite / "circle").symlink_to("circle")
    said = copy_across(here, there, "bench/suite")
    assert content(there) == LAID
    assert [line.rpartition("/suite/")[2] for line in said] == [
        "circle is a link that leads nowhere and was passed over",
        "dangling is a link that leads nowhere and was passed over",
        "pipe is a named pipe and was passed over",
    ]


def test_many_notes_are_counted(here: Path, there: Path) -> None:
    """An environment in the suite's folder has hundreds of links."""
    for number in range(9):
        (here / "bench" / "suite" / f"link-{number}").symlink_to("none")
    said = copy_across(here, there, "bench/suite")
    assert (len(said), said[-1]) == (6, "and 4 more such files in bench/suite")
