"""What a pass over a draw sees: the inputs as one network wants them, and the labelled rows that come from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
#: The least that a batch is lowered to where memory is short: images, or two of each class; patches.
LEAST_IMAGES = 8
LEAST_PATCHES = 4


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
        per_step: inputs per step where the network is trained; None for the usual number.
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
    per_step: int | None = None

    @property
    def step(self) -> int:
        """Inputs per step where the network is trained."""
        return self.per_step or min(len(self.inputs), BATCH_SIZE if self.positions is None else PATCHES_PER_STEP)

    def parts(self, size: int) -> list[Tensor]:
        """The inputs in parts of at most `size`, ascending in each, all of nearly the same length.

        They are dealt out like cards, sorted by half and class, so that every part is a small stratified sample.
        """
        columns = [] if self.positions is not None else list(self.labels.numpy().reshape(len(self.inputs), -1).T)
        order = torch.from_numpy(np.lexsort((*columns, self._half_of_inputs())))
        count = -(-len(order) // size)
        return [order[place::count].sort().values for place in range(count)]

    def halved(self) -> Batch | None:
        """Every second input of each class in each half of the cross-fit; None where too few would be left.

        Labels that are not classes are taken every second in their order, patches as they come. The labels that were
        shuffled onto the inputs that stay are ranked anew, so the control remains a permutation.
        """
        keep = _every_second(self._half_of_inputs(), None if self.positions is not None else self.labels.numpy())
        least = LEAST_PATCHES if self.positions is not None else max(LEAST_IMAGES, 2 * self.classes)
        if not least <= len(keep) < len(self.inputs):
            return None
        each = len(self.half) // len(self.inputs)
        rows = (keep[:, None] * each + torch.arange(each)).flatten()
        return replace(
            self,
            inputs=self.inputs[keep],
            labels=self.labels[keep],
            half=self.half[rows],
            permutation=self.permutation[rows].argsort().argsort(),
            groups=None if self.groups is None else self.groups[rows.numpy()],
            positions=None if self.positions is None else self.positions[keep],
            corners=tuple(self.corners[place] for place in keep) if self.corners else (),
        )

    def with_half_steps(self) -> Batch | None:
        """The same inputs, half as many per step; None where a step would have too few."""
        least = LEAST_IMAGES if self.positions is None else LEAST_PATCHES // 2
        return replace(self, per_step=self.step // 2) if self.step // 2 >= least else None

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


def _every_second(half: npt.NDArray[np.bool_], labels: npt.NDArray[np.generic] | None) -> Tensor:
    """Places, ascending, of the first, third, … of each stratum: class and half, or the half alone.

    Args:
        half: [n].
        labels: [n] classes or quantities, or [n, k] flags; None where nothing is known of an input.
    """
    columns = [] if labels is None else list(labels.reshape(len(half), -1).T)
    order = np.lexsort((*columns, half))
    strata = half.astype(np.int64)
    if labels is not None and labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer):
        classes = labels.astype(np.int64)
        strata = strata * (int(classes.max()) + 1) + classes
    in_order = strata[order]
    ranks = np.arange(len(half)) - np.searchsorted(in_order, in_order)
    return torch.from_numpy(np.sort(order[ranks % 2 == 0]))
