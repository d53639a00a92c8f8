"""How far trainings have come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acrank.records import Refined

if TYPE_CHECKING:
    from acrank.refining.training import Contestant


@dataclass(frozen=True, kw_only=True)
class RefineProgress:
    """The last finished epoch of a candidate, or its outcome.

    Attributes:
        round, model: what is trained.
        epoch: that is finished; 0 for an outcome.
        done, total: epochs of the round; with an outcome its candidates.
        kept: how many of `done` an earlier run had finished; with an outcome whether that one had, 1 or 0.
        outcome: of the candidate.
    """

    round: int
    model: str
    epoch: int
    done: int
    total: int
    kept: int = 0
    outcome: Refined | None = None


def epoch_counter(
    tell: Callable[[RefineProgress], None],
    number: int,
    entries: Sequence[Contestant],
    *,
    epochs: int,
    finished: Collection[str] = (),
) -> Callable[[str, float, int], None]:
    """What a round calls after every epoch: it tells how many of all its epochs are done.

    Args:
        tell: gets that.
        number: of the round.
        entries: in the order in which they are trained.
        epochs: at each learning rate.
        finished: candidates that an earlier run trained, which count as done from the beginning.
    """
    ordered = sorted(entries, key=lambda entry: entry.candidate.id not in finished)
    places = {entry.candidate.id: place for place, entry in enumerate(ordered)}
    rates = entries[0].rates
    each = epochs * len(rates)
    kept = each * len(set(places) & set(finished))
    begun: set[str] = set()

    def on_epoch(model: str, rate: float, epoch: int) -> None:
        nonlocal kept
        own = (rates.index(rate) if rate in rates else 0) * epochs + epoch
        if model not in begun:  # an interrupted training goes on
            begun.add(model)
            kept += own - 1
        done, total = places[model] * each + own, each * len(entries)
        tell(RefineProgress(round=number, model=model, epoch=epoch, done=done, total=total, kept=kept))

    return on_epoch
