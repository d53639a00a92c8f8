"""`acrank cache`: where observations are kept, what there is, and how to be rid of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from acrank.cli.commands import DataCommand
from acrank.cli.console import check_outputs, put, say, show, write
from acrank.cli.options import Format, FormatOption, OutputOption, VerboseOption
from acrank.cli.outputs import OverwriteOption, check_replaceable
from acrank.system.view import Column, View

if TYPE_CHECKING:
    from acrank.cache import ObservationCache

app = typer.Typer(help="Observations kept between runs.", no_args_is_help=True, rich_markup_mode=None)


@app.command("path", cls=DataCommand)
def path(verbose: VerboseOption = 0) -> None:
    """Print the folder of the cache; ACRANK_CACHE chooses another one."""
    from acrank.cache import default_folder

    put(f"{default_folder()}\n")


@app.command("list", cls=DataCommand)
def list_entries(
    format: FormatOption = Format.table,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """List the observations: file, candidate's weights, images, features, bytes; no images: a checkpoint's drift."""
    from acrank.cache import ObservationCache

    check_outputs(output or [])
    check_replaceable(output or [], [], kinds=["cache"], overwrite=overwrite)
    entries = _existing(ObservationCache()).summaries()
    columns = ["key", "weights", "images", "features", "layers", "bytes"]
    rows = [[entry[name] for name in columns] for entry in entries]
    layout = [
        Column(name="key", priority=0, fit="shorten"),
        Column(name="weights", priority=5, fit="shorten"),
        *(Column(name=name, priority=place) for place, name in zip((1, 3, 4, 2), columns[2:], strict=True)),
    ]
    view = View(
        columns=columns,
        rows=rows,
        record={"kind": "acrank-cache", "schema_version": 1, "observations": entries},
        title="Cached observations",
        layout=layout,
    )
    write(view, output or [])
    show(view, format)


@app.command("clear", cls=DataCommand)
def clear(verbose: VerboseOption = 0) -> None:
    """Remove all observations and remembered hashes; files that acrank did not write stay."""
    from acrank.cache import ObservationCache

    cache = _existing(ObservationCache())
    removed, left = cache.clear()
    say(f"removed {removed} observations from {cache.folder}")
    if left:
        say(f"left {left} files there that are not acrank's own, or are damaged")


def _existing(cache: ObservationCache) -> ObservationCache:
    """The cache; where its folder is there, it must be one that acrank uses."""
    try:
        is_there = cache.folder.exists() or cache.folder.is_symlink()
    except OSError:  # overlong: opening says so
        is_there = True
    return cache.open() if is_there else cache
