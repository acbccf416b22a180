"""The contents of a source tree: its Python modules, the parts that need a build, its projects and their names."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.regression.environments.revisions import git_files

SOURCE_ROOTS = (".", "src", "python", "lib")
"""The folders in which projects keep their packages, from the top of the tree."""
EXTENSIONS = (".so", ".pyd", ".dylib", ".dll")
_MODULES = (".py", ".pyx", ".pyc", *EXTENSIONS)
_COMPILED_FROM = (".c", ".cc", ".cpp", ".cxx", ".cu", ".f90", ".pyx", ".rs", ".go", ".i")
_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_BUILD_FILES = (*_PROJECT_FILES, "CMakeLists.txt", "meson.build", "Cargo.toml", "build.py")
_NO_SOURCES = {"site-packages", "dist-packages", "node_modules", "build", "dist", "__pycache__"}
_COMPILES = re.compile(
    r"ext_modules|ext-modules|\bExtension\(|cythonize|mypyc|cffi_modules|rust_extensions|setuptools[-_]rust"
    r"|CMakeExtension|pybind11|nanobind|maturin|mesonpy|meson-python|scikit[-_]build|cython|sipbuild|pymsbuild"
    r"|\[\[?tool\.hatch\.build\.(targets\.\w+\.)?hooks\.(cython|cmake|mypyc)",
    re.IGNORECASE,
)
"""The words in build files of projects with compiled modules."""


def is_extension(file: Path) -> bool:
    """Whether a file is a compiled module or another shared library, such as `libx.so.1`."""
    return file.suffix in EXTENSIONS or ".so." in file.name


def in_site_packages(inside: PurePosixPath | Path) -> bool:
    """Whether a path within a tree belongs to an installed package, in an environment that lies in the tree."""
    return any(part in {"site-packages", "dist-packages"} for part in inside.parts)


@dataclasses.dataclass(frozen=True)
class Sources:
    """The files of a source tree that matter to the import system; `sources_of` reads them."""

    folder: Path
    """The top of the tree."""
    modules: Mapping[str, tuple[str, ...]]
    """{last part of a module's name: paths from the top without suffix}, of files that can be imported as they are."""
    compiled_from: Mapping[str, tuple[str, ...]]
    """{stem: paths from the top without suffix} of files in languages that are compiled."""
    packages: frozenset[str]
    """The folders with an `__init__.py`, from the top."""
    project_files: tuple[str, ...]
    """The files by which pip knows a project, from the top."""
    build_text: str
    """The text of all build files."""

    def roots(self, module: str) -> list[Path]:
        """The folders from which a module could be imported under its full name, the topmost first."""
        wanted = module.replace(".", "/")
        found = [path for path in self.modules.get(module.rpartition(".")[2], ()) if f"/{path}".endswith(f"/{wanted}")]
        roots = {path.removesuffix(wanted).rstrip("/") for path in found}
        # A folder with __init__.py is a package, and its modules have a longer name.
        tops = sorted((root for root in roots if root not in self.packages), key=lambda root: (root.count("/"), root))
        return [self.folder / root for root in tops]

    def is_built(self, module: str) -> bool:
        """Whether the build of the project makes a module that the tree does not have."""
        last = module.rpartition(".")[2]
        wanted = module.replace(".", "/")
        sources = self.compiled_from.get(last, ())
        named = re.search(rf"\b{re.escape(last)}\b", self.build_text) is not None
        return named or any(f"/{path}".endswith(f"/{wanted}") for path in sources)

    @property
    def compiles(self) -> bool:
        """Whether the build files name compiled modules."""
        return _COMPILES.search(self.build_text) is not None

    def project_folder(self, suite: str) -> Path | None:
        """The folder that pip can install: the nearest above the suite, or the only one in the tree; None without."""
        folders = {(self.folder / file).parent for file in self.project_files}
        installable = sorted(folder for folder in folders if is_installable(folder))
        above = [folder for folder in installable if folder in (self.folder / suite).parents]
        if above:
            return max(above, key=lambda folder: len(folder.parts))
        return installable[0] if len(installable) == 1 else None

    def project_names(self) -> frozenset[str]:
        """The names of the distributions that are built from this tree, as far as its files name them literally."""
        return frozenset(name for file in self.project_files if (name := _name_in(self.folder / file)))


def sources_of(folder: Path) -> Sources:
    """The sources of a checkout or worktree, tracked by git or not."""
    patterns = [f"*{suffix}" for suffix in (*_MODULES, *_COMPILED_FROM)] + [f"*{name}" for name in _BUILD_FILES]
    modules: dict[str, set[str]] = defaultdict(set)
    compiled_from: dict[str, set[str]] = defaultdict(set)
    packages, project_files, texts = set(), [], []
    for file in git_files(folder, "ls-files", "-z", "--cached", "--others", "--", *patterns):
        path = PurePosixPath(file)
        if any(part in _NO_SOURCES or part.startswith(".") for part in path.parts[:-1]):
            continue
        if path.name in _PROJECT_FILES:
            project_files.append(file)
        if path.name in _BUILD_FILES:
            texts.append(read_text(folder / file))
        if path.name == "__init__.py":
            packages.add("" if str(path.parent) == "." else str(path.parent))
        # a.cpython-311-x86_64-linux-gnu.so is a.
        stem = path.with_name(path.name.partition(".")[0])
        stem = stem.parent if stem.name == "__init__" else stem
        if path.suffix in _MODULES:
            modules[stem.name].add(str(stem))
        if path.suffix in _COMPILED_FROM:
            compiled_from[stem.name].add(str(stem))
    return Sources(
        folder=folder,
        modules={name: tuple(sorted(paths)) for name, paths in modules.items()},
        compiled_from={name: tuple(sorted(paths)) for name, paths in compiled_from.items()},
        packages=frozenset(packages),
        project_files=tuple(project_files),
        build_text="\n".join(texts),
    )


def is_installable(folder: Path) -> bool:
    """Whether pip can install a folder; a pyproject.toml that only configures tools is not enough."""
    if (folder / "setup.py").is_file():
        return True
    settings = toml(folder / "pyproject.toml")
    return "project" in settings or "build-system" in settings or "poetry" in settings.get("tool", {})


def read_text(path: Path) -> str:
    """The text of a file; empty where it is a link, which may lead out of the revision, or no readable file."""
    try:
        return "" if path.is_symlink() or not path.is_file() else path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; empty where it cannot be parsed."""
    try:
        return tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def normalized(name: str) -> str:
    """The name of a distribution in the form that package indexes compare (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _name_in(file: Path) -> str:
    return normalized(next((name for name in _names_in(file) if isinstance(name, str) and name), ""))


def _names_in(file: Path) -> Iterator[object]:
    if file.name == "pyproject.toml":
        settings = toml(file)
        for table in (settings.get("project"), settings.get("tool", {}).get("poetry")):
            if isinstance(table, dict):
                yield table.get("name")
    elif file.name == "setup.cfg":
        parser = ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(read_text(file))
        except ConfigError:
            return
        yield parser.get("metadata", "name", fallback="")
    else:
        found = re.search(r"""\bname\s*=\s*["']([^"']+)["']""", read_text(file))
        yield found.group(1) if found else ""
