"""Try `regress` on the suites of public projects, and tabulate its verdicts.

The source distributions of two releases become the two commits of a repository; a project whose distributions have no
suite is taken from a clone. `regress` judges the older release against itself, which is equal code, then the newer
release against the older, and the older one with an injected slowdown against itself. The projects are listed in
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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import program
from benchmarks.files import make_folder, make_named, open_to_append, scratch_folder, write
from benchmarks.presentation.plain_text import LONGEST, NOTHING, clean, code, escape, table
from benchmarks.regression.environments.installing import failure
from benchmarks.regression.environments.revisions import git
from benchmarks.regression.slowed import slowed
from benchmarks.sweeps import parse_duration

LIST = Path(__file__).with_suffix(".toml")
SLOWER = 1
STATUSES = {0, SLOWER, 2, 3}
"""The exit statuses of `regress` that are no fault of it."""
KINDS = ("same", "newer", "slowed")
"""The comparisons: equal code, two releases, and an injected slowdown."""
SLOWED = "slowed"
"""The tag of the older release with the slowdown."""
_HEADER = ("project", "releases", "suite", "what ran", "the same code", "the newer release", "slowed", "minutes")
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
    first: tuple[str, ...] = ()
    """Parts of names of the cases that matter most."""
    slow: str = ""
    """The function that is slowed, such as `src/pkg/core.py:Class.method`; none if empty."""
    loops: int = 0
    """How many turns of an empty loop each call of that function takes longer."""


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
    return [
        Project(**{**entry, "install": tuple(entry.get("install", ())), "first": tuple(entry.get("first", ()))})
        for entry in entries
    ]


def download(name: str, version: str, folder: Path) -> Path:
    """The source distribution of a release, which pip downloads into a folder. Raises ValueError with pip's reason."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    why = failure([*command, "--no-binary", name, "--dest", str(folder), f"{name}=={version}"], folder)
    files = [file for file in folder.iterdir() if file.name.endswith(".tar.gz")]
    if why or len(files) != 1:
        raise ValueError(f"{name} {version} has no source distribution that pip downloads: {why or 'not one .tar.gz'}")
    return files[0]


def repository_of(project: Project, folder: Path, fetch: Download = download, clone: Path | None = None) -> Path:
    """A git repository in the folder with a commit for each of the two releases, tagged with its version.

    Where the project has a function to slow down, a third commit is the older release with it slowed. `clone` is a
    repository with tags of the versions, in place of source distributions. Raises ValueError.
    """
    if clone is not None:
        git(folder, "clone", "--quiet", "--no-checkout", str(clone), str(folder / "repository"))
        repository = folder / "repository"
    else:
        repository = _repository_of_archives(project, folder, fetch)
    git(repository, *_IDENTITY, "checkout", "--quiet", "--force", "--detach", project.base)
    if project.slow:
        path, _, name = project.slow.partition(":")
        text = (repository / path).read_text(encoding="utf-8")
        write(repository, path, slowed(text, name, project.loops))
        git(repository, *_IDENTITY, "commit", "--quiet", "--no-verify", "--all", "--message", "slowed")
        git(repository, *_IDENTITY, "tag", SLOWED)
        git(repository, "checkout", "--quiet", "--detach", project.base)
    return repository


def _repository_of_archives(project: Project, folder: Path, fetch: Download) -> Path:
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
    words += [word for part in project.first for word in ("--first", part)]
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


def row(project: Project, runs: Mapping[str, RegressRun], seconds: float) -> tuple[str, ...]:
    """The row of a project in the table; a comparison that was not made is a dash."""
    return (
        escape(project.name),
        f"{escape(project.base)}, {escape(project.head)}",
        code(f"{project.suite} {project.pytest}".strip()),
        runs[list(runs)[-1]].way,
        *(f"{runs[kind].status}: {escape(runs[kind].summary)}" if kind in runs else NOTHING for kind in KINDS),
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
    parser.add_argument("--kinds", default=",".join(KINDS), metavar="A,B", help=f"comparisons, of {', '.join(KINDS)}")
    parser.add_argument(
        "--clones", type=Path, metavar="DIR", help="take a project that has a repository of its name here from that"
    )
    parser.add_argument("--list", type=Path, default=LIST, metavar="FILE", help="a TOML file of projects")
    given = parser.parse_args(arguments)
    projects = {project.name: project for project in read_projects(given.list)}
    unknown = [name for name in given.names if name not in projects]
    if unknown:
        parser.error(f"{unknown[0]} is not listed in {given.list}; expected one of {', '.join(projects)}")
    kinds = given.kinds.split(",")
    if not set(kinds) <= set(KINDS):
        parser.error(f"--kinds is {given.kinds}; expected some of {', '.join(KINDS)}")
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
                clone = None if given.clones is None else given.clones / name
                there = clone if clone is not None and clone.exists() else None
                repository = repository_of(project, scratch, fetch, there)
            except ValueError as error:
                print(f"{name}: {error}", file=sys.stderr)
                status = status or 2
                continue
            heads = {"same": project.base, "newer": project.head, "slowed": SLOWED if project.slow else ""}
            runs = {
                kind: judge_project(project, repository, heads[kind], out / name / kind, given.budget)
                for kind in KINDS
                if kind in kinds and heads[kind]
            }
        if not runs:
            continue
        rows.append(row(project, runs, time.monotonic() - began))
        print(" | ".join(rows[-1]), flush=True)
        write(out, "table.md", table(_HEADER, rows))
        is_alarm = "same" in runs and runs["same"].status == SLOWER
        if is_alarm or not {run.status for run in runs.values()} <= STATUSES:
            status = SLOWER
    return status


if __name__ == "__main__":
    sys.exit(main())
