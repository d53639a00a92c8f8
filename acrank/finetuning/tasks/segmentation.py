"""Finetuning for segmentation: a 1 × 1 head on the last feature map; losses and overlap measures by MONAI."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from acrank.errors import TargetError
from acrank.finetuning.tasks import METRICS
from acrank.finetuning.tasks.task import Quality
from acrank.observation.features import feature_map
from acrank.system.imports import extra
from acrank.targets.target import IGNORED


class Segmentation:
    """One class per position; class 0 is the background.

    Args:
        classes: number of classes, background included.
        metric: "dice" or "iou", the mean over the foreground classes.
        loss: "dice-ce", the sum of cross-entropy and soft Dice loss, or "ce".
        weights: weight of each class in the cross-entropy, [classes]; None weighs all equally.
    """

    def __init__(
        self, classes: int, *, metric: str = "dice", loss: str = "dice-ce", weights: Tensor | None = None
    ) -> None:
        self.classes, self.metric, self.weights = classes, metric, weights
        self.dice = monai("losses").DiceLoss(include_background=False, batch=True) if loss == "dice-ce" else None

    def read(self, body: nn.Module, inputs: Tensor) -> Tensor:
        """The body's last feature map, [n, d, *cells]."""
        return feature_map(body, inputs)[0]

    def head(self, width: int) -> nn.Module:
        """The same linear layer at every cell: [n, width, *cells] -> [n, classes, *cells]."""
        return PositionHead(width, self.classes)

    def outputs(self, head: nn.Module, features: Tensor, inputs: Tensor) -> Tensor:
        """Logits at every position of the inputs, [n, classes, *size], interpolated linearly from coarser maps."""
        return at_size(head(features), inputs.shape[2:])

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Loss of logits [n, classes, *size] for labels int64 [n, *size], ignored ones below 0; 0 if all are ignored.

        The Dice loss is one minus the soft Dice of the whole batch over the foreground classes (Milletari et al. 2016,
        with MONAI's smoothing of 1e-5): a patch that lacks a class is not penalised for it.
        """
        counted = labels >= 0
        weights = None if self.weights is None else self.weights.to(outputs)
        loss = nn.functional.cross_entropy(outputs, labels, weight=weights, ignore_index=IGNORED, reduction="sum")
        total = counted.sum() if weights is None else (weights[labels.clamp(min=0)] * counted).sum()
        loss = loss / total.clamp(min=1e-12)
        if self.dice is None:
            return loss
        counted = counted[:, None]
        dice: Tensor = self.dice(outputs.softmax(1) * counted, one_hot_masks(labels, self.classes) * counted)
        return loss + dice

    def overlap(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Dice and IoU of each class in one image, [classes]; background included.

        NaN for a class that is neither in the image nor predicted, 0 for one that is only predicted.

        Args:
            logits: [classes, *size]; labels: int64 [*size], ignored ones below 0.
        """
        counted = labels >= 0
        found = one_hot_masks((logits.argmax(0) * counted)[None], self.classes) * counted
        truth = one_hot_masks(labels[None], self.classes) * counted
        metrics, options = monai("metrics"), {"include_background": True, "ignore_empty": True}
        values = {"dice": metrics.compute_dice(found, truth, **options)[0]}
        values["iou"] = metrics.compute_iou(found, truth, **options)[0]
        predicted = found[0].flatten(1).any(1)
        return {name: torch.where(each.isnan() & predicted, 0.0, each) for name, each in values.items()}

    def summary(self, images: Sequence[dict[str, Tensor]], loss: float) -> Quality:
        """Quality on a part from the `overlap` of its images: means over images per class, then over the foreground.

        Raises:
            TargetError: no image has foreground, labelled or predicted.
        """
        by_class = {name: torch.stack([image[name] for image in images]).nanmean(0) for name in METRICS["segmentation"]}
        value = float(by_class[self.metric][1:].nanmean())
        if math.isnan(value):
            raise TargetError(
                "a part of the target has no foreground", hint="take other splits, with more images in each part"
            )
        measures: dict[str, Any] = {}
        for name, values in by_class.items():
            measures[name] = float(values[1:].nanmean())
            measures[f"{name}_by_class"] = [None if math.isnan(each) else each for each in values.tolist()]
        overlaps = torch.stack([image[self.metric][1:] for image in images])
        return Quality(value, loss, measures, by_image=overlaps.double().numpy())


class PositionHead(nn.Module):
    """A linear layer applied at every cell of a 2D or 3D map, with PyTorch's initialisation.

    Example:
        >>> PositionHead(4, 2)(torch.zeros(1, 4, 5, 6, 7)).shape
        torch.Size([1, 2, 5, 6, 7])
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, classes)

    def forward(self, maps: Tensor) -> Tensor:
        logits: Tensor = self.linear(maps.movedim(1, -1)).movedim(-1, 1)
        return logits


def at_size(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Maps [n, c, *cells] interpolated linearly to [n, c, *size]; unchanged if that is their size.

    >>> at_size(torch.ones(1, 2, 4, 4), (8, 8)).shape
    torch.Size([1, 2, 8, 8])
    """
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    mode = "bilinear" if len(size) == 2 else "trilinear"
    return nn.functional.interpolate(maps, size=tuple(size), mode=mode, align_corners=False)


def one_hot_masks(labels: Tensor, classes: int) -> Tensor:
    """Labels int64 [n, *size] as float32 [n, classes, *size]; ignored ones count as class 0.

    >>> one_hot_masks(torch.tensor([[0, 1, -1]]), 2)[0].tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    return nn.functional.one_hot(labels.clamp(min=0), classes).movedim(-1, 1).float()


def monai(module: str) -> Any:
    """A module of MONAI, by its name below `monai`.

    Raises:
        MissingExtraError: MONAI is not installed.
    """
    from acrank.zoo.architectures.timm_import import import_timm

    import_timm()  # first: MONAI imports torchvision, which may need the operators that import_timm declares
    return extra(f"monai.{module}", "segmentation", "finetuning on masks needs")
