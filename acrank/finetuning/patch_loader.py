"""A part of a segmentation target as one candidate takes it: patches to train on, sliding windows to evaluate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from acrank.finetuning.image_loader import FLOAT_BYTES, HELD_BYTES, Predict, steps_of
from acrank.finetuning.splits import Part
from acrank.finetuning.tasks.segmentation import Segmentation, monai
from acrank.finetuning.tasks.task import Evaluation
from acrank.system.streams import Purpose, stream
from acrank.targets import Target
from acrank.targets.patches import foreground_places, patch_corner, patch_image, patch_mask
from acrank.targets.preparation import check_axes, prepare_images
from acrank.zoo.loading import LoadedModel

_OVERLAP = 0.25  # of sliding windows
_WINDOWS = 4  # evaluated at once
_SAMPLE = 16
_PLACES = 10_000


class Scenes:
    """The images and masks of a segmentation target as one candidate takes them, each read once where memory allows."""

    def __init__(self, target: Target, loaded: LoadedModel) -> None:
        self.target, self.loaded = target, loaded
        self._room = HELD_BYTES
        self._images: dict[int, Tensor] = {}
        self._masks: dict[int, np.ndarray] = {}
        self._places: dict[int, list[np.ndarray]] = {}

    def image(self, index: int) -> Tensor:
        """A whole image, float32 [1, c, *size]; of a volume in slices all stacks, [slices, c, h, w].

        Raises:
            TargetError: it cannot be read.
            CandidateError: the candidate cannot take it.
        """
        if index not in self._images:
            shape = self.mask(index).shape
            window = (1, *shape[1:]) if self.target.slices else shape
            starts = range(shape[0] if self.target.slices else 1)
            rest = (0,) * (len(shape) - 1)
            parts = [
                patch_image(self.target, index, corner=(start, *rest), size=window, shape=shape) for start in starts
            ]
            image = self._prepared(parts)
            if not self._claim(image.numel() * FLOAT_BYTES):
                return image
            self._images[index] = image
        return self._images[index]

    def mask(self, index: int) -> np.ndarray:
        """Its mask, int16 [*size].

        Raises:
            TargetError: it cannot be read.
            CandidateError: the candidate takes input of other dimensions.
        """
        if index not in self._masks:
            check_axes(len(self.loaded.input.size), self.target.axes)
            mask = self.target.mask_store.mask(index)
            if not self._claim(mask.nbytes):
                return mask
            self._masks[index] = mask
        return self._masks[index]

    def patch(self, index: int, rng: np.random.Generator, *, foreground: bool) -> tuple[Tensor, Tensor]:
        """A patch of the candidate's input size with its labels: float32 [c, *size], int64 [*size].

        Beyond the image's edge its border is repeated, and labels are left out.
        """
        mask, sliced = self.mask(index), self.target.slices is not None
        size = (1, *self.loaded.input.size) if sliced else self.loaded.input.size
        corner = patch_corner(mask.shape, size, rng, places=self._foreground(index) if foreground else ())
        held = self.image(index) if self._room else self._images.get(index)
        if held is not None and all(have >= want for have, want in zip(mask.shape, size, strict=True)):
            whole, plane = (held[corner[0]], corner[1:]) if sliced else (held[0], corner)
            ends = zip(plane, self.loaded.input.size, strict=True)
            image = whole[(slice(None), *(slice(begin, begin + want) for begin, want in ends))]
        else:
            image = self._prepared([patch_image(self.target, index, corner=corner, size=size, shape=mask.shape)])[0]
        labels = torch.from_numpy(patch_mask(mask, corner, size).astype(np.int64))
        return image, labels[0] if sliced else labels

    def _foreground(self, index: int) -> list[np.ndarray]:
        """Places to centre patches on, at most `_PLACES` of every class, always the same ones."""
        if index not in self._places:
            rng = np.random.default_rng(stream(Purpose.FOREGROUND, index))
            self._places[index] = [
                each if len(each) <= _PLACES else rng.choice(each, _PLACES, replace=False)
                for each in foreground_places(self.mask(index))
            ]
        return self._places[index]

    def _claim(self, size: int) -> bool:
        """Take so many bytes of what may be held; whether there were so many. Once there are not, no more is held."""
        if size > self._room:
            self._room = 0
            return False
        self._room -= size
        return True

    def _prepared(self, images: Sequence[np.ndarray]) -> Tensor:
        return prepare_patches(images, self.loaded.input, colour=self.target.colour)


class PatchLoader:
    """A `Loader` of patches for training, and of whole images for evaluation.

    Args:
        scenes: what the part is of.
        part: the images.
        patches: from every image in an epoch; every second one is centred on foreground.
    """

    def __init__(self, scenes: Scenes, part: Part, patches: int) -> None:
        self.scenes, self.patches = scenes, patches
        self.indices = [int(index) for index in part.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def steps(self, batch_size: int) -> int:
        return steps_of(len(self) * self.patches, batch_size)

    def batches(self, batch_size: int, augment: str) -> Iterator[tuple[Tensor, Tensor]]:
        """So many patches of every image, in random order; "light" mirrors half of them left to right."""
        for places in torch.randperm(len(self) * self.patches).split(batch_size):
            if len(places) > 1:
                yield self._batch(places, augment == "light")

    def sample(self, least: int = 0, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Patches from the images in turn."""
        found = []
        for place in range(max(_SAMPLE, least)):
            found.append(self._patch(place, np.random.default_rng(stream(Purpose.SAMPLE_PATCH, seed, place))))
        return _stacked(found)

    def class_sizes(self, classes: int) -> Tensor:
        return torch.from_numpy(sum(self._sizes(index, classes) for index in self.indices))

    def evaluate(self, predict: Predict, task: Segmentation) -> Evaluation:
        """Every image whole: windows of the candidate's input size, overlapping by a quarter, joined by MONAI with
        Gaussian weights. The loss is the mean over the images. A volume in slices is measured as a volume."""
        found, losses = [], []
        for index in self.indices:
            logits, labels = self._logits(index, predict), self._labels(index)
            if not bool(torch.isfinite(logits).all()):
                return Evaluation(math.nan, math.nan)
            found.append(task.overlap(logits, labels))
            losses.append(float(task.loss(logits[None], labels[None])))
        return task.summary(found, math.fsum(losses) / len(losses))

    def _logits(self, index: int, predict: Predict) -> Tensor:
        joined: Tensor = monai("inferers").sliding_window_inference(
            self.scenes.image(index),
            self.scenes.loaded.input.size,
            _WINDOWS,
            predict,
            overlap=_OVERLAP,
            mode="gaussian",
        )
        return joined.movedim(0, 1) if self.scenes.target.slices else joined[0]

    def _labels(self, index: int) -> Tensor:
        return torch.from_numpy(self.scenes.mask(index).astype(np.int64))

    def _batch(self, places: Tensor, mirrored: bool) -> tuple[Tensor, Tensor]:
        found = []
        for place in places.tolist():
            rng = np.random.default_rng(stream(Purpose.FINETUNE_PATCH, int(torch.randint(2**62, ()))))
            image, labels = self._patch(place, rng)
            if mirrored and rng.random() < 0.5:
                axis = self.scenes.target.left_right
                image, labels = image.flip(axis), labels.flip(axis)
            found.append((image, labels))
        return _stacked(found)

    def _patch(self, place: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        turn, image = divmod(place, len(self))
        return self.scenes.patch(self.indices[image], rng, foreground=(turn + image) % 2 == 1)

    def _sizes(self, index: int, classes: int) -> np.ndarray:
        mask = self.scenes.mask(index)
        return np.bincount(mask[mask >= 0].reshape(-1), minlength=classes)


def _stacked(found: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.stack([image for image, _ in found]), torch.stack([labels for _, labels in found])
