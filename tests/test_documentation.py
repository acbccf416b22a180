"""Links of the documentation: each leads to a file and, with a mark, to a heading in it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "results/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
HOOKS = runpy.run_path(str(ROOT / "docs" / "site" / "hooks.py"))


def anchors(page: Path) -> set[str]:
    """The marks of the headings of a page, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Whether the page is read on GitHub or in the site."""
    broken = []
    for link, path in HOOKS["targets"](
        page.read_text(encoding="utf-8"), HOOKS["site_path"](str(page.relative_to(ROOT)))
    ).items():
        mark = link.partition("#")[2]
        target = ROOT / path
        if not target.exists() or (mark and target.suffix == ".md" and mark not in anchors(target)):
            broken.append(link)
    own = re.findall(r"\]\(#([^)]+)\)", page.read_text(encoding="utf-8"))
    assert broken == []
    assert set(own) <= anchors(page)


def test_every_page_is_listed() -> None:
    """The first page of the documentation links to all others."""
    listed = set(re.findall(r"\(([\w]+\.md)\)", (ROOT / "docs" / "index.md").read_text(encoding="utf-8")))
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}


@pytest.mark.parametrize(
    ("text", "uri", "found"),
    [
        ("[a](limits.md#b)", "results.md", {"limits.md#b": "docs/limits.md"}),
        ("[a](../README.md)", "results.md", {"../README.md": "README.md"}),
        ("![a](plots/a.png)", "results/run/report.md", {"plots/a.png": "results/run/plots/a.png"}),
        ("[a](https://b.c) [d](#e) [f](../../../g)", "results.md", {}),
    ],
)
def test_a_link_is_resolved_from_where_its_page_lies(text: str, uri: str, found: dict[str, str]) -> None:
    assert HOOKS["targets"](text, uri) == found
