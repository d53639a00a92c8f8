"""What a pass over a draw sees: the inputs as one network wants them, and the labelled rows that come from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from acrank.observation.features import DenseReader, Reader, read_images
from acrank.observation.layer_hooks import RowsOf, rows_of_images, rows_of_positions
from acrank.observation.one_epoch import BATCH_SIZE
from acrank.system.network_input import NetworkInput
from acrank.system.streams import Purpose, seed_of
from acrank.targets.draws import Draw, PatchDraw

#: Under a protocol that trains the network, patches of a segmentation target per step.
PATCHES_PER_STEP = 4


@dataclass(frozen=True)
class Batch:
    """One draw, decoded for one network.

    Attributes:
        inputs: float32 [n, c, *size], on the CPU.
        labels: [n], or [n, p] where each input has p labelled positions.
        half, permutation: per label, flat.
        classes: of the target.
        repeat: number of the draw.
        groups: the image that a label comes from, per label; None where a label is an image's.
        positions: flat places of the labels within a patch, [n, p]; None where a label is an image's.
        corners: where each patch begins in its image; empty for images.
    """

    inputs: Tensor
    labels: Tensor
    half: Tensor
    permutation: Tensor
    classes: int
    repeat: int
    groups: npt.NDArray[np.int64] | None = None
    positions: Tensor | None = None
    corners: tuple[tuple[int, ...], ...] = ()

    @property
    def step(self) -> int:
        """Inputs per step where the network is trained."""
        return min(len(self.inputs), BATCH_SIZE if self.positions is None else PATCHES_PER_STEP)

    def parts(self, size: int) -> list[Tensor]:
        """The inputs in parts of at most `size`, ascending in each, all of nearly the same length.

        They are dealt out like cards, sorted by half and class, so that every part is a small stratified sample.
        """
        columns = [] if self.positions is not None else list(self.labels.numpy().reshape(len(self.inputs), -1).T)
        order = torch.from_numpy(np.lexsort((*columns, self._half_of_inputs())))
        count = -(-len(order) // size)
        return [order[place::count].sort().values for place in range(count)]

    def _half_of_inputs(self) -> npt.NDArray[np.bool_]:
        """The half that each input is in, [n]: its labels are all in one."""
        return self.half.view(len(self.inputs), -1)[:, 0].numpy()

    def reader(self, device: torch.device) -> Reader:
        """What reads a row of features for every label."""
        if self.positions is None:
            return read_images
        return DenseReader(self.positions.to(device), tuple(self.inputs.shape[2:]))

    def rows(self) -> tuple[RowsOf, Tensor]:
        """What makes a few rows of a layer's output, and which labels they have."""
        if self.positions is None:
            return rows_of_images(len(self.inputs))
        return rows_of_positions(self.positions, tuple(self.inputs.shape[2:]))


def batch_of(draw: Draw, network_input: NetworkInput) -> Batch:
    """A draw, decoded for a network.

    Raises:
        TargetError: an image cannot be read.
        CandidateError: the network cannot take images of these channels.
    """
    classes = len(draw.target.classes)
    if not isinstance(draw, PatchDraw):
        return Batch(
            inputs=draw.batch(network_input),
            labels=torch.from_numpy(draw.labels),
            half=torch.from_numpy(draw.half),
            permutation=torch.from_numpy(draw.permutation),
            classes=classes,
            repeat=draw.repeat,
        )
    patches = draw.patches(network_input.size)
    each = patches.labels.shape[1]
    seed = seed_of(Purpose.POSITION_SHUFFLE, draw.seed, draw.repeat)
    return Batch(
        inputs=draw.batch(network_input),
        labels=torch.from_numpy(patches.labels),
        half=torch.from_numpy(np.repeat(draw.half, each)),
        permutation=torch.randperm(patches.labels.size, generator=torch.Generator().manual_seed(seed)),
        classes=classes,
        repeat=draw.repeat,
        groups=np.repeat(draw.indices, each),
        positions=torch.from_numpy(patches.positions),
        corners=tuple(tuple(map(int, corner)) for corner in patches.corners),
    )
