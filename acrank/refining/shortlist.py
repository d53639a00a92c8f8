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
    leading = [row for row in ranked if row.band is not None and row.band == ranked[0].band]
    wanted = min(max(count, len(leading)), 2 * count, len(ranked))
    notes = []
    if len(leading) > wanted:
        notes.append(f"{len(leading)} candidates are in the leading band: --refine trains the first {wanted}")
    return [row.model for row in ranked[:wanted]], notes
