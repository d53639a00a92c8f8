"""From a manifest entry to observations: load the network, wrap it in AC-Norm, run the passes that the scores need."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from acrank.draws import BatchSpec, Draw
from acrank.environment import pick_device
from acrank.epoch import finetune_one_epoch
from acrank.features import read_features
from acrank.observation import array_of, check_finite, observe, prepare_model
from acrank.observed import About, Observation
from acrank.settings import Settings
from acrank.zoo.checkpoints import LoadedModel, load_candidate
from acrank.zoo.schema import Candidate


def observe_candidate(
    candidate: Candidate, draws: Sequence[Draw], settings: Settings
) -> tuple[list[Observation], About]:
    """Load a candidate and observe it on every draw.

    Raises:
        CandidateError: it cannot be loaded, or gives nothing to score.
        TargetError: an image cannot be read.
    """
    device = pick_device(settings.device)
    loaded = load_candidate(candidate, allow_code=settings.allow_code)
    spec = BatchSpec(loaded.size, loaded.in_chans, loaded.mean, loaded.std)
    about = _about(loaded, spec, device, settings)
    model = loaded.model.to(device)
    sources = [_source_features(model, draw.batch(spec), settings, device) for draw in draws]
    if settings.takes_step:
        model, left = prepare_model(model)
        about.notes += left
        found = [_step(model, draw, draw.batch(spec), settings, device) for draw in draws]
    else:
        found = [_forward(model, draw, draw.batch(spec), settings, device) for draw in draws]
    return [_with_source(one, source) for one, source in zip(found, sources, strict=True)], about


def _about(loaded: LoadedModel, spec: BatchSpec, device: torch.device, settings: Settings) -> About:
    return About(
        params=sum(part.numel() for part in loaded.model.parameters()),
        notes=list(loaded.notes),
        weights=loaded.weights,
        details={
            "input": {**vars(spec)},
            "step_size": settings.protocol.step_size if settings.takes_step else None,
            "device": str(device),
        },
    )


def _step(model: nn.Module, draw: Draw, inputs: Tensor, settings: Settings, device: torch.device) -> Observation:
    protocol = settings.protocol
    labels, fold, permutation = (torch.from_numpy(part) for part in (draw.labels, draw.fold, draw.permutation))
    classes, seed = len(draw.target.classes), settings.seed + draw.repeat
    if protocol.epochs:
        return finetune_one_epoch(
            model,
            inputs,
            labels,
            fold=fold,
            permutation=permutation,
            classes=classes,
            step_size=protocol.step_size,
            layers=protocol.layers,
            seed=seed,
            device=device,
        )
    return observe(
        model,
        inputs.to(device),
        labels.to(device),
        classes=classes,
        fold=fold.to(device),
        permutation=permutation.to(device),
        step_size=protocol.step_size,
        head=protocol.head,
        layers=protocol.layers,
        seed=seed,
    )


def _forward(model: nn.Module, draw: Draw, inputs: Tensor, settings: Settings, device: torch.device) -> Observation:
    """Features and logits alone: no step, no AC-Norm; statistics as the settings say."""
    features, logits = _read(model, inputs.to(device), batch_statistics=settings.statistics == "target")
    return Observation(
        labels=draw.labels,
        fold=draw.fold,
        permutation=draw.permutation,
        features=array_of(features),
        logits=None if logits is None else array_of(logits),
    )


def _source_features(
    model: nn.Module, inputs: Tensor, settings: Settings, device: torch.device
) -> tuple[Tensor, Tensor | None] | None:
    """Features under the source's own statistics, where those are wanted beside a step."""
    if settings.statistics != "source" or not settings.takes_step or settings.protocol.epochs:
        return None
    return _read(model, inputs.to(device), batch_statistics=False)


def _with_source(seen: Observation, source: tuple[Tensor, Tensor | None] | None) -> Observation:
    if source is None:
        return seen
    features, logits = source
    parts = {**vars(seen), "features": array_of(features), "logits": None if logits is None else array_of(logits)}
    return Observation(**parts)


@torch.no_grad()
def _read(model: nn.Module, inputs: Tensor, *, batch_statistics: bool) -> tuple[Tensor, Tensor | None]:
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.training = batch_statistics
    features, logits = read_features(model, inputs)
    check_finite(features)
    return features, logits
