"""A comparison in words: how well the score of interest orders the candidates, and what its pick would cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from acrank.system.notebook import short_name

if TYPE_CHECKING:
    from acrank.comparison.results import Estimate, ScoreResult

#: Nothing is concluded from fewer models, and little from fewer than `PLENTY`.
ENOUGH, PLENTY = 5, 10


def words_on(results: Sequence[ScoreResult], averages: Sequence[ScoreResult], score: str | None) -> list[str]:
    """A sentence on one score, over all datasets where there are several; none where it was not compared.

    It is good where the interval of its weighted tau lies above 0, not shown to be where that includes 0, and
    reversed where it lies below.

    Args:
        results: one for each dataset and score.
        averages: over the datasets; empty for one dataset.
        score: that every other one is paired with.
    """
    own = [one for one in results if one.score == score and one.kind == "score"]
    mean = [one for one in averages if one.score == score and one.kind == "score"]
    if not own:
        return []
    one, most = (mean or own)[0], max(result.n for result in own)
    tau, several = one.figures["weighted_tau"], len(own) if mean else 1
    if tau.value is None:
        return [f"{short_name(one.score)} cannot be judged: {one.reason or 'its weighted tau is undefined'}."]
    interval = "" if tau.low is None or tau.high is None else f" [{tau.low:.2f}, {tau.high:.2f}]"
    over = f"the candidates of {several} datasets" if several > 1 else f"{one.n} candidates"
    mean_of, of_one = ("mean ", " of one dataset") if several > 1 else ("", "")
    found = f"{short_name(one.score)} ordered {over} with {mean_of}weighted tau {tau.value:.2f}{interval}"
    if most < ENOUGH:
        return [f"{found}: too few to conclude anything, which takes {ENOUGH} candidates{of_one}."]
    weak = f"; over {most} candidates this is weak evidence" if several == 1 and most < PLENTY else ""
    return [f"{found}, {_judged(tau)}{_pick(one, several=several > 1)}{weak}."]


def _judged(tau: Estimate) -> str:
    if tau.low is None or tau.high is None:
        return "without an interval that would tell it from chance"
    if tau.low > 0:
        return "better than chance"
    if tau.high < 0:
        return "the reverse of the truth: worse than chance"
    return "not shown to be better than chance: the interval includes 0"


def _pick(one: ScoreResult, *, several: bool) -> str:
    """How far its first candidate is behind the best one, where that was asked for."""
    regret = one.figures.get("regret_at_1")
    if regret is None or regret.value is None:
        return ""
    if not regret.value:
        return "; its pick is the best" + (" of each" if several else "")
    return f"; its pick is {regret.value:.3g} behind the best" + (" on average" if several else "")
