"""From a manifest entry to observations: load the network, wrap it in AC-Norm, run the passes that the scores need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acrank.draws import BatchSpec, Draw, PatchDraw
from acrank.environment import pick_device
from acrank.epoch import BATCH_SIZE, finetune_one_epoch
from acrank.features import Reader, read_images
from acrank.observation import array_of, check_finite, observe, prepare_model
from acrank.observed import About, Observation
from acrank.pixels import PixelReader
from acrank.settings import Settings
from acrank.zoo.checkpoints import LoadedModel, load_candidate
from acrank.zoo.schema import Candidate

#: Under a protocol that trains the network, patches of a segmentation target per step.
PATCHES_PER_STEP = 4


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
    rows = [_rows_of(draw, spec, device) for draw in draws]
    _record_patches(about, draws, spec)
    pairs = list(zip(draws, rows, strict=True))
    sources = [_source_features(model, draw.batch(spec), part, settings, device) for draw, part in pairs]
    if settings.takes_step:
        model, left = prepare_model(model)
        about.notes += left
        found = [_step(model, draw, draw.batch(spec), part, settings, device) for draw, part in pairs]
    else:
        found = [_forward(model, draw.batch(spec), part, settings, device) for draw, part in pairs]
    return [_finished(*parts) for parts in zip(found, rows, sources, strict=True)], about


@dataclass(frozen=True)
class _Rows:
    """The rows of a draw: images, or labelled positions of patches.

    Attributes:
        labels: [n], or [patches, positions]; fold, permutation: per label, flat.
        read: gives a row for each label.
        groups: the image that a row comes from, [n]; None where a row is an image.
        batch_size: inputs per step where the network is trained.
    """

    labels: Tensor
    fold: Tensor
    permutation: Tensor
    read: Reader
    groups: npt.NDArray[np.int64] | None
    batch_size: int


def _rows_of(draw: Draw, spec: BatchSpec, device: torch.device) -> _Rows:
    if not isinstance(draw, PatchDraw):
        labels, fold, permutation = (torch.from_numpy(part) for part in (draw.labels, draw.fold, draw.permutation))
        return _Rows(labels, fold, permutation, read_images, None, BATCH_SIZE)
    patches = draw.patches(spec.size)
    each = patches.labels.shape[1]
    shuffle = torch.randperm(patches.labels.size, generator=torch.Generator().manual_seed(draw.seed + draw.repeat))
    read = PixelReader(torch.from_numpy(patches.positions).to(device), spec.size)
    halves, groups = np.repeat(draw.fold, each), np.repeat(draw.indices, each)
    return _Rows(torch.from_numpy(patches.labels), torch.from_numpy(halves), shuffle, read, groups, PATCHES_PER_STEP)


def _record_patches(about: About, draws: Sequence[Draw], spec: BatchSpec) -> None:
    """Where each patch begins in its image."""
    found = [draw.patches(spec.size) for draw in draws if isinstance(draw, PatchDraw)]
    if found:
        about.details["patches"] = {
            "corners": [[list(map(int, corner)) for corner in patches.corners] for patches in found],
            "positions": found[0].labels.shape[1],
        }


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


def _step(
    model: nn.Module, draw: Draw, inputs: Tensor, rows: _Rows, settings: Settings, device: torch.device
) -> Observation:
    protocol = settings.protocol
    classes, seed = len(draw.target.classes), settings.seed + draw.repeat
    if protocol.epochs:
        return finetune_one_epoch(
            model,
            inputs,
            rows.labels,
            fold=rows.fold,
            permutation=rows.permutation,
            classes=classes,
            step_size=protocol.step_size,
            layers=protocol.layers,
            seed=seed,
            device=device,
            read=rows.read,
            batch_size=rows.batch_size,
        )
    return observe(
        model,
        inputs.to(device),
        rows.labels.flatten().to(device),
        classes=classes,
        fold=rows.fold.to(device),
        permutation=rows.permutation.to(device),
        step_size=protocol.step_size,
        head=protocol.head,
        layers=protocol.layers,
        seed=seed,
        read=rows.read,
    )


def _forward(model: nn.Module, inputs: Tensor, rows: _Rows, settings: Settings, device: torch.device) -> Observation:
    """Features and logits alone: no step, no AC-Norm; statistics as the settings say."""
    features, logits = _read(model, inputs.to(device), rows.read, batch_statistics=settings.statistics == "target")
    return Observation(
        labels=(rows.labels if rows.groups is None else rows.labels.flatten()).numpy(),
        fold=rows.fold.numpy(),
        permutation=rows.permutation.numpy(),
        features=array_of(features),
        logits=None if logits is None else array_of(logits),
    )


def _source_features(
    model: nn.Module, inputs: Tensor, rows: _Rows, settings: Settings, device: torch.device
) -> tuple[Tensor, Tensor | None] | None:
    """Features under the source's own statistics, where those are wanted beside a step."""
    if settings.statistics != "source" or not settings.takes_step or settings.protocol.epochs:
        return None
    return _read(model, inputs.to(device), rows.read, batch_statistics=False)


def _finished(seen: Observation, rows: _Rows, source: tuple[Tensor, Tensor | None] | None) -> Observation:
    """The observation with the images that rows come from, and with the source's features where they are wanted."""
    parts = {**vars(seen), "groups": rows.groups}
    if source is not None:
        features, logits = source
        parts |= {"features": array_of(features), "logits": None if logits is None else array_of(logits)}
    return Observation(**parts)


@torch.no_grad()
def _read(model: nn.Module, inputs: Tensor, read: Reader, *, batch_statistics: bool) -> tuple[Tensor, Tensor | None]:
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.training = batch_statistics
    features, logits = read(model, inputs, None)
    check_finite(features)
    return features, logits
