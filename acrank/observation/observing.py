"""From a manifest entry to observations: load the network, wrap it in AC-Norm, run the passes of the plan."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from acrank.norm import PerSampleCoNorm, ac_norm_layers
from acrank.observation.batches import Batch, batch_of
from acrank.observation.bundled import bundled_batches
from acrank.observation.draw_passes import DrawPasses
from acrank.observation.part_size import MOST
from acrank.records import Details
from acrank.scores.inputs import CandidateInfo, LayerShift, Observation
from acrank.settings import Plan, Settings
from acrank.system.clock import OwnClock
from acrank.system.machine import deterministic, is_out_of_memory, mixed_dtype, pick_device
from acrank.system.memory import return_pages_above
from acrank.targets.draws import Draw
from acrank.zoo.loading import LoadedModel, load_candidate
from acrank.zoo.schema import Candidate

#: A process that holds less keeps its free pages for the next candidate.
KEPT_PAGES = 3 * 2**29


@dataclass
class LoadedCandidate:
    """A candidate with its weights, and every draw decoded for it.

    Attributes:
        candidate, model: the manifest entry, and the network.
        batches: the draws.
        drift: of the checkpoint, where it is known; None where it must be measured.
        part: the most inputs that may go through together; None for what the network's memory allows.
        dense: whether features are read at positions, as for segmentation.
    """

    candidate: Candidate
    model: LoadedModel
    batches: list[Batch]
    drift: tuple[LayerShift, ...] | None = None
    part: int | None = None
    dense: bool = False


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What observing a candidate gave.

    Attributes:
        draws: one observation for each.
        info: about the candidate.
        drift: the checkpoint's shifts on the bundled images; None where no score needs them.
        drift_seconds: that the passes over these took.
    """

    draws: list[Observation]
    info: CandidateInfo
    drift: tuple[LayerShift, ...] | None
    drift_seconds: float = 0.0


def load_for_draws(
    candidate: Candidate, draws: Sequence[Draw], settings: Settings, *, dense: bool | None = None
) -> LoadedCandidate:
    """Load a candidate and decode the draws for it.

    Args:
        candidate, settings: of the run.
        draws: those to observe; none where only the drift is missing.
        dense: whether features are read at positions, as for segmentation; None tells it from the draws.

    Raises:
        CandidateError: it cannot be loaded, or cannot take the images.
        TargetError: an image cannot be read.
    """
    model = load_candidate(candidate, allow_code=settings.allow_code, allow_download=settings.allow_download)
    batches = [batch_of(draw, model.input) for draw in draws]
    if dense is None:
        dense = any(batch.positions is not None for batch in batches)
    return LoadedCandidate(candidate, model, batches, dense=dense)


def observe_candidate(loaded: LoadedCandidate, settings: Settings) -> Observed:
    """Observe a candidate on every draw; its network is changed by that.

    Inputs go through the network in parts that depend on the network alone, and fit into memory. Where less is free,
    parts are smaller: `lowered` in the details then says from how many inputs to how many, and a note says so.

    Raises:
        CandidateError: it gives nothing to score, or cannot be loaded again.
        MemoryError, RuntimeError: too little memory for the smallest batch.
    """
    plan, device = settings.plan(), pick_device(settings.device)
    while True:
        passes = None
        try:
            with deterministic(plan.deterministic):
                passes = DrawPasses(plan, loaded.model, settings=settings, device=device, part=loaded.part)
                return _observe_once(loaded, passes, device)
        except Exception as error:
            if not (is_out_of_memory(error) and _lowered(loaded, passes.used if passes else None)):
                raise
        finally:
            return_pages_above(KEPT_PAGES)
        # not within `except`: the error holds the frames of the pass, and they hold what it had allocated
        del passes
        _load_again(loaded, settings)


def _observe_once(loaded: LoadedCandidate, passes: DrawPasses, device: torch.device) -> Observed:
    plan = passes.plan
    info = _info(loaded, device, plan)
    # what is read under the source's own normalisation layers comes before AC-Norm replaces them
    sources = [passes.source_features(batch) for batch in loaded.batches]
    maps = [passes.decoder_maps(batch) for batch in loaded.batches]
    if plan.moves_affines:
        info.notes += passes.wrap()
        info.notes += _norm_notes(passes)
    found = []
    for batch, source, rows in zip(loaded.batches, sources, maps, strict=True):
        observation = passes.moved(batch) if plan.moves_affines else passes.still(batch)
        corners = np.array(batch.corners, dtype=np.int64) if batch.corners else None
        observation = dataclasses.replace(observation, groups=batch.groups, maps=rows, corners=corners)
        if source is not None:
            observation = dataclasses.replace(observation, features=source[0], logits=source[1])
        found.append(observation)
    drift, clock = loaded.drift, OwnClock()
    if plan.bundled_drift and drift is None:
        drift = passes.drift(bundled_batches(loaded.model.input, dense=loaded.dense))
    seconds = clock.seconds()
    _note_parts(info, passes, plan, dense=loaded.dense)
    return Observed(draws=found, info=info, drift=drift, drift_seconds=seconds)


def _norm_notes(passes: DrawPasses) -> list[str]:
    """Which of the layers that move are an extension of the paper, and what their absence means."""
    layers = [layer for _, layer in ac_norm_layers(passes.model)]
    others = sorted({type(layer.plain).__name__ for layer in layers if isinstance(layer, PerSampleCoNorm)})
    if not layers:
        return ["no affine normalisation: scores of the affines have no value"]
    if not others:
        return []
    count = sum(isinstance(layer, PerSampleCoNorm) for layer in layers)
    return [
        f"extension: {count} of {len(layers)} normalisation layers are {', '.join(others)} (the paper has BatchNorm)"
    ]


def _info(loaded: LoadedCandidate, device: torch.device, plan: Plan) -> CandidateInfo:
    model = loaded.model
    shown = {
        "size": model.input.size,
        "in_chans": model.input.channels,
        "mean": model.input.mean,
        "std": model.input.std,
        **({} if model.input.order == "rgb" else {"order": model.input.order}),
    }
    details = Details(input=shown, step_size=plan.step_size, device=str(device))
    if plan.amp:
        details.precision = str(mixed_dtype(device)).removeprefix("torch.")
    return CandidateInfo(
        params=sum(part.numel() for part in model.model.parameters()),
        notes=list(model.notes),
        weights=model.weights,
        details=details,
    )


def _lowered(loaded: LoadedCandidate, used: int | None) -> bool:
    """Let fewer inputs go through together than those that were too many; False where that was one."""
    part = used or loaded.part or MOST
    loaded.part = part // 2
    return part > 1


def _load_again(loaded: LoadedCandidate, settings: Settings) -> None:
    """The network as it was before its statistics moved; the used one is released first."""
    del loaded.model
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    loaded.model = load_candidate(
        loaded.candidate, allow_code=settings.allow_code, allow_download=settings.allow_download
    )


def _note_parts(info: CandidateInfo, passes: DrawPasses, plan: Plan, *, dense: bool) -> None:
    """Record how many inputs went through together, and where that was fewer than without a lack of memory."""
    info.details.at_once = passes.used
    if passes.lowered is None:
        return
    wanted, used = passes.lowered
    info.details.lowered = {"from": [wanted], "to": [used]}
    what = "patches" if dense else "images"
    info.notes.append(
        f"out of memory at {wanted} {what} at a time, {'trained' if plan.epochs else 'scored'} with {used}: "
        "batch statistics depend on the batch"
    )
