"""Which candidates of a ranking are trained."""

from __future__ import annotations

from acrank.errors import UsageError
from acrank.records import Ranking


def first_candidates(ranking: Ranking, count: int) -> tuple[list[str], list[str]]:
    """The first `count` candidates and what else is in the leading band, up to twice as many; notes on those left out.

    Raises:
        UsageError: nothing is ranked.
    """
    ranked = [row for row in ranking.rows if row.rank is not None]
    if not ranked:
        raise UsageError("no candidate is ranked, so none can be refined", hint="see the reasons in the table")
    first = [row.model for row in ranked[:count]]
    tied = [row.model for row in ranking.tied]
    chosen = [*first, *(model for model in tied if model not in first)][: 2 * count]
    notes = []
    if len({*tied} - {*chosen}):
        notes.append(f"{len(tied) + 1} candidates are in the leading band: --refine trains the first {len(chosen)}")
    return chosen, notes
