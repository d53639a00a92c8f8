"""The zero point of a candidate's ranking score: what its architecture gets with drawn weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from acrank.cache import ObservationCache
from acrank.ranking.candidates import score_candidate
from acrank.ranking.costs import TWIN, with_costs
from acrank.ranking.racing import settings_of_the_race
from acrank.records import Row, ZeroPoint
from acrank.settings import Settings
from acrank.system.streams import Purpose, seed_of
from acrank.targets.draws import Draw
from acrank.zoo.schema import Candidate
from acrank.zoo.untrained import UntrainedTwin


def with_zero_point(
    row: Row, candidate: Candidate, draws: Sequence[Draw], *, settings: Settings, cache: ObservationCache | None
) -> Row:
    """A scored row with the ranking score of its untrained twins on the first draw; other rows as they are.

    The twins go through the same pass. The cache knows them by architecture, input, draw and settings, so candidates of
    one architecture share them. What fails is the reason of a zero point without value.

    Args:
        row: of the candidate.
        candidate, draws, settings, cache: of the run.
    """
    shown = row.details.input
    if not settings.untrained or row.status != "scored" or shown is None:
        return row
    # a library's own weights would be no drawn ones
    alone = dataclasses.replace(settings_of_the_race(settings), allow_download=False)
    values, reason, took = [], "", dict(row.details.took)
    for number in range(settings.untrained):
        seed = seed_of(Purpose.UNTRAINED, settings.seed, number)
        twin = UntrainedTwin.of(candidate, shown, params=row.params or 0, seed=seed)
        found = score_candidate(twin, draws[:1], alone, cache=cache)
        took[f"{TWIN} {number}"] = found.cost or 0.0
        value = found.value(settings.rank_by)
        if value is None:
            reason = found.reason or found.scores[settings.rank_by].note or "no value"
            break
        values.append(value)
    zero = ZeroPoint.of(settings.rank_by, [] if reason else values, reason=reason)
    return with_costs(dataclasses.replace(row, untrained=zero), took if row.details.took else {})
