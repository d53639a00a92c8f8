"""The joint ranking: the score, what earlier targets say of a candidate, and what a short training gave."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from acrank.records.borda import borda
from acrank.records.order import JOINT
from acrank.records.row import Prior, Refined, Row
from acrank.records.score_value import Value

if TYPE_CHECKING:
    from acrank.records.run import Ranking

#: So many earlier targets give a prior half the weight that it can have, which is that of the score.
HALF_WEIGHT = 2
_DIGITS = 12  # of expected shares: what differs by rounding alone is a tie

#: Sort key of a candidate; a greater one is better.
_Key = tuple[int, int, float, float]
_FAILED, _UNTRAINED, _TRAINED = range(3)


def joined(ranking: Ranking) -> Ranking:
    """The ranking ordered by JOINT where earlier targets or short trainings have a say, else as it is.

    The share of the others that a candidate beats by the score is moved towards its share on earlier targets, see
    `expectations`. Candidates that were trained stand ahead of the others; a later round of halving counts first, then
    the mean of the shares by expectation and by quality among those that left in the same round, then the quality.
    Those whose training failed stand last.
    JOINT is the share of the others that a candidate is ahead of, ties counting half, and its note has the parts.

    Args:
        ranking: of a run; calling it again on what it returned changes nothing.

    Example:
        >>> from acrank.records import Ranking
        >>> rows = [Row(name, "scored", scores={"s": Value(x)}) for name, x in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
        >>> rows[0].prior = Prior(value=1.0, targets=6)
        >>> rows[2].prior = Prior(value=0.0, targets=6)
        >>> one = Ranking.of(rows, rank_by="s", higher_is_better={"s": True}, settings={"rank_by": "s"})
        >>> [row.model for row in joined(one).rows]
        ['c', 'b', 'a']
    """
    score = ranking.scored_by
    is_known = any(row.prior or row.refined for row in ranking.rows)
    if not (is_known or JOINT in (*ranking.score_names, *ranking.higher_is_better)):
        return ranking
    rows = [_without_joint(row) for row in ranking.rows]
    directions = {name: higher for name, higher in ranking.higher_is_better.items() if name != JOINT}
    if not is_known:
        return dataclasses.replace(ranking, higher_is_better=directions).ordered(rows, score)
    rows = with_joint(rows, score, higher_is_better=directions[score])
    settings = {**ranking.settings, "rank_by": score}
    changed = dataclasses.replace(ranking, settings=settings, higher_is_better={**directions, JOINT: True})
    return changed.ordered(rows, JOINT)


def with_joint(rows: Sequence[Row], score: str, *, higher_is_better: bool) -> list[Row]:
    """The rows with their JOINT values; a row without a value of the score gets none."""
    shares = shares_of(rows, score, higher_is_better=higher_is_better)
    expected = expectations(shares, {row.model: row.prior for row in rows})
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


def expectations(shares: Mapping[str, float], priors: Mapping[str, Prior | None]) -> dict[str, float]:
    """The share of the others that each candidate is expected to beat: by the score, and on earlier targets.

    With s the share by the score, p that on n earlier targets, w = n / (n + 2) and c the same for all,
    h = s + (p - s - c) w / (1 + w): the mean of s and p - c, in which p weighs w. The offset c is such that the
    candidates with earlier targets have the same sum of h as of s. So these targets order the candidates that they know
    among themselves, and raise or lower none of them as a group: those without, which keep h = s, are neither favoured
    nor punished, however strong the others were that were finetuned there.

    Args:
        shares: of the candidates that have a value of the score.
        priors: None, or no entry, where there are no earlier targets.

    Returns:
        Expected shares, rounded to 12 decimals; beyond [0, 1] where the offset takes them there.

    Example:
        >>> known = {"a": Prior(value=1.0, targets=2), "b": Prior(value=0.4, targets=2)}
        >>> expectations({"a": 0.0, "b": 1.0, "c": 0.5}, known)
        {'a': 0.266666666667, 'b': 0.733333333333, 'c': 0.5}
    """
    known = {model: prior for model in shares if (prior := priors.get(model)) is not None}
    pulls = {model: weight_of(prior) / (1 + weight_of(prior)) for model, prior in known.items()}
    whole = math.fsum(pulls.values())
    gaps = {model: prior.value - shares[model] for model, prior in known.items()}
    offset = math.fsum(pulls[model] * gaps[model] for model in known) / whole if whole else 0.0
    moved = {model: pulls[model] * (gaps[model] - offset) for model in known}
    return {model: round(share + moved.get(model, 0.0), _DIGITS) for model, share in shares.items()}


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
        parts.append(f"{row.prior.source} {row.prior.value:.2f} (weight {weight_of(row.prior):.2f})")
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
