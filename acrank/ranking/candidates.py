"""One candidate, from its manifest entry to its row: a plain function of picklable data, run wherever it suits.

Loads no torch where the cache holds every observation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from acrank.cache import ObservationCache, identity_of, key_of
from acrank.ranking.scored_observation import Seen
from acrank.records import Row, Value
from acrank.scores import SCORES
from acrank.scores.diagnostics import diagnose
from acrank.scores.evaluate import Evaluation
from acrank.scores.inputs import CandidateInfo, LayerShift, Observation
from acrank.settings import Settings
from acrank.system.imports import gc_paused
from acrank.system.machine import reason_of, use_device
from acrank.targets.draws import Draw
from acrank.zoo.schema import Candidate

if TYPE_CHECKING:
    from acrank.observation.observing import Ready


def score_candidate(
    candidate: Candidate,
    draws: Sequence[Draw],
    settings: Settings,
    cache: ObservationCache | None,
    prepared: Callable[[], Prepared] | None = None,
) -> Row:
    """Load a candidate, observe it on every draw, and return its row.

    Whatever fails is the reason of a skipped row: one candidate's failure never ends a run. KeyboardInterrupt passes.

    Args:
        candidate, draws, settings, cache: of the run.
        prepared: gives what `prepare` made of the candidate, where that was begun elsewhere.
    """
    started = time.perf_counter()
    try:
        begun = prepared() if prepared else prepare(candidate, draws, settings, cache)
        found, about = _observations(begun, draws, settings, cache)
        # matrices this small gain nothing from threads, and on a busy machine lose much
        with threadpool_limits(1, user_api="blas"):
            row = row_of(candidate.id, found, about, draws, settings)
        row.details["cached"] = None not in begun.held
        for seen in found:
            seen.save()
    except Exception as error:
        row = Row(candidate.id, "skipped", reason=reason_of(error))
    if cache and (failure := cache.take_failure()):
        row.details["cache_failure"] = failure
    row.reference = dict(candidate.reference)
    row.seconds = round(time.perf_counter() - started, 4)
    return row


@dataclass
class Prepared:
    """What observing a candidate begins with.

    Attributes:
        keys: in the cache, of each draw; None where it is not cached.
        held: what the cache holds of each draw.
        ready: the network, and the draws that are not held, decoded; None where all are held, and once it was used.
    """

    keys: list[str | None]
    held: list[tuple[Observation, CandidateInfo] | None]
    ready: Ready | None = None


def prepare(
    candidate: Candidate, draws: Sequence[Draw], settings: Settings, cache: ObservationCache | None
) -> Prepared:
    """Look a candidate up in the cache; load it, and decode for it, what is not there.

    Raises:
        CandidateError: it cannot be loaded, or cannot take the images.
        TargetError: an image cannot be read.
    """
    identity = identity_of(candidate, settings, cache) if cache else None
    keys = [key_of(identity, draw, settings) if identity else None for draw in draws]
    held = [cache.load(key) if cache and key else None for key in keys]
    missing = [draw for draw, entry in zip(draws, held, strict=True) if entry is None]
    if not missing:
        return Prepared(keys, held)
    with gc_paused():
        from acrank.observation.observing import make_ready

    return Prepared(keys, held, make_ready(candidate, missing, settings))


def may_load_ahead(candidate: Candidate) -> bool:
    """Whether it may be prepared in another thread: a user's code could change what others compute meanwhile."""
    return candidate.factory is None


def begin_worker(device: str | None = None) -> None:
    """Load what every candidate needs before its clock starts, and let `auto` mean `device`, where one is given."""
    use_device(device)
    with gc_paused():
        import scipy.stats  # noqa: F401
        import sklearn.linear_model  # noqa: F401

        import acrank.observation.observing  # noqa: F401 - loads torch
        from acrank.zoo.architectures.timm_import import import_timm

    import_timm()


def row_of(model: str, found: Sequence[Seen], about: CandidateInfo, draws: Sequence[Draw], settings: Settings) -> Row:
    """The row of a candidate from its observations; pool-relative scores still lack their value."""
    values: dict[str, Value] = {}
    parts: dict[str, list[Any]] = {}
    for name in settings.scores:
        values[name], parts[name] = _score(name, found, settings)
    layers = [one.observation.shifts or one.observation.random_head_shifts for one in found]
    return Row(
        model,
        "scored",
        scores=values,
        params=about.params,
        notes=[*about.notes, *_untouched_note(layers[0]), *_diagnostics(found[0], draws[0], settings)],
        weights=about.weights,
        layers=_layer_records(layers),
        details={**about.details, "parts": {name: part for name, part in parts.items() if part}},
    )


def value_of(found: Sequence[Evaluation], **controls: float | None) -> Value:
    """Mean, deviation and Student's 95% interval of one score over the draws, with its notes and controls.

    >>> value_of([Evaluation(1.0), Evaluation(3.0)]).value
    2.0
    """
    notes = "; ".join(dict.fromkeys(note for one in found for note in one.notes)) or None
    values = [one.value for one in found if one.value is not None]
    if not values:
        return Value(None, note=notes)
    mean, sd, low, high = _interval(values)
    return Value(mean, sd, low, high, **controls, note=notes)


def _observations(
    begun: Prepared, draws: Sequence[Draw], settings: Settings, cache: ObservationCache | None
) -> tuple[list[Seen], CandidateInfo]:
    """Those that the cache holds; the rest is observed and put there, but what a lack of memory changed."""
    fresh: list[Observation] = []
    about = next((entry[1] for entry in begun.held if entry), None)
    if begun.ready is not None:
        from acrank.observation.observing import observe_ready

        fresh, about = observe_ready(begun.ready, settings)
        begun.ready = None  # the network is not needed beside the next one
    assert about is not None
    news = iter(fresh)
    out = []
    for draw, known, entry in zip(draws, begun.keys, begun.held, strict=True):
        key = None if entry is None and "lowered" in about.details else known
        observation = entry[0] if entry else next(news)
        if cache and key and entry is None:
            cache.store(key, observation, about, draw.ids)
        out.append(Seen(observation, settings, draw.repeat, cache if key else None, key or ""))
    return out, about


def _score(name: str, found: Sequence[Seen], settings: Settings) -> tuple[Value, list[Any]]:
    """One score over the draws; a pool-relative one gives its part of each draw instead of a value."""
    results = [seen.score(name) for seen in found]
    controls = {kind: _mean([seen.score(name, kind) for seen in found]) for kind in _controls(name, settings)}
    return value_of(results, **controls), [one.part for one in results if one.part is not None]


def _controls(name: str, settings: Settings) -> list[str]:
    """Which controls a score has.

    Shuffled labels cost as much as the score itself: for the affine scores the pass is there, others get the control
    where it judges the ranking.
    """
    score = SCORES[name]
    if score.of_a_step:
        return ["no_drift", "shuffled"]
    judged = score.always_controlled or name == settings.rank_by
    return (
        ["shuffled"] if judged and {"labels", "later_gram_labels"} & {*score.needs} and not score.pool_relative else []
    )


def _mean(found: Sequence[Evaluation]) -> float | None:
    values = [one.value for one in found if one.value is not None]
    return float(np.mean(values)) if values else None


def _interval(values: Sequence[float]) -> tuple[float, float | None, float | None, float | None]:
    """Mean, deviation (ddof 1) and Student's 95% interval of the mean; None with a single value."""
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None, None
    sd = float(np.std(values, ddof=1))
    reach = float(t.ppf(0.975, len(values) - 1)) * sd / len(values) ** 0.5
    return mean, sd, mean - reach, mean + reach


def _untouched_note(layers: Sequence[LayerShift]) -> list[str]:
    count = sum(layer.untouched for layer in layers)
    if not count:
        return []
    return [f"{count} of {len(layers)} normalisation layers are untouched (equal affines): AC-Corr leaves them out"]


def _diagnostics(seen: Seen, draw: Draw, settings: Settings) -> list[str]:
    """What the feature scores of this row suffer from; nothing where none was asked for."""
    scores = [SCORES[name] for name in settings.scores]
    if not any("features" in score.needs and score.wants_diagnostics for score in scores):
        return []
    one, classes = seen.observation, len(draw.target.classes) or None
    found: list[str] = seen.remember(
        f"diagnose {classes}", lambda: diagnose(one.features, one.labels, one.logits, classes=classes)
    )
    return found


def _layer_records(draws: Sequence[Sequence[LayerShift]]) -> list[dict[str, Any]]:
    """Per layer, the mean over draws of its raw AC-Corr, alignment and median drift."""
    return [
        {
            "name": layers[0].name,
            "channels": layers[0].channels,
            "untouched": layers[0].untouched,
            "ac_corr": float(np.mean([layer.total for layer in layers])),
            "channel_alignment": float(np.mean([layer.own / layer.total for layer in layers])),
            "affine_drift": float(np.mean([np.median(layer.drift) for layer in layers])),
        }
        for layers in zip(*draws, strict=True)
    ]
