"""Draws: sampled images or patches of a target, decoded once and prepared for each network's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from acrank.errors import TargetError
from acrank.system.clock import shared_work
from acrank.system.network_input import NetworkInput
from acrank.system.streams import Purpose, stream
from acrank.targets.grouping import group_codes
from acrank.targets.patches import Patches, cut_patches
from acrank.targets.preparation import check_axes, prepare_images
from acrank.targets.sampling import draw_sample, halves

if TYPE_CHECKING:
    from torch import Tensor

    from acrank.targets import Target

#: Decoded images up to this many bytes per draw are kept for the next candidate; larger draws are decoded every time.
KEEP_BYTES = 256 * 2**20


class _LazyImages(Sequence[npt.NDArray[np.float32]]):
    """Images read one at a time, and kept while they fit in KEEP_BYTES: volumes would fill the memory."""

    def __init__(self, target: Target, indices: npt.NDArray[np.int64]) -> None:
        self._target, self._indices = target, indices
        self._kept: list[npt.NDArray[np.float32]] = []
        self._room = KEEP_BYTES

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: Any) -> Any:
        with shared_work():
            image = self._target.read(int(self._indices[place]))
        self._room -= image.nbytes
        if self._room < 0:
            self._kept.clear()
        else:
            self._kept.append(image)
        return image

    @property
    def kept(self) -> list[npt.NDArray[np.float32]] | None:
        """All images in order, if each was read in turn and they fit."""
        return self._kept if len(self._kept) == len(self._indices) else None


@dataclass(kw_only=True)
class Draw:
    """One stratified sample of a target.

    Attributes:
        target: the target.
        repeat: number of the draw, from 0.
        indices: the sampled images, as positions in the target's ids, int64 [n].
        labels: their labels, int64 [n].
        half: their halves of the cross-fit, bool [n].
        permutation: a shuffle of the labels for the control, int64 [n].
        worth: how many independent draws this one and those before it are worth: their distinct images over its own.
    """

    target: Target
    repeat: int
    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    half: npt.NDArray[np.bool_]
    permutation: npt.NDArray[np.int64]
    worth: float = 1.0
    _images: list[npt.NDArray[np.float32]] | None = field(default=None, repr=False)
    _batch: tuple[NetworkInput, Tensor] | None = field(default=None, repr=False)

    def batch(self, network_input: NetworkInput) -> Tensor:
        """The images or patches as one tensor, float32 [n, c, *size]; the last one is kept.

        Raises:
            TargetError: an image or mask cannot be read, or is not what it was when the digest was taken.
            CandidateError: they are volumes and the candidate is for images, the reverse, or channels do not match.
        """
        if self._batch is None or self._batch[0] != network_input:
            check_axes(len(network_input.size), self.target.axes)
            images = self._inputs(network_input.size)
            batch = prepare_images(images, network_input, colour=self.target.colour)
            if isinstance(images, _LazyImages):
                self._check_unchanged()
                self._images = images.kept
            self._batch = (network_input, batch)
        return self._batch[1]

    def _inputs(self, size: tuple[int, ...]) -> Sequence[npt.NDArray[np.float32]]:
        return self._images or _LazyImages(self.target, self.indices)

    def keep(self, images: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Take over images that were decoded before, by id, where all of the draw are there and they fit."""
        found = [images[name] for name in self.ids if name in images]
        if len(found) == len(self.indices) and sum(image.nbytes for image in found) <= KEEP_BYTES:
            self._images = found

    def __getstate__(self) -> dict[str, Any]:
        """Without what is decoded: another process decodes its own."""
        return {**self.__dict__, "_images": None, "_batch": None}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the sampled images as stored."""
        return self.target.raw_digest(self.indices)

    def _check_unchanged(self) -> None:
        """Refuse images that were read after the digest was taken, here or in another process, and are not the same."""
        if "digest" not in self.__dict__:
            return
        with shared_work():
            is_same = self.target.raw_digest(self.indices) == self.digest
        if not is_same:
            raise TargetError(
                "images of the target changed since the run began", hint="run again when nothing writes there"
            )

    def record(self) -> dict[str, Any]:
        """Ids and digest for the run record; of grouped images also how many groups each half of the cross-fit has."""
        found: dict[str, Any] = {"ids": self.ids, "sha256": self.digest}
        if self.target.groups is not None:
            sides = [{self.target.groups[index] for index in self.indices[self.half == half]} for half in (False, True)]
            found["groups_of_halves"] = [len(side) for side in sides]
        return found

    def units(self, images: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int64]:
        """What of an observation's rows belongs together: the number of the group of each, else of the image.

        Args:
            images: [n], the image of each row, as a position in the target's ids; None where rows are images.
        """
        rows = self.indices if images is None else images
        if self.target.groups is None:
            return rows
        codes = group_codes([self.target.groups[image] for image in rows])
        assert codes is not None  # noqa: S101 - for the type checker
        return np.asarray(codes, dtype=np.int64)

    @property
    def ids(self) -> list[str]:
        """Ids of the sampled images."""
        return [self.target.ids[index] for index in self.indices]


@dataclass(kw_only=True)
class PatchDraw(Draw):
    """A draw of patches with masks: `indices` names the image of each patch; patches of one image share a half.

    Attributes:
        seed: of the patches.
    """

    seed: int
    _patches: tuple[tuple[int, ...], Patches] | None = field(default=None, repr=False)

    def patches(self, size: tuple[int, ...]) -> Patches:
        """The patches of a size; the last ones are kept.

        Raises:
            TargetError: an image or mask cannot be read, or is not what it was when the digest was taken.
            CandidateError: the size has another number of axes than the target.
        """
        if self._patches is None or self._patches[0] != size:
            found = cut_patches(self.target, self.indices, size, seed=self.seed, repeat=self.repeat)
            self._check_unchanged()
            self._patches = (size, found)
        return self._patches[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_patches": None}

    def _inputs(self, size: tuple[int, ...]) -> Sequence[npt.NDArray[np.float32]]:
        return self.patches(size).images


def make_draws(target: Target, *, samples: int | None, repeats: int, seed: int) -> list[Draw]:
    """The draws of a run; they depend only on the target's sorted ids and labels and on the seed.

    If a draw takes the whole target, the draws differ in their halves only. For a segmentation target, samples are
    patches, one from each image in turn; None takes one from each. Halves keep the
    images of a group together.

    Raises:
        TargetError: fewer samples than classes, or a single class.
    """
    make_draw = _patch_draw if target.task == "segmentation" else _image_draw
    draws = [make_draw(target, samples, repeat=repeat, seed=seed) for repeat in range(repeats)]
    seen: set[int] = set()
    for draw in draws:
        own = set(draw.indices.tolist())
        seen |= own
        draw.worth = max(1.0, len(seen) / len(own))
    return draws


def _image_draw(target: Target, samples: int | None, *, repeat: int, seed: int) -> Draw:
    groups = group_codes(target.groups)
    indices = draw_sample(target.labels, samples, seed=seed, repeat=repeat, task=target.task, groups=groups)
    labels = target.labels[indices]
    sampled = None if groups is None else groups[indices]
    return Draw(
        target=target,
        repeat=repeat,
        indices=indices,
        labels=labels,
        half=halves(labels, seed=seed, repeat=repeat, task=target.task, groups=sampled),
        permutation=np.random.default_rng(stream(Purpose.SHUFFLE, seed, repeat)).permutation(len(indices)),
    )


def _patch_draw(target: Target, samples: int | None, *, repeat: int, seed: int) -> PatchDraw:
    """Patches from as many images as possible, each in turn, halved by image."""
    count = samples or len(target)
    groups = group_codes(target.groups)
    chosen = draw_sample(target.labels, count, seed=seed, repeat=repeat, task=target.task, groups=groups)
    sampled = None if groups is None else groups[chosen]
    order = np.random.default_rng(stream(Purpose.PATCH_IMAGES, seed, repeat)).permutation(chosen)
    indices = np.sort(np.resize(order, count))
    half = halves(target.labels[chosen], seed=seed, repeat=repeat, task=target.task, groups=sampled)
    return PatchDraw(
        target=target,
        repeat=repeat,
        indices=indices,
        labels=target.labels[indices],
        half=half[np.searchsorted(chosen, indices)],
        permutation=np.random.default_rng(stream(Purpose.SHUFFLE, seed, repeat)).permutation(count),
        seed=seed,
    )
