"""From a manifest entry to observations: load the network, wrap it in AC-Norm, run the passes that the scores need."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from acrank.observation.batches import Batch, batch_of
from acrank.observation.dense_features import PixelReader, map_rows
from acrank.observation.features import Reader, in_mixed_precision
from acrank.observation.one_epoch import finetune_one_epoch
from acrank.observation.one_step import array_of, check_finite, observe, prepare_model
from acrank.scores.inputs import CandidateInfo, MapRows, Observation
from acrank.settings import Settings
from acrank.system.machine import channels_last, deterministic, is_out_of_memory, mixed_dtype, pick_device
from acrank.system.streams import Purpose, seed_of
from acrank.targets.draws import BatchSpec, Draw
from acrank.zoo.loading import LoadedModel, load_candidate
from acrank.zoo.schema import Candidate

#: What the loss is multiplied by in float16, as `torch.amp.GradScaler` begins.
LOSS_SCALE = 2.0**16


@dataclass
class Ready:
    """A candidate with its weights, and every draw decoded for it."""

    candidate: Candidate
    loaded: LoadedModel
    spec: BatchSpec
    batches: list[Batch]


def make_ready(candidate: Candidate, draws: Sequence[Draw], settings: Settings) -> Ready:
    """Load a candidate and decode the draws for it.

    Raises:
        CandidateError: it cannot be loaded, or cannot take the images.
        TargetError: an image cannot be read.
    """
    loaded = load_candidate(candidate, allow_code=settings.allow_code)
    spec = BatchSpec(loaded.size, loaded.in_chans, loaded.mean, loaded.std)
    return Ready(candidate, loaded, spec, [batch_of(draw, spec) for draw in draws])


def observe_ready(ready: Ready, settings: Settings) -> tuple[list[Observation], CandidateInfo]:
    """Observe a candidate on every draw; its network is changed by that.

    Where memory is short, every draw is halved, and halved again: `lowered` in the details then says from how many
    inputs to how many (of each draw; per step, where the network is trained), and a note tells of it.

    Raises:
        CandidateError: it gives nothing to score, or cannot be loaded again.
        MemoryError, RuntimeError: too little memory for the smallest batch.
    """
    whole = _at_once(ready, settings)
    while True:
        try:
            with deterministic(settings.deterministic):
                found, about = _observe_once(ready, settings)
            break
        except Exception as error:
            fewer = _lowered(ready, settings) if is_out_of_memory(error) else None
            if fewer is None:
                raise
        # not within `except`: the error holds the frames of the pass, and they hold what it had allocated
        _begin_again(ready, fewer, settings)
    if _at_once(ready, settings) != whole:
        _tell_lowered(about, whole, ready, settings)
    return found, about


def _observe_once(ready: Ready, settings: Settings) -> tuple[list[Observation], CandidateInfo]:
    device = pick_device(settings.device)
    about = _about(ready, device, settings)
    model = _placed(ready.loaded.model, device, ready.spec)
    sources = [_source_features(model, batch, settings, device) for batch in ready.batches]
    maps = [_maps(model, batch, settings, device) for batch in ready.batches]
    if settings.takes_step:
        model, left = prepare_model(model)
        about.notes += left
        found = [_step(model, batch, settings, device) for batch in ready.batches]
    else:
        found = [_forward(model, batch, settings, device) for batch in ready.batches]
    return [_finished(*parts) for parts in zip(found, ready.batches, sources, maps, strict=True)], about


def _placed(model: nn.Module, device: torch.device, spec: BatchSpec) -> nn.Module:
    """The network on its device; for images with channels last."""
    model = model.to(device)
    return channels_last(model) if len(spec.size) == 2 else model


def _reader(batch: Batch, settings: Settings, device: torch.device) -> Reader:
    read = batch.reader(device)
    return in_mixed_precision(read, mixed_dtype(device)) if settings.amp else read


def _loss_scale(settings: Settings, device: torch.device) -> float:
    """Only float16 needs one: bfloat16 has the exponents of float32."""
    return LOSS_SCALE if settings.amp and mixed_dtype(device) == torch.float16 else 1.0


def _at_once(ready: Ready, settings: Settings) -> list[int]:
    """How many inputs each draw puts through the network at a time."""
    return [batch.step if settings.protocol.epochs else len(batch.inputs) for batch in ready.batches]


def _lowered(ready: Ready, settings: Settings) -> list[Batch] | None:
    """The draws with half as much at a time; None where one of them would have too little."""
    fewer = [batch.with_half_steps() if settings.protocol.epochs else batch.halved() for batch in ready.batches]
    found = [batch for batch in fewer if batch is not None]
    return found if len(found) == len(fewer) else None


def _begin_again(ready: Ready, batches: list[Batch], settings: Settings) -> None:
    """Other batches, and the network as it was before its statistics moved; the used one is given up first."""
    del ready.loaded
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    ready.batches = batches
    ready.loaded = load_candidate(ready.candidate, allow_code=settings.allow_code)


def _tell_lowered(about: CandidateInfo, whole: list[int], ready: Ready, settings: Settings) -> None:
    now = _at_once(ready, settings)
    about.details["lowered"] = {"from": whole, "to": now}
    what = "images" if ready.batches[0].positions is None else "patches"
    how = " per step, trained with" if settings.protocol.epochs else ", scored on"
    about.notes.append(f"out of memory at {max(whole)} {what}{how} {max(now)}: batch statistics depend on the batch")


def _about(ready: Ready, device: torch.device, settings: Settings) -> CandidateInfo:
    loaded, spec = ready.loaded, ready.spec
    about = CandidateInfo(
        params=sum(part.numel() for part in loaded.model.parameters()),
        notes=list(loaded.notes),
        weights=loaded.weights,
        details={
            "input": {**vars(spec)},
            "step_size": settings.protocol.step_size if settings.takes_step else None,
            "device": str(device),
        },
    )
    if settings.amp:
        about.details["precision"] = str(mixed_dtype(device)).removeprefix("torch.")
    if any(batch.corners for batch in ready.batches):
        about.details["patches"] = {
            "corners": [[list(corner) for corner in batch.corners] for batch in ready.batches],
            "positions": ready.batches[0].labels.shape[1],
        }
    return about


def _step(model: nn.Module, batch: Batch, settings: Settings, device: torch.device) -> Observation:
    protocol = settings.protocol
    if protocol.epochs:
        return finetune_one_epoch(
            model,
            batch.inputs,
            batch.labels,
            half=batch.half,
            permutation=batch.permutation,
            classes=batch.classes,
            step_size=protocol.step_size,
            layers=protocol.layers,
            seed=seed_of(Purpose.ONE_EPOCH, settings.seed, batch.repeat),
            device=device,
            read=_reader(batch, settings, device),
            batch_size=batch.step,
            loss_scale=_loss_scale(settings, device),
        )
    return observe(
        model,
        batch.inputs.to(device),
        batch.labels.flatten().to(device),
        classes=batch.classes,
        half=batch.half.to(device),
        permutation=batch.permutation.to(device),
        step_size=protocol.step_size,
        head=protocol.head if settings.steps_on_labels else None,
        layers=protocol.layers,
        seed=seed_of(Purpose.HEAD, settings.seed, batch.repeat),
        read=_reader(batch, settings, device),
        rows=batch.rows(),
        loss_scale=_loss_scale(settings, device),
    )


def _forward(model: nn.Module, batch: Batch, settings: Settings, device: torch.device) -> Observation:
    """Features and logits alone: no step, no AC-Norm; statistics as the settings say."""
    by_batch = settings.statistics == "target"
    read = _reader(batch, settings, device)
    features, logits = _read(model, batch.inputs.to(device), read, batch_statistics=by_batch)
    return Observation(
        labels=(batch.labels if batch.groups is None else batch.labels.flatten()).numpy(),
        half=batch.half.numpy(),
        permutation=batch.permutation.numpy(),
        features=array_of(features),
        logits=None if logits is None else array_of(logits),
    )


def _source_features(
    model: nn.Module, batch: Batch, settings: Settings, device: torch.device
) -> tuple[Tensor, Tensor | None] | None:
    """Features under the source's own statistics, where those are wanted beside a step."""
    if settings.statistics != "source" or not settings.takes_step or settings.protocol.epochs:
        return None
    return _read(model, batch.inputs.to(device), _reader(batch, settings, device), batch_statistics=False)


@torch.no_grad()
def _maps(model: nn.Module, batch: Batch, settings: Settings, device: torch.device) -> tuple[MapRows, ...] | None:
    """Rows of the decoder's maps, where a score asks for them; read before AC-Norm, which changes a map's values."""
    reader = batch.reader(device)
    if not (settings.reads_maps and isinstance(reader, PixelReader)):
        return None
    _freeze(model, batch_statistics=settings.statistics == "target")
    return map_rows(model, batch.inputs.to(device), reader)


def _finished(
    seen: Observation,
    batch: Batch,
    source: tuple[Tensor, Tensor | None] | None,
    maps: tuple[MapRows, ...] | None,
) -> Observation:
    """The observation with the images that rows come from, the maps, and the source's features where wanted."""
    parts = {**vars(seen), "groups": batch.groups, "maps": maps}
    if source is not None:
        features, logits = source
        parts |= {"features": array_of(features), "logits": None if logits is None else array_of(logits)}
    return Observation(**parts)


@torch.no_grad()
def _read(model: nn.Module, inputs: Tensor, read: Reader, *, batch_statistics: bool) -> tuple[Tensor, Tensor | None]:
    _freeze(model, batch_statistics=batch_statistics)
    features, logits = read(model, inputs, None)
    check_finite(features)
    return features, logits


def _freeze(model: nn.Module, *, batch_statistics: bool) -> None:
    """Nothing of the network is random; batch normalisation takes the batch's statistics, or its own."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.training = batch_statistics
