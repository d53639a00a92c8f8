"""What there is to say of the first candidate beside its place: labels, drawn weights, and what studies found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acrank.records.study_figures import SHORTLIST

if TYPE_CHECKING:
    from acrank.records.row import Row, ZeroPoint
    from acrank.records.run import Ranking

#: Above this Kendall tau-b with the ranking under shuffled labels, the ranking is hardly about the target.
LABEL_BLIND = 0.7
#: Names of a sentence; of more it says how many.
_NAMES = 3
#: A quality that is above that of a guess by no more than this teaches nothing.
_NEAR_CHANCE = 0.01


def about_the_first(ranking: Ranking, best: Row) -> list[str]:
    """Sentences on whether its place is about this target, whether it is trained at all, and what studies found.

    Where it was trained on the target, that is told by its quality, and nothing is said here but where that is chance,
    or behind another's beyond the intervals, and whom the budget did not reach.

    Args:
        ranking: with at least two ranked rows.
        best: the first of them.
    """
    if best.refined is not None and best.refined.quality is not None:
        looks = _look_untrained(ranking, best)
        chance = [_chance(ranking, best), _others_at_chance(ranking, best)]
        found = [_behind_in_training(ranking, best), *chance, looks, _left_untrained(ranking)]
        return [sentence for sentence in found if sentence]
    found = [_about_the_labels(ranking, best), *_untrained(ranking, best), _shortlist(ranking)]
    return [sentence for sentence in found if sentence]


def _behind_in_training(ranking: Ranking, best: Row) -> str:
    """Who did better in the short training, where that is beyond the intervals; "" where nobody did."""
    own = best.refined
    if own is None or own.quality is None or own.high is None:
        return ""
    better = {}
    for row in ranking.rows:
        found = row.refined
        if found is not None and found.quality is not None and found.low is not None and found.low > own.high:
            better[row.model] = found.quality
    if not better:
        return ""
    return (
        f"In the short training {first_names([*better])} did better than {best.model}, beyond the intervals "
        f"({own.metric} {max(better.values()):.3g} against {own.quality:.3g}): {ranking.scored_by} alone puts it first."
    )


def _chance(ranking: Ranking, best: Row) -> str:
    """That a short training gave no more than a guess, of the first or of all, or not clearly more; "" where it did."""
    own, guess = best.refined, guess_of(ranking, best)
    if own is None or own.quality is None or guess is None:
        return ""
    trained = [row for row in ranking.rows if row.refined is not None and row.refined.quality is not None]
    if is_at_chance(ranking, best):
        of_all = all(is_at_chance(ranking, row) for row in trained)
        which, means = ("", ": it tells nothing") if of_all else (f" of {best.model}", "")
        return f"The short training{which} is no better than a guess ({own.metric} {own.quality:.3g}){means}."
    if own.low is None or own.high is None or own.low > guess:
        return ""
    interval = f"{own.low:.3g} to {own.high:.3g}, a guess has {guess:.3g}"
    return f"The short training of {best.model} is not clearly better than a guess ({own.metric} {interval})."


def _others_at_chance(ranking: Ranking, best: Row) -> str:
    """Whose short training is not clearly better than a guess, where that of the first is; "" where nobody's is so."""
    trained = [row for row in ranking.rows if row.refined is not None and row.refined.quality is not None]
    names = [row.model for row in trained if row is not best and not _beats_a_guess(ranking, row)]
    if not names or not _beats_a_guess(ranking, best):
        return ""
    return (
        f"The short training of {first_names(names)} is not clearly better than a guess: a longer one may change that."
    )


def _beats_a_guess(ranking: Ranking, row: Row) -> bool:
    """Whether the interval of a short training, or without one its quality, is above what a guess would get."""
    guess, low = guess_of(ranking, row), row.refined.low if row.refined is not None else None
    return guess is None or (not is_at_chance(ranking, row) and (low is None or low > guess))


def _left_untrained(ranking: Ranking) -> str:
    """Who was to be trained, too, and was not; "" where the record names nobody."""
    refining = ranking.settings.get("refine")
    plan = refining.get("plan") if isinstance(refining, dict) else None
    chosen = plan.get("chosen") if isinstance(plan, dict) else None
    if not isinstance(chosen, list):
        return ""
    left = [row.model for row in ranking.rows if row.model in chosen and row.refined is None]
    if not left:
        return ""
    what = f"{len(left)} of the first {len(chosen)}"
    return f"The budget left {what} untrained: {first_names(left)} may be better, which a longer --refine-budget tells."


def zero_of(ranking: Ranking, row: Row) -> ZeroPoint | None:
    """The zero point of a row, where it is of the score that ranks and has a value."""
    found = row.untrained
    return found if found is not None and found.score == ranking.scored_by and found.mean is not None else None


def on_first_draw(row: Row, score: str) -> float | None:
    """The value of a score on the first draw; where a record does not have it, over all draws."""
    each = row.details.values.get(score)
    return each[0] if each else row.value(score)


def looks_untrained(row: Row) -> bool:
    """Whether all normalisation layers of a network are as they begin; earlier records do not say it."""
    return bool(row.layers) and all(layer.get("as_begun") for layer in row.layers)


def is_within_zero(ranking: Ranking, row: Row) -> bool:
    """Whether the ranking score of a row is within what its untrained twins get, on the draw that these were given."""
    zero, value = zero_of(ranking, row), on_first_draw(row, ranking.scored_by)
    if zero is None or value is None:
        return False
    return zero.reaches(value, higher_is_better=ranking.higher_is_better[ranking.scored_by])


def reservations_about(ranking: Ranking, row: Row) -> list[str]:
    """Why the checkpoint of a row may add nothing, whatever its place: it looks untrained, or does no better."""
    found = []
    if looks_untrained(row):
        found.append("it looks untrained: all its normalisation layers are as they begin")
    if is_within_zero(ranking, row):
        found.append("it is no better than its architecture with drawn weights")
    return found


def _about_the_labels(ranking: Ranking, best: Row) -> str:
    score = ranking.scored_by
    tau, one = ranking.controls.get("tau_shuffled"), best.scores.get(score)
    if tau is not None and tau > LABEL_BLIND:
        return (
            f"With shuffled labels the ranking by {score} is nearly the same (tau {tau:.2f}): "
            "it says more of the checkpoints in general than of this target; a short training (--refine) is about it."
        )
    if one is not None and one.value is not None and one.shuffled is not None:
        sign = 1.0 if ranking.higher_is_better[score] else -1.0
        if sign * one.shuffled >= sign * one.value:
            return (
                f"{best.model} does as well with shuffled labels ({one.shuffled:.3g}, {one.value:.3g} with yours): "
                "its place is not about this target."
            )
    if tau is None:
        return ""
    return f"Shuffled labels change the ranking by {score} (tau {tau:.2f} between the two): it depends on your labels."


def _look_untrained(ranking: Ranking, best: Row) -> str:
    """Who of those that the sample cannot tell from the first looks untrained; "" where nobody does."""
    names = [row.model for row in [best, *ranking.tied] if looks_untrained(row)]
    if not names:
        return ""
    looks = "looks untrained: all its" if len(names) == 1 else "look untrained: all their"
    return f"{first_names(names)} {looks} normalisation layers are as they begin (scale 1, offset 0)."


def _untrained(ranking: Ranking, best: Row) -> list[str]:
    out = [_look_untrained(ranking, best)]
    zero, value = zero_of(ranking, best), on_first_draw(best, ranking.scored_by)
    ranked = [row for row in ranking.rows if row.rank is not None]
    if all(is_within_zero(ranking, row) for row in ranked):
        out.append(
            f"None of the {len(ranked)} is better than its architecture with drawn weights: by {ranking.scored_by} "
            "none of these checkpoints helps here. Look for others, or train the first few to see."
        )
    elif zero is not None and value is not None and is_within_zero(ranking, best):
        spread = "" if zero.sd is None else f" ± {zero.sd:.2g}"
        out.append(
            f"{best.model} is no better than its architecture with drawn weights "
            f"({value:.3g} on the first draw, untrained {zero.mean:.3g}{spread}): its checkpoint adds nothing here."
        )
    return out


def _shortlist(ranking: Ranking) -> str:
    """What the studies found of the first few, where this is a ranking like theirs."""
    ranked = [row for row in ranking.rows if row.rank is not None]
    alike = ranking.scored_by == SHORTLIST.score and ranking.settings.get("protocol") == "one-step"
    if not alike or len(ranked) < 2 * SHORTLIST.first or any(row.refined for row in ranked):
        return ""
    return (
        f"In the studies the best of the first {SHORTLIST.first} was within {SHORTLIST.within:g} of the best on "
        f"{SHORTLIST.times} of {SHORTLIST.targets} targets."
    )


def guess_of(ranking: Ranking, row: Row) -> float | None:
    """What a guess has by the metric of a short training: one over the classes, an area of a half, no kappa.

    None where the row has no training, or its metric no such value.
    """
    classes = ranking.target.get("classes") or ()
    if row.refined is None:
        return None
    if row.refined.metric == "balanced_accuracy" and len(classes) > 1:
        return 1 / len(classes)
    return {"auc": 0.5, "kappa": 0.0}.get(row.refined.metric)


def is_at_chance(ranking: Ranking, row: Row) -> bool:
    """Whether a short training gave no more than a guess would."""
    guess = guess_of(ranking, row)
    if guess is None or row.refined is None or row.refined.quality is None:
        return False
    return row.refined.quality <= guess + _NEAR_CHANCE


def first_names(names: list[str]) -> str:
    """The first names, and how many others there are; of one more than these its name, which takes no more room.

    >>> first_names(["a", "b", "c", "d"]), first_names(["a", "b", "c", "d", "e"])
    ('a, b, c and d', 'a, b, c and 2 others')
    """
    shown, more = names[:_NAMES], len(names) - _NAMES
    if more > 1:
        return f"{', '.join(shown)} and {more} others"
    shown = names
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
