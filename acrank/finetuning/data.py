"""Images of a split as batches for one candidate, with light augmentation."""

from __future__ import annotations

import torch
from torch import Tensor

from acrank.errors import CandidateError
from acrank.finetuning.splits import Part
from acrank.targets import Target
from acrank.targets.preparation import prepare
from acrank.zoo.checkpoints import LoadedModel

#: Prepared images are held in memory up to this size, beyond it they are read batch by batch.
HELD_BYTES = 2 * 2**30
_FLOAT_BYTES = 4


class Images:
    """The images of a target as one candidate takes them."""

    def __init__(self, target: Target, loaded: LoadedModel) -> None:
        self.target, self.loaded = target, loaded
        height, width = loaded.size
        size = len(target) * loaded.in_chans * height * width * _FLOAT_BYTES
        self._held = self._read(torch.arange(len(target))) if size <= HELD_BYTES else None

    def batch(self, indices: Tensor) -> Tensor:
        """float32 [n, c, h, w] on the CPU, in the order of `indices` [n] into the target.

        Raises:
            TargetError: an image cannot be read.
            CandidateError: the candidate cannot take such images.
        """
        return self._read(indices) if self._held is None else self._held[indices]

    def _read(self, indices: Tensor) -> Tensor:
        loaded = self.loaded
        if len(loaded.size) != 2:
            raise CandidateError(
                "it takes volumes, and finetuning is for images", hint="score it, or take a 2D candidate"
            )
        images = [self.target.read(int(index)) for index in indices]
        return prepare(
            images, size=(loaded.size[0], loaded.size[1]), in_chans=loaded.in_chans, mean=loaded.mean, std=loaded.std
        )


class Loader:
    """One part of a partition, for one candidate."""

    def __init__(self, images: Images, part: Part) -> None:
        self.images = images
        self.indices = torch.from_numpy(part.indices)
        self.labels = torch.from_numpy(part.labels)

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels at `places` [n] of the part."""
        return self.images.batch(self.indices[places]), self.labels[places]


def augmented(images: Tensor) -> Tensor:
    """Each image flipped left to right or not, and shifted by up to a sixteenth of its size, edges reflected.

    Draws from torch's CPU generator.

    Args:
        images: [n, c, h, w] on the CPU.

    Example:
        >>> augmented(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 3, 32, 32])
    """
    count, _, height, width = images.shape
    flips = torch.rand(count) < 0.5
    images = torch.where(flips.view(-1, 1, 1, 1), images.flip(3), images)
    reach = min(height, width) // 16
    if not reach:
        return images
    padded = torch.nn.functional.pad(images, (reach,) * 4, mode="reflect")
    offsets = torch.randint(0, 2 * reach + 1, (count, 2)).tolist()
    moved = [one[:, top : top + height, left : left + width] for one, (top, left) in zip(padded, offsets, strict=True)]
    return torch.stack(moved)
