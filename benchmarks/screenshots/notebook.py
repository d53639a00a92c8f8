"""docs/notebook.ipynb: the cells of notebook.md, run in a folder of their own, with their outputs.

    python benchmarks/screenshots/notebook.py [--output docs/notebook.ipynb]

`report.py` beside this file takes its picture.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path(__file__).with_name("notebook.md")
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
MOST_BYTES = 300_000


def main() -> None:
    """Run the cells and write the notebook."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=NOTEBOOK, help="the notebook")
    path = parser.parse_args().output
    text = nbformat.writes(executed(unexecuted(PAGE.read_text("utf-8")))) + "\n"
    if len(text.encode()) > MOST_BYTES:
        raise SystemExit(f"{path} would have {len(text.encode())} bytes, more than {MOST_BYTES}")
    path.write_text(text, encoding="utf-8")
    print(f"{path}: {len(text.encode()) / 1000:.0f} KB")


def unexecuted(source: str) -> Any:
    """A notebook of a page: its blocks of Python become code, what stands between them prose."""
    book = nbformat.v4.new_notebook()
    for place, part in enumerate(re.split(r"(?m)^(```python\n.*?^```)$", source, flags=re.DOTALL)):
        if not part.strip():
            continue
        code = part.removeprefix("```python").removesuffix("```").strip()
        make = nbformat.v4.new_code_cell if place % 2 else nbformat.v4.new_markdown_cell
        book.cells.append(make(code, id=f"cell-{place}"))  # a random id would differ each time
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return book


def executed(book: Any) -> Any:
    """The same notebook with the outputs of its cells; a cell that raises ends with its error.

    It runs in an empty folder, with this checkout's acrank, without a network and without the reader's cache.
    """
    metadata = dict(book.metadata)
    with tempfile.TemporaryDirectory() as folder:
        own = {"PYTHONPATH": str(ROOT), "ACRANK_CACHE": f"{folder}/cache", "IPYTHONDIR": f"{folder}/ipython"}
        run_in = Path(folder) / "notebook"
        run_in.mkdir()
        client = NotebookClient(book, timeout=600, resources={"metadata": {"path": str(run_in)}})
        client.execute(env=os.environ | own | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"})
    book.metadata = metadata  # without the versions of this machine
    for cell in book.cells:
        cell.get("metadata", {}).pop("execution", None)  # times of day
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = without_places(output["text"])
            for kind, text in output.get("data", {}).items():
                if kind.startswith("text/"):
                    output["data"][kind] = without_places(text)
    return book


def without_places(text: str) -> str:
    """The text with paths inside this checkout told from its root, as any reader's are."""
    return text.replace(f"{ROOT}/", "")


if __name__ == "__main__":
    main()
