"""One function per gate: a ranking and the gate's settings in, a result out.

"At most" and "at least" include their bound. Quantities that are computed (tau, ratios of times) count as on the
bound within 1e-9, so that rounding never decides; margins are compared as the decimal figures in the record.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from acrank.errors import GatesError
from acrank.gates.gates_file import Gates, Margin, NoSkipped, SameBest, Time, TopK, WeightedTau
from acrank.gates.lookups import finite, listed, row_of, score_of, truth_of, unranked
from acrank.gates.report import GateResult, Report, one_line
from acrank.records import Ranking

_SLACK = 1e-9


def check(ranking: Ranking, gates: Gates, *, run: str = "the run") -> Report:
    """Hold a ranking against every gate that was asked for; `run` is what the report calls it.

    A chosen model that was skipped, or that has no value, fails its gate.

    Raises:
        GatesError: a gate cannot be evaluated: no gate is asked for, the run has no such model or score, a baseline
            has nothing to compare with, or the weighted tau is undefined.
        TableError: a baseline run or a truth table cannot be read.

    Example:
        >>> from acrank.gates.gates_file import parse_gates
        >>> from acrank.records import Row, Value
        >>> rows = [Row("a", "scored", scores={"s": Value(1.0)}), Row("b", "scored", scores={"s": Value(2.0)})]
        >>> ranking = Ranking.of(rows, rank_by="s", higher_is_better={"s": True})
        >>> check(ranking, parse_gates({"top_k": {"model": "a", "k": 1}})).results[0].message
        'a is rank 2 of 2, not in the top 1: b'
    """
    if not gates.asked():
        raise GatesError("no gate is asked for", hint=f"gates: {', '.join(RULES)}")
    return Report([_printable(RULES[name](ranking, getattr(gates, name))) for name in gates.asked()], run)


def top_k(ranking: Ranking, gate: TopK) -> GateResult:
    """The model's rank is at most k. Equal values are ranked by name, as in the table."""
    required = f"rank <= {gate.k}"
    row = row_of(ranking, gate.model, "top_k")
    if row.rank is None:
        return GateResult("top_k", False, unranked(row, ranking.rank_by), None, required)
    ranked = [other.model for other in ranking.rows if other.rank is not None]
    place = f"{listed([row.model])} is rank {row.rank} of {len(ranked)}"
    if row.rank <= gate.k:
        return GateResult("top_k", True, f"{place}, in the top {gate.k}", row.rank, required)
    message = f"{place}, not in the top {gate.k}: {listed(ranked[: gate.k])}"
    return GateResult("top_k", False, message, row.rank, required)


def margin(ranking: Ranking, gate: Margin) -> GateResult:
    """The model's value is at most the margin worse than the best; relative margins are of the best's magnitude."""
    score = score_of(ranking, gate.score, "margin")
    required = f"{score} within {gate.within} of the best"
    row = row_of(ranking, gate.model, "margin")
    value = finite(row, score)
    if value is None:
        return GateResult("margin", False, unranked(row, score), None, required)
    values = {other.model: found for other in ranking.rows if (found := finite(other, score)) is not None}
    pick = max if ranking.higher_is_better[score] else min
    best = pick(values, key=lambda model: values[model])
    # Decimals of the shortest text of each float: 0.8 - 0.7 is 0.1, as the reader of the record would say
    top, own = Decimal(repr(float(values[best]))), Decimal(repr(float(value)))
    allowed = gate.within.of(top)
    gap = abs(top - own)
    message = (
        f"{listed([row.model])} has {score} {float(own):.6g}, {float(gap):.4g} from the best, "
        f"{listed([best])} with {float(top):.6g}; {float(allowed):.4g} allowed"
    )
    return GateResult("margin", gap <= allowed, message, float(gap), required)


def same_best(ranking: Ranking, gate: SameBest) -> GateResult:
    """The baseline's best is still the best, or (tolerance "band") cannot be told apart from the best."""
    before = _baseline_best(ranking, gate.baseline)
    name = listed([before])
    required = f"best is {name}" if gate.tolerance == "exact" else f"{name} in the leading band"
    if ranking.best is None:
        return GateResult("same_best", False, f"no candidate was ranked; {name} was the best", None, required)
    leading = [row.model for row in ranking.rows if row.band == 1]
    passed = before == ranking.best.model or (gate.tolerance == "band" and before in leading)
    now = listed([ranking.best.model])
    if before == ranking.best.model:
        message = f"the best is {name}, as in {gate.baseline}"
    else:
        message = f"the best is {now}, in {gate.baseline} it was {name}, {_whereabouts(ranking, before)}"
    return GateResult("same_best", passed, message, now, required)


def no_skipped(ranking: Ranking, gate: NoSkipped) -> GateResult:
    """No candidate was skipped, save the allowed ones, which must be candidates of the run."""
    allowed = {row_of(ranking, model, "no_skipped").model for model in gate.allowed}
    skipped = [row for row in ranking.rows if row.status != "scored"]
    wrong = [row for row in skipped if row.model not in allowed]
    required = f"none skipped but {listed(sorted(allowed))}" if allowed else "none skipped"
    message = f"{len(skipped)} of {len(ranking.rows)} candidates skipped"
    if wrong:
        message += ": " + listed(f"{row.model} ({row.reason or 'no reason given'})" for row in wrong)
    elif skipped:
        message += f", all of them allowed: {listed(row.model for row in skipped)}"
    return GateResult("no_skipped", not wrong, message, len(wrong), required)


def no_warnings(ranking: Ranking, gate: bool) -> GateResult:
    """The run carries no warning about the ranking as a whole."""
    found = [str(text) for text in ranking.warnings]
    message = f"{len(found)} warnings: {listed(found)}" if found else "no warnings"
    return GateResult("no_warnings", not found, message, len(found), "no warnings")


def time(ranking: Ranking, gate: Time) -> GateResult:
    """The median, over candidates scored in both runs, of seconds now over seconds in the baseline."""
    before, now = _seconds(Ranking.load(gate.baseline)), _seconds(ranking)
    ratios = [now[model] / before[model] for model in now if before.get(model)]
    if not ratios:
        raise GatesError(
            f"time: no candidate has a time both in the run and in {gate.baseline}",
            hint="give a baseline of the same zoo, written by `acrank score`",
        )
    ratio = statistics.median(ratios)
    passed = ratio <= gate.at_most or math.isclose(ratio, gate.at_most, rel_tol=_SLACK)
    message = f"{ratio:.4g} times as long as {gate.baseline}, median over {len(ratios)} common candidates"
    return GateResult("time", passed, message, ratio, f"<= {gate.at_most:g} times the baseline")


def max_seconds(ranking: Ranking, gate: float) -> GateResult:
    """No candidate took longer than this many seconds."""
    seconds = _seconds(ranking)
    if not seconds:
        raise GatesError("max_seconds: no candidate of the run has a time", hint="give a run of `acrank score`")
    slowest = max(seconds, key=lambda model: seconds[model])
    message = f"the slowest of {len(seconds)} candidates, {listed([slowest])}, took {seconds[slowest]:.4g} s"
    return GateResult("max_seconds", seconds[slowest] <= gate, message, seconds[slowest], f"<= {gate:g} s each")


def weighted_tau(ranking: Ranking, gate: WeightedTau) -> GateResult:
    """Weighted Kendall tau of the score, better first, against the truth, over the models that have both."""
    from acrank.comparison.statistics import weighted_tau as statistic

    score = score_of(ranking, gate.score, "weighted_tau")
    truth = truth_of(gate)
    sign = 1.0 if ranking.higher_is_better[score] else -1.0
    values = {row.model: sign * value for row in ranking.rows if (value := finite(row, score)) is not None}
    common = [model for model in values if model in truth]
    tau = statistic([values[model] for model in common], [truth[model] for model in common])
    if math.isnan(tau):
        why = "a constant column" if len(common) > 1 else f"{len(common)} models have both"
        raise GatesError(
            f"weighted_tau: undefined between {score} and {gate.truth}: {why}",
            hint="the truth must name the run's models, and at least two must differ",
        )
    passed = tau >= gate.at_least or math.isclose(tau, gate.at_least, abs_tol=_SLACK)
    message = f"weighted tau of {score} is {tau:.4g} over {len(common)} models"
    message += _left_out(ranking, truth, common)
    return GateResult("weighted_tau", passed, message, tau, f">= {gate.at_least:g}")


RULES: dict[str, Callable[[Ranking, Any], GateResult]] = {
    "top_k": top_k,
    "margin": margin,
    "same_best": same_best,
    "weighted_tau": weighted_tau,
    "no_skipped": no_skipped,
    "no_warnings": no_warnings,
    "time": time,
    "max_seconds": max_seconds,
}


def _printable(result: GateResult) -> GateResult:
    """The one door through which names from a run reach the views."""
    observed = one_line(result.observed) if isinstance(result.observed, str) else result.observed
    message, required = one_line(result.message), one_line(result.required)
    return replace(result, message=message, observed=observed, required=required)


def _baseline_best(ranking: Ranking, path: Path) -> str:
    baseline = Ranking.load(path)
    if baseline.best is None:
        raise GatesError(f"same_best: {path} ranks nothing", hint="give a run in which a candidate was scored")
    if baseline.rank_by != ranking.rank_by:
        raise GatesError(
            f"same_best: {path} is ranked by {baseline.rank_by!r}, the run by {ranking.rank_by!r}",
            hint="rank both by the same score",
        )
    return baseline.best.model


def _whereabouts(ranking: Ranking, model: str) -> str:
    """Where the former best is now."""
    row = next((row for row in ranking.rows if row.model == model), None)
    if row is None:
        return "which is not in the run"
    if row.rank is None:
        return f"which has no rank: {unranked(row, ranking.rank_by)}"
    return f"now rank {row.rank}, " + ("in the leading band" if row.band == 1 else "outside the leading band")


def _seconds(ranking: Ranking) -> dict[str, float]:
    return {row.model: row.seconds for row in ranking.rows if row.status == "scored" and row.seconds is not None}


def _left_out(ranking: Ranking, truth: dict[str, float], common: list[str]) -> str:
    """How many models on either side had no counterpart: leaving out the bad ones would flatter the score."""
    run, rest = len(ranking.rows) - len(common), len(truth) - len(common)
    return f" ({run} of the run and {rest} of the truth without a counterpart)" if run or rest else ""
