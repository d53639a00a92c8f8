"""`acrank zoo list` and `acrank zoo validate`: the manifest, before a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from acrank.cli import console
from acrank.cli.options import Format, FormatOption, OutputOption, VerboseOption, ZooOption
from acrank.errors import ManifestError
from acrank.system.imports import gc_paused
from acrank.system.view import View

if TYPE_CHECKING:
    from acrank.zoo import Zoo

DEFAULT_ZOO = Path("model_zoo.yaml")

app = typer.Typer(help="List and validate the manifest.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(
    zoo: ZooOption = DEFAULT_ZOO,
    format_: FormatOption = Format.table,
    output: OutputOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """List the candidates of a manifest."""
    with gc_paused():
        from acrank.zoo.manifest import load_zoo  # the schema takes longer to load than all of `acrank --help`

    console.check_outputs(output or [])
    view = _view(load_zoo(zoo))
    console.show(view, format_)
    console.write(view, output or [])


@app.command()
def validate(zoo: ZooOption = DEFAULT_ZOO, verbose: VerboseOption = 0) -> None:
    """Check a manifest: its schema, its files and their hashes, and that each file fits its network."""
    from acrank.zoo.manifest import location
    from acrank.zoo.validation import validate_zoo

    sound, problems = validate_zoo(zoo)
    for problem in problems:
        console.say(f"{location(zoo, problem)}: {problem}" + (f" ({problem.hint})" if problem.hint else ""))
    console.say(f"{len(sound.candidates)} ok")
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise ManifestError(f"{zoo} has {count}", hint="each is named above")


def _view(zoo: Zoo) -> View:
    """The zoo as a table, and as its record."""
    rows = [[c.id, c.network, c.weights, c.license, ", ".join(c.tags) or None] for c in zoo.candidates]
    models = [c.model_dump(mode="json", exclude_defaults=True, exclude={"folder"}) for c in zoo.candidates]
    record = {"kind": "acrank-zoo", "path": str(zoo.path), "sha256": zoo.sha256, "models": models}
    return View(columns=["model", "network", "weights", "license", "tags"], rows=rows, record=record)
