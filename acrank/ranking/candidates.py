"""One candidate, from its manifest entry to its row: a plain function of picklable data, run in any process.

Loads no torch where the cache holds every observation.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from acrank.cache import ObservationCache, drift_key_of, identity_of, key_of
from acrank.ranking.costs import Costs, with_costs
from acrank.ranking.layer_notes import layer_records, layers_of, untouched_note
from acrank.ranking.scored_observation import ScoredObservation
from acrank.ranking.values import limits_of, mean_of, value_of
from acrank.records import Row, Value
from acrank.scores import SCORES
from acrank.scores.inputs import CandidateInfo, LayerShift, Observation, drift_alone
from acrank.settings import Settings
from acrank.system.activity import Detail, announce
from acrank.system.clock import OwnClock, shared_work
from acrank.system.imports import gc_paused
from acrank.system.machine import reason_of, use_device
from acrank.system.memory import reuse_pages
from acrank.targets.draws import Draw
from acrank.zoo.schema import Candidate

if TYPE_CHECKING:
    from acrank.observation.observing import LoadedCandidate


@dataclass(kw_only=True)
class PreparedCandidate:
    """What observing a candidate begins with.

    Attributes:
        keys: in the cache, of each draw; None where it is not cached.
        cached: what the cache holds of each draw.
        drift_key: in the cache, of the checkpoint's drift; None where that is not needed or not cached.
        drift: what the cache holds of it.
        drift_cost: the seconds that its entry keeps.
        loaded: the network, and the draws that are not cached, decoded; None where all is cached, and after its use.
    """

    keys: list[str | None]
    cached: list[tuple[Observation, CandidateInfo] | None]
    drift_key: str | None = None
    drift: tuple[LayerShift, ...] | None = None
    drift_cost: dict[str, float] = field(default_factory=dict)
    loaded: LoadedCandidate | None = None


def score_candidate(
    candidate: Candidate,
    draws: Sequence[Draw],
    settings: Settings,
    cache: ObservationCache | None,
    prepared: Callable[[], PreparedCandidate] | None = None,
) -> Row:
    """Load a candidate, observe it on every draw, and return its row.

    Whatever fails is the reason of a skipped row: one candidate's failure never ends a run. KeyboardInterrupt passes.

    Args:
        candidate, draws, settings, cache: of the run.
        prepared: gives the prepared candidate, where that was begun elsewhere.
    """
    clock, costs = OwnClock(), Costs(draws[0].repeat)
    times = [time.monotonic()]
    try:
        begun = prepared() if prepared else prepare_candidate(candidate, draws, settings, cache=cache)
        times.append(time.monotonic())
        if begun.loaded is not None:
            costs.loaded(clock.seconds())
        found, info = _observations(begun, draws, settings, cache=cache, costs=costs)
        times.append(time.monotonic())
        # matrices this small gain nothing from threads, and on a busy machine lose much
        with threadpool_limits(1, user_api="blas"):
            row = row_of(candidate.id, found, info, settings=settings, classes=len(draws[0].target.classes) or None)
        row.details.cached = None not in begun.cached
        for draw, one in zip(draws, found, strict=True):
            one.save()
            costs.computed(f"scores {draw.repeat}", one.seconds)
        row = with_costs(row, costs.parts())
        waited, passed, scored = (end - start for start, end in itertools.pairwise([*times, time.monotonic()]))
        announce(
            Detail(
                f"{candidate.id}: {waited:.2f} s until network and images were there, passes {passed:.2f} s, "
                f"scores {scored:.2f} s"
            )
        )
    except Exception as error:
        row = Row(candidate.id, "skipped", reason=reason_of(error), seconds=round(clock.seconds(), 4))
    row.details.cache_failure = cache.take_failure() if cache else None
    row.reference = dict(candidate.reference)
    return row


def prepare_candidate(
    candidate: Candidate, draws: Sequence[Draw], settings: Settings, cache: ObservationCache | None
) -> PreparedCandidate:
    """Look a candidate up in the cache; load it, and decode for it, what is not there.

    Raises:
        CandidateError: it cannot be loaded, or cannot take the images.
        TargetError: an image cannot be read.
    """
    identity = identity_of(candidate, settings, cache) if cache else None
    with shared_work():
        for draw in draws if identity else ():
            _ = draw.digest  # remembered
    keys = [key_of(identity, draw, settings) if identity else None for draw in draws]
    begun = PreparedCandidate(keys=keys, cached=[cache.load(key) if cache and key else None for key in keys])
    missing = [draw for draw, entry in zip(draws, begun.cached, strict=True) if entry is None]
    needs_drift = settings.plan().bundled_drift
    dense = draws[0].target.task == "segmentation"
    if needs_drift and identity and cache:
        begun.drift_key = drift_key_of(identity, settings, dense=dense)
        entry = cache.load(begun.drift_key)
        begun.drift, begun.drift_cost = (entry[0].random_head_shifts, entry[1].seconds) if entry else (None, {})
    if missing or (needs_drift and begun.drift is None):
        with shared_work():
            begin_once()
        from acrank.observation.observing import load_for_draws

        begun.loaded = load_for_draws(candidate, missing, settings, dense=dense)
        begun.loaded.drift = begun.drift
    return begun


def may_prefetch(candidate: Candidate) -> bool:
    """Whether it may be prepared in another thread: a user's code could change what others compute meanwhile."""
    return candidate.factory is None


@functools.cache
def begin_once() -> None:
    """What `begin_worker` does, in a process that has not done it."""
    begin_worker()


def begin_worker(device: str | None = None) -> None:
    """Load what every candidate needs before its clock starts, and let `auto` mean `device`, where one is given."""
    if device is not None:
        use_device(device)
    reuse_pages()
    with gc_paused():
        import scipy.stats  # noqa: F401
        import sklearn.linear_model  # noqa: F401

        import acrank.observation.observing  # noqa: F401 - loads torch
        from acrank.zoo.architectures.timm_import import import_timm

    import_timm()


def row_of(
    model: str, found: Sequence[ScoredObservation], info: CandidateInfo, settings: Settings, *, classes: int | None
) -> Row:
    """The row of a candidate from its observations; pool-relative scores still lack their value.

    Args:
        model: its id.
        found: one for each draw.
        info: what loading it yielded.
        settings: of the run.
        classes: of the target; None where it has none.
    """
    values: dict[str, Value] = {}
    info.details.draws, info.details.worth = len(found), [one.worth for one in found]
    for name in settings.scores:
        results = [one.score(name) for one in found]
        controls = {kind: mean_of([one.score(name, kind) for one in found]) for kind in _controls(name, settings)}
        if parts := [one.part for one in results if one.part is not None]:
            info.details.parts[name] = parts
        elif name == settings.rank_by:
            info.details.values[name] = [one.value for one in results]
            info.details.deviations[name] = [one.deviation(name) for one in found]
        deviations, worth = info.details.deviations.get(name, []), info.details.worth_of(name)
        values[name] = value_of(results, deviations, worth=worth, limits=limits_of(name), **controls)
    layers = [layers_of(one.observation) for one in found]
    info.details.patches = _patches([one.observation for one in found])
    diagnosed = any("features" in SCORES[name].needs and SCORES[name].wants_diagnostics for name in settings.scores)
    return Row(
        model,
        "scored",
        scores=values,
        params=info.params,
        notes=[
            *info.notes,
            *_valueless(values, settings.rank_by),
            *untouched_note(layers[0]),
            *(found[0].diagnostics(classes) if diagnosed else []),
        ],
        weights=info.weights,
        layers=layer_records(layers),
        details=info.details,
    )


def _observations(
    begun: PreparedCandidate, draws: Sequence[Draw], settings: Settings, *, cache: ObservationCache | None, costs: Costs
) -> tuple[list[ScoredObservation], CandidateInfo]:
    """Those that the cache holds; the rest is observed and cached, but for what a lack of memory changed."""
    fresh: list[Observation] = []
    each = 0.0
    info = next((entry[1] for entry in begun.cached if entry), None)
    if begun.loaded is not None:
        from acrank.observation.observing import observe_candidate

        clock = OwnClock()
        observed = observe_candidate(begun.loaded, settings)
        fresh, info = observed.draws, observed.info
        begun.loaded = None  # the network is not needed beside the next one
        fresh_drift = observed.drift if begun.drift is None else None
        each = (clock.seconds() - observed.drift_seconds) / max(len(fresh), 1)
        if fresh_drift is not None:
            costs.computed("drift", observed.drift_seconds)
        if cache and begun.drift_key and fresh_drift is not None and not info.details.lowered:
            cache.store(begun.drift_key, drift_alone(fresh_drift), costs.kept_with(info, observed.drift_seconds), [])
        begun.drift = observed.drift
    if begun.drift_cost:
        costs.cached("drift", begun.drift_cost)
    assert info is not None  # noqa: S101 - for the type checker
    news = iter(fresh)
    out = []
    for draw, known, entry in zip(draws, begun.keys, begun.cached, strict=True):
        key = None if entry is None and info.details.lowered else known
        observation = entry[0] if entry else next(news)
        if entry is None:
            costs.computed(f"draw {draw.repeat}", each)
        else:
            costs.cached(f"draw {draw.repeat}", entry[1].seconds)
        if cache and key and entry is None:
            cache.store(key, observation, costs.kept_with(info, each), draw.ids)
        if begun.drift is not None:
            observation = dataclasses.replace(observation, random_head_shifts=begun.drift)
        keys = [one for one in (key, begun.drift_key) if one]
        units = draw.units(observation.groups)
        out.append(
            ScoredObservation(observation, settings, draw=draw, units=units, cache=cache if key else None, keys=keys)
        )
    return out, info


def _controls(name: str, settings: Settings) -> list[str]:
    """Which controls a score has.

    Scores of the step have it where a step on shuffled labels was taken. For the others it costs as much as the score
    itself: they get it where it judges the ranking.
    """
    row = SCORES[name]
    if "shifts" in row.needs:
        return ["no_drift", "shuffled"] if settings.controls or settings.epochs else ["no_drift"]
    if row.of_a_step:
        return ["no_drift", "shuffled"]
    reads_labels = bool({"labels", "later_gram_labels"} & {*row.needs})
    judged = reads_labels and (row.always_controlled or name == settings.rank_by)
    return ["shuffled"] if judged and not row.pool_relative else []


def _patches(draws: Sequence[Observation]) -> dict[str, Any] | None:
    """Corners of the patches of each draw, and labelled positions of each patch; None where there are no patches."""
    corners = [one.corners.tolist() for one in draws if one.corners is not None]
    return {"corners": corners, "positions": len(draws[0].labels) // len(corners[0])} if corners else None


def _valueless(values: Mapping[str, Value], rank_by: str) -> list[str]:
    """Why the candidate has no place in the ranking, where the ranking score has no value in any draw."""
    found = values.get(rank_by)
    return [f"no value of {rank_by}: {found.note}"] if found and found.value is None and found.note else []
