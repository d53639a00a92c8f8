"""Loaders: a part of a target, prepared for one candidate. Here the protocol, and the loader of whole images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from acrank.finetuning.splits import Part
from acrank.finetuning.tasks.classification import Classification
from acrank.finetuning.tasks.task import Quality
from acrank.system.memory import free_memory
from acrank.system.streams import Purpose
from acrank.targets import Target
from acrank.targets.preparation import check_axes, prepare_images
from acrank.targets.sampling import draw_sample
from acrank.zoo.loading import LoadedModel

#: Prepared images are held in memory up to this size, and up to a quarter of what is free; larger targets are read
#: batch by batch.
HELD_BYTES = 2 * 2**30
FLOAT_BYTES = 4
_EVALUATION_BATCH = 128
_SAMPLE = 128

Predict = Callable[[Tensor], Tensor]


class PartLoader(Protocol):
    """One part of a partition, prepared for one candidate and task."""

    @property
    def groups(self) -> int | None:
        """How many groups, such as patients, its images are in; None where they are not known."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def steps(self, batch_size: int) -> int:
        """Number of batches in an epoch."""
        ...

    def batches(self, batch_size: int, augment: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and labels of one epoch, on the CPU; draws from torch's generator."""
        ...

    def sample(self, least: int, seed: int) -> tuple[Tensor, Tensor]:
        """At least `least` inputs and labels, if there are as many, without augmentation."""
        ...

    def class_sizes(self, classes: int) -> Tensor:
        """How often each class occurs, int64 [classes]."""
        ...

    def evaluate(self, predict: Predict, task: Any) -> Quality:
        """The quality of a network on this part.

        Args:
            predict: inputs on the CPU -> the task's outputs, float32 on the CPU.
            task: computes the measures.
        """
        ...


def held_bytes(memory: str | None) -> int:
    """How much of a target's prepared images may be held in memory, of which the process may use `memory`."""
    return min(HELD_BYTES, free_memory(torch.device("cpu"), memory) // 4)


def prepared_bytes(target: Target, loaded: LoadedModel) -> int:
    """The size of all images of a target, prepared for one candidate."""
    return len(target) * loaded.input.channels * math.prod(loaded.input.size) * FLOAT_BYTES


class ImageSource:
    """The images of a classification target, prepared for one candidate.

    Args:
        target: of the images.
        loaded: the candidate.
        memory: the most that the process may use, as `bytes_of` reads it; None for what is free.
    """

    def __init__(self, target: Target, loaded: LoadedModel, memory: str | None = None) -> None:
        self.target, self.loaded = target, loaded
        is_held = prepared_bytes(target, loaded) <= held_bytes(memory)
        self._held = self._read(torch.arange(len(target))) if is_held else None

    def batch(self, indices: Tensor) -> Tensor:
        """float32 [n, c, *size] on the CPU, in the order of `indices` [n] into the target.

        Raises:
            TargetError: an image cannot be read.
            CandidateError: the candidate does not take images of this kind.
        """
        return self._read(indices) if self._held is None else self._held[indices]

    def _read(self, indices: Tensor) -> Tensor:
        check_axes(len(self.loaded.input.size), self.target.axes)
        images = [self.target.read(int(index)) for index in indices]
        return prepare_images(images, self.loaded.input, colour=self.target.colour)


class ImageLoader:
    """A `PartLoader` of whole images with one label each."""

    def __init__(self, source: ImageSource, part: Part) -> None:
        self.source = source
        self.groups = part.groups
        self.indices = torch.from_numpy(part.indices)
        self.labels = torch.from_numpy(part.labels)

    def __len__(self) -> int:
        return len(self.indices)

    def steps(self, batch_size: int) -> int:
        return count_batches(len(self), batch_size)

    def batches(self, batch_size: int, augment: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once, in random order; a last batch of a single image is dropped: it has no batch statistics."""
        for places in shuffled_batches(len(self), batch_size):
            inputs, labels = self.take(places)
            yield augmented(inputs, self.source.target.left_right) if augment == "light" else inputs, labels

    def sample(self, least: int = _SAMPLE, seed: int = 0) -> tuple[Tensor, Tensor]:
        """A stratified sample of the images."""
        size = max(_SAMPLE, least)
        places = draw_sample(
            self.labels.numpy(), size, seed=seed, repeat=0, task="classification", purpose=Purpose.SAMPLE
        )
        return self.take(torch.from_numpy(places))

    def class_sizes(self, classes: int) -> Tensor:
        return torch.bincount(self.labels, minlength=classes)

    def evaluate(self, predict: Predict, task: Classification) -> Quality:
        batches = torch.split(torch.arange(len(self)), _EVALUATION_BATCH)
        return task.evaluate(torch.cat([predict(self.take(places)[0]) for places in batches]), self.labels)

    def take(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels at `places` [n] of the part."""
        return self.source.batch(self.indices[places]), self.labels[places]


def shuffled_batches(count: int, batch_size: int) -> Iterator[Tensor]:
    """0 … count - 1 in random order, in batches of at least two; draws from torch's generator."""
    return (places for places in torch.split(torch.randperm(count), batch_size) if len(places) > 1)


def count_batches(count: int, batch_size: int) -> int:
    """Number of the batches of at least two among `count` inputs.

    >>> count_batches(8, 4), count_batches(9, 4), count_batches(10, 4)
    (2, 2, 3)
    """
    whole, rest = divmod(count, batch_size)
    return whole + (rest > 1)


def augmented(images: Tensor, left_right: int = -1) -> Tensor:
    """Images flipped left to right at random, and shifted by up to a sixteenth of their size, edges reflected.

    Draws from torch's CPU generator.

    Args:
        images: [n, c, *size] on the CPU, 2D or 3D.
        left_right: the axis to flip, counted from the end.

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
