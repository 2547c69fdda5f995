"""A real Chromium for the tests of pages, all of them slow: MICROGRID_BROWSER=required makes a missing one an error."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SHOTS = Path(__file__).parents[1] / ".screenshots"
KINDS = {
    "desktop, light": {"viewport": {"width": 1100, "height": 800}, "color_scheme": "light"},
    "desktop, dark": {"viewport": {"width": 1100, "height": 800}, "color_scheme": "dark"},
    "phone, light": {"viewport": {"width": 390, "height": 800}, "color_scheme": "light"},
    "phone, dark": {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"},
}


def chromium() -> str | None:
    """The path of a Chromium or Chrome."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")  # it keeps an event loop running, which other tests start of their own
def browser() -> Iterator[Any]:
    path = chromium()
    missing = "" if path else "no Chromium on this machine: apt-get install chromium"
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing = "no playwright: pip install '.[slow]'"
    if missing and os.environ.get("MICROGRID_BROWSER") == "required":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chrome
        chrome.close()


class Opened:
    """A page with what went wrong in it."""

    def __init__(self, page: Any, server: str = "") -> None:
        self.page = page
        self.local = ("file:", "data:", "blob:", *([server] if server else []))
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: self._only_local(request.url))

    def _only_local(self, url: str) -> None:
        if not url.startswith(self.local):
            self.errors.append(f"asked the network for {url}")


@pytest.fixture(params=KINDS)
def opened(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A function that opens a file at each width and in each colour scheme; nothing may go wrong in the page."""
    yield from _opening(browser, request.param)


@pytest.fixture
def opened_once(browser: Any) -> Iterator[Any]:
    """The same at one width, for what does not depend on looks."""
    yield from _opening(browser, next(iter(KINDS)))


@pytest.fixture(params=KINDS)
def visited(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A function that opens an address of a server on this machine, which is all that the page may ask."""
    open_page = _opening(browser, request.param)
    show = next(open_page)

    def visit(address: str, name: str = "", *, patient: bool = False) -> Any:
        return show(address, name, address.partition("?")[0], ".mg-bar, #steps .words", 180_000 if patient else None)

    yield visit
    next(open_page, None)


def _opening(browser: Any, kind: str) -> Iterator[Any]:
    context = browser.new_context(**KINDS[kind])
    pages: list[Opened] = []

    def show(page: Path | str, name: str = "", server: str = "", sign: str = ".mg-bar", patience: Any = None) -> Any:
        here = Opened(context.new_page(), server)
        pages.append(here)
        here.page.goto(page.as_uri() if isinstance(page, Path) else page)
        here.page.locator(sign).first.wait_for(timeout=patience)
        if name:
            SHOTS.mkdir(exist_ok=True)
            here.page.screenshot(path=SHOTS / f"{name}, {kind}.png")
        return here.page

    yield show
    context.close()
    assert [error for page in pages for error in page.errors] == []
