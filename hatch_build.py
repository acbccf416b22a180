"""Build what a wheel installs: the folder `benchmarks` becomes the package `rnnbench`.

Many projects have a folder `benchmarks`, which Python would import in place of an installed package of that name, or
that it would shadow. So a wheel names the package as the project is named. Within its files the name is replaced
in imports, in dotted names and in commands; everything else is as in the checkout. An editable install imports the
checkout's own files, and gets a package `rnnbench` that stands for them.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER, PACKAGE = "benchmarks", "rnnbench"
_RENAMINGS = (
    (re.compile(rf"(^\s*(?:from|import)\s+){FOLDER}(?=[.\s])", re.MULTILINE), rf"\g<1>{PACKAGE}"),
    # Modules in strings, in comments and after `python -m`.
    (re.compile(rf"\b{FOLDER}(?=\.[a-z_])"), PACKAGE),
    (re.compile(rf"\bpython -m {FOLDER}\b"), PACKAGE),
)
_EDITABLE = {
    "__init__.py": f'''"""The package `{FOLDER}` of a checkout, under the name that a wheel gives it."""

from {FOLDER} import load_run, load_samples

__all__ = ["load_run", "load_samples"]
''',
    "__main__.py": f'''"""The command line: `{PACKAGE} VERB` or `python -m {PACKAGE} VERB`."""

from {FOLDER}.__main__ import app, main

__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
''',
}


def renamed(source: str) -> str:
    """The source of a module of the folder as the package has it."""
    for pattern, replacement in _RENAMINGS:
        source = pattern.sub(replacement, source)
    return source


class RenamingHook(BuildHookInterface[Any]):
    """Add the package to a wheel, from a folder that is removed after the build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the package's files; `version` is `editable` for an editable install, else `standard`."""
        self._folder = Path(tempfile.mkdtemp(prefix="rnnbench-build-"))
        package = self._folder / PACKAGE
        if version == "editable":
            package.mkdir()
            for name, source in _EDITABLE.items():
                (package / name).write_text(source, encoding="utf-8")
            build_data["force_include_editable"][str(package)] = PACKAGE
            return
        shutil.copytree(Path(self.root) / FOLDER, package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        for path in package.rglob("*.py"):
            path.write_text(renamed(path.read_text(encoding="utf-8")), encoding="utf-8")
        build_data["force_include"][str(package)] = PACKAGE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002  # hatchling's signature
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
