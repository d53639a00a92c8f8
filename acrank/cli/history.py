"""`acrank history`: what earlier finetuning results there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from acrank.cli.console import check_outputs, show, write
from acrank.cli.options import Format, FormatOption, OutputOption, VerboseOption, with_settings
from acrank.cli.outputs import OverwriteOption, check_replaceable
from acrank.system.option_fields import Opt, check_options

#: What it writes, of OWN_TABLES.
KINDS = ("targets of a history", "candidates of a history")


@dataclass(frozen=True, kw_only=True)
class ListingOptions:
    """What is listed."""

    PANEL: ClassVar = "Output"

    by: Annotated[str, Opt(help="A row for each of these.", choices=("target", "model"), variable=False)] = "target"

    def __post_init__(self) -> None:
        check_options(self)


@with_settings
def history(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Tables of `acrank finetune -o`, or of --append-history."),
    ],
    listing: ListingOptions,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    format: FormatOption = Format.table,
    verbose: VerboseOption = 0,
) -> None:
    """List earlier finetuning results: their targets with the best candidate of each, or the candidates.

    `acrank score --history FILE` takes them into the ranking; --append-history of `score --refine` and of `finetune`
    adds to them.
    """
    outputs = output or []
    check_outputs(outputs)
    check_replaceable(outputs, files, kinds=KINDS, overwrite=overwrite)
    from acrank.history import read_history
    from acrank.history.history_views import LISTINGS

    view = LISTINGS[listing.by](read_history(files))
    write(view, outputs)
    show(view, format)
