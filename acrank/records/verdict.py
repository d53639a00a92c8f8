"""A ranking in words: which candidate is first, how sure that is, and what would make it surer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acrank.records.first_candidate import about_the_first, first_names, is_at_chance
from acrank.records.order import JOINT

if TYPE_CHECKING:
    from acrank.records.row import Prior, Row
    from acrank.records.run import Ranking

_TOO_SHORT = "The budget was too short to train any candidate: a longer --refine-budget would make it surer."
_MORE = "more labelled images"


def verdict_of(ranking: Ranking) -> list[str]:
    """Sentences on who is first, whom the sample cannot tell from it, and what else is known of it.

    None where nothing is ranked. See `about_the_first` for labels, drawn weights and the studies.

    Example:
        >>> from acrank.records import Ranking, Row, Value
        >>> rows = [Row("a", "scored", scores={"s": Value(3.0, low=2.0, high=4.0)})]
        >>> rows += [Row("b", "scored", scores={"s": Value(1.0, low=0.5, high=1.5)})]
        >>> verdict_of(Ranking.of(rows, rank_by="s", higher_is_better={"s": True}))[0]
        'a is first by s, and its interval overlaps no other.'
    """
    ranked = [row for row in ranking.rows if row.rank is not None]
    if not ranked:
        return []
    best = ranked[0]
    if len(ranked) == 1:
        skipped = sum(row.status == "skipped" for row in ranking.rows)
        left = f" ({skipped} skipped, see their reasons)" if skipped else ""
        return [f"{best.model} is the only candidate that is ranked{left}: there is nothing to compare it with."]
    first = f"{best.model} is first by {_by(ranking, best)}"
    more = about_the_first(ranking, best)
    if best.band is None:
        return [
            f"{first}. How sure that is cannot be told without intervals ({how_to_get_intervals(ranking)}).",
            *more,
            _surer(ranking, best, min(5, len(ranked))),
        ]
    rivals = [row.model for row in ranking.tied]
    if not rivals:
        said = f"{first}, and its interval overlaps no other."
        further = [] if any("--refine" in text for text in more) else _still_to_do(ranking, best, len(ranked))
        return [said, *_by_score_alone(ranking, best), *more, *further]
    said = f"{first}, but the sample cannot tell it from {first_names(rivals)}."
    return [said, *_by_score_alone(ranking, best), *more, _surer(ranking, best, len(rivals) + 1)]


def how_to_get_intervals(ranking: Ranking) -> str:
    """What to do where the ranking score has no intervals, as of one draw whose images do not tell how it moves."""
    repeats, race = (ranking.settings.get(name) for name in ("repeats", "race"))
    several = isinstance(repeats, int) and repeats > 1
    if several and not race:
        return f"{ranking.scored_by} has none: rank by another score (--rank-by)"
    return f"take {repeats if several else 3} draws of each: --no-race{'' if several else ' --repeats 3'}"


def _by_score_alone(ranking: Ranking, best: Row) -> list[str]:
    """Who would be first without earlier targets, where these put another one first; a training goes before both."""
    if best.refined is not None or not any(row.prior for row in ranking.rows):
        return []
    score, sign = ranking.scored_by, 1 if ranking.higher_is_better[ranking.scored_by] else -1
    known = [(sign * value, row.model) for row in ranking.rows if (value := row.value(score)) is not None and row.rank]
    first = min(known, key=lambda one: (-one[0], one[1]))[1]
    return [] if first == best.model else [f"By {score} alone {first} would be first."]


def _by(ranking: Ranking, best: Row) -> str:
    """What orders the rows; of a short training with its result."""
    if ranking.rank_by != JOINT:
        return ranking.rank_by
    parts, trained = [ranking.scored_by + _place_by_score(ranking, best)], best.refined
    if any(row.prior for row in ranking.rows if row.rank is not None):
        parts.append(_earlier(best.prior))
    if trained is None or trained.quality is None:
        return first_names(parts)
    return f"{first_names([f'a short training ({trained.metric} {trained.quality:.3g})', *parts])} together"


def _place_by_score(ranking: Ranking, best: Row) -> str:
    """Where the score alone would place a candidate that a training put first; "" where that is first, too."""
    value = best.value(ranking.scored_by)
    if best.refined is None or value is None:
        return ""
    sign = 1 if ranking.higher_is_better[ranking.scored_by] else -1
    known = [other for row in ranking.rows if row.rank and (other := row.value(ranking.scored_by)) is not None]
    place = 1 + sum(sign * other > sign * value for other in known)
    return f" (which alone makes it number {place} of {len(known)})" if place > 1 else ""


def _earlier(prior: Prior | None) -> str:
    """What earlier targets say of the first candidate."""
    if prior is None:
        return "earlier targets (of others: it has no results there)"
    return f"{prior.source} (where it beat {prior.value:.0%} of the others)"


def _still_to_do(ranking: Ranking, best: Row, count: int) -> list[str]:
    """What to do about a first candidate that is clear of the others, where nothing was trained yet."""
    if best.refined is not None:
        return []
    if was_too_short(ranking):
        return [_TOO_SHORT]
    few = f"the first few (--refine {min(5, count)})"
    return [f"That is about the score: a short training of {few} tells how they finetune."]


def _surer(ranking: Ranking, best: Row, count: int) -> str:
    """What would tell the first candidates apart."""
    if is_at_chance(ranking, best):
        return "A longer --refine-budget, or finetuning them in full, would decide between them."
    if was_too_short(ranking):
        return _TOO_SHORT
    if best.refined is not None:
        return "Longer training, more labelled images or finetuning them in full would decide between them."
    images = _more_images(ranking)
    ways = [f"a short training of the first (--refine {count})"]
    ways += [] if best.prior else ["finetuning results of other targets (--history)"]
    ways = [*ways, images] if images == _MORE else [images, *ways]
    said = f"{', '.join(ways[:-1])} or {ways[-1]}"
    return f"{said[0].upper()}{said[1:]} would make it surer."


def was_too_short(ranking: Ranking) -> bool:
    """Whether a budget was too short to train any candidate."""
    refining = ranking.settings.get("refine")
    return isinstance(refining, dict) and refining.get("trained") == []


def _more_images(ranking: Ranking) -> str:
    """More images to score on: a larger sample where the target has more than were drawn, else further ones."""
    found = sampled_of(ranking)
    if found is None or found[0] >= found[1]:
        return _MORE
    return f"a larger sample (--samples, now {found[0]} of {found[1]} labelled images)"


def sampled_of(ranking: Ranking) -> tuple[int, int] | None:
    """How many images a draw has at most, and how many are labelled; None where the record does not say it."""
    draws, size = ranking.target.get("draws"), ranking.target.get("size")
    counts = [len(draw.get("ids", ())) for draw in draws if isinstance(draw, dict)] if isinstance(draws, list) else []
    return (max(counts), size) if isinstance(size, int) and counts else None
