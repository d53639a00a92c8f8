"""Images in one file per channel, or in one colour file, each with a mask: nnU-Net's two-dimensional data sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.targets.listed_values import ListedValues
from acrank.targets.stores.images import FileStore, check_size, decode_image, read_mask
from acrank.targets.stores.size_words import axes_of_size, size_text
from acrank.targets.stores.value_range import FULL_RANGE, ValueRange


@dataclass(frozen=True, kw_only=True)
class ImageCaseStore:
    """Images and masks in files.

    Attributes:
        root: the folder that the paths are relative to.
        images: per image, the files of its channels, or its one file.
        masks: per image, the file of its mask.
        values: the class of each value of the masks.
        value_range, first_page: as in `FileStore`.
        channels: number of channels of an image; None takes what the files hold.
    """

    root: Path
    images: tuple[tuple[str, ...], ...]
    masks: tuple[str, ...]
    values: ListedValues
    value_range: ValueRange = FULL_RANGE
    first_page: bool = False
    channels: int | None = None

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        found = [self._decoded(name) for name in self.images[index]]
        sizes = {part.shape[1:] for part, _ in found}
        first = self.images[index][0]
        if len(sizes) > 1:
            shown = ", ".join(map(size_text, sorted(sizes)))
            raise TargetError(
                f"channels of {first} have the sizes {shown} ({axes_of_size(2)})", hint="they must be equal"
            )
        image = np.concatenate([part for part, _ in found])
        if self.channels is not None and len(image) != self.channels:
            raise TargetError(
                f"{first} has {len(image)} channels, dataset.json names {self.channels}", hint="correct channel_names"
            )
        return image, next((note for _, note in found if note), None)

    def raw(self, index: int) -> bytes:
        files = FileStore(self.root, self.images[index])
        return b"".join(files.raw(place) for place in range(len(files.paths)))

    def raw_mask(self, index: int) -> bytes:
        return FileStore(self.root, self.masks).raw(index)

    def shape(self, index: int) -> tuple[int, ...]:
        return self.mask(index).shape

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of one image, which is decoded whole."""
        image, assumption = self.read(index)
        check_size(image, self.shape(index), self.images[index][0])
        return image[(slice(None), *where)], assumption

    def mask(self, index: int) -> np.ndarray:
        """One mask, int16 [H, W]: class indices, or IGNORED."""
        return self.values.to_classes(self.raw_values(index), str(self.root / self.masks[index]))

    def raw_values(self, index: int) -> np.ndarray:
        """The values of one mask as stored, [H, W]; palettes give their indices.

        Raises:
            TargetError: it cannot be read, or holds colours.
        """
        path = self.root / self.masks[index]
        values = read_mask(path, first_page=self.first_page)
        if values.ndim != 2:
            raise TargetError(f"{path} is not a mask of class values", hint="store one channel of 0, 1, 2, …")
        return values

    def _decoded(self, name: str) -> tuple[np.ndarray, str | None]:
        return decode_image(self.root / name, self.value_range, first_page=self.first_page)
