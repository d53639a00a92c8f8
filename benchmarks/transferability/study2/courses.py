"""Strategies of choosing a checkpoint under a budget, replayed from finetuning runs that kept their validation curves.

A strategy spends processor seconds and has a pick at every moment. Nothing is trained here: what it would have seen
after so many epochs is read off the curves of the runs, and what they took from their seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SHORTLIST = 5
KEEP = 2  # one of so many stays in a round of successive halving
HISTORY, WITH_HISTORY = "history", " + history"
ANY = -1  # the pick before anything is known: a candidate at random


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One target and split.

    Attributes:
        quality: [n] what the pick is judged by: the truth of the candidates on the other splits.
        curves: of each candidate and rate, the best validation quality so far after every epoch.
        seconds: [n] of an epoch.
        ranks: name of a ranking -> [n], lower is better; ties stay in the order of the zoo.
        costs: name of a ranking -> seconds of all candidates together; 0 where nothing is computed, as for a history.
    """

    quality: Floats
    curves: Sequence[Sequence[Floats]]
    seconds: Floats
    ranks: dict[str, Floats] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)

    @property
    def whole(self) -> float:
        """Seconds of finetuning all candidates at all rates."""
        epochs = [sum(len(curve) for curve in own) for own in self.curves]
        return float(np.dot(self.seconds, epochs))

    def order(self, ranking: str) -> list[int]:
        """Candidates by a ranking, best first."""
        return np.argsort(self.ranks[ranking], kind="stable").tolist()


class Course:
    """A strategy on its way: seconds spent, the pick (at first ANY), and all moments at which it changed."""

    def __init__(self, bench: Bench, rng: np.random.Generator) -> None:
        self.bench, self.rng = bench, rng
        self.spent = 0.0
        self.moments: list[tuple[float, int]] = [(0.0, ANY)]
        self.best: dict[int, float] = {}  # candidate -> best validation so far
        self.prior: list[int] = []  # a ranking that joins the validation by ranks; without, validation alone decides
        self.epochs: dict[tuple[int, int], int] = {}  # candidate, rate -> trained so far

    def pick_as(self, candidate: int) -> None:
        """Take a candidate from now on."""
        if self.moments[-1][1] != candidate:
            self.moments.append((self.spent, candidate))

    def train(self, candidate: int, rate: int, epochs: int) -> float:
        """Go on training to so many epochs, or to where early stopping ended; the best validation of that rate."""
        curve = self.bench.curves[candidate][rate]
        upto, before = min(epochs, len(curve)), self.epochs.get((candidate, rate), 0)
        self.spent += max(0, upto - before) * float(self.bench.seconds[candidate])
        self.epochs[candidate, rate] = max(upto, before)
        value = float(curve[max(upto, before) - 1])
        self.best[candidate] = max(value, self.best.get(candidate, -math.inf))
        return value

    def leader(self, among: Sequence[int]) -> int:
        """The best validated of some, by the mean of ranks with the prior if there is one; the first of equal ones."""
        order = sorted(among, key=lambda one: (-self.best.get(one, -math.inf), among.index(one)))
        if not self.prior:
            return order[0]
        priors = sorted(among, key=self.prior.index)
        return min(priors, key=lambda one: order.index(one) + priors.index(one))

    def rank_first(self, ranking: str) -> list[int]:
        """Pay for a ranking, take its first, and return its order; until then a history that is part of it decides."""
        if ranking.endswith(WITH_HISTORY):
            self.pick_as(self.bench.order(HISTORY)[0])
        self.spent += self.bench.costs[ranking]
        order = self.bench.order(ranking)
        self.pick_as(order[0])
        return order

    def shuffled(self) -> list[int]:
        """All candidates in random order."""
        return self.rng.permutation(len(self.bench.quality)).tolist()

    def in_full(self, order: Sequence[int]) -> None:
        """Finetune candidates at all rates, one after the other; the pick is the best validated so far."""
        seen = list(self.best)
        for one in order:
            for rate, curve in enumerate(self.bench.curves[one]):
                self.train(one, rate, len(curve))
            seen = [*seen, one] if one not in seen else seen
            self.pick_as(self.leader(seen))

    def halving(self, order: Sequence[int], rates: Sequence[int]) -> None:
        """Successive halving: an epoch at each of some rates, then the better half goes on at its best rate.

        The epochs of a round double; the one that is left is trained to the end.
        """
        alive, epochs = list(order), 1
        chosen = {}
        for one in alive:
            chosen[one] = max(rates, key=lambda rate: (self.train(one, rate, 1), -rate))
            self.pick_as(self.leader([other for other in alive if other in chosen]))
        while len(alive) > 1 or epochs < self._longest(alive[0], chosen[alive[0]]):
            kept = sorted(alive, key=lambda one: (-self.best[one], alive.index(one)))[: math.ceil(len(alive) / KEEP)]
            alive, epochs = kept, 2 * epochs
            for one in alive:
                self.train(one, chosen[one], epochs)
                self.pick_as(self.leader(alive))

    def _longest(self, candidate: int, rate: int) -> int:
        return len(self.bench.curves[candidate][rate])

    def regrets(self, budgets: Floats) -> Floats:
        """How far the pick is behind the best, at each of some budgets in seconds."""
        times = np.array([time for time, _ in self.moments])
        picks = np.array([pick for _, pick in self.moments])
        found = picks[np.searchsorted(times, budgets, side="right") - 1]
        quality = self.bench.quality
        return np.asarray(quality.max() - np.where(found == ANY, quality.mean(), quality[found]))


def score_alone(course: Course, ranking: str) -> None:
    """The first of a ranking."""
    course.rank_first(ranking)


def refine(course: Course, ranking: str, rates: Sequence[int], *, joined: bool = False) -> None:
    """Successive halving of the first SHORTLIST of a ranking; what is left over goes into the others, in full.

    Args:
        course: to go on.
        ranking: a name of the bench's ranks.
        rates: that the first round tries.
        joined: whether the pick is by the mean of ranks of score and validation, until all of the shortlist is halved.
    """
    order = course.rank_first(ranking)
    course.prior = order if joined else []
    course.halving(order[:SHORTLIST], rates)
    course.prior = []
    course.in_full(order)


def halving_alone(course: Course, rates: Sequence[int]) -> None:
    """Successive halving of all, in random order, without a score; then all in full."""
    order = course.shuffled()
    course.halving(order, rates)
    course.in_full(order)


def halving_of_half(course: Course, ranking: str, rates: Sequence[int]) -> None:
    """Recall and select: a cheap proxy keeps the better half of all, which is then halved by training."""
    order = course.rank_first(ranking)
    course.halving(order[: math.ceil(len(order) / 2)], rates)
    course.in_full(order)


def full_at_random(course: Course) -> None:
    """Finetuning all, in random order."""
    course.in_full(course.shuffled())


def full_in_order(course: Course, ranking: str) -> None:
    """Finetuning all in the order of a ranking."""
    course.in_full(course.rank_first(ranking))
