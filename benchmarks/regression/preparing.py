"""From revisions to sides that run their own code: the ways to run them, a dry run of each, and what it loaded.

The ways, in turn, until one has each side run its own:

1. *shared*: in the environment of this interpreter, from the sources.
2. *built*: the same, with a build of each revision.
3. *own*: in environments of their own, with a build of each.

Where a dry run shows that a side took a module from elsewhere that its own tree has in some other folder, it runs again
with that folder first on the path.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from benchmarks.regression.building import build
from benchmarks.regression.environments import (
    Choice,
    dependency_key,
    differences,
    environment_of,
    import_paths,
    packages_of,
)
from benchmarks.regression.origins import Origins, Own, Problem, problems_between, problems_of, roots_of
from benchmarks.regression.revisions import Revision, copy_of_checkout, worktrees
from benchmarks.regression.session import Side
from benchmarks.regression.session_record import Measured
from benchmarks.regression.sources import Sources, sources_of

Way = Literal["shared", "built", "own"]
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_SHOWN = 3
"""So many problems are told of; the others are of the same kind."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A side, what it may run, and what its dry run gave."""

    side: Side
    own: Own
    seen: Measured


class Preparation:
    """Revisions of the checkout at `top`, made ready for a suite in a scratch folder that outlives the sides.

    `look` is the dry run. `install` are further words for pip, for environments of their own; `options` for pytest.
    """

    def __init__(
        self,
        top: Path,
        suite: str,
        scratch: Path,
        *,
        look: Callable[[Side], Measured],
        say: Callable[[str], None],
        install: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        self._top, self._suite, self._scratch = top, suite, scratch
        self._look, self._say, self._install, self._options = look, say, install, tuple(options)
        self._number = 0

    def pair(self, base: Revision, head: Revision, choice: Choice) -> tuple[Prepared, Prepared]:
        """Base and head, each running its own code.

        Raises ValueError when no way has both do so, and where an environment or a build cannot be made.
        """
        base_ready, head_ready = self._first_that_works({"base": base, "head": head}, choice)
        return base_ready, head_ready

    def one(self, name: str, revision: Revision) -> Prepared:
        """A single revision in this interpreter's environment, from its sources or built."""
        (ready,) = self._first_that_works({name: revision}, "auto", own=False)
        return ready

    def _first_that_works(
        self, revisions: Mapping[str, Revision], choice: Choice, *, own: bool = True
    ) -> list[Prepared]:
        sources = {name: sources_of(revision.folder) for name, revision in revisions.items()}
        said = ""
        lacking: list[Problem] = []
        ways = list(self._ways(sources, choice, own=own))
        for number, way in enumerate(ways):
            # A build does not bring what this environment lacks.
            if way == "built" and lacking:
                continue
            if number:
                self._say(f"not measured so: {said}")
            ready, problems = self._try(way, revisions, sources)
            lacking = _lacking_here(ready) if "own" in ways[number + 1 :] else []
            problems += lacking
            if not problems:
                if way == "own":
                    _refuse_incomplete(ready)
                return ready
            by_module = list({problem.module: problem.said for problem in reversed(problems)}.values())[::-1]
            more = len(by_module) - _SHOWN
            said = "; ".join(by_module[:_SHOWN]) + (f"; and {more} more like these" if more > 0 else "")
        raise ValueError(f"nothing is measured, for a side would not run its own code: {said}. {_remedy(choice)}")

    def _ways(self, sources: Mapping[str, Sources], choice: Choice, *, own: bool) -> Iterator[Way]:
        if choice != "auto":
            yield choice
            return
        projects = [each.project_folder(self._suite) for each in sources.values()]
        keys = {dependency_key(each.folder, where) for each, where in zip(sources.values(), projects, strict=True)}
        buildable = all(where is not None for where in projects)
        if len(keys) == 1 or not own:
            if not (buildable and any(each.compiles for each in sources.values())):
                yield "shared"
            # Environments made by other tools than venv may have no pip.
            if buildable and importlib.util.find_spec("pip") is not None:
                yield "built"
            if not buildable:
                return
        if own:
            yield "own"

    def _try(
        self, way: Way, revisions: Mapping[str, Revision], sources: Mapping[str, Sources]
    ) -> tuple[list[Prepared], list[Problem]]:
        """The sides of one way, and why they cannot be measured; empty where they can."""
        made = [self._side(way, name, revision, sources[name]) for name, revision in revisions.items()]
        self._tell(way, [side for side, _ in made])
        ready, problems, roots = self._dry_run(made)
        if problems and any(roots):
            for (side, own), folders in zip(made, roots, strict=True):
                for folder in folders:
                    self._say(f"{side.name} runs again with {folder.relative_to(own.sources.folder)} first on the path")
            made = [
                (dataclasses.replace(side, import_paths=_first(side.import_paths, folders, own)), own)
                for (side, own), folders in zip(made, roots, strict=True)
            ]
            ready, problems, _ = self._dry_run(made)
        return ready, problems

    def _dry_run(
        self, made: Sequence[tuple[Side, Own]]
    ) -> tuple[list[Prepared], list[Problem], list[tuple[Path, ...]]]:
        ready = [Prepared(side, own, self._look(side)) for side, own in made]
        problems: list[Problem] = []
        roots: list[tuple[Path, ...]] = []
        origins: list[Origins] = []
        for each in ready:
            if each.seen.loaded is None:
                # What ended before it told has nothing to be judged either, unless it ended in the midst.
                if any(outcome == "passed" for outcome, _ in each.seen.outcomes.values()):
                    problems.append(Problem("", f"{each.own.name} ended before it told which files it runs"))
                roots.append(())
                continue
            origins.append(Origins(each.own, each.seen.loaded))
            unfound = _unfound(each.seen)
            problems += problems_of(origins[-1], unfound)
            roots.append(roots_of(origins[-1], unfound))
        if len(origins) == 2:  # base and head
            problems += problems_between(*origins)
        return ready, problems, roots

    def _side(self, way: Way, name: str, revision: Revision, sources: Sources) -> tuple[Side, Own]:
        checkouts = (self._top, *worktrees(self._top))
        if way == "shared":
            clean = revision.folder != self._top
            paths = import_paths(revision.folder)
            side = Side(name, revision.folder, sys.executable, self._suite, paths, options=self._options)
            return side, Own(name, sources, checkouts, clean=clean)
        python, project = sys.executable, sources.project_folder(self._suite)
        projects = [] if project is None else [str(project.relative_to(revision.folder))]
        if way == "own":
            python, local = environment_of(revision, project, self._say, self._install)
            projects = list(dict.fromkeys([*projects, *local]))
        if revision.folder == self._top:
            # A build leaves files, and finds those of earlier builds: not in the user's checkout.
            revision = copy_of_checkout(self._top, revision, self._new(name))
        layer = None
        if projects:
            layer = self._new(f"{name}-build")
            self._say(f"{revision.label} is built")
            build(revision, python, projects, layer)
        paths = (*([] if layer is None else [layer]), *import_paths(revision.folder))
        side = Side(
            name,
            revision.folder,
            python,
            self._suite,
            paths,
            options=self._options,
            inherits_python_path=way == "built",
        )
        # Sources are read again: a build has written beside them, and a copy has another place.
        return side, Own(name, sources_of(revision.folder), checkouts, layer)

    def _new(self, kind: str) -> Path:
        self._number += 1
        return self._scratch / f"{kind}-{self._number}"

    def _tell(self, way: Way, made: Sequence[Side]) -> None:
        if way != "own":
            who = "both run" if len(made) > 1 else f"{made[0].name} runs"
            what = "files" if way == "shared" else "build and files"
            self._say(f"{who} in the environment of {sys.executable}, each with its own {what} first on the path")
        elif len(made) > 1:
            self._say(differences(*(packages_of(side.python) for side in made)))


def _first(paths: Sequence[Path], roots: Sequence[Path], own: Own) -> tuple[Path, ...]:
    """The roots before the other paths, but after the build, which is the same code as it is installed."""
    built = [path for path in paths if path == own.build]
    return tuple(dict.fromkeys([*built, *roots, *paths]))


def _unfound(seen: Measured) -> frozenset[str]:
    """The modules that were looked for in vain, and that a failure speaks of."""
    reasons = [*seen.broken.values(), *(reason for outcome, reason in seen.outcomes.values() if outcome == "failed")]
    if not _anything_works(seen):
        reasons.append(seen.output)
    if seen.loaded is None:
        # pytest ended before it had collected: a plugin of the project's options, or a conftest's import.
        return frozenset(name for reason in reasons for name in _NO_MODULE.findall(reason))
    return frozenset(name for name in seen.loaded.missing if any(f"'{name}'" in reason for reason in reasons))


def _anything_works(seen: Measured) -> bool:
    return any(outcome == "passed" for outcome, _ in seen.outcomes.values())


def _lacking(ready: Prepared) -> list[str]:
    """The packages of others for want of which nothing of a side works."""
    if _anything_works(ready.seen):
        return []
    tops = {name.partition(".")[0] for name in _unfound(ready.seen)}
    return sorted(name for name in tops if not ready.own.sources.roots(name))


def _lacking_here(ready: Sequence[Prepared]) -> list[Problem]:
    """What the environment of this interpreter lacks; an environment of the side's own may have it."""
    return [
        Problem(name, f"{each.side.name} finds no {name}, which {each.side.python} does not have")
        for each in ready
        for name in _lacking(each)
    ]


def _refuse_incomplete(ready: Sequence[Prepared]) -> None:
    """Raise ValueError where a side in an environment of its own can run nothing, for want of what is not installed."""
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
        "Run this where the project is not installed from a checkout and PYTHONPATH leads to none, with a suite that "
        "imports the project as its users do; what is built has to be built by pip from the files that git has"
    )
