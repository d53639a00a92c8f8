"""A part of a target as one candidate takes it: batches to train on, a sample to look at, and an evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from acrank.finetuning.splits import Part
from acrank.finetuning.tasks.classification import Classification
from acrank.finetuning.tasks.task import Evaluation
from acrank.system.streams import Purpose
from acrank.targets import Target
from acrank.targets.preparation import check_axes, prepare_images
from acrank.targets.sampling import draw_sample
from acrank.zoo.loading import LoadedModel

#: Prepared images are held in memory up to this size, beyond it they are read batch by batch.
HELD_BYTES = 2 * 2**30
FLOAT_BYTES = 4
_EVALUATION_BATCH = 128
_SAMPLE = 128

Predict = Callable[[Tensor], Tensor]


class Loader(Protocol):
    """One part of a partition, for one candidate and task."""

    def __len__(self) -> int:
        """Images of the part."""
        ...

    def steps(self, batch_size: int) -> int:
        """Batches of an epoch."""
        ...

    def batches(self, batch_size: int, augment: str) -> Iterator[tuple[Tensor, Tensor]]:
        """The inputs and labels of one epoch, on the CPU; draws from torch's generator."""
        ...

    def sample(self, least: int, seed: int) -> tuple[Tensor, Tensor]:
        """Inputs and labels to look at before training, without augmentation; `least` so many of them."""
        ...

    def class_sizes(self, classes: int) -> Tensor:
        """How often each class occurs, int64 [classes]."""
        ...

    def evaluate(self, predict: Predict, task: Any) -> Evaluation:
        """How good a network is on this part.

        Args:
            predict: inputs on the CPU -> the task's outputs, float32 on the CPU.
            task: whose measures are taken.
        """
        ...


class Images:
    """The images of a classification target as one candidate takes them."""

    def __init__(self, target: Target, loaded: LoadedModel) -> None:
        self.target, self.loaded = target, loaded
        size = len(target) * loaded.input.channels * math.prod(loaded.input.size) * FLOAT_BYTES
        self._held = self._read(torch.arange(len(target))) if size <= HELD_BYTES else None

    def batch(self, indices: Tensor) -> Tensor:
        """float32 [n, c, *size] on the CPU, in the order of `indices` [n] into the target.

        Raises:
            TargetError: an image cannot be read.
            CandidateError: the candidate cannot take such images.
        """
        return self._read(indices) if self._held is None else self._held[indices]

    def _read(self, indices: Tensor) -> Tensor:
        check_axes(len(self.loaded.input.size), self.target.axes)
        images = [self.target.read(int(index)) for index in indices]
        return prepare_images(images, self.loaded.input, colour=self.target.colour)


class ImageLoader:
    """A `Loader` of whole images with one label each."""

    def __init__(self, images: Images, part: Part) -> None:
        self.images = images
        self.indices = torch.from_numpy(part.indices)
        self.labels = torch.from_numpy(part.labels)

    def __len__(self) -> int:
        return len(self.indices)

    def steps(self, batch_size: int) -> int:
        return steps_of(len(self), batch_size)

    def batches(self, batch_size: int, augment: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once, in random order, but for a last one that would be alone: it has no batch statistics."""
        for places in torch.randperm(len(self)).split(batch_size):
            if len(places) > 1:
                inputs, labels = self.take(places)
                axis = self.images.target.left_right
                yield augmented(inputs, axis) if augment == "light" else inputs, labels

    def sample(self, least: int = _SAMPLE, seed: int = 0) -> tuple[Tensor, Tensor]:
        """A stratified sample of the images."""
        places = draw_sample(
            self.labels.numpy(), max(_SAMPLE, least), seed=seed, repeat=0, task="classification", purpose=Purpose.SAMPLE
        )
        return self.take(torch.from_numpy(places))

    def class_sizes(self, classes: int) -> Tensor:
        return torch.bincount(self.labels, minlength=classes)

    def evaluate(self, predict: Predict, task: Classification) -> Evaluation:
        parts = torch.arange(len(self)).split(_EVALUATION_BATCH)
        return task.evaluate(torch.cat([predict(self.take(places)[0]) for places in parts]), self.labels)

    def take(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels at `places` [n] of the part."""
        return self.images.batch(self.indices[places]), self.labels[places]


def steps_of(count: int, batch_size: int) -> int:
    """Batches of so many inputs; one left alone makes none.

    >>> steps_of(8, 4), steps_of(9, 4), steps_of(10, 4)
    (2, 2, 3)
    """
    whole, rest = divmod(count, batch_size)
    return whole + (rest > 1)


def augmented(images: Tensor, left_right: int = -1) -> Tensor:
    """Each image flipped left to right or not, and shifted by up to a sixteenth of its size, edges reflected.

    Draws from torch's CPU generator.

    Args:
        images: [n, c, *size] on the CPU, 2D or 3D.
        left_right: the axis to flip, from the end.

    Example:
        >>> augmented(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 3, 32, 32])
    """
    count, size = len(images), images.shape[2:]
    flips = torch.rand(count) < 0.5
    images = torch.where(flips.view(-1, *[1] * (images.dim() - 1)), images.flip(left_right), images)
    reach = min(size) // 16
    if not reach:
        return images
    padded = torch.nn.functional.pad(images, (reach,) * 2 * len(size), mode="reflect")
    offsets = torch.randint(0, 2 * reach + 1, (count, len(size))).tolist()
    parts = [tuple(slice(begin, begin + side) for begin, side in zip(each, size, strict=True)) for each in offsets]
    return torch.stack([one[(slice(None), *part)] for one, part in zip(padded, parts, strict=True)])
