"""Successive halving: which candidates go on to the next round, and when there is nothing left to decide."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from itertools import count

from acrank.records import Refined, Value
from acrank.records.joint import by_training

#: (number of the round from 1, candidates, their learning rates so far) -> what this round gave each; of a first round
#: that was cut short what it gave the first ones, and None where that counts for nothing.
TrainRound = Callable[[int, Sequence[str], Mapping[str, float]], dict[str, Refined] | None]


class Stop(StrEnum):
    """Why halving ended."""

    CLEAR = "the first is clear of the others"
    DECIDED = "the last round is over"
    BUDGET = "the budget does not reach further"
    FAILED = "no candidate could be trained"


def successive_halving(
    models: Sequence[str], expected: Mapping[str, float], train: TrainRound
) -> tuple[dict[str, Refined], Stop]:
    """Rounds, each for the better half of the last one (rounded up), until one is left or the first is clear.

    Within a round candidates are ordered as the joint ranking orders them, see `by_training`. A round that the budget
    cut short counts for nothing: its candidates would be held against others that it did not reach.

    Args:
        models: the candidates of the first round.
        expected: the share of others that each is expected to beat.
        train: makes a round.

    Returns:
        What is known of each candidate that a round finished, and why halving ended.

    Example:
        >>> qualities = {"a": 0.5, "b": 0.6, "c": 0.7}
        >>> def train(number, models, rates):
        ...     return {model: Refined(metric="dice", quality=qualities[model], rounds=number) for model in models}
        >>> found, why = successive_halving("abc", dict.fromkeys("abc", 0.5), train)
        >>> {model: one.rounds for model, one in found.items()}, why.name
        ({'a': 1, 'b': 2, 'c': 2}, 'DECIDED')
    """
    known: dict[str, Refined] = {}
    alive = list(models)
    for number in count(1):
        rates = {model: rate for model in alive if model in known and (rate := known[model].learning_rate)}
        found = train(number, alive, rates)
        if found is None:
            return known, Stop.BUDGET
        alive = [model for model in alive if model in found]
        known.update({model: _after(known.get(model), found[model]) for model in alive})
        ordered = best_first(alive, expected, known)
        if len(ordered) < 2:
            return known, Stop.DECIDED if ordered else Stop.FAILED
        if is_clear(known[ordered[0]], [known[model] for model in ordered[1:]]):
            return known, Stop.CLEAR
        if len(ordered) == 2:
            return known, Stop.DECIDED
        alive = ordered[: math.ceil(len(ordered) / 2)]
    raise AssertionError("a round always halves")


def best_first(models: Sequence[str], expected: Mapping[str, float], known: Mapping[str, Refined]) -> list[str]:
    """Those that could be trained, best first; ties by name."""
    quality = {model: value for model in models if (value := known[model].quality) is not None}
    keys = by_training(expected, quality)
    return sorted(keys, key=lambda model: ((-keys[model][0], -keys[model][1]), model))


def is_clear(leader: Refined, others: Sequence[Refined]) -> bool:
    """Whether the leader's interval lies above those of all others; without an interval nothing is clear."""
    if leader.quality is None or leader.low is None:
        return False
    mine = Value(leader.quality, low=leader.low, high=leader.high)
    theirs = [Value(one.quality, low=one.low, high=one.high) for one in others]
    return all(one.low is not None and not mine.overlaps(one) and mine.interval > one.interval for one in theirs)


def _after(earlier: Refined | None, now: Refined) -> Refined:
    """What a round gave, with the epochs and seconds of the rounds before."""
    if earlier is None:
        return now
    return dataclasses.replace(now, epochs=earlier.epochs + now.epochs, seconds=earlier.seconds + now.seconds)
