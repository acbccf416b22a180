"""Hooks of MkDocs: pages link as on GitHub, and what they link to outside of `docs` is in the site as well.

A page of the site has the path that its file has in the repository, without `docs/`. A link to what the
site cannot show, such as a folder of sources, becomes its text.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parent.parent.parent
DOCS = "docs/"
SHOWN = (".md", ".png", ".svg", ".csv", ".cff", ".html", ".toml")
"""The files outside of `docs` that are copied where a page links to them."""
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


def site_path(path: str) -> str:
    """The path in the site of a file of the repository."""
    return path.removeprefix(DOCS)


def repository_path(uri: str) -> str:
    """The path in the repository of a page of the site."""
    return DOCS + uri if (ROOT / DOCS / uri).is_file() else uri


def targets(text: str, uri: str) -> dict[str, str]:
    """{link: path in the repository} of the relative links of a page, without those outside of the repository."""
    folder = os.path.dirname(repository_path(uri))  # noqa: PTH120  # of a path that need not exist
    found = {}
    for _, _, link in _LINK.findall(text):
        path = unquote(link.partition("#")[0])
        if path and not re.match(r"[a-z]+:", link):
            whole = os.path.normpath(os.path.join(folder, path))  # noqa: PTH118  # the same
            if not whole.startswith(".."):
                found[link] = whole
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside of `docs` that pages link to, and those that these link to."""
    from mkdocs.structure.files import File  # tests read this module without MkDocs

    waiting = [file.src_uri for file in files if file.src_uri.endswith(".md")] + ["README.md"]
    if files.get_file_from_path("README.md") is None:
        files.append(File.generated(config, "README.md", abs_src_path=str(ROOT / "README.md")))
    while waiting:
        uri = waiting.pop()
        text = (ROOT / repository_path(uri)).read_text(encoding="utf-8")
        for path in targets(text, uri).values():
            place = site_path(path)
            known = files.get_file_from_path(place) is not None
            if known or path.startswith(DOCS) or not path.endswith(SHOWN) or not (ROOT / path).is_file():
                continue
            files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
            waiting += [place] if place.endswith(".md") else []
    return files


def on_page_markdown(markdown: str, *, page: Any, files: Files, **_: Any) -> str:
    """Point links to their places in the site."""
    uri = page.file.src_uri
    known = targets(markdown, uri)
    folder = os.path.dirname(uri)  # noqa: PTH120  # a path in the site

    def pointed(found: re.Match[str]) -> str:
        image, words, link = found.groups()
        if link not in known:
            return found[0]
        place = site_path(known[link])
        if files.get_file_from_path(place) is None:
            return words
        _, mark, anchor = link.partition("#")
        return f"{image}[{words}]({os.path.relpath(place, folder or '.')}{mark}{anchor})"

    return _LINK.sub(pointed, markdown)
