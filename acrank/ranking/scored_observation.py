"""What scores came to on an observation: worked out once, and remembered where the cache can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from acrank.cache import ObservationCache
from acrank.scores import SCORES
from acrank.scores.evaluate import Evaluation, evaluate_score
from acrank.scores.inputs import Observation
from acrank.settings import Settings
from acrank.system.streams import Purpose, seed_of


class Seen:
    """An observation, and what scores came to on it: worked out once, and remembered where the cache can.

    Args:
        observation: of one draw.
        settings, repeat: of the run and of the draw.
        cache, key: where values are remembered; None keeps them for this run only.
    """

    def __init__(
        self, observation: Observation, settings: Settings, repeat: int, cache: ObservationCache | None, key: str
    ) -> None:
        self.observation = observation
        self._options = {
            "seed": seed_of(Purpose.SCORE, settings.seed, repeat, bits=32),
            "per_channel": settings.protocol.per_channel,
            "step_size": settings.protocol.step_size,
        }
        self._cache, self._key = cache, key
        self._values = cache.values(key) if cache else {}
        self._changed = False

    def score(self, name: str, kind: str = "") -> Evaluation:
        """One score, or its control: "no_drift" takes the affines before the step, "shuffled" the shuffled labels."""
        score = SCORES[name]
        options = {need: value for need, value in self._options.items() if need in score.needs}
        known = self.remember(
            f"{name} {kind} {options}",
            lambda: _plain(evaluate_score(score, {**self.observation.arrays(kind), **options})),
        )
        return Evaluation(known[0], known[1], tuple(known[2]))

    def remember(self, label: str, work_out: Callable[[], Any]) -> Any:
        """What is known under a label, worked out if it is not."""
        if label not in self._values:
            self._values[label] = work_out()
            self._changed = True
        return self._values[label]

    def save(self) -> None:
        """Put what was worked out into the cache."""
        if self._cache and self._changed:
            self._cache.note_values(self._key, self._values)


def _plain(found: Evaluation) -> list[Any]:
    part = list(found.part) if isinstance(found.part, tuple) else found.part
    return [found.value, part, list(found.notes)]
