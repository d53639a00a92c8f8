"""Gates on a model's place: near the best, in the leading band, and among the first after a short training."""

from __future__ import annotations

import math
from decimal import Decimal
from functools import partial

from acrank.errors import GatesError
from acrank.gates.check_report import GateResult
from acrank.gates.gates_file import LeadingBand, Margin, RefinedTopK
from acrank.gates.lookups import find_row, find_score, finite_value, listed, why_unranked
from acrank.records import JOINT, Ranking, Refined, Row
from acrank.records.first_candidate import is_at_chance
from acrank.records.verdict import how_to_get_intervals

#: What takes from a margin after refining.
_PLACES = "joint is made of ranks: the margin counts places, not quality; --leading-band or --refined-top-k judge that"


def check_margin(ranking: Ranking, gate: Margin) -> GateResult:
    """The model's value is at most the margin worse than the best; `Within` has the units."""
    score = find_score(ranking, gate.score, "margin")
    result = partial(GateResult, name="margin", required=f"{score} within {gate.within} of the best")
    row = find_row(ranking, gate.model, "margin")
    value = finite_value(row, score)
    if value is None:
        return result(passed=False, message=why_unranked(row, score), observed=None)
    values = {other.model: found for other in ranking.rows if (found := finite_value(other, score)) is not None}
    pick = max if ranking.higher_is_better[score] else min
    best = pick(values, key=lambda model: values[model])
    # Decimals of the shortest text of each float: 0.8 - 0.7 is 0.1, as a reader of the record expects
    top, own = Decimal(repr(float(values[best]))), Decimal(repr(float(value)))
    leader = find_row(ranking, best, "margin")
    allowed = gate.within.of(leader, row, score=score, values=list(values.values()))
    gap = abs(top - own)
    message = (
        f"{listed([row.model])} has {score} {float(own):.6g}, {float(gap):.4g} from the best, "
        f"{listed([best])} with {float(top):.6g}; {float(allowed):.4g} allowed"
    )
    judged = result(passed=gap <= allowed, message=message, observed=float(gap))
    return judged.doubted([_PLACES]) if score == JOINT and judged.passed else judged


def check_leading_band(ranking: Ranking, gate: LeadingBand) -> GateResult:
    """The model's interval overlaps the first one's, in whichever band; the first itself passes whatever the draws.

    Raises:
        GatesError: the run has no bands, for its ranking score has no intervals, and another model is first.
    """
    name = listed([gate.model])
    result = partial(GateResult, name="leading_band", required=f"{name} in the leading band")
    row = find_row(ranking, gate.model, "leading_band")
    if row.rank is None:
        return result(passed=False, message=why_unranked(row, ranking.rank_by), observed=None)
    if row.rank == 1:
        return result(passed=True, message=f"{name} is the first", observed=1)
    if row.band is None:
        raise GatesError(
            f"leading_band: {name} is rank {row.rank} of a run without bands: {ranking.rank_by} has no intervals",
            hint=how_to_get_intervals(ranking),
        )
    passed = row.model in [other.model for other in ranking.tied]
    message = f"{name} is rank {row.rank}, {place_in_bands(ranking, row)}"
    return result(passed=passed, message=message, observed=row.band)


def place_in_bands(ranking: Ranking, row: Row) -> str:
    """Where a row that is not the first stands to it, in words."""
    leading = [other.model for other in ranking.rows if other.band == 1]
    if row.band == 1:
        return f"in the leading band of {len(leading)}"
    if row.model in [other.model for other in ranking.tied]:
        return f"in band {row.band}, but its interval overlaps that of the first"
    return f"in band {row.band}; leading: {listed(leading)}"


def check_refined_top_k(ranking: Ranking, gate: RefinedTopK) -> GateResult:
    """Fewer than k of the trained candidates are better than the model, by the quality of the short training.

    A candidate is better only where its interval lies above the model's; without intervals, where its quality does. A
    model whose training gave no more than a guess fails.

    Raises:
        GatesError: no candidate of the run was trained.
    """
    name = listed([gate.model])
    result = partial(GateResult, name="refined_top_k", required=f"among the first {gate.k} after refining")
    row = find_row(ranking, gate.model, "refined_top_k")
    trained = {other.model: found for other in ranking.rows if (found := _trained(other)) is not None}
    if not trained:
        raise GatesError("refined_top_k: no candidate of the run was refined", hint="score with --refine")
    own = trained.get(row.model)
    if own is None:
        why = row.refined.reason if row.refined else f"it was not among the {len(trained)} that were trained"
        return result(passed=False, message=f"{name} was not refined: {why}", observed=None)
    better = [model for model, found in trained.items() if _is_better(found, own)]
    place = len(better) + 1
    epochs = f"{own.epochs} epoch{'s' if own.epochs != 1 else ''}"
    message = f"{name} has {own.metric} {own.quality:.4g} after {epochs}: place {place} of the {len(trained)} trained"
    details = [f"behind {listed(better)}"] if better else []
    higher = [model for model, found in trained.items() if _quality(found) > _quality(own) and model not in better]
    details += [f"{listed(higher)} higher, but within the intervals"] if higher else []
    message += f" ({'; '.join(details)})" if details else ""
    if is_at_chance(ranking, row):
        return result(passed=False, message=f"{message}, but that is no better than a guess", observed=place)
    return result(passed=place <= gate.k, message=message, observed=place)


def _trained(row: Row) -> Refined | None:
    return row.refined if row.refined is not None and row.refined.quality is not None else None


def _quality(found: Refined) -> float:
    return -math.inf if found.quality is None else found.quality


def _is_better(one: Refined, other: Refined) -> bool:
    low = one.quality if one.low is None else one.low
    high = other.quality if other.high is None else other.high
    return low is not None and high is not None and low > high
