"""From revisions to sides, the revisions as they are measured: each runs its own code, which a dry run shows.

The ways to run them are tried in this order, until each side runs its own code:

1. *shared*: in the environment of this interpreter, from the sources.
2. *built*: in the same environment, with a build of each revision.
3. *own*: in an environment for each, with a build.

A side that took a module from elsewhere, though its tree has it in a folder that is not on the path, runs again with
that folder first on the path, and again with that of a module that shows only then.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from benchmarks.regression.environments.building import build, run_steps
from benchmarks.regression.environments.installed import differences, packages_of
from benchmarks.regression.environments.kept_environments import Choice, dependency_key, environment_of, import_paths
from benchmarks.regression.environments.origins import (
    OriginProblem,
    Origins,
    OwnCode,
    problems_between,
    problems_of,
    roots_of,
)
from benchmarks.regression.environments.requirements import NOTHING_ELSE, Needs
from benchmarks.regression.environments.revisions import Revision, copy_of_checkout, worktrees
from benchmarks.regression.environments.sources import Sources, sources_of
from benchmarks.regression.environments.variants import AS_IT_IS, Variant
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side

Way = Literal["shared", "built", "own"]
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_MOST_FOLDERS = 5
"""Times that a side runs again with further folders first on the path."""
_SHOWN = 3
"""The number of problems that are named; the others are of the same kind."""


@dataclasses.dataclass(frozen=True)
class PreparedSide:
    """A side that is ready to be measured, the code that is its own, and the record of its dry run."""

    side: Side
    own: OwnCode
    dry_run: ProcessRecord


class Preparation:
    """Prepares revisions of a checkout for a suite.

    Args:
        top: The top of the checkout.
        suite: The path of the suite from the top.
        scratch: A folder for builds, which outlives the sides.
        dry_run: Runs every test of a side once, unmeasured.
        say: Is called with each sentence for the user.
        needs: The needs of the suite beside the project.
        variants: {name of a side: what it has beside its revision}.

    `installed` are {name of a side: {package: version}} of its environment, once the sides are ready.
    """

    def __init__(
        self,
        top: Path,
        suite: str,
        scratch: Path,
        *,
        dry_run: Callable[[Side], ProcessRecord],
        say: Callable[[str], None],
        needs: Needs = NOTHING_ELSE,
        variants: Mapping[str, Variant] | None = None,
    ) -> None:
        self._top, self._suite, self._scratch = top, suite, scratch
        self._dry_run, self._say, self._needs, self._variants = dry_run, say, needs, variants or {}
        self._number = 0
        self.installed: dict[str, Mapping[str, str]] = {}

    def pair(self, base: Revision, head: Revision, choice: Choice) -> tuple[PreparedSide, PreparedSide]:
        """Base and head, each of which runs its own code.

        Raises ValueError where no way makes both do so, and where an environment or a build cannot be made.
        """
        base_ready, head_ready = self._first_that_works({"base": base, "head": head}, choice)
        return base_ready, head_ready

    def one(self, name: str, revision: Revision, *, own: bool = False) -> PreparedSide:
        """A single revision in the environment of this interpreter, from its sources or built, or in one of its own.

        Raises as `pair` does.
        """
        (ready,) = self._first_that_works({name: revision}, "own" if own else "auto", own_environment=own)
        return ready

    def _first_that_works(
        self, revisions: Mapping[str, Revision], choice: Choice, *, own_environment: bool = True
    ) -> list[PreparedSide]:
        """The sides by the first way in which each runs its own code. Raises ValueError with the last problems."""
        sources = {name: sources_of(revision.folder) for name, revision in revisions.items()}
        why = ""
        lacking: list[OriginProblem] = []
        ways = list(self._ways(sources, choice, own_environment=own_environment))
        for number, way in enumerate(ways):
            # A build does not install the packages that this environment lacks.
            if way == "built" and lacking:
                continue
            if number:
                self._say(f"not measured so: {why}")
            ready, problems = self._try(way, revisions, sources)
            lacking = _lacking_here(ready) if "own" in ways[number + 1 :] else []
            problems += lacking
            if not problems:
                if way == "own":
                    _refuse_incomplete(ready)
                return ready
            by_module = list({problem.module: problem.fact for problem in reversed(problems)}.values())[::-1]
            more = len(by_module) - _SHOWN
            why = "; ".join(by_module[:_SHOWN]) + (f"; and {more} more like these" if more > 0 else "")
        raise ValueError(f"nothing is measured, since a side would not run its own code: {why}. {_remedy(choice)}")

    def _ways(self, sources: Mapping[str, Sources], choice: Choice, *, own_environment: bool) -> Iterator[Way]:
        """The ways to try, in order: the user's choice alone, or those that the files of the revisions allow."""
        if choice != "auto":
            yield choice
            return
        projects = [each.project_folder(self._suite) for each in sources.values()]
        keys = {dependency_key(each.folder, where) for each, where in zip(sources.values(), projects, strict=True)}
        buildable = all(where is not None for where in projects)
        if len(keys) == 1 or not own_environment:
            if not (buildable and any(each.compiles for each in sources.values())):
                yield "shared"
            # Environments made by other tools than venv may have no pip.
            if buildable and importlib.util.find_spec("pip") is not None:
                yield "built"
            if not buildable:
                return
        if own_environment:
            yield "own"

    def _try(
        self, way: Way, revisions: Mapping[str, Revision], sources: Mapping[str, Sources]
    ) -> tuple[list[PreparedSide], list[OriginProblem]]:
        """The sides of one way, and the problems for which they cannot be measured."""
        made = [self._side(way, name, revision, sources[name]) for name, revision in revisions.items()]
        listed = {side.python: packages_of(side.python) for side, _ in made}
        self.installed = {side.name: listed[side.python] for side, _ in made}
        self._say_where(way, [side for side, _ in made])
        ready, problems, roots = self._run_dry(made)
        for _ in range(_MOST_FOLDERS):
            # A package that is found asks for the next one, which may lie in a folder of its own.
            if not problems or all(
                set(more) <= set(side.import_paths) for (side, _), more in zip(made, roots, strict=True)
            ):
                break
            for (side, own), folders in zip(made, roots, strict=True):
                for folder in (each for each in folders if each not in side.import_paths):
                    self._say(f"{side.name} runs again with {folder.relative_to(own.sources.folder)} first on the path")
            made = [
                (dataclasses.replace(side, import_paths=_first(side.import_paths, folders, own)), own)
                for (side, own), folders in zip(made, roots, strict=True)
            ]
            ready, problems, roots = self._run_dry(made)
        return ready, problems

    def _run_dry(
        self, made: Sequence[tuple[Side, OwnCode]]
    ) -> tuple[list[PreparedSide], list[OriginProblem], list[tuple[Path, ...]]]:
        """The dry run of each side, its problems, and the folders in which it has what it took from elsewhere."""
        ready = [PreparedSide(side, own, self._dry_run(side)) for side, own in made]
        problems: list[OriginProblem] = []
        roots: list[tuple[Path, ...]] = []
        origins: list[Origins] = []
        for each in ready:
            if each.dry_run.loaded is None:
                # A process that ended before its first test has no case to judge.
                if each.dry_run.any_passed:
                    problems.append(OriginProblem("", f"{each.own.name} ended before it wrote which files it runs"))
                roots.append(())
                continue
            origins.append(Origins(each.own, each.dry_run.loaded))
            not_found = _not_found(each.dry_run)
            problems += problems_of(origins[-1], not_found)
            roots.append(roots_of(origins[-1], not_found))
        if len(origins) == 2:  # base and head
            problems += problems_between(*origins)
        return ready, problems, roots

    def _side(self, way: Way, name: str, revision: Revision, sources: Sources) -> tuple[Side, OwnCode]:
        checkouts = (self._top, *worktrees(self._top))
        variant = self._variants.get(name, AS_IT_IS)
        python, project = sys.executable, sources.project_folder(self._suite)
        projects = [] if project is None else [str(project.relative_to(revision.folder))]
        if way == "own":
            python, local = environment_of(revision, project, self._say, self._needs, variant)
            projects = list(dict.fromkeys([*projects, *local]))
        is_copied = way != "shared" or bool(self._needs.build)
        if is_copied and revision.folder == self._top:
            # A build writes files, and finds those of earlier builds, so it takes place in a copy.
            revision = copy_of_checkout(self._top, revision, self._new(name))
        run_steps(revision, python, self._needs.build, variant)
        build_folder = None
        if projects and way != "shared":
            build_folder = self._new(f"{name}-build")
            self._say(f"{revision.label} is built")
            build(revision, python, projects, build_folder, variant)
        side = Side(
            name=name,
            folder=revision.folder,
            python=python,
            suite=self._suite,
            import_paths=(*([] if build_folder is None else [build_folder]), *import_paths(revision.folder)),
            variables=variant.variables,
            options=self._needs.options,
            inherits_python_path=way != "own",
        )
        # The sources are read again: a build has written beside them, and a copy lies elsewhere.
        sources = sources_of(revision.folder) if is_copied else sources
        is_clean = revision.folder != self._top
        return side, OwnCode(name, sources, checkouts, build_folder, clean=is_clean)

    def _new(self, kind: str) -> Path:
        self._number += 1
        return self._scratch / f"{kind}-{self._number}"

    def _say_where(self, way: Way, made: Sequence[Side]) -> None:
        if way != "own":
            who = "both run" if len(made) > 1 else f"{made[0].name} runs"
            what = "files" if way == "shared" else "build and files"
            self._say(f"{who} in the environment of {sys.executable}, each with its own {what} first on the path")
        elif len(made) > 1:
            asked = [each for variant in self._variants.values() for each in variant.requirements]
            base, head = (self.installed[side.name] for side in made)
            self._say(differences(base, head, asked))


def _first(paths: Sequence[Path], roots: Sequence[Path], own: OwnCode) -> tuple[Path, ...]:
    """The paths with the roots first, but after the build, which is the same code in its installed form."""
    built = [path for path in paths if path == own.build]
    return tuple(dict.fromkeys([*built, *roots, *paths]))


def _not_found(dry_run: ProcessRecord) -> frozenset[str]:
    """The modules that were not found, and that the reason of a failure names."""
    reasons = [*dry_run.broken.values(), *dry_run.failures.values()]
    if not dry_run.any_passed:
        reasons.append(dry_run.output)
    if dry_run.loaded is None:
        # pytest ended before it had collected: a plugin of the project's options, or the import of a conftest.
        return frozenset(name for reason in reasons for name in _NO_MODULE.findall(reason))
    return frozenset(name for name in dry_run.loaded.missing if any(f"'{name}'" in reason for reason in reasons))


def _lacking(ready: PreparedSide) -> list[str]:
    """The packages that a side needs and its environment lacks, where none of its tests works."""
    if ready.dry_run.any_passed:
        return []
    tops = {name.partition(".")[0] for name in _not_found(ready.dry_run)}
    return sorted(name for name in tops if not ready.own.sources.roots(name))


def _lacking_here(ready: Sequence[PreparedSide]) -> list[OriginProblem]:
    """The packages that the environment of this interpreter lacks; one of the side's own may have them."""
    return [
        OriginProblem(name, f"{each.side.name} finds no {name}, which {each.side.python} does not have")
        for each in ready
        for name in _lacking(each)
    ]


def _refuse_incomplete(ready: Sequence[PreparedSide]) -> None:
    """Raise ValueError where a side in an environment of its own can run nothing for want of a package."""
    for each in ready:
        lacking = _lacking(each)
        if lacking:
            raise ValueError(
                f"the environment of {each.side.name} lacks {', '.join(lacking)}, which the suite asks for and the "
                f"project does not name for its tests: install it by --install {lacking[0]}, or use --environment "
                "shared"
            )


def _remedy(choice: Choice) -> str:
    if choice == "shared":
        return "Use --environment own, which builds each revision; or --environment auto"
    return (
        "Run this where the project is not installed from a checkout and PYTHONPATH names none, with a suite that "
        "imports the project as its users do; pip has to be able to build the project from the files that git has"
    )
