"""What a pass over a draw sees: the inputs as one network wants them, and the labelled rows that come from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from acrank.draws import BatchSpec, Draw, PatchDraw
from acrank.epoch import BATCH_SIZE
from acrank.features import Reader, read_images
from acrank.pixels import PixelReader

#: Under a protocol that trains the network, patches of a segmentation target per step.
PATCHES_PER_STEP = 4


@dataclass(frozen=True)
class Batch:
    """One draw, decoded for one network.

    Attributes:
        inputs: float32 [n, c, *size], on the CPU.
        labels: [n], or [n, p] where each input has p labelled positions.
        fold, permutation: per label, flat.
        classes: of the target.
        repeat: number of the draw.
        groups: the image that a label comes from, per label; None where a label is an image's.
        positions: flat places of the labels within a patch, [n, p]; None where a label is an image's.
        corners: where each patch begins in its image; empty for images.
    """

    inputs: Tensor
    labels: Tensor
    fold: Tensor
    permutation: Tensor
    classes: int
    repeat: int
    groups: npt.NDArray[np.int64] | None = None
    positions: Tensor | None = None
    corners: tuple[tuple[int, ...], ...] = ()

    @property
    def step(self) -> int:
        """Inputs per step where the network is trained."""
        return BATCH_SIZE if self.positions is None else PATCHES_PER_STEP

    def reader(self, device: torch.device) -> Reader:
        """What reads a row of features for every label."""
        if self.positions is None:
            return read_images
        return PixelReader(self.positions.to(device), tuple(self.inputs.shape[2:]))


def batch_of(draw: Draw, spec: BatchSpec) -> Batch:
    """A draw, decoded for a network.

    Raises:
        TargetError: an image cannot be read.
        CandidateError: the network cannot take images of these channels.
    """
    classes = len(draw.target.classes)
    if not isinstance(draw, PatchDraw):
        labels, fold, permutation = (torch.from_numpy(part) for part in (draw.labels, draw.fold, draw.permutation))
        return Batch(draw.batch(spec), labels, fold, permutation, classes, draw.repeat)
    patches = draw.patches(spec.size)
    each = patches.labels.shape[1]
    shuffle = torch.randperm(patches.labels.size, generator=torch.Generator().manual_seed(draw.seed + draw.repeat))
    return Batch(
        draw.batch(spec),
        torch.from_numpy(patches.labels),
        torch.from_numpy(np.repeat(draw.fold, each)),
        shuffle,
        classes,
        draw.repeat,
        groups=np.repeat(draw.indices, each),
        positions=torch.from_numpy(patches.positions),
        corners=tuple(tuple(map(int, corner)) for corner in patches.corners),
    )
