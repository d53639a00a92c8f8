"""Which columns fit a terminal, and how wide each becomes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from acrank.system.view import EXTRA

#: A column that must stay never becomes narrower than this, in terminal cells.
NARROWEST = 4


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a column asks for.

    Attributes:
        least, most: the narrowest and the widest that it may become, in terminal cells.
        ease: the width that columns of priority `EXTRA` and beyond may not take from it.
        priority: 0 for a column that stays; of the others the largest goes first, of equal ones the rightmost.
        turn: who grows first where there is room: all of turn 0 alike, then those of turn 1, and so on.
    """

    least: int
    most: int
    ease: int = 0
    priority: int = 0
    turn: int = 0


def fitted(needs: Sequence[Need], width: int | None, gap: int) -> dict[int, int]:
    """The places of the columns that stay -> the width of each.

    Args:
        needs: of the columns, from left to right.
        width: of the terminal; None where all columns have room.
        gap: cells between two columns.

    Example:
        >>> name, number = Need(least=8, most=40), Need(least=6, most=6, priority=1)
        >>> fitted([name, number], 24, gap=2), fitted([name, number], 12, gap=2)
        ({0: 16, 1: 6}, {0: 12})
    """
    if width is None:
        return {place: need.most for place, need in enumerate(needs)}
    easy = [max(need.least, min(need.ease, need.most)) for need in needs]
    kept = _kept(list(range(len(needs))), needs, easy, width=width, gap=gap, above=EXTRA)
    kept = _kept(kept, needs, [need.least for need in needs], width=width, gap=gap, above=1)
    found = {i: needs[i].least for i in kept}
    _shrink(found, width, gap)
    for turn in sorted({needs[i].turn for i in kept}):
        _grow(found, [i for i in kept if needs[i].turn == turn], needs, room=width - _taken(found.values(), gap))
    return found


def _kept(
    kept: list[int], needs: Sequence[Need], widths: Sequence[int], *, width: int, gap: int, above: int
) -> list[int]:
    """The places that stay where those of a priority of `above` or more go until the widths fit."""
    kept = list(kept)
    while _taken([widths[i] for i in kept], gap) > width:
        going = max(kept, key=lambda i: (needs[i].priority, i))
        if needs[going].priority < above:
            break
        kept.remove(going)
    return kept


def _taken(widths: Collection[int], gap: int) -> int:
    return sum(widths) + gap * max(0, len(widths) - 1)


def _shrink(found: dict[int, int], width: int, gap: int) -> None:
    """Take from the widest of the columns that must stay what the terminal lacks."""
    while found and _taken(found.values(), gap) > width:
        widest = max(found, key=lambda i: found[i])
        if found[widest] <= NARROWEST:
            return
        found[widest] -= 1


def _grow(found: dict[int, int], places: list[int], needs: Sequence[Need], *, room: int) -> None:
    """Give the room away, a cell at a time to the narrowest of those that can take it."""
    while room > 0:
        able = [i for i in places if found[i] < needs[i].most]
        if not able:
            return
        found[min(able, key=lambda i: found[i])] += 1
        room -= 1
