"""Some of the images of another store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class SubsetStore:
    """The images of a store at some places, in that order; it can do what that store can.

    Attributes:
        store: of all images.
        places: in it.
    """

    store: Any
    places: tuple[int, ...]

    @property
    def slice_axis(self) -> int:
        """The spatial axis along which a volume's slices are stacked."""
        return int(getattr(self.store, "slice_axis", 0))

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        found: tuple[np.ndarray, str | None] = self.store.read(self.places[index])
        return found

    def raw(self, index: int) -> bytes:
        return bytes(self.store.raw(self.places[index]))

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(self.store.shape(self.places[index]))

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        found: tuple[np.ndarray, str | None] = self.store.crop(self.places[index], where)
        return found

    def mask(self, index: int) -> np.ndarray:
        return np.asarray(self.store.mask(self.places[index]))

    def raw_mask(self, index: int) -> bytes:
        return bytes(self.store.raw_mask(self.places[index]))
