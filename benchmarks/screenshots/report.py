"""The pictures of `acrank report` in docs/images, light, dark, on a phone and printed, and that of docs/notebook.ipynb.

    python benchmarks/screenshots/report.py [--output docs/images]

Runs the demo, compares it with its ground truth, and opens the page in Debian's headless chromium; the notebook is
shown as a page made by nbconvert, with the outputs that it has. A picture has 255 colours at most, and is an error
where it is larger than 300 KB.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from nbconvert import HTMLExporter
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from acrank.cli import main as acrank

ROOT = Path(__file__).parents[2]
MOST_BYTES = 300_000
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
#: name -> (width, height of the picture, colour scheme, medium)
PICTURES: dict[str, tuple[int, int, str, str]] = {
    "report-light": (1280, 2400, "light", "screen"),
    "report-dark": (1280, 2400, "dark", "screen"),
    "report-phone": (390, 2400, "dark", "screen"),
    "report-print": (1040, 2400, "dark", "print"),
    "notebook": (1280, 2400, "light", "screen"),
}


def main() -> None:
    """Write the pictures, and say how large they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images", help="folder of the pictures")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        pages = {True: shown_notebook(Path(folder)), False: made_report(Path(folder))}
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        for name, how in PICTURES.items():
            size = save(output / f"{name}.png", picture(browser, pages[name == "notebook"], how))
            print(f"{name}.png: {size / 1000:.0f} KB")
        browser.close()


def made_report(folder: Path) -> Path:
    """The page of the demo, with its ground truth and a contact sheet."""
    truth, run, page = ROOT / "acrank" / "demo" / "truth.csv", folder / "run.json", folder / "report.html"
    compared = folder / "comparison.json"
    check("demo", "--dir", folder)
    check("compare", run, "--truth", truth, "-o", compared)
    check("report", run, "--truth", truth, "--compare", compared, "--data", folder / "target", "-o", page)
    return page


def shown_notebook(folder: Path) -> Path:
    """The notebook as a page, as small as it is in a browser's tab."""
    path = folder / "notebook.html"
    path.write_text(HTMLExporter().from_filename(str(NOTEBOOK))[0], encoding="utf-8")
    return path


def check(*words: Any) -> None:
    """Run a command of acrank, which must succeed."""
    if code := acrank([str(word) for word in words]):
        raise SystemExit(f"acrank {words[0]} ended with {code}")


def picture(browser: Browser, page: Path, how: tuple[int, int, str, str]) -> Image.Image:
    """The top of the page in one of its forms."""
    width, height, scheme, medium = how
    context: Any = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    opened = context.new_page()
    opened.goto(page.as_uri())
    if "data-ready" in page.read_text("utf-8"):
        opened.wait_for_selector("html[data-ready=yes]")
    opened.emulate_media(media=medium)
    opened.wait_for_timeout(500)
    raw = opened.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
    context.close()
    return Image.open(io.BytesIO(raw)).convert("RGB")


def save(path: Path, image: Image.Image) -> int:
    """Write a small PNG and return its size in bytes."""
    image.quantize(255, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{path} has {size} bytes, more than {MOST_BYTES}")
    return size


if __name__ == "__main__":
    main()
