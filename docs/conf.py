"""Sphinx's settings for the site: `make docs` writes it to build/docs, and a warning is an error.

Furo brings its own styles and fonts of the reader's system, so that a page asks no other host for anything.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

version = next(
    line.split('"')[1]
    for line in (Path(__file__).parents[1] / "acrank" / "__init__.py").read_text().splitlines()
    if line.startswith("__version__")
)
project = "acrank"
release = version
author = "the authors of acrank"
extensions = ["myst_nb"]
exclude_patterns = ["images"]
html_static_path = ["style"]
html_css_files = ["tables.css"]
html_theme = "furo"
html_title = f"acrank {version}"
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}
myst_heading_anchors = 4
myst_enable_extensions: list[str] = []
nb_execution_mode = "off"  # notebooks are committed with what they printed
#: A notebook need not stand in the index, where pages link it; tests hold that every page does.
suppress_warnings = ["mystnb.unknown_mime_type", "toc.not_included"]
pygments_style = "friendly"
pygments_dark_style = "github-dark"


def setup(app: Any) -> None:
    """Files of the repository that are no pages are downloads of the site."""
    app.connect("source-read", _link_files)


def _link_files(app: Any, name: str, source: list[str]) -> None:
    source[0] = re.sub(r"\]\(\.\./", "](path:../", source[0])
