"""Shares of the others that a candidate beats."""

from __future__ import annotations

from collections.abc import Mapping


def borda(values: Mapping[str, float], *, higher_is_better: bool) -> dict[str, float]:
    """Each candidate's share of the others that it beats, ties counting half: in [0, 1], higher is better.

    >>> borda({"a": 3.0, "b": 1.0, "c": 1.0}, higher_is_better=True)
    {'a': 1.0, 'b': 0.25, 'c': 0.25}
    """
    sign = 1 if higher_is_better else -1
    others = len(values) - 1

    def share(one: str) -> float:
        rivals = [sign * values[other] for other in values if other != one]
        return sum((sign * values[one] > rival) + (sign * values[one] == rival) / 2 for rival in rivals) / others

    return {one: share(one) for one in values} if others > 0 else {}
