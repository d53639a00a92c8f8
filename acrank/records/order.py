"""The order of a ranking's rows, and their bands."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from acrank.records.row import Row
from acrank.records.score_value import Value

#: The ranking column that joins the score with earlier targets and short trainings; higher is better.
JOINT = "joint"


def ranked(rows: Sequence[Row], score: str, *, higher_is_better: bool, bands_by: str, bands_higher: bool) -> list[Row]:
    """The rows, best first, with ranks and bands: ranked rows, then those without a value, then skipped ones.

    Ties are broken by the model's name. A row joins the band of the rows before it unless its interval is below that of
    the band's leader; where no row has an interval there are no bands. Rows that are ordered by JOINT have the
    intervals of their trainings where both were trained, else those of the score that came before: one that is better
    by these than the leader is in its band.

    Args:
        rows: in any order.
        score: that orders them.
        higher_is_better: its direction.
        bands_by, bands_higher: the score whose intervals make bands, and its direction.
    """
    sign = -1.0 if higher_is_better else 1.0

    def order(row: Row) -> tuple[bool, bool, float, str]:
        value = row.value(score)
        return (row.status != "scored", value is None, 0.0 if value is None else sign * value, row.model)

    by_training = score == JOINT
    towards = 1.0 if bands_higher else -1.0
    known = any(_has_interval(row, bands_by, by_training=by_training) for row in rows if row.value(score) is not None)
    leader: Row | None = None
    band, out = 0, []
    for place, row in enumerate(sorted(rows, key=order), start=1):
        if row.status != "scored" or row.value(score) is None:
            out.append(dataclasses.replace(row, rank=None, band=None))
            continue
        if leader is None or _is_clear(leader, row, bands_by, by_training=by_training, towards=towards):
            leader, band = row, band + 1
        out.append(dataclasses.replace(row, rank=place, band=band if known else None))
    return out


def tied_with_first(rows: Sequence[Row], *, bands_by: str, bands_higher: bool, by_training: bool) -> list[Row]:
    """The ranked rows whose intervals the first one's does not clear, in whichever band they are.

    A band ends at the first row that is clear of its leader; one with a wider interval, or with a better training than
    its place, may come after it.

    Args:
        rows: in the order that `ranked` gave them.
        bands_by, bands_higher: as there.
        by_training: whether JOINT orders them.
    """
    ours = [row for row in rows if row.rank is not None]
    towards = 1.0 if bands_higher else -1.0
    return [
        row
        for row in ours[1:]
        if row.band == 1 or not _is_clear(ours[0], row, bands_by, by_training=by_training, towards=towards)
    ]


def _has_interval(row: Row, score: str, *, by_training: bool) -> bool:
    return (by_training and _trained(row) is not None) or row.scores.get(score, Value(None)).low is not None


def _is_clear(leader: Row, row: Row, score: str, *, by_training: bool, towards: float) -> bool:
    """Whether the interval of a row is worse than that of its band's leader, and does not overlap it."""
    ours, theirs = _trained(leader), _trained(row)
    if not by_training or ours is None or theirs is None:
        ours, theirs = leader.scores.get(score, Value(None)), row.scores.get(score, Value(None))
    else:
        towards = 1.0  # of a quality higher is better
    is_better = ours.value is None or theirs.value is None or towards * ours.value >= towards * theirs.value
    return is_better and not ours.overlaps(theirs)


def _trained(row: Row) -> Value | None:
    """The quality that a training gave, where it has an interval."""
    found = row.refined
    if found is None or found.quality is None or found.low is None:
        return None
    return Value(found.quality, low=found.low, high=found.high)
