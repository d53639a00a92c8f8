"""Shares of the others that a candidate beats."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping


def borda(values: Mapping[str, float], *, higher_is_better: bool) -> dict[str, float]:
    """Each candidate's share of the others that it beats, ties counting half: in [0, 1], higher is better.

    >>> borda({"a": 3.0, "b": 1.0, "c": 1.0}, higher_is_better=True)
    {'a': 1.0, 'b': 0.25, 'c': 0.25}
    """
    sign = 1 if higher_is_better else -1
    ordered = sorted(sign * value for value in values.values())
    others = len(ordered) - 1

    def share(value: float) -> float:
        below, up_to = bisect_left(ordered, value), bisect_right(ordered, value)
        return (below + (up_to - below - 1) / 2) / others

    return {one: share(sign * value) for one, value in values.items()} if others > 0 else {}
