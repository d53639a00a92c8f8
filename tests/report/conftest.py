"""A headless browser for the report's page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers.open_page import OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: Set where the browser must be there: a missing one is then a failure instead of a skip.
REQUIRED = "NEEDS_BROWSER"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, and there is no chromium")
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=path, args=flags)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., OpenPage]]:
    """Open a page given as text: `open_page(html, width=390, color_scheme="dark")`."""
    opened: list[OpenPage] = []

    def call(text: str, *, width: int = 1280, color_scheme: str = "light") -> OpenPage:
        path = tmp_path / f"report-{len(opened)}.html"
        path.write_text(text, errors="backslashreplace")
        opened.append(OpenPage(browser, path, width=width, color_scheme=color_scheme))
        return opened[-1]

    yield call
    for one in opened:
        one.page.context.close()
