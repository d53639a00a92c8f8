"""Files of several pages as volumes: a TIFF stack, one page per slice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from acrank.errors import TargetError
from acrank.targets.stores.images import FileStore, check_page, pages_of, read_with_pillow, to_array
from acrank.targets.stores.intensity import Intensity, rescale


@dataclass(frozen=True, kw_only=True)
class PageStore:
    """Volumes float32 [1, pages, H, W] in [0, 1], one for each file.

    Attributes:
        files: the files.
        rule: how values are scaled to [0, 1], by the values of a whole volume; None takes those of 8 bits as they are.
        slice_axis: the spatial axis along which slices are stacked.
    """

    files: FileStore
    rule: Intensity | None
    slice_axis: ClassVar[int] = 0

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        volume = read_with_pillow(self._path(index), "volume", stack_of)
        if self.rule is None and volume.dtype == np.uint8:
            return volume[None].astype(np.float32) / np.float32(255), None
        rule = self.rule or Intensity("percentile")
        return rescale(volume, *rule.limits(volume))[None], None

    def raw(self, index: int) -> bytes:
        return self.files.raw(index)

    def shape(self, index: int) -> tuple[int, ...]:
        return read_with_pillow(self._path(index), "volume", lambda file: (pages_of(file), file.height, file.width))

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of one volume, which is read whole: its intensity limits are those of the whole."""
        volume, note = self.read(index)
        return volume[(slice(None), *where)], note

    def _path(self, index: int) -> Path:
        return self.files.root / self.files.paths[index]


def stack_of(file: Image.Image) -> np.ndarray:
    """The grey values of all pages, [pages, H, W].

    Raises:
        TargetError: pages of several sizes, in colour, or more than MOST_OF_VOLUME allows.
    """
    pages, count = [], pages_of(file)
    for number in range(count):
        file.seek(number)
        check_page(file, f"page {number + 1}", pages=count)
        pages.append(to_array(file))
    if len({page.shape for page in pages}) > 1 or pages[0].ndim != 2:
        shapes = sorted({str(list(page.shape)) for page in pages})
        raise TargetError(f"its pages are {', '.join(shapes)}, not grey slices of one size", hint="use --pages first")
    return np.stack(pages)
