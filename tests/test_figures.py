"""Figures are drawn with settings of their own, whatever a user tells matplotlib."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.presentation.figures import Figure, mpl, own_settings
from benchmarks.presentation.plot_style import SETTINGS, save

ROOT = Path(__file__).parent.parent


def test_a_backend_that_only_a_notebook_has_does_not_matter(tmp_path: Path) -> None:
    """Matplotlib refuses to be imported with it. The variable is there again, for processes that are started."""
    code = "import os; from benchmarks.presentation.figures import mpl; print(os.environ['MPLBACKEND'])"
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "no_such_backend"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert done.stdout == "no_such_backend\n", done.stderr


def test_a_users_settings_do_not_change_a_figure(tmp_path: Path) -> None:
    """LaTeX for all text, a dark background and a narrow box are set aside, and are there again afterwards."""
    drawn = []
    for number, theirs in enumerate(({}, {"text.usetex": True, "axes.facecolor": "k", "savefig.bbox": "tight"})):
        with mpl.rc_context(theirs):  # type: ignore[arg-type]  # the keys are matplotlib's
            with own_settings(SETTINGS):
                figure = Figure(figsize=(2, 1))
                figure.subplots().set_title("50 % of $x")
                save(figure, tmp_path, f"{number}")
            assert mpl.rcParams["text.usetex"] is bool(theirs)
        drawn.append((tmp_path / f"{number}.png").read_bytes())
    assert drawn[0] == drawn[1]


def test_matplotlib_is_imported_in_one_place() -> None:
    """Elsewhere only for types."""
    importing = []
    for path in sorted((ROOT / "benchmarks").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for_types = {
            inner
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        names = [
            name
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom)) and node not in for_types
            for name in ([node.module] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
        ]
        if any(name is not None and name.partition(".")[0] == "matplotlib" for name in names):
            importing.append(path.name)
    assert importing == ["figures.py"]
