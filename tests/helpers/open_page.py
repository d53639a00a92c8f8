"""A page in a headless browser, with everything that it said, asked for and popped up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser


class OpenPage:
    """A file that a browser opened and whose charts are drawn.

    Attributes:
        page: Playwright's page.
        said: what it wrote to the console, and its uncaught errors.
        asked: addresses that it requested, but for itself.
        popped: messages of its dialogs.
        seconds: CPU time of the page's main thread until its tables could be used.
        seconds_in_all: the same until its last chart was drawn.
    """

    def __init__(self, browser: Browser, path: Path, *, width: int = 1280, color_scheme: Any = "light") -> None:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=color_scheme, offline=True, accept_downloads=True
        )
        self.page = context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.popped: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", self._pop)
        profiler = context.new_cdp_session(self.page)
        profiler.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]", timeout=60_000)
        self.seconds = _busy(profiler)
        self.page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
        self.seconds_in_all = _busy(profiler)
        self.asked.remove(path.as_uri())

    def _pop(self, dialog: Any) -> None:
        self.popped.append(dialog.message)
        dialog.dismiss()

    def column(self, place: int) -> list[str]:
        """The texts of a column of the ranking, without what stands below them, in the rows that are shown."""
        cells = self.page.locator(f"#candidates tbody tr > :nth-child({place + 1})")
        found: list[str] = cells.evaluate_all("cells => cells.map(cell => cell.firstChild?.textContent ?? '')")
        return found


def _busy(profiler: Any) -> float:
    """Seconds of CPU that the page's main thread has used."""
    metrics = {one["name"]: one["value"] for one in profiler.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])
