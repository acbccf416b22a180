"""Try `regress` on the suites of public projects, and tabulate its verdicts.

The source distributions of two releases become the two commits of a repository. `regress` judges the older release
against itself, which is equal code, and then the newer release against the older. The projects are listed in
`real_suites.toml` beside this file.

Run by `nox -s real-suites`, or `python -m benchmarks.regression.real_suites pluggy --budget 2m`. Exit status 1 where
`regress` called equal code slower or ended with an unknown status, and 2 where a project could not be downloaded or is
not listed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tarfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import program
from benchmarks.files import make_folder, make_named, open_to_append, scratch_folder, write
from benchmarks.presentation.plain_text import LONGEST, clean, code, escape, table
from benchmarks.regression.installing import failure
from benchmarks.regression.revisions import git
from benchmarks.sweeps import parse_duration

LIST = Path(__file__).with_suffix(".toml")
SLOWER = 1
STATUSES = {0, SLOWER, 2, 3}
"""The exit statuses of `regress` that are no fault of it."""
_HEADER = ("project", "releases", "suite", "what ran", "the same code", "the newer release", "minutes")
_IS_GENERATED = b"track in version control"
"""Part of the first lines of version files that setuptools-scm and hatch-vcs generate: do not track them."""
_IDENTITY = ("-c", "user.name=real suites", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")


@dataclasses.dataclass(frozen=True)
class Project:
    """A project on the package index, and two releases of it."""

    name: str
    base: str
    """The version of the older release."""
    head: str
    """The version of the newer release."""
    suite: str
    """The path of the suite in the source distributions."""
    install: tuple[str, ...] = ()
    """Requirements of the suite that the project does not name for its tests."""
    pytest: str = ""
    """Options for pytest."""


@dataclasses.dataclass(frozen=True)
class RegressRun:
    """The result of a run of `regress`: its exit status, a summary, and the way in which the sides ran."""

    status: int
    summary: str
    way: str


Download = Callable[[str, str, Path], Path]
"""Downloads a source distribution, by a project's name and a version, into a folder; raises ValueError."""


def read_projects(path: Path = LIST) -> list[Project]:
    """The projects that a TOML file lists."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return [Project(**{**entry, "install": tuple(entry.get("install", ()))}) for entry in entries]


def download(name: str, version: str, folder: Path) -> Path:
    """The source distribution of a release, which pip downloads into a folder. Raises ValueError with pip's reason."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    why = failure([*command, "--no-binary", name, "--dest", str(folder), f"{name}=={version}"], folder)
    files = [file for file in folder.iterdir() if file.name.endswith(".tar.gz")]
    if why or len(files) != 1:
        raise ValueError(f"{name} {version} has no source distribution that pip downloads: {why or 'not one .tar.gz'}")
    return files[0]


def repository_of(project: Project, folder: Path, fetch: Download = download) -> Path:
    """A git repository in the folder with a commit for each of the two releases, tagged with its version."""
    repository = make_folder(folder, "repository")
    git(repository, "init", "--quiet")
    for version in (project.base, project.head):
        archive = fetch(project.name, version, make_folder(folder, f"archive/{version}"))
        tree = _unpacked(archive, make_folder(folder, f"files/{version}"))
        there = (f"--git-dir={repository / '.git'}", f"--work-tree={tree}", *_IDENTITY)
        git(tree, *there, "add", "--all", "--force", "--", ".", *_generated(tree))
        git(tree, *there, "commit", "--quiet", "--allow-empty", "--message", f"{project.name} {version}")
        # Some build backends ask git for the version.
        git(repository, *_IDENTITY, "tag", version)
    git(repository, "reset", "--quiet", "--hard")
    return repository


def judge_project(project: Project, repository: Path, head: str, out: Path, budget: str) -> RegressRun:
    """Run `regress` on a repository, from the older release to `head`, and read its files and output."""
    words = ["--base", project.base, "--head", head, "--suite", project.suite, "--budget", budget, "--out", str(out)]
    words += [word for requirement in project.install for word in ("--install", requirement)]
    words += ["--pytest", project.pytest] if project.pytest else []
    make_named(out)
    with open_to_append(out, "said.txt") as output:
        began = output.seek(0, 2)
        done = subprocess.run(  # noqa: S603  # this project, by this interpreter
            [sys.executable, "-m", program.PACKAGE, "regress", *words],
            cwd=repository,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    with (out / "said.txt").open(encoding="utf-8", errors="replace") as file:
        file.seek(began)
        lines = [clean(line, LONGEST) for line in file if line.strip()]
    return RegressRun(done.returncode, _summary(out, done.returncode, lines), _way(lines))


def _summary(out: Path, status: int, lines: Sequence[str]) -> str:
    """The number of cases by verdict, and the range of ratios that changed; the reason where no case was judged."""
    errors = [line for line in lines if line.startswith("error:")]
    if errors:
        return errors[-1].removeprefix("error:").strip()
    try:
        content = json.loads((out / "regress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return lines[-1] if lines else f"it ended with {status} and printed nothing"
    if content["decision"] is None or content["unfit"]:
        return str(content["summary"])
    final: dict[str, Any] = content["decision"]["final"]
    kinds = Counter([each["verdict"] for each in final.values()] + [kind for kind, _ in content["excluded"].values()])
    moved = [each["estimate"]["ratio"] for each in final.values() if each["verdict"] in ("slower", "faster")]
    between = f" (ratios {min(moved):.2f} to {max(moved):.2f})" if moved else ""
    return ", ".join(f"{number} {kind}" for kind, number in kinds.items()) + between


def _way(lines: Sequence[str]) -> str:
    """The way in which the sides finally ran, of those in docs/regression.md."""
    if any(" its own build and files first on the path" in line for line in lines):
        return "built"
    if any(" gets an environment of its own" in line or ", built before" in line for line in lines):
        return "own"
    if any(" runs again with " in line for line in lines):
        return "shared, with a folder"
    return "shared" if any(" its own files first on the path" in line for line in lines) else "none"


def row(project: Project, same: RegressRun, newer: RegressRun, seconds: float) -> tuple[str, ...]:
    """The row of a project in the table."""
    return (
        escape(project.name),
        f"{escape(project.base)}, {escape(project.head)}",
        code(f"{project.suite} {project.pytest}".strip()),
        newer.way,
        f"{same.status}: {escape(same.summary)}",
        f"{newer.status}: {escape(newer.summary)}",
        f"{seconds / 60:.0f}",
    )


def _generated(tree: Path) -> list[str]:
    """The pathspecs that leave out files which a build writes: no repository has them."""
    versions = [file for file in tree.rglob("*.py") if _IS_GENERATED in file.read_bytes()[:500]]
    return [":(exclude,glob)**/*.egg-info/**", *(f":(exclude,top){file.relative_to(tree)}" for file in versions)]


def _unpacked(archive: Path, folder: Path) -> Path:
    """The single folder of an archive, unpacked into `folder`.

    Raises ValueError for an archive of another form, and for entries that would leave the folder or are neither files,
    folders nor links within it.
    """
    try:
        with tarfile.open(archive) as content:
            content.extractall(folder, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise ValueError(f"{archive.name} cannot be unpacked: {error}; expected a source distribution") from None
    found = list(folder.iterdir())
    if len(found) != 1 or not found[0].is_dir():
        raise ValueError(f"{archive.name} holds {len(found)} entries at its top; expected one folder")
    return found[0]


def main(arguments: Sequence[str] | None = None, fetch: Download = download) -> int:
    """Try the projects that the command line names, write table.md after each, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regression.real_suites", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PROJECT", help="a listed project; all if none is named")
    parser.add_argument("--budget", default="5m", metavar="TIME", help="the budget of each run of regress: 90s, 5m")
    parser.add_argument("--out", type=Path, default=Path("results/real-suites"), metavar="DIR")
    parser.add_argument("--list", type=Path, default=LIST, metavar="FILE", help="a TOML file of projects")
    given = parser.parse_args(arguments)
    projects = {project.name: project for project in read_projects(given.list)}
    unknown = [name for name in given.names if name not in projects]
    if unknown:
        parser.error(f"{unknown[0]} is not listed in {given.list}; expected one of {', '.join(projects)}")
    try:
        parse_duration(given.budget)
    except ValueError as error:
        parser.error(str(error))
    out: Path = given.out.resolve()
    make_named(out)
    rows: list[tuple[str, ...]] = []
    status = 0
    for name in given.names or projects:
        project, began = projects[name], time.monotonic()
        with scratch_folder("real-suite") as scratch:
            try:
                repository = repository_of(project, scratch, fetch)
            except ValueError as error:
                print(f"{name}: {error}", file=sys.stderr)
                status = status or 2
                continue
            same, newer = (
                judge_project(project, repository, head, out / name / kind, given.budget)
                for kind, head in (("same", project.base), ("newer", project.head))
            )
        rows.append(row(project, same, newer, time.monotonic() - began))
        print(" | ".join(rows[-1]), flush=True)
        write(out, "table.md", table(_HEADER, rows))
        if same.status == SLOWER or not {same.status, newer.status} <= STATUSES:
            status = SLOWER
    return status


if __name__ == "__main__":
    sys.exit(main())
