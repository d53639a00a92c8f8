"""The order of a ranking's rows, and their bands."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from acrank.records.row import Row
from acrank.records.score_value import Value

#: The ranking column that joins the score with earlier targets and short trainings; higher is better.
JOINT = "joint"


def ranked(rows: Sequence[Row], score: str, *, higher_is_better: bool, bands_by: str) -> list[Row]:
    """The rows, best first, with ranks and bands: ranked rows, then those without a value, then skipped ones.

    Ties are broken by the model's name. A row joins the band of the rows before it while its interval overlaps that of
    the band's leader; where no row has an interval there are no bands. Rows that are ordered by JOINT have the
    intervals of their trainings where both were trained, else those of the score that came before.

    Args:
        rows: in any order.
        score: that orders them.
        higher_is_better: its direction.
        bands_by: the score whose intervals make bands.
    """
    sign = -1.0 if higher_is_better else 1.0

    def order(row: Row) -> tuple[bool, bool, float, str]:
        value = row.value(score)
        return (row.status != "scored", value is None, 0.0 if value is None else sign * value, row.model)

    by_training = score == JOINT
    known = any(_has_interval(row, bands_by, by_training=by_training) for row in rows if row.value(score) is not None)
    leader: Row | None = None
    band, out = 0, []
    for place, row in enumerate(sorted(rows, key=order), start=1):
        if row.status != "scored" or row.value(score) is None:
            out.append(dataclasses.replace(row, rank=None, band=None))
            continue
        if leader is None or not _overlap(leader, row, bands_by, by_training=by_training):
            leader, band = row, band + 1
        out.append(dataclasses.replace(row, rank=place, band=band if known else None))
    return out


def _has_interval(row: Row, score: str, *, by_training: bool) -> bool:
    return (by_training and _trained(row) is not None) or row.scores.get(score, Value(None)).low is not None


def _overlap(leader: Row, row: Row, score: str, *, by_training: bool) -> bool:
    """Whether the intervals of two rows overlap."""
    ours, theirs = _trained(leader), _trained(row)
    if by_training and ours is not None and theirs is not None:
        return ours.overlaps(theirs)
    return leader.scores.get(score, Value(None)).overlaps(row.scores.get(score, Value(None)))


def _trained(row: Row) -> Value | None:
    """The quality that a training gave, where it has an interval."""
    found = row.refined
    if found is None or found.quality is None or found.low is None:
        return None
    return Value(found.quality, low=found.low, high=found.high)
