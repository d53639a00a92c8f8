"""A sampled batch of the target, decoded once and prepared for whatever input a candidate wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from acrank.system.network_input import NetworkInput
from acrank.system.streams import Purpose, stream
from acrank.targets.patches import Patches, cut_patches
from acrank.targets.preparation import prepare, prepare_patches, refuse_axes
from acrank.targets.sampling import draw, halves

if TYPE_CHECKING:
    from torch import Tensor

    from acrank.targets import Target

#: Decoded images are kept for the next candidate up to this many bytes per draw; beyond, each input decodes them again.
KEEP_BYTES = 512 * 2**20


class _Reading(Sequence[npt.NDArray[np.float32]]):
    """Images read one at a time, and kept for as long as they are few or small: volumes would fill the memory."""

    def __init__(self, target: Target, indices: npt.NDArray[np.int64]) -> None:
        self._target, self._indices = target, indices
        self._kept: list[npt.NDArray[np.float32]] = []
        self._room = KEEP_BYTES

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: Any) -> Any:
        image = self._target.read(int(self._indices[place]))
        self._room -= image.nbytes
        if self._room < 0:
            self._kept.clear()
        else:
            self._kept.append(image)
        return image

    @property
    def kept(self) -> list[npt.NDArray[np.float32]] | None:
        """All images in order, once each was read in turn and there was room for them."""
        return self._kept if len(self._kept) == len(self._indices) else None


@dataclass
class Draw:
    """One stratified sample: which images, their labels, the halves of the cross-fit, and a shuffle for the control.

    Attributes:
        target: where the images are.
        repeat: number of the draw, from 0.
        indices: positions in the target's sorted ids, int64 [n].
        labels: [n], int64.
        half: [n], bool.
        permutation: [n], int64.
    """

    target: Target
    repeat: int
    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    half: npt.NDArray[np.bool_]
    permutation: npt.NDArray[np.int64]
    _images: list[npt.NDArray[np.float32]] | None = field(default=None, repr=False)
    _batch: tuple[NetworkInput, Tensor] | None = field(default=None, repr=False)

    def batch(self, network_input: NetworkInput) -> Tensor:
        """The images as one tensor, float32 [n, c, *size]; the last one asked for is kept.

        Raises:
            TargetError: an image cannot be read.
            CandidateError: they are volumes and the candidate is for images, the reverse, or channels do not match.
        """
        if self._batch is None or self._batch[0] != network_input:
            refuse_axes(len(network_input.size), self.target.axes)
            reading = self._images or _Reading(self.target, self.indices)
            batch = prepare(reading, network_input, colour=self.target.colour)
            self._images = self._images or (reading.kept if isinstance(reading, _Reading) else None)
            self._batch = (network_input, batch)
        return self._batch[1]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the drawn images as they are stored."""
        return self.target.raw_digest(self.indices)

    @property
    def ids(self) -> list[str]:
        """Sample ids of the drawn images."""
        return [self.target.ids[index] for index in self.indices]


@dataclass
class PatchDraw(Draw):
    """A draw of patches with masks: `indices` names an image for each patch, and an image's patches share a half.

    Attributes:
        seed: of the patches.
    """

    seed: int = 0
    _patches: tuple[tuple[int, ...], Patches] | None = field(default=None, repr=False)

    def patches(self, size: tuple[int, ...]) -> Patches:
        """The patches of that size; the last ones asked for are kept.

        Raises:
            TargetError: an image or mask cannot be read.
            CandidateError: patches of other axes than the target's.
        """
        if self._patches is None or self._patches[0] != size:
            found = cut_patches(self.target, self.indices, size, seed=self.seed, repeat=self.repeat)
            self._patches = (size, found)
        return self._patches[1]

    def batch(self, network_input: NetworkInput) -> Tensor:
        """The patches as one tensor, float32 [n, c, *size]; the last one asked for is kept.

        Raises:
            TargetError, CandidateError: as in `patches`, or channels that do not match.
        """
        if self._batch is None or self._batch[0] != network_input:
            images = self.patches(network_input.size).images
            found = prepare_patches(images, network_input, colour=self.target.colour)
            self._batch = (network_input, found)
        return self._batch[1]


def make_draws(target: Target, *, samples: int | None, repeats: int, seed: int) -> list[Draw]:
    """The draws of a run; they depend on the target's sorted ids and labels and on the seed alone.

    Where a draw takes the whole target, the draws differ in their halves only. Of a segmentation target, samples are
    patches, one from every image in turn; None takes one from each.

    Raises:
        TargetError: fewer samples than classes, or a single class.
    """
    if target.task == "segmentation":
        return [_patch_draw(target, samples or len(target), repeat, seed) for repeat in range(repeats)]
    out: list[Draw] = []
    for repeat in range(repeats):
        indices = draw(target.labels, samples, seed=seed, repeat=repeat, task=target.task)
        labels = target.labels[indices]
        half = halves(labels, seed=seed, repeat=repeat, task=target.task)
        shuffle = np.random.default_rng(stream(Purpose.SHUFFLE, seed, repeat)).permutation(len(indices))
        out.append(Draw(target, repeat, indices, labels, half, shuffle))
    return out


def _patch_draw(target: Target, samples: int, repeat: int, seed: int) -> PatchDraw:
    """Patches from as many images as there are, each in turn, halved by image."""
    chosen = draw(target.labels, samples, seed=seed, repeat=repeat, task=target.task)
    order = np.random.default_rng(stream(Purpose.PATCH_IMAGES, seed, repeat)).permutation(chosen)
    half = halves(target.labels[chosen], seed=seed, repeat=repeat, task=target.task)
    indices = np.sort(np.resize(order, samples))
    shuffle = np.random.default_rng(stream(Purpose.SHUFFLE, seed, repeat)).permutation(samples)
    return PatchDraw(
        target, repeat, indices, target.labels[indices], half[np.searchsorted(chosen, indices)], shuffle, seed=seed
    )
