"""Results at Python's prompt and in a notebook: short, and with every name escaped."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from helpers import workbench

from acrank.system.notebook import MOST_ROWS, html_of
from acrank.system.view import View
from acrank.targets import open_target
from acrank.zoo import load_zoo


class Words(HTMLParser):
    """What a browser would show, and the tags that it would build."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_browser_shows_hostile_names_as_text() -> None:
    name = "<img src=x onerror=alert(1)>\u202e"
    view = View(columns=["model", name], rows=[[name, None], ["b", 0.123456]], record=None, title=name)
    found = Words(html_of(view, [name]))
    assert found.tags <= {"table", "thead", "tbody", "tr", "th", "td", "p", "strong"}
    text = "".join(found.words)
    assert text.count("<img src=x onerror=alert(1)>\\u202e") == 4  # title, heading, cell, line
    assert "0.1235" in text
    assert "–" in text


def test_a_long_table_ends_with_a_count() -> None:
    found = Words(html_of(View(columns=["n"], rows=[[place] for place in range(MOST_ROWS + 7)], record=None)))
    assert "and 7 more" in found.words
    assert str(MOST_ROWS - 1) in found.words
    assert str(MOST_ROWS) not in found.words


def test_a_zoo_and_a_target_take_a_few_lines(tmp_path: Path) -> None:
    zoo = load_zoo(workbench.make_zoo(tmp_path / "zoo", count=9))
    assert repr(zoo).splitlines()[0].endswith("9 candidates")
    assert repr(zoo).splitlines()[-1] == "  … and 4 more>"
    target = open_target(workbench.make_images(tmp_path / "set", classes=12, each=12))
    assert repr(target) == (
        "<Target set: classification, 144 images, layout folders\n  classes: "
        + ", ".join(target.classes[:5])
        + " and 7 more>"
    )
