"""The joint ranking: the score, what earlier targets say of a candidate, and what a short training gave."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from acrank.ranking.borda import borda
from acrank.records import JOINT, Prior, Ranking, Refined, Row, Value

#: So many earlier targets give a prior half the weight that it can have, which is that of the score.
HALF_WEIGHT = 2

#: Sort key of a candidate; a greater one is better.
_Key = tuple[int, int, float, float]
_FAILED, _UNTRAINED, _TRAINED = range(3)


def joined(ranking: Ranking) -> Ranking:
    """The ranking ordered by JOINT where earlier targets or short trainings have a say, else as it is.

    Each candidate's share s of the others that it beats by the score is averaged with its share p on earlier targets:
    h = (s + w p) / (1 + w), where w = n / (n + 2) for n targets. A candidate without history keeps h = s. Candidates
    that were trained stand ahead of the others; a later round of halving counts first, then the mean of the shares by
    h and by quality among those that left in the same round, then the quality. Those whose training failed stand last.
    JOINT is the share of the others that a candidate is ahead of, ties counting half, and its note has the parts.

    Args:
        ranking: of a run; calling it again on what it returned changes nothing.

    Example:
        >>> rows = [Row(name, "scored", scores={"s": Value(x)}) for name, x in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
        >>> rows[0].prior = Prior(value=1.0, targets=6)
        >>> rows[2].prior = Prior(value=0.0, targets=6)
        >>> one = Ranking.of(rows, rank_by="s", higher_is_better={"s": True}, settings={"rank_by": "s"})
        >>> [row.model for row in joined(one).rows]
        ['c', 'b', 'a']
    """
    score = ranking.scored_by
    rows = [_without_joint(row) for row in ranking.rows]
    directions = {name: higher for name, higher in ranking.higher_is_better.items() if name != JOINT}
    if any(row.prior or row.refined for row in rows):
        rows = with_joint(rows, score, higher_is_better=directions[score])
        settings = {**ranking.settings, "rank_by": score}
        changed = dataclasses.replace(ranking, settings=settings, higher_is_better={**directions, JOINT: True})
        return changed.ordered(rows, JOINT)
    if ranking.rank_by != JOINT:
        return ranking
    return dataclasses.replace(ranking, higher_is_better=directions).ordered(rows, score)


def with_joint(rows: Sequence[Row], score: str, *, higher_is_better: bool) -> list[Row]:
    """The rows with their JOINT values; a row without a value of the score gets none."""
    shares = shares_of(rows, score, higher_is_better=higher_is_better)
    expected = {row.model: expectation(shares[row.model], row.prior) for row in rows if row.model in shares}
    known = {row.model: row.refined for row in rows if row.refined and row.model in shares}
    keys = _keys(expected, known)
    places = shares_by(keys) if len(keys) > 1 else dict.fromkeys(keys, 1.0)
    out = []
    for row in rows:
        if row.model in places:
            joint = Value(places[row.model], note=_parts(row, shares[row.model]))
            row = dataclasses.replace(row, scores={JOINT: joint, **row.scores})
        out.append(row)
    return out


def shares_of(rows: Sequence[Row], score: str, *, higher_is_better: bool) -> dict[str, float]:
    """Each scored candidate's share of the others that it beats by a score; a half where there is no other."""
    able = [row for row in rows if row.status == "scored"]
    values = {row.model: value for row in able if (value := row.value(score)) is not None}
    return borda(values, higher_is_better=higher_is_better) or dict.fromkeys(values, 0.5)


def expectation(share: float, prior: Prior | None) -> float:
    """The share of others that a candidate is expected to beat: by the score, and on earlier targets.

    >>> expectation(0.5, Prior(value=1.0, targets=2)), expectation(0.5, None)
    (0.6666666666666666, 0.5)
    """
    weight = weight_of(prior)
    return share if prior is None else (share + weight * prior.value) / (1 + weight)


def weight_of(prior: Prior | None) -> float:
    """The weight of a prior beside the score, in [0, 1).

    >>> weight_of(None), weight_of(Prior(value=0.5, targets=2)), weight_of(Prior(value=0.5, targets=18))
    (0.0, 0.5, 0.9)
    """
    return 0.0 if prior is None else prior.targets / (prior.targets + HALF_WEIGHT)


def by_training(expected: Mapping[str, float], quality: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Sort keys of candidates that were trained alike, greater is better: the mean of their two shares, the quality.

    >>> by_training({"a": 0.9, "b": 0.8}, {"a": 0.6, "b": 0.7})
    {'a': (0.5, 0.6), 'b': (0.5, 0.7)}
    """
    alike = {model: expected[model] for model in quality}
    first, second = borda(alike, higher_is_better=True), borda(quality, higher_is_better=True)
    return {model: ((first.get(model, 1.0) + second.get(model, 1.0)) / 2, quality[model]) for model in quality}


def shares_by(keys: Mapping[str, _Key]) -> dict[str, float]:
    """Each candidate's share of the others whose key is lower, equal ones counting half."""
    places = {key: place for place, key in enumerate(sorted(set(keys.values())))}
    return borda({model: float(places[key]) for model, key in keys.items()}, higher_is_better=True)


def _keys(expected: Mapping[str, float], known: Mapping[str, Refined]) -> dict[str, _Key]:
    keys: dict[str, _Key] = {
        model: (_FAILED if model in known else _UNTRAINED, 0, share, 0.0) for model, share in expected.items()
    }
    rounds: dict[int, dict[str, float]] = {}
    for model, found in known.items():
        if found.quality is not None:
            rounds.setdefault(found.rounds, {})[model] = found.quality
    for number, quality in rounds.items():
        for model, key in by_training(expected, quality).items():
            keys[model] = (_TRAINED, number, *key)
    return keys


def _parts(row: Row, share: float) -> str:
    """What a JOINT value is made of."""
    parts = [f"score {share:.2f}"]
    if row.prior is not None:
        targets = "1 earlier target" if row.prior.targets == 1 else f"{row.prior.targets} earlier targets"
        parts.append(f"{targets} {row.prior.value:.2f} (weight {weight_of(row.prior):.2f})")
    found = row.refined
    if found is not None and found.quality is None:
        parts.append(f"training failed: {found.reason}")
    elif found is not None:
        parts.append(f"{found.metric} {found.quality:.3g} after {found.epochs} epochs (round {found.rounds})")
    return ", ".join(parts)


def _without_joint(row: Row) -> Row:
    if JOINT not in row.scores:
        return row
    return dataclasses.replace(row, scores={name: value for name, value in row.scores.items() if name != JOINT})
