"""What scores came to on an observation: worked out once, and remembered where the cache can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from acrank.cache import ObservationCache
from acrank.scores import KEYWORDS, SCORES
from acrank.scores.evaluate import Evaluation
from acrank.scores.evaluate import evaluate as evaluate_score
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
        self.observation, self.settings, self.repeat = observation, settings, repeat
        self._cache, self._key = cache, key
        self._values = cache.load_values(key) if cache else {}
        self._changed = False

    def score(self, name: str, kind: str = "") -> Evaluation:
        """One score, or its control: "no_drift" takes the affines before the step, "shuffled" the shuffled labels."""
        arrays = self._arrays(kind)
        options = {need: arrays[need] for need in SCORES[name].needs if need in KEYWORDS}
        known = self.remember(f"{name} {kind} {options}", lambda: _plain(evaluate_score(SCORES[name], arrays)))
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
            self._cache.store_values(self._key, self._values)

    def _arrays(self, kind: str) -> dict[str, Any]:
        seen, protocol = self.observation, self.settings.protocol
        layers = {"": seen.layers, "no_drift": seen.no_drift, "shuffled": seen.shuffled}[kind]
        labels = seen.labels[seen.permutation] if kind == "shuffled" else seen.labels
        return {
            "features": seen.features,
            "labels": labels,
            "logits": seen.logits,
            "fold": seen.fold,
            "groups": seen.groups,
            "maps": seen.maps,
            "layers": layers,
            # a random head's step hardly knows the labels: under shuffled ones it counts as the same
            "random": seen.no_drift if kind == "no_drift" else seen.random or None,
            "gram": seen.gram,
            "gram_labels": None if seen.gram_rows is None else labels[seen.gram_rows],
            "gram_fold": None if seen.gram_rows is None else seen.fold[seen.gram_rows],
            "seed": seed_of(Purpose.SCORE, self.settings.seed, self.repeat, bits=32),
            "per_channel": protocol.per_channel,
            "step_size": protocol.step_size,
        }


def _plain(found: Evaluation) -> list[Any]:
    part = list(found.part) if isinstance(found.part, tuple) else found.part
    return [found.value, part, list(found.notes)]
