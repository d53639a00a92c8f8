"""`acrank merge`: one run record from the parts of a run that was shared out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acrank.cli.console import check_outputs, finish, tell_notes, warn, write
from acrank.cli.earlier_record import EarlierRecord
from acrank.cli.options import Format, FormatOption, OutputOption, VerboseOption
from acrank.cli.outputs import OverwriteOption, check_replaceable


def merge(
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="Run records that `acrank score` wrote.")],
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    format: FormatOption = Format.table,
    verbose: VerboseOption = 0,
) -> None:
    """Join run records, such as those of `acrank score --shard I/N`, into the record of one run.

    The parts must be of the same settings, manifest and target. Ranks, bands and whatever depends on the whole pool are
    worked out anew; a candidate that several parts hold must have the same values in each.
    """
    outputs = output or []
    check_outputs(outputs)
    check_replaceable(outputs, parts, kinds=["ranking"], overwrite=overwrite)
    from acrank.ranking.joining import merge as join
    from acrank.ranking.joining import missing_candidates
    from acrank.records import Ranking

    found = {str(path): Ranking.load(path) for path in parts}
    ranking = join(found)
    if not overwrite:
        EarlierRecord.among(tuple(outputs)).refuse_less(ranking, is_beside=False)
    write(ranking.view(), outputs)
    finish(ranking.view(), format)
    tell_notes(ranking)
    if lacking := missing_candidates(list(found.values()), ranking):
        warn(f"{lacking} of {lacking + len(ranking.rows)} candidates of the shards are in none of these parts")
