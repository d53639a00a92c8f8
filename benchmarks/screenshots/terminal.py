"""Pictures of the ranked table in terminals of 80, 120 and 200 columns.

    python benchmarks/screenshots/terminal.py [--run run.json] [--to docs/images]

Without a run record the embedded zoo is ranked first (`acrank demo`, half a minute). The pictures are rich's SVG export
of what the command prints, with the reader's own monospaced font, so that they load nothing.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from acrank.formats.table import to_table
from acrank.records import Ranking

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (80, 120, 200)
#: The template without the web fonts, which an image on a page could not load anyway.
TEMPLATE = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def picture(ranking: Ranking, width: int, command: str) -> str:
    """The SVG of a terminal of `width` columns after `command`."""
    table = to_table(ranking.view(), width=width, colour=True, hues="truecolor")
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(f"$ {command}\n\n{table}"))
    return console.export_svg(title=f"acrank, {width} columns", code_format=TEMPLATE, unique_id=f"terminal-{width}")


def demo(folder: Path) -> Ranking:
    """The ranking of the embedded zoo."""
    command = [sys.executable, "-m", "acrank", "demo", "--dir", str(folder), "--no-cache", "-q"]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return Ranking.load(folder / "run.json")


def main() -> None:
    """Write one picture for each width."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run record; without one the demo is run")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "images", help="folder of the pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ranking = Ranking.load(options.run) if options.run else demo(Path(folder))
    command = "acrank score --zoo model_zoo.yaml --data ./target" if options.run else "acrank demo"
    options.to.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        path = options.to / f"terminal-{width}.svg"
        path.write_text(picture(ranking, width, command), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
