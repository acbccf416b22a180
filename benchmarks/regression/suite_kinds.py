"""The kinds of suites that pytest-benchmark cannot measure: which one a suite is, and the remedy."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.regression.environments.sources import read_text

_REWRITE = "def test_it(benchmark): benchmark(work)"
_KINDS = (
    (
        r"^\s+def (time|timeraw|mem|peakmem|track)_\w+\(self",
        "of asv, whose methods pytest does not collect: compare by `asv continuous`",
    ),
    (r"^\s*(import|from) pyperf\b", "of pyperf's scripts: compare by `pyperf compare_to`"),
    (r"^__benchmarks__\s*=", "of richbench: compare by `richbench`"),
    (r"^\s*(import|from) timeit\b", "of scripts that time themselves by timeit: compare what they print"),
    (r"^class \w+\(.*\bTestCase\b", "of unittest's methods, which take no fixture: write functions"),
)
"""(What only files of a kind have, the kind with the tool that judges it)."""


def other_kind(suite: Path) -> str:
    """The kind of a suite that has no benchmark of pytest-benchmark, and the remedy, as a clause; empty for none known.

    `suite` is a folder or a file.
    """
    files = sorted(suite.rglob("*.py")) if suite.is_dir() else [suite]
    texts = {file: read_text(file) for file in files}
    for pattern, kind in _KINDS:
        for file, text in texts.items():
            if re.search(pattern, text, re.MULTILINE):
                return f"it has files {kind}, such as {file.name}; or call what they measure in tests: `{_REWRITE}`"
    return ""
