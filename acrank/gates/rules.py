"""One function per gate: a ranking and the gate's settings in, a GateResult out.

"At most" and "at least" include their bound. Computed quantities (tau, ratios of times) count as on the bound within
1e-9, so that rounding never decides; margins are compared as the decimal figures in the record.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from acrank.errors import GatesError
from acrank.gates.check_report import CheckReport, GateResult, one_line
from acrank.gates.gates_file import Gates, NoSkipped, SameBest, Time, TopK, WeightedTau
from acrank.gates.lookups import find_row, find_score, finite_value, listed, of_partial_run, truth_of, why_unranked
from acrank.gates.open_gates import why_band_is_open, why_open
from acrank.gates.place_rules import check_leading_band, check_margin, check_refined_top_k, place_in_bands
from acrank.gates.target_rules import check_classes, check_images
from acrank.records import Ranking
from acrank.records.first_candidate import reservations_about

_SLACK = 1e-9
_TIMED = "give runs of this `acrank score`: rows that an earlier version took from its cache have no time"


def check_ranking(ranking: Ranking, gates: Gates, *, run: str = "the run") -> CheckReport:
    """The results of all gates that are on; `run` is the name of the ranking in the report.

    A ranking that is empty or was not finished fails as such (`complete`), unless the gates allow it.

    A chosen model that was skipped, or that has no value, fails its gate.

    Raises:
        GatesError: a gate cannot be evaluated: no gate is on, the run lacks the model or score, a baseline has nothing
            to compare with, the weighted tau is undefined, or its score is made of its truth.
        TableError: a baseline run or a truth table cannot be read.

    Example:
        >>> from acrank.gates.gates_file import parse_gates
        >>> from acrank.records import Row, Value
        >>> rows = [Row(name, "scored", scores={"s": Value(x)}) for name, x in (("a", 1.0), ("b", 2.0))]
        >>> ranking = Ranking.of(rows, rank_by="s", higher_is_better={"s": True})
        >>> check_ranking(ranking, parse_gates({"top_k": {"model": "a", "k": 1}})).results[0].message
        'a is rank 2 of 2, not in the top 1: b'
    """
    if not gates.enabled():
        raise GatesError("no gate is asked for", hint=f"gates: {', '.join(RULES)}")
    results = [] if gates.allow_partial or not ranking.lacking else [_not_whole(ranking)]
    try:
        results += [_judged(ranking, name, getattr(gates, name)) for name in gates.enabled()]
    except GatesError as error:
        raise of_partial_run(error, ranking) from error
    warned = [f"{result.name}: {text}" for result in results for text in result.warnings]
    results = [_with_warnings(result, warned) if result.name == "no_warnings" else result for result in results]
    return CheckReport([_printable(result) for result in results], run)


def _judged(ranking: Ranking, name: str, gate: Any) -> GateResult:
    """The result of a gate, and what takes from it: its model looks untrained, or every candidate passes."""
    result, model = RULES[name](ranking, gate), getattr(gate, "model", None)
    if model is None:
        return result
    doubts = reservations_about(ranking, find_row(ranking, model, name))
    if result.passed and (why := why_open(ranking, gate, name=name, rule=RULES[name])):
        doubts.append(why)
    return result.doubted(doubts)


def _with_warnings(result: GateResult, warned: Sequence[str]) -> GateResult:
    """The gate `no_warnings`, which fails for warnings of the other gates, too."""
    if not warned:
        return result
    count = len(warned)
    said = f"{count} warning{'s' if count > 1 else ''} of other gates: {listed(warned)}"
    message = said if result.passed else f"{result.message}; {said}"
    return replace(result, passed=False, message=message, observed=int(result.observed or 0) + count)


def _not_whole(ranking: Ranking) -> GateResult:
    return GateResult(
        name="complete",
        passed=False,
        message=f"{ranking.lacking}; finish it with --resume, or allow it with --allow-partial",
        observed=len(ranking.rows),
        required="a finished run",
    )


def check_top_k(ranking: Ranking, gate: TopK) -> GateResult:
    """The model's rank is at most k. Equal values are ranked by name, as in the table."""
    result = partial(GateResult, name="top_k", required=f"rank <= {gate.k}")
    row = find_row(ranking, gate.model, "top_k")
    if row.rank is None:
        return result(passed=False, message=why_unranked(row, ranking.rank_by), observed=None)
    ranked = [other.model for other in ranking.rows if other.rank is not None]
    message = f"{listed([row.model])} is rank {row.rank} of {len(ranked)}, "
    passed = row.rank <= gate.k
    message += f"in the top {gate.k}" if passed else f"not in the top {gate.k}: {listed(ranked[: gate.k])}"
    return result(passed=passed, message=message, observed=row.rank)


def check_same_best(ranking: Ranking, gate: SameBest) -> GateResult:
    """The baseline's best is still the best, or (tolerance "band") still in the leading band."""
    before = _baseline_best(ranking, gate.baseline)
    name = listed([before])
    required = f"best is {name}" if gate.tolerance == "exact" else f"{name} in the leading band"
    result = partial(GateResult, name="same_best", required=required)
    if ranking.best is None:
        return result(passed=False, message=f"no candidate was ranked; {name} was the best", observed=None)
    now = ranking.best.model
    tied = [row.model for row in ranking.tied]
    passed = before == now or (gate.tolerance == "band" and before in tied)
    message = f"the best is {listed([now])}, "
    if before == now:
        message += f"as in {gate.baseline}"
    else:
        message += f"in {gate.baseline} it was {name}, {_place_now(ranking, before)}"
    why = why_band_is_open(ranking) if passed and before != now else ""
    return result(passed=passed, message=message, observed=listed([now])).doubted([why] if why else [])


def check_no_skipped(ranking: Ranking, gate: NoSkipped) -> GateResult:
    """No candidate was skipped, except the allowed ones, which must be candidates of the run."""
    allowed = {find_row(ranking, model, "no_skipped").model for model in gate.allowed}
    skipped = [row for row in ranking.rows if row.status != "scored"]
    wrong = [row for row in skipped if row.model not in allowed]
    required = f"none skipped but {listed(sorted(allowed))}" if allowed else "none skipped"
    message = f"{len(skipped)} of {len(ranking.rows)} candidates skipped"
    if wrong:
        message += ": " + listed(f"{row.model} ({row.reason or 'no reason given'})" for row in wrong)
    elif skipped:
        message += f", all of them allowed: {listed(row.model for row in skipped)}"
    return GateResult(name="no_skipped", passed=not wrong, message=message, observed=len(wrong), required=required)


def check_no_warnings(ranking: Ranking, gate: bool) -> GateResult:
    """The run has no warning about the ranking as a whole."""
    found = [str(text) for text in ranking.warnings]
    message = f"{len(found)} warning{'s' if len(found) > 1 else ''}: {listed(found)}" if found else "no warnings"
    return GateResult(
        name="no_warnings", passed=not found, message=message, observed=len(found), required="no warnings"
    )


def check_time(ranking: Ranking, gate: Time) -> GateResult:
    """The median of seconds now over seconds in the baseline, over candidates scored in both, is at most a bound."""
    before, now = _seconds(Ranking.load(gate.baseline)), _seconds(ranking)
    ratios = [now[model] / before[model] for model in now if before.get(model)]
    if not ratios:
        raise GatesError(
            f"time: no candidate has a time both in the run and in {gate.baseline}",
            hint=f"give a baseline of the same zoo; {_TIMED}",
        )
    ratio = statistics.median(ratios)
    return GateResult(
        name="time",
        passed=ratio <= gate.at_most or math.isclose(ratio, gate.at_most, rel_tol=_SLACK),
        message=f"{ratio:.4g} times as long as {gate.baseline}, median over {len(ratios)} common candidates",
        observed=ratio,
        required=f"<= {gate.at_most:g} times the baseline",
    )


def check_max_seconds(ranking: Ranking, gate: float) -> GateResult:
    """No candidate took longer than this many seconds."""
    seconds = _seconds(ranking)
    if not seconds:
        raise GatesError("max_seconds: no candidate of the run has a time", hint=_TIMED)
    slowest = max(seconds, key=lambda model: seconds[model])
    longest = seconds[slowest]
    return GateResult(
        name="max_seconds",
        passed=longest <= gate,
        message=f"the slowest of {len(seconds)} candidates, {listed([slowest])}, took {longest:.4g} s",
        observed=longest,
        required=f"<= {gate:g} s each",
    )


def check_weighted_tau(ranking: Ranking, gate: WeightedTau) -> GateResult:
    """Weighted Kendall tau of the score, better first, against the truth, over the models that have both."""
    from acrank.comparison.name_rules import meant_by
    from acrank.comparison.own_training import made_of_truth
    from acrank.comparison.statistics import weighted_tau

    score = find_score(ranking, gate.score, "weighted_tau")
    found, doubts = truth_of(gate, ranking.target)
    truth = {model: one.mean for model, one in found.items()}
    if why := made_of_truth(ranking.trained, found, score=score):
        if gate.score is not None or ranking.scored_by == score:
            raise GatesError(f"weighted_tau: {why}", hint=f"give another truth, or --score {ranking.scored_by}")
        score, doubts = ranking.scored_by, [*doubts, f"{why}: {ranking.scored_by} is judged instead"]
    sign = 1.0 if ranking.higher_is_better[score] else -1.0
    values = {row.model: sign * value for row in ranking.rows if (value := finite_value(row, score)) is not None}
    common = [model for model in values if model in truth]
    tau = weighted_tau([values[model] for model in common], [truth[model] for model in common])
    if math.isnan(tau):
        why = "a constant column" if len(common) > 1 else f"{len(common)} models have both"
        raise GatesError(
            f"weighted_tau: undefined between {score} and {gate.truth}: {why}",
            hint="the truth must name the run's models, and at least two must differ",
        )
    message = f"weighted tau of {score} is {tau:.4g} over {len(common)} models"
    # models without a counterpart are counted, because leaving out the bad ones would flatter the score
    run_only, truth_only = len(ranking.rows) - len(common), [model for model in truth if model not in values]
    if run_only or truth_only:
        message += f" ({run_only} of the run and {len(truth_only)} of the truth without a counterpart"
        message += meant_by(truth_only, [row.model for row in ranking.rows if row.model not in truth]) + ")"
    message = "; but ".join([message, *doubts])
    passed = tau >= gate.at_least or math.isclose(tau, gate.at_least, abs_tol=_SLACK)
    required = f">= {gate.at_least:g}"
    return GateResult(name="weighted_tau", passed=passed, message=message, observed=tau, required=required)


RULES: dict[str, Callable[[Ranking, Any], GateResult]] = {
    "top_k": check_top_k,
    "leading_band": check_leading_band,
    "refined_top_k": check_refined_top_k,
    "margin": check_margin,
    "same_best": check_same_best,
    "weighted_tau": check_weighted_tau,
    "no_skipped": check_no_skipped,
    "no_warnings": check_no_warnings,
    "time": check_time,
    "max_seconds": check_max_seconds,
    "classes": check_classes,
    "images": check_images,
}


def _printable(result: GateResult) -> GateResult:
    """The result with its texts safe to print: every name from a run passes here before it reaches a view."""
    observed = one_line(result.observed) if isinstance(result.observed, str) else result.observed
    message, required = one_line(result.message), one_line(result.required)
    warnings = tuple(map(one_line, result.warnings))
    return replace(result, message=message, observed=observed, required=required, warnings=warnings)


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


def _place_now(ranking: Ranking, model: str) -> str:
    """The place of the baseline's best in the run."""
    row = next((row for row in ranking.rows if row.model == model), None)
    if row is None:
        return "which is not in the run"
    if row.rank is None:
        return f"which has no rank: {why_unranked(row, ranking.rank_by)}"
    if row.band is None:
        return f"now rank {row.rank} of a run without bands"
    is_tied = model in [other.model for other in ranking.tied]
    return f"now rank {row.rank}, " + (place_in_bands(ranking, row) if is_tied else "outside the leading band")


def _seconds(ranking: Ranking) -> dict[str, float]:
    return {row.model: row.cost for row in ranking.rows if row.status == "scored" and row.cost is not None}
