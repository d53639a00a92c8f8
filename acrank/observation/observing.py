"""From a manifest entry to observations: load the network, wrap it in AC-Norm, run the passes of the plan."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from acrank.observation.batches import Batch, batch_of
from acrank.observation.features import DenseReader, Reader, decoder_maps, in_mixed_precision
from acrank.observation.one_epoch import finetune_one_epoch
from acrank.observation.one_step import array_of, refuse_infinite, take_one_step, wrap_in_ac_norm
from acrank.records import Details
from acrank.scores.inputs import CandidateInfo, MapRows, Observation
from acrank.settings import Plan, Settings
from acrank.system.machine import channels_last, deterministic, is_out_of_memory, mixed_dtype, pick_device
from acrank.system.network_input import NetworkInput
from acrank.system.streams import Purpose, seed_of
from acrank.targets.draws import Draw
from acrank.zoo.loading import LoadedModel, load_candidate
from acrank.zoo.schema import Candidate

Array = npt.NDArray[np.float32]
#: What the loss is multiplied by in float16, as `torch.amp.GradScaler` begins.
LOSS_SCALE = 2.0**16


@dataclass
class LoadedCandidate:
    """A candidate with its weights, and every draw decoded for it."""

    candidate: Candidate
    model: LoadedModel
    batches: list[Batch]


def load_for_draws(candidate: Candidate, draws: Sequence[Draw], settings: Settings) -> LoadedCandidate:
    """Load a candidate and decode the draws for it.

    Raises:
        CandidateError: it cannot be loaded, or cannot take the images.
        TargetError: an image cannot be read.
    """
    model = load_candidate(candidate, allow_code=settings.allow_code)
    return LoadedCandidate(candidate, model, [batch_of(draw, model.input) for draw in draws])


def observe_candidate(loaded: LoadedCandidate, settings: Settings) -> tuple[list[Observation], CandidateInfo]:
    """Observe a candidate on every draw; its network is changed by that.

    Where memory is short, every draw is halved, and halved again: `lowered` in the details then says from how many
    inputs to how many (of each draw; per step, where the network is trained), and a note says so.

    Raises:
        CandidateError: it gives nothing to score, or cannot be loaded again.
        MemoryError, RuntimeError: too little memory for the smallest batch.
    """
    plan = settings.plan()
    whole = _at_once(loaded, plan)
    while True:
        try:
            with deterministic(plan.deterministic):
                found, info = _observe_once(loaded, plan, settings)
            break
        except Exception as error:
            fewer = _lowered(loaded, plan) if is_out_of_memory(error) else None
            if fewer is None:
                raise
        # not within `except`: the error holds the frames of the pass, and they hold what it had allocated
        _start_again(loaded, fewer, settings)
    if _at_once(loaded, plan) != whole:
        _note_lowered(info, whole, loaded, plan=plan)
    return found, info


def _observe_once(loaded: LoadedCandidate, plan: Plan, settings: Settings) -> tuple[list[Observation], CandidateInfo]:
    device = pick_device(settings.device)
    info = _info(loaded, device, plan)
    model = _placed(loaded.model.model, device, loaded.model.input)
    passes = _Passes(plan, device, settings.seed)
    # what is read under the source's own normalisation layers comes before AC-Norm replaces them
    sources = [passes.source_features(model, batch) for batch in loaded.batches]
    maps = [passes.decoder_maps(model, batch) for batch in loaded.batches]
    if plan.moves_affines:
        model, left_out = wrap_in_ac_norm(model)
        info.notes += left_out
    found = []
    for batch, source, rows in zip(loaded.batches, sources, maps, strict=True):
        observation = passes.moved(model, batch) if plan.moves_affines else passes.still(model, batch)
        observation = dataclasses.replace(observation, groups=batch.groups, maps=rows)
        found.append(
            observation if source is None else dataclasses.replace(observation, features=source[0], logits=source[1])
        )
    return found, info


def _placed(model: nn.Module, device: torch.device, network_input: NetworkInput) -> nn.Module:
    """The network on its device; for images with channels last."""
    model = model.to(device)
    return channels_last(model) if len(network_input.size) == 2 else model


class _Passes:
    """The passes of a plan over the draws of one candidate.

    Args:
        plan: of the run.
        device: where they run.
        seed: of the run.
    """

    def __init__(self, plan: Plan, device: torch.device, seed: int) -> None:
        self.plan, self.device, self.seed = plan, device, seed
        is_float16 = plan.amp and mixed_dtype(device) == torch.float16
        self.loss_scale = LOSS_SCALE if is_float16 else 1.0  # bfloat16 has the exponents of float32, and needs none

    def moved(self, model: nn.Module, batch: Batch) -> Observation:
        """One step, or one epoch, on the affine parameters of an AC-Norm model."""
        plan = self.plan
        assert plan.step_size is not None
        assert plan.layers is not None
        if plan.epochs:
            return finetune_one_epoch(
                model,
                batch.inputs,
                batch.labels,
                half=batch.half,
                permutation=batch.permutation,
                classes=batch.classes,
                step_size=plan.step_size,
                layers=plan.layers,
                seed=seed_of(Purpose.ONE_EPOCH, self.seed, batch.repeat),
                device=self.device,
                read=self._reader(batch),
                batch_size=batch.step,
                loss_scale=self.loss_scale,
            )
        return take_one_step(
            model,
            batch.inputs.to(self.device),
            batch.labels.flatten().to(self.device),
            classes=batch.classes,
            half=batch.half.to(self.device),
            permutation=batch.permutation.to(self.device),
            step_size=plan.step_size,
            head=plan.head,
            layers=plan.layers,
            seed=seed_of(Purpose.HEAD, self.seed, batch.repeat),
            read=self._reader(batch),
            rows=batch.rows(),
            loss_scale=self.loss_scale,
        )

    def still(self, model: nn.Module, batch: Batch) -> Observation:
        """Features and logits alone: no step, no AC-Norm; batch-normalisation statistics as the plan says."""
        features, logits = self._features(model, batch, batch_statistics=self.plan.statistics == "target")
        return Observation(
            labels=(batch.labels if batch.groups is None else batch.labels.flatten()).numpy(),
            half=batch.half.numpy(),
            permutation=batch.permutation.numpy(),
            features=features,
            logits=logits,
        )

    def source_features(self, model: nn.Module, batch: Batch) -> tuple[Array, Array | None] | None:
        """Features and logits under the source's own statistics, where the plan has them beside a step."""
        return self._features(model, batch, batch_statistics=False) if self.plan.source_features else None

    @torch.no_grad()
    def decoder_maps(self, model: nn.Module, batch: Batch) -> tuple[MapRows, ...] | None:
        """Rows of the decoder's maps, where the plan has them; read before AC-Norm, which changes a map's values."""
        reader = batch.reader(self.device)
        if not (self.plan.decoder_maps and isinstance(reader, DenseReader)):
            return None
        _freeze(model, batch_statistics=self.plan.statistics == "target")
        return decoder_maps(model, batch.inputs.to(self.device), reader)

    @torch.no_grad()
    def _features(self, model: nn.Module, batch: Batch, *, batch_statistics: bool) -> tuple[Array, Array | None]:
        _freeze(model, batch_statistics=batch_statistics)
        features, logits = self._reader(batch)(model, batch.inputs.to(self.device), None)
        refuse_infinite(features)
        return array_of(features), None if logits is None else array_of(logits)

    def _reader(self, batch: Batch) -> Reader:
        read = batch.reader(self.device)
        return in_mixed_precision(read, mixed_dtype(self.device)) if self.plan.amp else read


def _freeze(model: nn.Module, *, batch_statistics: bool) -> None:
    """Nothing of the network is random; batch normalisation takes the batch's statistics, or its own."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.training = batch_statistics


def _info(loaded: LoadedCandidate, device: torch.device, plan: Plan) -> CandidateInfo:
    model = loaded.model
    shown = {
        "size": model.input.size,
        "in_chans": model.input.channels,
        "mean": model.input.mean,
        "std": model.input.std,
    }
    details = Details(input=shown, step_size=plan.step_size, device=str(device))
    if plan.amp:
        details.precision = str(mixed_dtype(device)).removeprefix("torch.")
    if any(batch.corners for batch in loaded.batches):
        details.patches = {
            "corners": [[list(corner) for corner in batch.corners] for batch in loaded.batches],
            "positions": loaded.batches[0].labels.shape[1],
        }
    return CandidateInfo(
        params=sum(part.numel() for part in model.model.parameters()),
        notes=list(model.notes),
        weights=model.weights,
        details=details,
    )


def _at_once(loaded: LoadedCandidate, plan: Plan) -> list[int]:
    """How many inputs each draw puts through the network at a time."""
    return [batch.step if plan.epochs else len(batch.inputs) for batch in loaded.batches]


def _lowered(loaded: LoadedCandidate, plan: Plan) -> list[Batch] | None:
    """The draws with half as many inputs at a time; None where one of them would have too few."""
    fewer = [batch.with_half_steps() if plan.epochs else batch.halved() for batch in loaded.batches]
    found = [batch for batch in fewer if batch is not None]
    return found if len(found) == len(fewer) else None


def _start_again(loaded: LoadedCandidate, batches: list[Batch], settings: Settings) -> None:
    """Other batches, and the network as it was before its statistics moved; the used one is released first."""
    del loaded.model
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    loaded.batches = batches
    loaded.model = load_candidate(loaded.candidate, allow_code=settings.allow_code)


def _note_lowered(info: CandidateInfo, whole: list[int], loaded: LoadedCandidate, plan: Plan) -> None:
    now = _at_once(loaded, plan)
    info.details.lowered = {"from": whole, "to": now}
    what = "images" if loaded.batches[0].positions is None else "patches"
    how = " per step, trained with" if plan.epochs else ", scored on"
    info.notes.append(f"out of memory at {max(whole)} {what}{how} {max(now)}: batch statistics depend on the batch")
