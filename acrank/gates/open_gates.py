"""Gates that every candidate passes: they tell nothing of the model that was chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from acrank.errors import GatesError
from acrank.gates.check_report import GateResult
from acrank.records import Ranking
from acrank.records.verdict import sampled_of

#: What is wrong with a gate that all candidates pass, and what makes one that can fail.
_BAND = (
    "the band holds all {count} candidates: the sample cannot tell them apart; {surer}, or --within/--top-k, make a "
    "gate that can fail"
)
_OTHERS = "so does each of the {count} candidates: {change} makes a gate that can fail"
_CHANGES = {"top_k": "a smaller --top-k", "refined_top_k": "a smaller --refined-top-k", "margin": "a smaller --within"}


def why_open(ranking: Ranking, gate: Any, *, name: str, rule: Callable[[Ranking, Any], GateResult]) -> str:
    """Why a gate that a model passes tells nothing of it: all ranked candidates would; "" where one would not.

    Args:
        ranking: with a single ranked candidate there is nothing to tell.
        gate: its settings, with the `model` that it is about.
        name: of the gate.
        rule: that judges it.
    """
    if name == "leading_band":
        return why_band_is_open(ranking)
    ranked = [row.model for row in ranking.rows if row.rank is not None and (name != "refined_top_k" or row.refined)]
    others = (gate.model_copy(update={"model": model}) for model in reversed(ranked))  # the last fails first
    if len(ranked) < 2 or not all(_passes(ranking, other, rule) for other in others):
        return ""
    return _OTHERS.format(count=len(ranked), change=_CHANGES[name])


def why_band_is_open(ranking: Ranking) -> str:
    """The same of being tied with the first; "" where one of the candidates is not."""
    count = sum(row.rank is not None for row in ranking.rows)
    if count < 2 or len(ranking.tied) < count - 1:
        return ""
    sampled, size = sampled_of(ranking) or (0, 1)
    return _BAND.format(count=count, surer="more --samples/--repeats or --refine" if sampled < size else "--refine")


def _passes(ranking: Ranking, gate: Any, rule: Callable[[Ranking, Any], GateResult]) -> bool:
    """Whether a model passes; one that cannot be judged, as without an interval, does not."""
    try:
        return rule(ranking, gate).passed
    except GatesError:
        return False
