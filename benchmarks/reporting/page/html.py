"""The page as one HTML file: the template with its style, its libraries, its program and its data in place."""

from __future__ import annotations

import html
import importlib.resources
import json
import re
from collections.abc import Mapping
from typing import Any

LIBRARIES = ("d3.min.js", "plot.umd.min.js")
"""The libraries in `vendor`, which `vendor/README.md` describes, in the order in which they are loaded."""
LICENCES = ("d3.LICENSE", "plot.LICENSE", "plot.dependencies.LICENSE")
"""Their licences, which every copy has to have."""
PROGRAM = (
    *("format.js", "data.js", "where.js", "answer.js", "state.js", "dom.js", "filters.js", "answer_view.js"),
    *("ranking.js", "heat.js", "scaling.js", "drawer.js", "exports.js", "runs_view.js", "packed.js", "main.js"),
)
"""The page's own scripts in `assets`, in the order in which they are loaded."""

_PLACE = re.compile(r"\{\{(\w+)\}\}")


def page_html(data: Mapping[str, Any]) -> str:
    """The page that shows `data`, as `page_data` makes it. It asks for nothing outside of itself."""
    scripts = [_read("vendor", name) for name in LIBRARIES] + [_read("assets", name) for name in PROGRAM]
    parts = {
        "title": html.escape(data["title"]),
        "style": _read("assets", "style.css"),
        "licences": "\n".join(f"{name}\n\n{_read('vendor', name)}" for name in LICENCES),
        "data": _json(data),
        "scripts": "\n".join(f"<script>\n{script}\n</script>" for script in scripts),
    }
    return _PLACE.sub(lambda place: parts[place[1]], _read("assets", "page.html"))


def _json(data: Mapping[str, Any]) -> str:
    """The data as JSON that no text in it can end: a name may hold `</script>`."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _read(folder: str, name: str) -> str:
    return (importlib.resources.files(__package__) / folder / name).read_text(encoding="utf-8")
