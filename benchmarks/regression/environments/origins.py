"""Whether each side of a comparison ran its own code, by the origins of the modules that it loaded.

A module is the project's when its file lies in any checkout of the repository, when it comes from a distribution that
is a build of the project, or when the side's tree has a module of its name and no other distribution owns the file.
Each such module must come from the side's own tree or from a build of it. Mapped libraries, and files of Python code
that were opened, count as modules where they lie in a checkout.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlparse

from benchmarks.regression.environments.revisions import git_files
from benchmarks.regression.environments.sources import SOURCE_ROOTS, Sources, in_site_packages, is_extension, normalized
from benchmarks.regression.processes.loaded import Loaded


@dataclasses.dataclass(frozen=True)
class OwnCode:
    """The code that is a side's own."""

    name: str
    """The name of the side."""
    sources: Sources
    """The contents of the side's tree."""
    checkouts: tuple[Path, ...]
    """All checkouts of the repository, the side's own included."""
    build: Path | None = None
    """The folder with the build of the tree, if there is one."""
    clean: bool = True
    """Whether only git and this run have written into the tree, which does not hold for the user's checkout."""


@dataclasses.dataclass(frozen=True)
class OriginProblem:
    """A module of the project that a side took from elsewhere, or did not find."""

    module: str
    fact: str
    """The fact as a clause for the user."""


def problems_of(side: Origins, not_found: frozenset[str] = frozenset()) -> list[OriginProblem]:
    """The modules that one side took from elsewhere, and those of its own that a build has to make and did not.

    `not_found` are modules that were not found, and for which tests of the suite failed.
    """
    own, built = side.of, _modules_in(side.of.build)
    found = []
    for module, file in side.foreign:
        found.append(OriginProblem(module, f"{own.name} runs {module} of {file}, which is not of its revision"))
    for module, file in side.own:
        compiled = built.get(module)
        if compiled is not None and is_extension(compiled) and not is_extension(file):
            found.append(
                OriginProblem(module, f"{own.name} runs {file}, in front of the compiled {module} of its build")
            )
    for module in side.missing:
        if module in built:
            found.append(
                OriginProblem(module, f"{own.name} finds no {module}, which its build has: other files are first")
            )
        elif own.build is None and "." in module and own.sources.is_built(module):
            found.append(OriginProblem(module, f"{own.name} finds no {module}, which has to be built"))
        elif own.build is None and module in not_found:
            found.append(OriginProblem(module, f"{own.name} finds no {module}, which its revision has"))
    return found


def problems_between(base: Origins, head: Origins) -> list[OriginProblem]:
    """The modules that were built but not committed, so that one side has them and the other lacks them."""
    found = []
    for one, other in ((base, head), (head, base)):
        made, generated = one.made(), one.generated()
        there, made_there = dict(other.own), other.made()
        for module, file in one.own:
            its = there.get(module)
            if file in made and module in other.missing:
                found.append(
                    OriginProblem(module, f"{one.of.name} runs {file}, which {other.of.name} asks for and lacks")
                )
            elif file in generated and its not in made_there:
                instead = "has none" if its is None else f"runs {its}"
                found.append(
                    OriginProblem(module, f"{one.of.name} runs {file}, not in git, and {other.of.name} {instead}")
                )
    return found


def roots_of(side: Origins, not_found: frozenset[str]) -> tuple[Path, ...]:
    """The folders of the side's tree from which it could import the modules that it took from elsewhere or missed."""
    sources = side.of.sources
    near = {sources.folder / root for root in SOURCE_ROOTS}
    found: list[Path] = []
    for module in dict.fromkeys([*(module for module, _ in side.foreign), *(set(side.missing) & not_found)]):
        roots = sources.roots(module)
        expected = [root for root in roots if root in near]
        # Of several folders it is unknown which one is meant.
        found += expected[:1] or (roots if len(roots) == 1 else [])
    return tuple(dict.fromkeys(found))


class Origins:
    """The project's modules that the process of a side loaded, by origin.

    `own` are (module, file) of the side's own code, `foreign` those from elsewhere, and `missing` the modules of the
    project that were not found.
    """

    def __init__(self, of: OwnCode, loaded: Loaded) -> None:
        self.of, self._loaded = of, loaded
        self._folder = _real(of.sources.folder)
        self._build = None if of.build is None else _real(of.build)
        self._checkouts = {_real(checkout) for checkout in of.checkouts} | {self._folder}
        self._standard = [_real(folder) for folder in loaded.standard]
        self._prefixes = [_real(folder) for folder in loaded.prefixes]
        self._distributed = _Distributed(of.sources.project_names(), self._checkouts, loaded.path)
        self.own: list[tuple[str, Path]] = []
        self.foreign: list[tuple[str, Path]] = []
        self._sort()
        self.missing = tuple(self._missing())

    def made(self) -> set[Path]:
        """Its own files that are not in git: the compiled files of a build, all new files of a checkout."""
        files = [file for _, file in self.own]
        if self._build is not None:
            return {file for file in files if is_extension(file)}
        folder = self.of.sources.folder
        tracked = set(git_files(folder, "ls-files", "-z", "--cached", "--recurse-submodules"))
        return {file for file in files if os.path.relpath(_real(file), self._folder) not in tracked}

    def generated(self) -> set[Path]:
        """The files of a user's checkout that are compiled and not in git, or that git ignores."""
        if self.of.clean:
            return set()
        # A module may lie in an archive, and git knows the archive only.
        names = {file: os.path.relpath(_existing(_real(file)), self._folder) for file in self.made()}
        ignored: set[str] = set()
        if names:
            listing = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--")
            ignored = set(git_files(self.of.sources.folder, "--literal-pathspecs", *listing, *names.values()))
        return {file for file, name in names.items() if name in ignored or is_extension(file)}

    def _sort(self) -> None:
        packages: set[str] = set()
        loaded = [(name, file) for name in sorted(self._loaded.modules) for file in self._loaded.modules[name]]
        others = [*self._libraries(), *self._read_elsewhere()]
        for module, file in [*loaded, *((other.name, other) for other in others)]:
            real = _real(file)
            if self._is_own(real):
                self.own.append((module, file))
            elif self._is_foreign(module, real, packages):
                self.foreign.append((module, file))
            else:
                continue
            packages.add(module)

    def _missing(self) -> Iterator[str]:
        for module, folders in self._loaded.missing.items():
            if any(self._is_own(_real(folder)) for folder in folders) or (
                "." not in module and self.of.sources.roots(module)
            ):
                yield module

    def _libraries(self) -> list[Path]:
        """The mapped libraries that lie in a checkout and are not modules."""
        modules = {_real(file) for files in self._loaded.modules.values() for file in files}
        libraries = [_real(library) for library in self._loaded.libraries]
        return [each for each in libraries if each not in modules and self._checkout_of(each) is not None]

    def _read_elsewhere(self) -> list[Path]:
        """The files of code that were opened in another checkout and are not modules."""
        modules = {_real(file) for files in self._loaded.modules.values() for file in files}
        files = {_real(file) for file in self._loaded.read} - modules
        return sorted(file for file in files if self._checkout_of(file) not in (None, self._folder))

    def _is_own(self, file: Path) -> bool:
        if self._build is not None and file.is_relative_to(self._build):
            return True
        return self._checkout_of(file) == self._folder

    def _checkout_of(self, file: Path) -> Path | None:
        """The innermost checkout that has the file; None for a file of an environment within a checkout."""
        around = [each for each in self._checkouts if file.is_relative_to(each)]
        if not around:
            return None
        innermost = max(around, key=lambda each: len(each.parts))
        environments = [each for each in self._prefixes if innermost in each.parents]
        installed = in_site_packages(file.relative_to(innermost)) or any(map(file.is_relative_to, environments))
        return None if installed else innermost

    def _is_foreign(self, module: str, file: Path, packages: set[str]) -> bool:
        if self._checkout_of(file) is not None:
            return True
        if not in_site_packages(file) and any(file.is_relative_to(folder) for folder in self._standard):
            return False
        roots = self.of.sources.roots(module)
        inside = module.rpartition(".")[0] in packages
        owner = self._distributed.owner(file)
        if owner is None:
            # A copy on PYTHONPATH, or a library that was compiled into a cache.
            return bool(roots) or inside
        if owner:
            # The import hook of an editable install belongs to the project's distribution, and not to the project.
            return bool(roots) or inside or is_extension(file)
        return any(root == self.of.sources.folder / near for root in roots for near in SOURCE_ROOTS)


class _Distributed:
    """The distributions on a path; those with the project's name, or installed from a checkout, are its builds."""

    def __init__(self, names: frozenset[str], checkouts: set[Path], path: Sequence[Path]) -> None:
        self._names, self._checkouts = names, checkouts
        self._distributions = list(importlib.metadata.distributions(path=[str(entry) for entry in path]))
        self._files: dict[str, bool] | None = None

    def owner(self, file: Path) -> bool | None:
        """Whether a build of the project owns a file; None where no distribution owns it."""
        if self._files is None:
            self._files = {}
            for distribution in self._distributions:
                is_build, root = self._is_build(distribution), _real(Path(str(distribution.locate_file(""))))
                for each in distribution.files or ():
                    if each.suffix in {".py", ".pyc", ".pth"} or is_extension(Path(each)):
                        key = os.path.normpath(root / each)
                        self._files[key] = is_build or self._files.get(key, False)
        return self._files.get(str(file))

    def _is_build(self, distribution: importlib.metadata.Distribution) -> bool:
        name = distribution.metadata["Name"]
        if name and normalized(name) in self._names:
            return True
        folder = local_folder(distribution)
        return folder is not None and any(folder.is_relative_to(each) for each in self._checkouts)


def local_folder(distribution: importlib.metadata.Distribution) -> Path | None:
    """The folder from which a distribution was installed; None where it came from an index."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        url = urlparse(origin["url"]) if "dir_info" in origin else None
    except (ValueError, KeyError, TypeError):
        return None
    return _real(Path(unquote(url.path))) if url is not None and url.scheme == "file" else None


def _modules_in(build: Path | None) -> Mapping[str, Path]:
    """{module: file} of a folder with installed modules; compiled files come before sources."""
    if build is None:
        return {}
    found: dict[str, Path] = {}
    for file in build.rglob("*"):
        if file.suffix == ".py" or is_extension(file):
            stem = file.relative_to(build).with_name(file.name.partition(".")[0])
            module = ".".join((stem.parent if stem.name == "__init__" else stem).parts)
            if module not in found or is_extension(file):
                found[module] = file
    return found


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
