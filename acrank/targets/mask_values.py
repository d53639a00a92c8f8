"""The class that each value of a mask stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from acrank.errors import TargetError
from acrank.targets.target import IGNORED, first_few

_SAMPLED_MASKS = 64
_MOST_CLASSES = 64
_VOID = 255
_AT_ONCE = 2**20


@dataclass(frozen=True)
class MaskValues:
    """The mask value of every class.

    Attributes:
        values: ascending; a class's index is its value's position here.
        void: True if 255 marks ignored positions.
    """

    values: tuple[int, ...]
    void: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: background and foreground if there are two, else their values."""
        return ("background", "foreground") if len(self.values) == 2 else tuple(map(str, self.values))

    @property
    def note(self) -> str:
        """A note for the target."""
        void = f"; {_VOID} is ignored" if self.void else ""
        return f"masks: values {', '.join(map(str, self.values))} are the classes {', '.join(self.classes)}{void}"

    def to_classes(self, raw: np.ndarray, where: str) -> np.ndarray:
        """The class indices of a mask of whole numbers, int16 of its shape; IGNORED where it is negative or void.

        Raises:
            TargetError: it holds any other value.

        Example:
            >>> MaskValues((0, 5, 7), void=True).to_classes(np.array([5, 0, 255, 7]), "x").tolist()
            [1, 0, -1, 2]
        """
        flat, classes = raw.reshape(-1), np.empty(raw.size, np.int16)
        for start in range(0, raw.size, _AT_ONCE):  # in parts: the places are int64
            part = slice(start, start + _AT_ONCE)
            classes[part] = self._of_part(flat[part], where)
        return classes.reshape(raw.shape)

    def _of_part(self, raw: np.ndarray, where: str) -> np.ndarray:
        places = np.searchsorted(self.values, raw).clip(max=len(self.values) - 1)
        known = np.asarray(self.values)[places] == raw
        odd = ~known & (raw >= 0) & ~(self.void & (raw == _VOID))
        if odd.any():
            raise TargetError(
                f"{where} holds the value {int(raw[odd][0])}; the classes are {first_few(list(map(str, self.values)))}",
                hint="write all masks with the same values",
            )
        return np.where(known, places, IGNORED)


def mask_values_of(read: Callable[[int], np.ndarray], count: int, where: str) -> MaskValues:
    """The classes of a target, inferred from up to 64 of its `count` masks, spread evenly.

    Two values, such as 0 and 1 or 0 and 255, are background and foreground. More values are one class each, except
    that 255 beside smaller ones marks ignored positions.

    Raises:
        TargetError: fewer than two values, or too many to be classes.
    """
    sampled = np.unique(np.linspace(0, count - 1, min(_SAMPLED_MASKS, count)).round().astype(int)).tolist()
    found = sorted({int(value) for place in sampled for value in np.unique(read(place)) if value >= 0})
    void = len(found) > 2 and found[-1] == _VOID
    found = found[:-1] if void else found
    if len(found) < 2:
        raise TargetError(f"{where}: the masks hold one value only: {found}", hint="segmentation needs two classes")
    if len(found) > _MOST_CLASSES:
        raise TargetError(
            f"{where}: the masks hold {len(found)} values", hint="masks must be class values, stored without loss (PNG)"
        )
    return MaskValues(tuple(found), void)
