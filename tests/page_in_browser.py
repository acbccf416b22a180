"""The page of a report in Chromium: found on this machine, driven by Playwright, without a network."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WITHOUT_SANDBOX = ("--no-sandbox", "--disable-gpu")
"""Chromium refuses its sandbox to root, as whom containers run."""


def chromium() -> str | None:
    """The path of a Chromium that the system has; None without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def missing() -> str | None:
    """What the tests in a browser lack, in a sentence; None where nothing is."""
    if not all(importlib.util.find_spec(package) for package in ("axe_playwright_python", "playwright")):
        return "Playwright is not installed: pip install --group browser"
    return None if chromium() else "there is no Chromium: apt-get install chromium"


@contextmanager
def browser() -> Iterator[Browser]:
    """A running Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium(), args=list(WITHOUT_SANDBOX))
        yield running
        running.close()


class Visit:
    """One page in a window of its own, with everything that it asked for and every error that it had."""

    def __init__(self, running: Browser, file: Path, *, width: int = 1280, height: int = 1000, **options: Any) -> None:
        self.file = file
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.context = running.new_context(viewport={"width": width, "height": height}, **options)
        self.page: Page = self.context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.open()

    def open(self, view: str = "") -> None:
        """Open the file anew, with a view in the URL's hash."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.file.as_uri()}{view}")

    def ask(self, expression: str, argument: object = None) -> Any:
        """The value of a JavaScript expression or function in the page."""
        return self.page.evaluate(expression, argument)

    def text(self, selector: str) -> str:
        """The text of an element."""
        found: str | None = self.page.locator(selector).first.text_content()
        return found or ""

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that a selector finds."""
        found: list[str] = self.page.locator(selector).all_text_contents()
        return found

    def outside(self) -> list[str]:
        """Requests for anything but the file itself and what it holds."""
        inside = (self.file.as_uri(), "data:", "blob:", "about:blank")
        return [url for url in self.requests if not url.startswith(inside)]
