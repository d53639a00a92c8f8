"""How far trainings have come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from acrank.records import Refined
from acrank.refining.training import Contestant


@dataclass(frozen=True, kw_only=True)
class RefineProgress:
    """The last finished epoch of a candidate, or with `epoch` 0 its outcome; `done` of `total` epochs of the round."""

    round: int
    model: str
    epoch: int
    done: int
    total: int
    outcome: Refined | None = None


def epoch_counter(
    tell: Callable[[RefineProgress], None], number: int, entries: Sequence[Contestant], *, epochs: int
) -> Callable[[str, float, int], None]:
    """What a round calls after every epoch: it tells how many of all its epochs are done.

    Args:
        tell: gets that.
        number: of the round.
        entries: in the order in which they are trained.
        epochs: at each learning rate.
    """
    places = {entry.candidate.id: place for place, entry in enumerate(entries)}
    rates = entries[0].rates
    each = epochs * len(rates)

    def on_epoch(model: str, rate: float, epoch: int) -> None:
        trial = rates.index(rate) if rate in rates else 0
        done = places[model] * each + trial * epochs + epoch
        tell(RefineProgress(round=number, model=model, epoch=epoch, done=done, total=each * len(entries)))

    return on_epoch
