"""What only the whole run can say: pool-relative scores, and the consensus of several."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from acrank.ranking.candidates import value_of
from acrank.records import Row, Value
from acrank.scores import SCORES
from acrank.scores.evaluate import Evaluation, evaluate_pool
from acrank.settings import CONSENSUS, Settings


def with_pool_values(rows: Sequence[Row], settings: Settings) -> list[Row]:
    """The rows with their pool-relative scores and, where it ranks, the consensus; skipped rows stay as they are.

    Pool values are worked out draw by draw, then averaged as any other score is.
    """
    out = list(rows)
    for name in settings.scores:
        if SCORES[name].pool_relative:
            out = _finished(name, out, settings.protocol.repeats)
    return _with_consensus(out, settings) if settings.rank_by == CONSENSUS else out


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


def _finished(name: str, rows: list[Row], repeats: int) -> list[Row]:
    parts = [row.details.get("parts", {}).get(name, []) for row in rows]
    draws = [
        evaluate_pool(SCORES[name], [Evaluation(part=part[i] if i < len(part) else None) for part in parts])
        for i in range(repeats)
    ]
    return [_with(row, name, value_of([draw[k] for draw in draws])) if parts[k] else row for k, row in enumerate(rows)]


def _with_consensus(rows: list[Row], settings: Settings) -> list[Row]:
    """Borda: the mean over the scores that a candidate has of the share of rivals it beats there."""
    directions = settings.directions()
    shares: dict[str, list[float]] = {}
    for name in settings.scores:
        known = {row.model: value for row in rows if (value := row.value(name)) is not None}
        for model, share in borda(known, higher_is_better=directions[name]).items():
            shares.setdefault(model, []).append(share)
    return [_with(row, CONSENSUS, _consensus(shares.get(row.model, []), len(settings.scores))) for row in rows]


def _consensus(shares: Sequence[float], wanted: int) -> Value:
    if not shares:
        return Value(None, note="a consensus needs two candidates with the same score")
    note = None if len(shares) == wanted else f"from {len(shares)} of {wanted} scores"
    return Value(sum(shares) / len(shares), note=note)


def _with(row: Row, name: str, value: Value) -> Row:
    if row.status != "scored":
        return row
    return dataclasses.replace(row, scores={**row.scores, name: value})
