"""A sampled batch of the target, decoded once and prepared for whatever input a candidate wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from acrank.targets.preparation import prepare
from acrank.targets.sampling import draw, halves

if TYPE_CHECKING:
    from torch import Tensor

    from acrank.targets import Target

#: Decoded images are kept for the next candidate up to this many bytes per draw; beyond, each input decodes them again.
KEEP_BYTES = 512 * 2**20


@dataclass(frozen=True)
class BatchSpec:
    """What a candidate's network wants to see: (height, width), channels, and the normalisation of each channel."""

    size: tuple[int, int]
    in_chans: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass
class Draw:
    """One stratified sample: which images, their labels, the halves of the cross-fit, and a shuffle for the control.

    Attributes:
        target: where the images are.
        repeat: number of the draw, from 0.
        indices: positions in the target's sorted ids, int64 [n].
        labels: [n], int64.
        fold: [n], bool.
        permutation: [n], int64.
    """

    target: Target
    repeat: int
    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    fold: npt.NDArray[np.bool_]
    permutation: npt.NDArray[np.int64]
    _images: list[npt.NDArray[np.float32]] | None = field(default=None, repr=False)
    _batch: tuple[BatchSpec, Tensor] | None = field(default=None, repr=False)

    def batch(self, spec: BatchSpec) -> Tensor:
        """The images as one tensor, float32 [n, c, h, w]; the last one asked for is kept.

        Raises:
            TargetError: an image cannot be read.
        """
        if self._batch is None or self._batch[0] != spec:
            images = self._images or [self.target.read(int(index)) for index in self.indices]
            if self._images is None and sum(image.nbytes for image in images) <= KEEP_BYTES:
                self._images = images
            self._batch = (spec, prepare(images, **vars(spec)))
        return self._batch[1]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the drawn images as they are stored."""
        return self.target.raw_digest(self.indices)

    @property
    def ids(self) -> list[str]:
        """Sample ids of the drawn images."""
        return [self.target.ids[index] for index in self.indices]


def make_draws(target: Target, *, samples: int | None, repeats: int, seed: int) -> list[Draw]:
    """The draws of a run; they depend on the target's sorted ids and labels and on the seed alone.

    Where a draw takes the whole target, the draws differ in their halves only.

    Raises:
        TargetError: fewer samples than classes, or a single class.
    """
    out = []
    for repeat in range(repeats):
        indices = draw(target.labels, samples, seed=seed, repeat=repeat, task=target.task)
        labels = target.labels[indices]
        fold = halves(labels, seed=seed, repeat=repeat, task=target.task)
        shuffle = np.random.default_rng([seed, repeat, 1]).permutation(len(indices))
        out.append(Draw(target, repeat, indices, labels, fold, shuffle))
    return out
