"""The site of `make docs`: it builds without a warning, holds every page, asks no other host; a dead link fails it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.doc_pages import PAGES, README, ROOT

pytestmark = pytest.mark.slow


def build(source: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Run the Makefile's command on another folder."""
    recipe = re.search(r"-m (sphinx .*) docs build/docs", (ROOT / "Makefile").read_text())
    assert recipe
    words = [sys.executable, "-m", *recipe[1].split(), str(source), str(output)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_site_is_whole_and_asks_no_other_host(tmp_path: Path) -> None:
    done = build(ROOT / "docs", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    for page in [page for page in PAGES if page != README]:
        html = (tmp_path / "site" / f"{page.stem}.html").read_text(encoding="utf-8")
        assert not re.search(r"<(script|img|iframe|source)[^>]+src=\"(https?:)?//", html)
        assert not re.search(r"<link[^>]+rel=\"(stylesheet|preload|icon)\"[^>]+href=\"(https?:)?//", html)
    for style in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"@import|url\([\"']?(https?:)?//", style.read_text(encoding="utf-8")), style


@pytest.mark.parametrize("link", ["nowhere.md", "data.md#nowhere", "../nowhere.md"])
def test_a_dead_link_fails_it(tmp_path: Path, link: str) -> None:
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "conf.py", tmp_path / "docs")
    shutil.copytree(ROOT / "docs" / "style", tmp_path / "docs" / "style")
    (tmp_path / "acrank").mkdir()
    shutil.copy(ROOT / "acrank" / "__init__.py", tmp_path / "acrank")
    (tmp_path / "docs" / "data.md").write_text("# Data\n")
    (tmp_path / "docs" / "demo.md").write_text("# Demo\n\n[data](data.md#data)\n")
    (tmp_path / "docs" / "index.md").write_text("# Index\n\n[data](data.md), [demo](demo.md)\n")
    assert build(tmp_path / "docs", tmp_path / "good").returncode == 0
    (tmp_path / "docs" / "demo.md").write_text(f"# Demo\n\n[there]({link})\n")
    done = build(tmp_path / "docs", tmp_path / "bad")
    assert done.returncode != 0
    assert "nowhere" in done.stderr
