"""Scores of one observation, computed once and cached."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from acrank.cache import ObservationCache
from acrank.scores import SCORES
from acrank.scores.diagnostics import diagnose
from acrank.scores.draw_deviation import deviation_of
from acrank.scores.evaluate import Evaluation, evaluate_score
from acrank.scores.inputs import Observation
from acrank.settings import Settings
from acrank.system.clock import OwnClock
from acrank.system.streams import Purpose, seed_of
from acrank.targets.draws import Draw


class ScoredObservation:
    """An observation with the scores of it, each computed once and kept in the cache.

    Args:
        observation: of one draw.
        settings: of the run.
        draw: that it is of.
        units: [n], what of the observation's rows is left out together where a deviation is estimated.
        cache: where values are kept; without it they last for this run only.
        keys: in the cache, of what the observation was put together from.
    """

    def __init__(
        self,
        observation: Observation,
        settings: Settings,
        *,
        draw: Draw,
        units: npt.NDArray[np.int64],
        cache: ObservationCache | None,
        keys: Sequence[str],
    ) -> None:
        self.observation = observation
        self._options = {
            "seed": seed_of(Purpose.SCORE, settings.seed, draw.repeat, bits=32),
            "per_channel": settings.per_channel,
            "step_size": settings.step_size,
        }
        self._draw, self._units = {"seed": settings.seed, "repeat": draw.repeat}, units
        self.worth = draw.worth
        self._cache, self._keys = cache, keys
        self._values = cache.load_values(*keys) if cache else {}
        self._changed = False
        self._used: set[str] = set()

    @property
    def seconds(self) -> float:
        """What the scores that were asked for took, now or when they were put into the cache."""
        return math.fsum(self._values[_cost_of(label)] for label in self._used)

    def score(self, name: str, kind: str = "") -> Evaluation:
        """One score, or its control: "no_drift" takes the affines before the step, "shuffled" the shuffled labels."""
        score = SCORES[name]
        options = {need: value for need, value in self._options.items() if need in score.needs}
        known = self._remember(
            f"{name} {kind} {options}",
            lambda: _plain(evaluate_score(score, {**self.observation.arrays(kind), **options})),
            is_valid=_is_evaluation,
        )
        return Evaluation(known[0], known[1], tuple(known[2]))

    def deviation(self, name: str) -> float | None:
        """The standard deviation of a score over draws, estimated from the images of this one; None where it cannot."""
        score = SCORES[name]
        options = {need: value for need, value in self._options.items() if need in score.needs}
        together = hashlib.sha256(np.unique(self._units, return_inverse=True)[1].astype("<i8").tobytes()).hexdigest()
        found: dict[str, float | None] = self._remember(
            f"deviation of {name} {options} {self._draw} {together}",
            lambda: {"deviation": deviation_of(score, self.observation, options, units=self._units, **self._draw)},
            is_valid=_is_deviation,
        )
        return found["deviation"]

    def diagnostics(self, classes: int | None) -> list[str]:
        """What the feature scores of this observation suffer from.

        Args:
            classes: of the target; None where it has none.
        """
        one = self.observation
        found: list[str] = self._remember(
            f"diagnose {classes}",
            lambda: diagnose(one.features, one.labels, one.logits, classes=classes),
            is_valid=_are_texts,
        )
        return found

    def save(self) -> None:
        """Put what was computed into the cache."""
        if self._cache and self._changed:
            self._cache.store_values(self._values, *self._keys)

    def _remember(self, label: str, compute: Callable[[], Any], *, is_valid: Callable[[Any], bool]) -> Any:
        self._used.add(label)
        cost = _cost_of(label)
        if label not in self._values or not is_valid(self._values[label]) or not _is_cost(self._values.get(cost)):
            clock = OwnClock()
            self._values[label] = compute()
            self._values[cost] = clock.seconds()
            self._changed = True
        return self._values[label]


def _cost_of(label: str) -> str:
    """Where the seconds of what a label names are kept."""
    return f"seconds of {label}"


def _plain(found: Evaluation) -> list[Any]:
    part = list(found.part) if isinstance(found.part, tuple) else found.part
    return [found.value, part, list(found.notes)]


def _is_evaluation(found: Any) -> bool:
    """Whether this is what `_plain` makes."""
    if not isinstance(found, list) or len(found) != 3:
        return False
    value, part, notes = found
    numbers = part if isinstance(part, list) else [part]
    return all(one is None or _is_finite(one) for one in [value, *numbers]) and _are_texts(notes)


def _is_deviation(found: Any) -> bool:
    """Whether this is what the deviation of a score is kept as."""
    if not isinstance(found, dict) or found.keys() != {"deviation"}:
        return False
    value = found["deviation"]
    return value is None or (_is_finite(value) and value >= 0)


def _is_finite(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)


def _is_cost(found: Any) -> bool:
    return _is_finite(found) and found >= 0


def _are_texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(text, str) for text in found)
