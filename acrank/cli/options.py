"""Each option that several commands share, written once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from acrank.cli.console import set_verbosity


class Format(StrEnum):
    """The formats of stdout; FORMATS holds their renderers."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


FormatOption = Annotated[Format, typer.Option("-f", "--format", envvar="ACRANK_FORMAT", help="Format of stdout.")]
OutputOption = Annotated[
    list[Path] | None,
    typer.Option("-o", "--output", help="Also write to PATH: .json, .csv, .md or .txt. Repeatable.", metavar="PATH"),
]
SeedOption = Annotated[int, typer.Option("--seed", envvar="ACRANK_SEED", min=0, help="Seed of everything random.")]
VerboseOption = Annotated[
    int,
    typer.Option("-v", "--verbose", count=True, callback=set_verbosity, help="Say more; -vv shows tracebacks."),
]
ZooOption = Annotated[
    Path, typer.Option("--zoo", envvar="ACRANK_ZOO", help="Manifest of candidate checkpoints (YAML).", metavar="FILE")
]
AllowCodeOption = Annotated[
    bool,
    typer.Option("--allow-code", envvar="ACRANK_ALLOW_CODE", help="Let the manifest's `factory:` entries run code."),
]
NoCacheOption = Annotated[
    bool,
    typer.Option("--no-cache", envvar="ACRANK_NO_CACHE", help="Neither read nor write the cache of observations."),
]
