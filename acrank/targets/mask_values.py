"""What the values of masks mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from acrank.errors import TargetError
from acrank.targets.target import IGNORED, listing

#: From so many masks, spread over a target, the values are told.
PROBED = 64
_MOST_CLASSES = 64
_VOID = 255


@dataclass(frozen=True)
class Coding:
    """Which value of a mask is which class.

    Attributes:
        values: ascending; a class's index is its value's place.
        void: whether 255 marks positions that count for nothing.
    """

    values: tuple[int, ...]
    void: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: background and foreground where there are two."""
        return ("background", "foreground") if len(self.values) == 2 else tuple(str(value) for value in self.values)

    @property
    def note(self) -> str:
        """For the reader of the results."""
        void = f", {_VOID} counts for nothing" if self.void else ""
        return f"masks: values {', '.join(map(str, self.values))} are the classes {', '.join(self.classes)}{void}"

    def coded(self, raw: np.ndarray, where: str) -> np.ndarray:
        """A mask of whole numbers as classes, int16 of its shape: places in `values`, or IGNORED.

        Negative values count for nothing.

        Raises:
            TargetError: another value that is no class.

        Example:
            >>> Coding((0, 5, 7), void=True).coded(np.array([5, 0, 255, 7]), "x").tolist()
            [1, 0, -1, 2]
        """
        places = np.searchsorted(self.values, raw).clip(max=len(self.values) - 1)
        known = np.asarray(self.values)[places] == raw
        odd = ~known & (raw >= 0) & ~(self.void & (raw == _VOID))
        if odd.any():
            told = listing([str(value) for value in self.values])
            raise TargetError(
                f"{where} holds the value {int(raw[odd][0])}; the classes are {told}",
                hint="write all masks with the same values",
            )
        return np.where(known, places, IGNORED).astype(np.int16)


def coding_of(masks: Iterable[np.ndarray], where: str) -> Coding:
    """The classes of a target, from some of its masks.

    Two values, such as 0 and 1 or 0 and 255, are background and foreground; more are classes by value, where 255 beside
    smaller ones marks positions that count for nothing.

    Raises:
        TargetError: fewer than two values, or so many that they can be no classes.
    """
    found = sorted({int(value) for mask in masks for value in np.unique(mask) if value >= 0})
    void = len(found) > 2 and found[-1] == _VOID
    found = found[:-1] if void else found
    if len(found) < 2:
        raise TargetError(f"{where}: the masks hold one value only: {found}", hint="segmentation needs two classes")
    if len(found) > _MOST_CLASSES:
        raise TargetError(
            f"{where}: the masks hold {len(found)} values", hint="masks must be class values, stored without loss (PNG)"
        )
    return Coding(tuple(found), void)


def probed(count: int) -> list[int]:
    """Which of `count` masks tell the values, ascending.

    >>> probed(3)
    [0, 1, 2]
    """
    return np.unique(np.linspace(0, count - 1, min(PROBED, count)).round().astype(int)).tolist()
