"""Whether a suite holds none of the code that it measures: it replaces the suite of every revision in a history."""

from __future__ import annotations

import ast
import os
from pathlib import Path, PurePosixPath

from benchmarks.regression.environments.preparing import PreparedSide
from benchmarks.regression.environments.revisions import git_files
from benchmarks.regression.environments.sources import SOURCE_ROOTS, read_text

_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_NO_CODE = ("conftest.py", "__init__.py")
_TESTS = {"test", "tests", "testing", "bench", "benchmark", "benchmarks"}


def refuse_measured_code(top: Path, suite: str) -> None:
    """Raise ValueError for a suite of the checkout that holds the project, or modules that the project imports."""
    name = PurePosixPath(Path(suite).as_posix())
    if str(name) == ".":
        raise _refusal(suite, "it is the whole checkout")
    inside = [name / file for file in _PROJECT_FILES if (top / name / file).is_file()]
    if inside:
        raise _refusal(suite, f"{inside[0]} makes it a project")
    modules = {}
    outside = []
    for file in git_files(top, "ls-files", "-z", "--cached", "--", "*.py"):
        path = PurePosixPath(file)
        if path.is_relative_to(name):
            if not _is_test(path):
                modules[path.with_suffix("")] = path
        elif not _is_test(path) and not _TESTS & set(path.parts):
            outside.append(path)
    for path in outside if modules else ():
        for imported in sorted(_imports(top / path, path)):
            parts = imported.split(".")
            for stem, module in modules.items():
                if stem.parts[-len(parts) :] == tuple(parts) and _is_importable(top, stem, len(parts)):
                    raise _refusal(suite, f"{path} imports {module} of it")


def refuse_suite_with_code(suite: str, ready: PreparedSide) -> None:
    """Raise ValueError where all modules of the project that a dry run loaded lie in the suite itself."""
    if ready.dry_run.loaded is None or not ready.dry_run.any_passed:
        return
    top = Path(os.path.realpath(ready.own.sources.folder))
    tests = {top / case.partition("::")[0] for case in ready.dry_run.outcomes}
    helpers, others = [], []
    for files in ready.dry_run.loaded.modules.values():
        for file in map(Path, map(os.path.realpath, files)):
            if file.is_relative_to(top / suite):
                helpers += [] if file in tests or file.name in _NO_CODE else [file]
            elif file.is_relative_to(top) or (ready.own.build is not None and file.is_relative_to(ready.own.build)):
                others.append(file)
    if helpers and not others:
        raise _refusal(
            suite, f"its tests import {helpers[0].relative_to(top)} of it, and no other module of a revision"
        )


def _is_test(path: PurePosixPath) -> bool:
    return path.name in _NO_CODE or path.stem.startswith(("test_", "bench_")) or path.stem.endswith(("_test", "_bench"))


def _imports(file: Path, path: PurePosixPath) -> set[str]:
    """The names of the modules that a file may import; a relative import counts from the top of the checkout."""
    try:
        tree = ast.parse(read_text(file))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.parts[: len(path.parts) - node.level] if node.level else ()
            module = ".".join([*package, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" if module else alias.name for alias in node.names} | {module} - {""}
    return found


def _is_importable(top: Path, stem: PurePosixPath, parts: int) -> bool:
    """Whether the last `parts` of a path can be the whole name of a module, for code outside the suite."""
    root = PurePosixPath(*stem.parts[:-parts])
    if parts == 1 and str(root) not in SOURCE_ROOTS:
        # A module `numpy.py` of a suite is not what `import numpy` means elsewhere.
        return False
    return not (top / root / "__init__.py").exists()


def _refusal(suite: str, reason: str) -> ValueError:
    return ValueError(
        f"--suite is {suite}, which holds code that it measures ({reason}): it is copied over every revision, and "
        "would replace theirs; expected a folder or file of benchmarks alone"
    )
