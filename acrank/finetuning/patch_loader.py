"""A part of a segmentation target, prepared for one candidate: patches for training, sliding windows to evaluate."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from acrank.finetuning.image_loader import FLOAT_BYTES, Predict, count_batches, held_bytes, shuffled_batches
from acrank.finetuning.splits import Part
from acrank.finetuning.tasks.segmentation import Segmentation, monai
from acrank.finetuning.tasks.task import Quality
from acrank.system.streams import Purpose, stream
from acrank.targets import Target
from acrank.targets.patches import foreground_places, patch_corner, patch_image, patch_mask
from acrank.targets.preparation import check_axes, prepare_images
from acrank.zoo.loading import LoadedModel

_OVERLAP = 0.25  # of sliding windows
_WINDOWS = 4  # per forward pass of an evaluation
_SAMPLE = 16
_PLACES = 10_000  # foreground positions kept per image and class

Array = npt.NDArray[Any]


class PatchSource:
    """The images and masks of a segmentation target, prepared for one candidate; kept in memory up to `held_bytes`.

    Args:
        target, loaded, memory: as in `ImageSource`.
    """

    def __init__(self, target: Target, loaded: LoadedModel, memory: str | None = None) -> None:
        self.target, self.loaded = target, loaded
        self._bytes_left = held_bytes(memory)
        self._images: dict[int, Tensor] = {}
        self._masks: dict[int, Array] = {}
        self._places: dict[int, list[Array]] = {}

    def image(self, index: int) -> Tensor:
        """A whole image, float32 [1, c, *size]; of a volume in slices all stacks, [slices, c, h, w].

        Raises:
            TargetError: it cannot be read.
            CandidateError: the candidate does not take images of this kind.
        """
        if index in self._images:
            return self._images[index]
        shape = self.mask(index).shape
        window = (1, *shape[1:]) if self.target.slices else shape
        starts = range(shape[0] if self.target.slices else 1)
        rest = (0,) * (len(shape) - 1)
        image = self._prepared(
            [patch_image(self.target, index, corner=(start, *rest), size=window, shape=shape) for start in starts]
        )
        if self._reserve(image.numel() * FLOAT_BYTES):
            self._images[index] = image
        return image

    def mask(self, index: int) -> Array:
        """Its mask, int16 [*size].

        Raises:
            TargetError: it cannot be read.
            CandidateError: the candidate takes inputs with another number of dimensions.
        """
        if index in self._masks:
            return self._masks[index]
        check_axes(len(self.loaded.input.size), self.target.axes)
        mask = self.target.mask_store.mask(index)
        if self._reserve(mask.nbytes):
            self._masks[index] = mask
        return mask

    def patch(self, index: int, rng: np.random.Generator, *, foreground: bool) -> tuple[Tensor, Tensor]:
        """A patch of the candidate's input size and its labels: float32 [c, *size], int64 [*size].

        Beyond the image's edge its border is repeated, and labels are ignored.

        Args:
            index: of the image.
            rng: gives the place.
            foreground: centre the patch on a foreground position.
        """
        mask, sliced = self.mask(index), self.target.slices is not None
        size = (1, *self.loaded.input.size) if sliced else self.loaded.input.size
        corner = patch_corner(mask.shape, size, rng, places=self._foreground(index) if foreground else ())
        held = self.image(index) if self._bytes_left else self._images.get(index)
        if held is not None and all(have >= want for have, want in zip(mask.shape, size, strict=True)):
            whole, plane = (held[corner[0]], corner[1:]) if sliced else (held[0], corner)
            ends = zip(plane, self.loaded.input.size, strict=True)
            image = whole[(slice(None), *(slice(begin, begin + want) for begin, want in ends))]
        else:
            image = self._prepared([patch_image(self.target, index, corner=corner, size=size, shape=mask.shape)])[0]
        labels = torch.from_numpy(patch_mask(mask, corner, size).astype(np.int64))
        return image, labels[0] if sliced else labels

    def _foreground(self, index: int) -> list[Array]:
        """Positions to centre patches on, at most `_PLACES` of every class, the same in every call."""
        if index not in self._places:
            rng = np.random.default_rng(stream(Purpose.FOREGROUND, index))
            self._places[index] = [
                each if len(each) <= _PLACES else rng.choice(each, _PLACES, replace=False)
                for each in foreground_places(self.mask(index))
            ]
        return self._places[index]

    def _reserve(self, size: int) -> bool:
        """Reserve memory if enough is left. After the first refusal nothing more is held."""
        enough = size <= self._bytes_left
        self._bytes_left = self._bytes_left - size if enough else 0
        return enough

    def _prepared(self, images: Sequence[Array]) -> Tensor:
        as_they_are = dataclasses.replace(self.loaded.input, size=images[0].shape[1:])
        return prepare_images(images, as_they_are, colour=self.target.colour)


class PatchLoader:
    """A `PartLoader` of patches for training and of whole images for evaluation.

    Args:
        source: of the images.
        part: which of them.
        patches: from every image in an epoch; every second one is centred on foreground.
    """

    def __init__(self, source: PatchSource, part: Part, patches: int) -> None:
        self.source, self.patches = source, patches
        self.groups = part.groups
        self.indices = [int(index) for index in part.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def steps(self, batch_size: int) -> int:
        return count_batches(len(self) * self.patches, batch_size)

    def batches(self, batch_size: int, augment: str) -> Iterator[tuple[Tensor, Tensor]]:
        """`patches` of every image, in random order; "light" mirrors half of them left to right."""
        for places in shuffled_batches(len(self) * self.patches, batch_size):
            yield _stacked([self._random_patch(place, mirror=augment == "light") for place in places.tolist()])

    def sample(self, least: int = 0, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Patches from the images in turn."""
        places = range(max(_SAMPLE, least))
        rngs = [np.random.default_rng(stream(Purpose.SAMPLE_PATCH, seed, place)) for place in places]
        return _stacked([self._patch(place, rng) for place, rng in zip(places, rngs, strict=True)])

    def class_sizes(self, classes: int) -> Tensor:
        masks = (self.source.mask(index) for index in self.indices)
        return torch.from_numpy(sum(np.bincount(mask[mask >= 0].reshape(-1), minlength=classes) for mask in masks))

    def evaluate(self, predict: Predict, task: Segmentation) -> Quality:
        """The quality on whole images; the loss is the mean over them. A volume in slices is measured as a volume.

        Windows of the candidate's input size, overlapping by a quarter, are joined by MONAI with Gaussian weights.
        """
        overlaps, losses = [], []
        for index in self.indices:
            logits = self._logits(index, predict)
            labels = torch.from_numpy(self.source.mask(index).astype(np.int64))
            if not bool(torch.isfinite(logits).all()):
                return Quality(math.nan, math.nan)
            overlaps.append(task.overlap(logits, labels))
            losses.append(float(task.loss(logits[None], labels[None])))
        return task.summary(overlaps, math.fsum(losses) / len(losses))

    def _logits(self, index: int, predict: Predict) -> Tensor:
        joined: Tensor = monai("inferers").sliding_window_inference(
            inputs=self.source.image(index),
            roi_size=self.source.loaded.input.size,
            sw_batch_size=_WINDOWS,
            predictor=predict,
            overlap=_OVERLAP,
            mode="gaussian",
        )
        return joined.movedim(0, 1) if self.source.target.slices else joined[0]

    def _random_patch(self, place: int, *, mirror: bool) -> tuple[Tensor, Tensor]:
        """A patch from a NumPy stream that torch's generator seeds, so that the latter's state alone resumes a run."""
        rng = np.random.default_rng(stream(Purpose.FINETUNE_PATCH, int(torch.randint(2**62, ()))))
        image, labels = self._patch(place, rng)
        if mirror and rng.random() < 0.5:
            axis = self.source.target.left_right
            return image.flip(axis), labels.flip(axis)
        return image, labels

    def _patch(self, place: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        turn, image = divmod(place, len(self))
        return self.source.patch(self.indices[image], rng, foreground=(turn + image) % 2 == 1)


def _stacked(patches: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, labels = zip(*patches, strict=True)
    return torch.stack(images), torch.stack(labels)
