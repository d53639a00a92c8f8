"""Segmentation as a task to finetune for: a head of 1 × 1 on the last feature map, and overlap of masks, by MONAI."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from acrank.errors import MissingExtraError, TargetError
from acrank.finetuning.tasks import METRICS
from acrank.finetuning.tasks.task import Evaluation
from acrank.observation.features import feature_map
from acrank.targets.target import IGNORED


class Segmentation:
    """One class per position; class 0 is the background.

    Args:
        classes: number of classes, background included.
        metric: "dice" or "iou", the mean over the foreground classes.
        loss: "dice-ce", the sum of cross-entropy and soft Dice loss, or "ce".
        weights: weight of each class in the cross-entropy, [classes]; None weighs all alike.
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
        """A linear layer at every cell: [n, width, *cells] -> [n, classes, *cells]."""
        return PositionHead(width, self.classes)

    def outputs(self, head: nn.Module, features: Tensor, inputs: Tensor) -> Tensor:
        """Logits at every position of the inputs, [n, classes, *size]; interpolated linearly from coarser maps."""
        return at_size(head(features), inputs.shape[2:])

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Loss of logits [n, classes, *size] for labels int64 [n, *size]; 0 where all labels are left out.

        The Dice loss is one minus the soft Dice of the batch as a whole, over the foreground classes (Milletari et
        al. 2016, with MONAI's smoothing of 1e-5), so that a patch without a class does not count against it.
        """
        counted = labels >= 0
        weights = None if self.weights is None else self.weights.to(outputs)
        loss = nn.functional.cross_entropy(outputs, labels, weight=weights, ignore_index=IGNORED, reduction="sum")
        share = counted.sum() if weights is None else (weights[labels.clamp(min=0)] * counted).sum()
        loss = loss / share.clamp(min=1e-12)
        if self.dice is None:
            return loss
        there = counted[:, None]
        overlap: Tensor = self.dice(outputs.softmax(1) * there, one_hot(labels, self.classes) * there)
        return loss + overlap

    def overlap(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Dice and IoU of each class in one image, [classes]; background included.

        Where a class is neither in the image nor predicted there is nothing to measure: NaN. Where it is predicted
        but not there, 0.

        Args:
            logits: [classes, *size]; labels: int64 [*size], those left out below 0.
        """
        counted = labels >= 0
        found = one_hot((logits.argmax(0) * counted)[None], self.classes) * counted
        truth = one_hot(labels[None], self.classes) * counted
        metrics = monai("metrics")
        given = {"include_background": True, "ignore_empty": True}
        values = {"dice": metrics.compute_dice(found, truth, **given)[0]}
        values["iou"] = metrics.compute_iou(found, truth, **given)[0]
        predicted = found[0].flatten(1).any(1)
        return {name: torch.where(each.isnan() & predicted, 0.0, each) for name, each in values.items()}

    def summary(self, images: Sequence[dict[str, Tensor]], loss: float) -> Evaluation:
        """Measures of a part from those of its images: means over images for each class, then over the foreground.

        Raises:
            TargetError: no image has any foreground, in truth or predicted.
        """
        by_class = {name: torch.stack([image[name] for image in images]).nanmean(0) for name in METRICS["segmentation"]}
        quality = float(by_class[self.metric][1:].nanmean())
        if math.isnan(quality):
            raise TargetError(
                "a part of the target has no foreground", hint="take other splits, with more images in each part"
            )
        found: dict[str, Any] = {}
        for name, values in by_class.items():
            found[name] = float(values[1:].nanmean())
            found[f"{name}_by_class"] = [None if math.isnan(value) else value for value in values.tolist()]
        return Evaluation(quality, loss, found)


class PositionHead(nn.Module):
    """A linear layer applied at every cell of a map, 2D or 3D, drawn as PyTorch draws it.

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
    """Maps [n, c, *cells] interpolated linearly to [n, c, *size]; as they are where that is their size.

    >>> at_size(torch.ones(1, 2, 4, 4), (8, 8)).shape
    torch.Size([1, 2, 8, 8])
    """
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    mode = "bilinear" if len(size) == 2 else "trilinear"
    return nn.functional.interpolate(maps, size=tuple(size), mode=mode, align_corners=False)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Labels int64 [n, *size] as float32 [n, classes, *size]; those left out count as class 0.

    >>> one_hot(torch.tensor([[0, 1, -1]]), 2)[0].tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    return nn.functional.one_hot(labels.clamp(min=0), classes).movedim(-1, 1).float()


def monai(part: str) -> ModuleType:
    """A module of MONAI.

    Raises:
        MissingExtraError: it is not installed.
    """
    import importlib

    from acrank.zoo.architectures.timm_import import import_timm

    import_timm()  # MONAI imports torchvision, which may need the same help
    try:
        return importlib.import_module(f"monai.{part}")
    except ImportError as error:
        raise MissingExtraError("finetuning on masks needs MONAI", hint="pip install 'acrank[segmentation]'") from error
