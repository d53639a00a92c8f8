"""What is wrong with files that a command wrote, whatever its inputs were: pages, manifests, records, pictures."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import yaml

#: Elements that the report's own template has. A foreign name must make none of these either: see `PAGE_COUNTS`.
_ELEMENTS = frozenset(
    {"html", "head", "meta", "title", "style", "body", "a", "header", "div", "h1", "h2", "h3", "button", "dl", "dt"}
    | {"dd", "nav", "main", "p", "noscript", "section", "strong", "ul", "li", "label", "select", "option", "table"}
    | {"caption", "thead", "tbody", "tr", "th", "td", "details", "summary", "small", "wbr", "figure", "figcaption"}
    | {"img", "code", "script"}
)
_PAGE_COUNTS = {"html": 1, "title": 1, "style": 1, "script": 5, "img": 1, "main": 1, "noscript": 2, "h1": 1}
_ADDRESSES = re.compile(r"#[\w-]*|data:image/jpeg;base64,[\w+/=]*")
#: The word that generators put into everything that would run in a browser.
PLANTED = "xyzzy_planted"


class _Page(HTMLParser):
    """The elements and attributes of a page, and the text of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data


def faults_of_page(text: str) -> Iterator[str]:
    """Markup or code in a report that is not its own.

    >>> list(faults_of_page("<!DOCTYPE html><html><p>a</p></html>"))
    []
    >>> list(faults_of_page("<html><iframe></iframe>"))
    ['foreign markup: <iframe>']
    """
    page = _Page()
    page.feed(text)
    page.close()
    tags = [tag for tag, _ in page.elements]
    yield from (f"foreign markup: <{tag}>" for tag in sorted({*tags} - _ELEMENTS))
    yield from (f"{tags.count(tag)} <{tag}>" for tag, most in _PAGE_COUNTS.items() if tags.count(tag) > most)
    for tag, found in page.elements:
        for name, value in found.items():
            if name.startswith("on") or name in ("action", "formaction", "srcdoc", "style"):
                yield f"foreign attribute: <{tag} {name}>"
            if name in ("href", "src", "srcset") and not _ADDRESSES.fullmatch(value or ""):
                yield f"foreign address: <{tag} {name}={(value or '')[:60]!r}>"
    for (_, found), script in zip([one for one in page.elements if one[0] == "script"], page.scripts, strict=True):
        if found.get("type") == "application/json":
            try:
                json.loads(script)
            except ValueError as error:
                yield f"the data {found.get('id')} of the page are no JSON: {error}"
        elif PLANTED in script:
            yield "foreign text is in the page's script"


def faults_of_manifest(text: str, unlisted: Sequence[str]) -> Iterator[str]:
    """What no manifest that `acrank zoo scan` wrote may be.

    Args:
        text: of the file.
        unlisted: names of weights that no entry may have.

    >>> list(faults_of_manifest("models: [{id: x, weights: y.pth}]", ["y.pth"]))
    ['y.pth is an entry of the manifest']
    """
    try:
        tree = yaml.safe_load(text)
        entries = tree["models"]
        names = [str(entry["id"]) for entry in entries]
    except (yaml.YAMLError, TypeError, KeyError) as error:
        yield f"the manifest is none: {type(error).__name__} {error}"
        return
    if len({*names}) < len(names):
        yield f"the manifest has {len(names)} entries of {len({*names})} names"
    for entry in entries:
        weights = str(entry.get("weights"))
        if weights in unlisted:
            yield f"{weights} is an entry of the manifest"
        if PLANTED in entry or PLANTED in str(entry.get("factory", "")):
            yield "foreign text is a key of an entry"


def _json(raw: bytes) -> Iterator[str]:
    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no JSON")

    try:
        json.loads(raw, parse_constant=refuse)
    except ValueError as error:
        yield f"no JSON: {error}"


def _csv(raw: bytes) -> Iterator[str]:
    widths = {len(row) for row in csv.reader(io.StringIO(raw.decode(), newline="")) if row}
    if len(widths) > 1:
        yield f"rows of {sorted(widths)} cells"


def _png(raw: bytes) -> Iterator[str]:
    from PIL import Image

    try:
        Image.open(io.BytesIO(raw), formats=["PNG"]).load()
    except Exception as error:  # whatever a damaged file makes Pillow raise
        yield f"no PNG: {error}"


def _page(raw: bytes) -> Iterator[str]:
    return faults_of_page(raw.decode())


_KINDS: dict[str, Callable[[bytes], Iterator[str]]] = {".json": _json, ".csv": _csv, ".png": _png, ".html": _page}


def faults_of_file(path: Path, unlisted: Sequence[str]) -> Iterator[str]:
    """What is wrong with a file that a command wrote; nothing for files of other kinds."""
    kind = path.suffix.lower()
    if kind == ".yaml":
        yield from (f"{path.name}: {fault}" for fault in faults_of_manifest(path.read_text(), unlisted))
    elif kind in _KINDS:
        yield from (f"{path.name}: {fault}" for fault in _KINDS[kind](path.read_bytes()))
