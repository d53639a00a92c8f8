"""docs/notebook.ipynb: the cells of its page, run, with outputs that show nothing of where they were made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import acrank

ROOT = Path(acrank.__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
BOOK: dict[str, Any] = json.loads(NOTEBOOK.read_text("utf-8"))
pytest.importorskip("nbclient")


def sources(cells: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(kind, text) of each cell."""
    return [(cell["cell_type"], "".join(cell["source"])) for cell in cells]


def kinds(cells: list[dict[str, Any]]) -> list[list[list[str]]]:
    """For each cell, the media types of each of its outputs; what was printed is "stream"."""
    return [[sorted(one.get("data", {"stream": ""})) for one in cell.get("outputs", [])] for cell in cells]


def texts() -> str:
    """All that the outputs say, without the bytes of pictures."""
    outputs = [output for cell in BOOK["cells"] for output in cell.get("outputs", [])]
    data = [{kind: text for kind, text in one.get("data", {}).items() if kind != "image/png"} for one in outputs]
    return json.dumps([data, [one.get("text") for one in outputs]], ensure_ascii=False)


def test_it_has_the_cells_of_its_page() -> None:
    from benchmarks.screenshots import notebook

    assert sources(BOOK["cells"]) == sources(notebook.unexecuted(notebook.PAGE.read_text("utf-8")).cells)


def test_it_was_run_once_from_top_to_bottom() -> None:
    code = [cell for cell in BOOK["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    assert all(
        output["output_type"] in ("execute_result", "display_data") for cell in code for output in cell["outputs"]
    )
    assert all(cell["outputs"] for cell in code)


def test_it_is_small_and_says_nothing_of_the_machine() -> None:
    assert NOTEBOOK.stat().st_size < 300_000
    assert re.findall(r"(?:/(?:home|root|tmp|work|usr)/|[A-Z]:\\)", texts()) == []
    assert {*BOOK["metadata"]["language_info"]} == {"name"}


def test_it_shows_what_the_page_promises() -> None:
    said = texts()
    for part in ("% of best", "is first by finetunability", "weighted_tau", "2 of 2 gates passed", "<Row "):
        assert part in said
    assert sum("image/png" in one.get("data", {}) for cell in BOOK["cells"] for one in cell.get("outputs", [])) == 1


@pytest.mark.slow  # runs it again
def test_it_runs() -> None:
    from benchmarks.screenshots import notebook

    book = notebook.executed(notebook.unexecuted(notebook.PAGE.read_text("utf-8")))
    assert kinds(book.cells) == kinds(BOOK["cells"])
