"""What only the whole run can say: pool-relative scores, the consensus, controls and warnings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from acrank.ranking.racing import with_pooled_intervals
from acrank.ranking.reached_values import target_warnings, with_reached_values
from acrank.ranking.values import value_of
from acrank.records import Ranking, Row, Value
from acrank.records.borda import borda
from acrank.records.first_candidate import LABEL_BLIND, is_within_zero, looks_untrained
from acrank.records.joint import joined
from acrank.scores import SCORES
from acrank.scores.evaluate import Evaluation, evaluate_pool
from acrank.settings import CONSENSUS, Settings

#: Fewer candidates give no tau that means anything: of two it can only be -1 or 1.
FEWEST = 5


def summarise(
    rows: Sequence[Row],
    settings: Settings,
    *,
    zoo: Mapping[str, Any],
    environment: dict[str, Any],
    target: dict[str, Any],
    notes: Sequence[str],
    history: Sequence[Mapping[str, str]] | None = None,
) -> Ranking:
    """The ranking of rows, with pool-relative values, controls and warnings; it does not depend on the rows' order.

    Controls are about the score, also where the rows are ordered by JOINT, see `joined`. `history` names the files that
    the priors of the rows come from, for the record.
    """
    ordered = sorted(rows, key=lambda row: row.model)  # sums over the pool round alike, whatever was done first
    ranking = Ranking.of(
        with_pooled_intervals(with_pool_values(ordered, settings), list(settings.directions())),
        rank_by=settings.rank_by,
        higher_is_better=settings.directions(),
        settings={
            **settings.record(),
            "plan": dataclasses.asdict(settings.plan()),
            "zoo": dict(zoo),
            **({} if history is None else {"history": list(history)}),
        },
        environment=environment,
        target=with_reached_values(target, ordered),
        notes=list(notes),
    )
    ranking.controls = controls_of(ranking)
    ranking.warnings = warnings_of(ranking)
    return joined(ranking)


def with_pool_values(rows: Sequence[Row], settings: Settings) -> list[Row]:
    """The rows with their pool-relative scores and, where it ranks, the consensus; skipped rows stay as they are.

    Pool values are computed draw by draw, then averaged as any other score is.
    """
    out = list(rows)
    for name in settings.scores:
        if SCORES[name].pool_relative:
            out = _with_pool_score(name, out)
    return _with_consensus(out, settings) if settings.rank_by == CONSENSUS else out


def directions_of(record: Ranking, settings: Settings) -> dict[str, bool]:
    """Whether higher is better in the scores of a record, as this version has it under its settings."""
    return {name: higher for name, higher in settings.directions().items() if name in record.higher_is_better}


def controls_of(ranking: Ranking) -> dict[str, float | None]:
    """Kendall's tau-b, in [-1, 1], between the ranking and what it should not merely repeat; None where undefined.

    `tau_layer_width`: the mean width of the normalisation layers. `tau_no_drift`: the same score before the step.
    `tau_shuffled`: the same score under shuffled labels.
    """
    name = ranking.rank_by
    rows = [row for row in ranking.rows if row.rank is not None]
    sign = 1.0 if ranking.higher_is_better[name] else -1.0
    values = [sign * value for row in rows if (value := row.value(name)) is not None]
    found = [row.scores[name] for row in rows]
    return {
        "tau_layer_width": _tau(
            values,
            [float(np.mean([layer["channels"] for layer in row.layers])) if row.layers else None for row in rows],
        ),
        "tau_no_drift": _tau(values, [None if one.no_drift is None else sign * one.no_drift for one in found]),
        "tau_shuffled": _tau(values, [None if one.shuffled is None else sign * one.shuffled for one in found]),
    }


def warnings_of(ranking: Ranking) -> list[str]:
    """What a reader of the table must know about the run as a whole."""
    out = []
    blind = ranking.controls.get("tau_shuffled")
    if blind is not None and blind > LABEL_BLIND:
        out.append(
            f"shuffled labels give nearly the same ranking (tau {blind:.2f}): "
            f"{ranking.rank_by} says more about the checkpoints than about this target"
        )
    zero = [row.model for row in ranking.rows if is_within_zero(ranking, row)]
    if zero:
        out.append(f"no better by {ranking.rank_by} than their architecture with drawn weights: {', '.join(zero)}")
    fresh = [row.model for row in ranking.rows if row.rank is not None and looks_untrained(row)]
    if fresh:
        out.append(f"look untrained, normalisation layers are as they begin (scale 1, offset 0): {', '.join(fresh)}")
    lacking = {row.untrained.reason: row.model for row in reversed(ranking.rows) if row.untrained}
    out += [f"no untrained twin of {model} has a value: {reason}" for reason, model in lacking.items() if reason]
    skipped = [row.model for row in ranking.rows if row.status == "skipped"]
    if skipped:
        out.append(f"{len(skipped)} skipped: {', '.join(skipped[:5])}{', …' if len(skipped) > 5 else ''}")
    failures = [row.details.cache_failure for row in ranking.rows if row.details.cache_failure]
    if failures:
        out.append(f"the cache could not be written for {len(failures)} of {len(ranking.rows)}: {failures[0]}")
    return [*out, *target_warnings(ranking.target, ranking.rows)]


def _with_pool_score(name: str, rows: list[Row]) -> list[Row]:
    """A pool-relative score, draw by draw over the parts that the candidates have of it."""
    parts = [row.details.parts.get(name, []) for row in rows]
    draws = [
        evaluate_pool(SCORES[name], [Evaluation(part=part[i] if i < len(part) else None) for part in parts])
        for i in range(max(map(len, parts), default=0))
    ]
    return [
        _with_score(row, name, value_of([draw[k] for draw in draws])) if parts[k] else row for k, row in enumerate(rows)
    ]


def _with_consensus(rows: list[Row], settings: Settings) -> list[Row]:
    """Borda: the mean over the scores that a candidate has of the share of rivals it beats there."""
    directions = settings.directions()
    shares: dict[str, list[float]] = {}
    for name in settings.scores:
        known = {row.model: value for row in rows if (value := row.value(name)) is not None}
        for model, share in borda(known, higher_is_better=directions[name]).items():
            shares.setdefault(model, []).append(share)
    return [_with_score(row, CONSENSUS, _consensus(shares.get(row.model, []), len(settings.scores))) for row in rows]


def _consensus(shares: Sequence[float], wanted: int) -> Value:
    if not shares:
        return Value(None, note="a consensus needs two candidates with the same score")
    note = None if len(shares) == wanted else f"from {len(shares)} of {wanted} scores"
    return Value(sum(shares) / len(shares), note=note)


def _with_score(row: Row, name: str, value: Value) -> Row:
    if row.status != "scored":
        return row
    return dataclasses.replace(row, scores={**row.scores, name: value})


def _tau(values: Sequence[float], others: Sequence[float | None]) -> float | None:
    from scipy.stats import kendalltau

    pairs = [(x, y) for x, y in zip(values, others, strict=True) if y is not None]
    if len(pairs) < FEWEST:
        return None
    # what differs by rounding alone is a tie
    left, right = ([float(f"{value:.9g}") for value in side] for side in zip(*pairs, strict=True))
    tau = float(kendalltau(left, right).statistic)
    return None if np.isnan(tau) else tau
