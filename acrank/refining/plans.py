"""What a budget allows: from measured seconds to one treatment for all candidates, before any of them is trained."""

from __future__ import annotations

import dataclasses
import heapq
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: A first round is planned to take at most this share of the time that is left: an estimate may be wrong.
SHARE = 0.85
#: The shortest training has so many steps. In benchmarks/transferability/study2 halving begins with four steps at the
#: middle rate, and below a tenth of the seconds of finetuning all that beats a first round at three rates.
FEWEST_STEPS = 4
#: So many numbers of images are looked at.
_STAGES = 20
#: Of what a plan leaves out.
ONE_ROUND = "one round, others only if time is left"


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What every candidate of the first round gets.

    Attributes:
        rates: learning rates, of which the best counts.
        epochs: at each of them.
        train, val: numbers of images.
    """

    rates: tuple[float, ...]
    epochs: int
    train: int
    val: int

    def differences_from(self, full: Treatment) -> list[str]:
        """In words, what this one has less of.

        >>> full = Treatment(rates=(0.1, 0.03, 0.01), epochs=2, train=400, val=300)
        >>> Treatment(rates=(0.03,), epochs=2, train=128, val=300).differences_from(full)
        ['one learning rate (0.03) of 3', '128 of 400 training images']
        """
        out = []
        if len(self.rates) < len(full.rates):
            out.append(f"one learning rate ({self.rates[0]:g}) of {len(full.rates)}")
        if self.epochs < full.epochs:
            out.append(f"{self.epochs} of {full.epochs} epochs")
        if self.train < full.train:
            out.append(f"{self.train} of {full.train} training images")
        if self.val < full.val:
            out.append(f"{self.val} of {full.val} validation images")
        return out

    def changes_from(self, earlier: Treatment) -> list[str]:
        """In words, what an earlier one had another number of.

        >>> earlier = Treatment(rates=(0.03,), epochs=2, train=128, val=300)
        >>> Treatment(rates=(0.1, 0.03, 0.01), epochs=4, train=128, val=300).changes_from(earlier)
        ['learning rates: 3, earlier 1', 'epochs: 4, earlier 2']
        """
        mine, theirs = (
            {
                "learning rates": len(one.rates),
                "epochs": one.epochs,
                "training images": one.train,
                "validation images": one.val,
            }
            for one in (self, earlier)
        )
        return [f"{name}: {mine[name]}, earlier {theirs[name]}" for name in mine if mine[name] != theirs[name]]

    def covers(self, other: Treatment) -> bool:
        """Whether it has at least the rates, epochs and images of another.

        >>> one = Treatment(rates=(0.03,), epochs=2, train=128, val=300)
        >>> one.covers(one), one.covers(Treatment(rates=(0.03,), epochs=3, train=8, val=8))
        (True, False)
        """
        mine, theirs = ((one.epochs, one.train, one.val) for one in (self, other))
        return set(other.rates) <= set(self.rates) and all(map(operator.ge, mine, theirs))


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Measured seconds of one candidate.

    Attributes:
        load: until its network is there.
        read: to read and prepare one image.
        train, val: of one image in one epoch, to train and to validate on.
        held: whether images stay in memory; else every epoch reads them.
    """

    load: float = 0.0
    read: float = 0.0
    train: float = 0.0
    val: float = 0.0
    held: bool = True

    def seconds(self, how: Treatment) -> float:
        """Of a training.

        >>> how = Treatment(rates=(0.1, 0.01), epochs=3, train=10, val=5)
        >>> round(Cost(load=1.0, read=0.2, train=0.1, val=0.02).seconds(how), 3)
        10.6
        """
        epochs = how.epochs * len(how.rates)
        readings = 1 if self.held else epochs
        in_epochs = epochs * (how.train * self.train + how.val * self.val)
        return self.load + readings * (how.train + how.val) * self.read + in_epochs

    def times(self, pace: float) -> Cost:
        """The cost of a machine that takes `pace` times as long."""
        parts = {name: pace * getattr(self, name) for name in ("load", "read", "train", "val")}
        return dataclasses.replace(self, **parts)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Who is trained, and how; kept in the work folder and in the record, so that a resumed run has the same.

    Attributes:
        chosen: candidates that were asked for, best first.
        models: those that are trained.
        treatment: of each of them in the first round.
        cuts: in words, what the budget left out.
        seconds: that the first round is expected to take; None where no budget asked.
        costs: measured, by candidate.
        note: for the reader of the ranking; empty where nothing was left out.
        budget: that it was made for, as it was given; None for none.
    """

    chosen: list[str]
    models: list[str]
    treatment: Treatment
    cuts: list[str] = dataclasses.field(default_factory=list)
    seconds: float | None = None
    costs: dict[str, Cost] = dataclasses.field(default_factory=dict)
    note: str = ""
    budget: str | None = None

    def for_others(self, chosen: list[str], full: Treatment) -> TrainingPlan:
        """The same treatment of other candidates; what was said of, and measured on, the plan's own is dropped.

        >>> one = Treatment(rates=(0.03,), epochs=2, train=8, val=8)
        >>> plan = TrainingPlan(chosen=["a", "b"], models=["a"], treatment=one, cuts=["1 of 2 candidates"], seconds=5.0)
        >>> other = plan.for_others(["a", "b", "c"], Treatment(rates=(0.1, 0.03, 0.01), epochs=2, train=8, val=8))
        >>> other.models, other.seconds, other.note
        (['a', 'b', 'c'], None, 'trained as the resumed run planned: one learning rate (0.03) of 3')
        """
        cuts = self.treatment.differences_from(full)
        note = f"trained as the resumed run planned: {', '.join(cuts)}" if cuts else ""
        return TrainingPlan(
            chosen=chosen, models=chosen, treatment=self.treatment, cuts=cuts, note=note, budget=self.budget
        )

    def gives_more_than(self, earlier: TrainingPlan) -> bool:
        """Whether every candidate that was asked for has at least what an earlier plan gave, and something more."""
        is_other = self.treatment != earlier.treatment
        return is_other and self.models == self.chosen and self.treatment.covers(earlier.treatment)

    def record(self) -> dict[str, Any]:
        """Plain data for the run record and the work folder."""
        return dataclasses.asdict(self)


def plan_for(
    chosen: Sequence[str],
    full: Treatment,
    least: Treatment,
    *,
    costs: Mapping[str, Cost],
    left: float,
    workers: int = 1,
    fewest_epochs: int = 1,
) -> TrainingPlan | None:
    """The richest first round that fits, alike for all its candidates; None where not even the shortest of two does.

    In this order, until it fits: one learning rate, fewer epochs, both so that all rounds of halving fit; then the same
    with the first round alone; then fewer images; at last fewer candidates.

    Args:
        chosen: candidates, best first.
        full: where there is time enough.
        least: one rate, and the fewest images.
        costs: of every candidate.
        left: seconds.
        workers: how many candidates are trained at a time.
        fewest_epochs: of a training on all images.

    Example:
        >>> full = Treatment(rates=(0.1, 0.03, 0.01), epochs=2, train=320, val=200)
        >>> least = Treatment(rates=(0.03,), epochs=1, train=128, val=100)
        >>> costs = dict.fromkeys("abc", Cost(train=0.1))
        >>> plan_for("abc", full, least, costs=costs, left=200.0).cuts
        ['one learning rate (0.03) of 3', '1 of 2 epochs', 'one round, others only if time is left']
    """
    ours = [costs[model] for model in chosen]
    usable = SHARE * left
    one_rate = [
        dataclasses.replace(full, rates=least.rates, epochs=count)
        for count in range(full.epochs, fewest_epochs - 1, -1)
    ]
    whole = [(how, True) for how in [full, *one_rate]]
    alone = [(how, False) for how in [*one_rate, *_with_fewer_images(one_rate[-1], least)]]
    for how, all_rounds in [*whole, *alone]:
        first = wall_seconds([cost.seconds(how) for cost in ours], workers)
        if first + (_later(ours, how, workers) if all_rounds else 0.0) <= usable:
            return _made(chosen, len(chosen), how, full=full, first=first, costs=costs, all_rounds=all_rounds)
    for count in range(len(chosen) - 1, 1, -1):
        first = shortest(ours[:count], least, workers)
        if first <= usable:
            return _made(chosen, count, least, full=full, first=first, costs=costs, all_rounds=False)
    return None


def shortest(costs: Sequence[Cost], least: Treatment, workers: int = 1) -> float:
    """Seconds of the shortest first round of some candidates."""
    return wall_seconds([cost.seconds(least) for cost in costs], workers)


def wall_seconds(each: Sequence[float], workers: int = 1) -> float:
    """Until all are done, in this order, so many at a time.

    >>> wall_seconds([3.0, 1.0, 1.0, 2.0], 2), wall_seconds([3.0, 1.0], 1)
    (4.0, 4.0)
    """
    ends = [0.0] * max(1, workers)
    for one in each:
        heapq.heapreplace(ends, ends[0] + one)
    return max(ends)


def as_duration(seconds: float) -> str:
    """Rounded up, as --refine-budget takes it.

    >>> as_duration(41.2), as_duration(130.0), as_duration(4000.0)
    ('42s', '3m', '67m')
    """
    return f"{math.ceil(seconds)}s" if seconds <= 90 else f"{math.ceil(seconds / 60)}m"


def _with_fewer_images(how: Treatment, least: Treatment) -> Iterator[Treatment]:
    """The treatment with ever fewer images to train and to validate on, down to the least of both."""
    for share in range(_STAGES - 1, 0, -1):
        train, val = (
            low + (high - low) * share // _STAGES for low, high in ((least.train, how.train), (least.val, how.val))
        )
        yield dataclasses.replace(how, train=train, val=val)
    yield least


def _later(costs: Sequence[Cost], how: Treatment, workers: int) -> float:
    """Seconds of the rounds after the first, of candidates of mean cost: who goes on is not known."""
    mean = sum(cost.seconds(dataclasses.replace(how, rates=how.rates[:1])) for cost in costs) / len(costs)
    count, times, total = len(costs), 1, 0.0
    while count > 2:
        count, times = math.ceil(count / 2), 2 * times
        total += wall_seconds([mean * times] * count, workers)
    return total


def _made(
    chosen: Sequence[str],
    count: int,
    how: Treatment,
    *,
    full: Treatment,
    first: float,
    costs: Mapping[str, Cost],
    all_rounds: bool,
) -> TrainingPlan:
    return TrainingPlan(
        chosen=list(chosen),
        models=list(chosen[:count]),
        treatment=how,
        cuts=cuts_of(how, full, trained=count, chosen=len(chosen), all_rounds=all_rounds),
        seconds=round(first, 1),
        costs={model: costs[model] for model in chosen},
    )


def cuts_of(how: Treatment, full: Treatment, *, trained: int, chosen: int, all_rounds: bool) -> list[str]:
    """In words, what a plan leaves out.

    >>> how = Treatment(rates=(0.03,), epochs=1, train=8, val=8)
    >>> cuts_of(how, how, trained=3, chosen=5, all_rounds=False)
    ['3 of 5 candidates', 'one round, others only if time is left']
    """
    fewer = [f"{trained} of {chosen} candidates"] if trained < chosen else []
    rounds = [ONE_ROUND] if not all_rounds and trained > 2 else []
    return [*how.differences_from(full), *fewer, *rounds]
