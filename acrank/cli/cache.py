"""`acrank cache`: where observations are kept, what there is, and how to be rid of it."""

from __future__ import annotations

import sys

import typer

from acrank.cli.console import check_outputs, say, show, write
from acrank.cli.options import Format, FormatOption, OutputOption, VerboseOption
from acrank.system.view import View

app = typer.Typer(help="Observations kept between runs.", no_args_is_help=True, rich_markup_mode=None)


@app.command("path")
def path(verbose: VerboseOption = 0) -> None:
    """Print the folder of the cache; ACRANK_CACHE chooses another one."""
    from acrank.cache import default_folder

    sys.stdout.write(f"{default_folder()}\n")


@app.command("list")
def list_entries(format: FormatOption = Format.table, output: OutputOption = None, verbose: VerboseOption = 0) -> None:
    """List the observations: file, candidate's weights, images, features, bytes; no images: a checkpoint's drift."""
    from acrank.cache import ObservationCache

    check_outputs(output or [])
    entries = ObservationCache().summaries()
    columns = ["key", "weights", "images", "features", "layers", "bytes"]
    rows = [[entry[name] for name in columns] for entry in entries]
    view = View(columns=columns, rows=rows, record={"observations": entries}, title="Cached observations")
    write(view, output or [])
    show(view, format)


@app.command("clear")
def clear(verbose: VerboseOption = 0) -> None:
    """Remove all observations and remembered hashes."""
    from acrank.cache import ObservationCache

    cache = ObservationCache()
    say(f"removed {cache.clear()} observations from {cache.folder}")
