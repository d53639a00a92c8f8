"""The class of each mask value that a dataset.json lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acrank.errors import TargetError
from acrank.targets.target import IGNORED, first_few

#: Masks stored as floats may be this far from a whole number.
ROUNDING = 1e-3


@dataclass(frozen=True)
class ListedValues:
    """The mask values of every class; any other value is an error.

    Attributes:
        values: per class, its values.
        ignored: values of positions that count for nothing.
    """

    values: tuple[tuple[int, ...], ...]
    ignored: tuple[int, ...] = ()

    def __str__(self) -> str:
        """The values, where they are not those of their classes' places.

        >>> str(ListedValues(((0,), (1,)))), str(ListedValues(((0,), (1, 2)), ignored=(9,)))
        ('', 'values 0, 1/2, ignored 9')
        """
        if not self.ignored and self.values == tuple((place,) for place in range(len(self.values))):
            return ""
        found = ["/".join(map(str, values)) for values in self.values]
        return ", ".join([f"values {', '.join(found)}", *(f"ignored {value}" for value in self.ignored)])

    def to_classes(self, raw: np.ndarray, where: str) -> np.ndarray:
        """The class indices of a mask, int16 of its shape; IGNORED at ignored values.

        Raises:
            TargetError: it holds other values; they are counted.

        Example:
            >>> ListedValues(((0,), (1, 2)), ignored=(9,)).to_classes(np.array([0.0, 2.0, 9.0, 1.0]), "x").tolist()
            [0, 1, -1, 1]
            >>> ListedValues(((0,), (1,))).to_classes(np.array([0, 4, 4, 0.5]), "mask.nii.gz")
            Traceback (most recent call last):
            ...
            acrank.errors.TargetError: mask.nii.gz holds values that dataset.json does not list: 0.5 (1 position), 4 (2)
        """
        whole = np.rint(raw)
        classes = np.full(raw.shape, IGNORED, dtype=np.int16)
        unknown = np.abs(raw - whole) > ROUNDING
        for value in np.unique(whole):
            place = self._class_of(int(value))
            if place is None:
                unknown |= whole == value
            else:
                classes[whole == value] = place
        if unknown.any():
            raise TargetError(
                f"{where} holds values that dataset.json does not list: {_counted(raw[unknown])}",
                hint="list them in `labels` (or as `ignore`), or mend the mask; fractions come from interpolation",
            )
        return classes

    def _class_of(self, value: int) -> int | None:
        if value in self.ignored:
            return IGNORED
        return next((place for place, values in enumerate(self.values) if value in values), None)


def _counted(values: np.ndarray) -> str:
    found, counts = np.unique(values, return_counts=True)
    words = [f"{value:g} ({count})" for value, count in zip(found.tolist(), counts.tolist(), strict=True)]
    words[0] = words[0][:-1] + (" position)" if counts[0] == 1 else " positions)")
    return first_few(words)
