"""Whether the values of masks are classes, or grey levels of masks that were stored with loss."""

from __future__ import annotations

from collections import Counter

import numpy as np

_LEVELS = 256
#: Values this near to a level are its ringing.
_NEAR = 40
#: Of the pixels near a level at least this share is this close to it.
_SHARP, _PEAK = 8, 0.5
#: A class has at least this share of its pixels inside an area of its value.
_INSIDE = 0.1
#: A level that fills no area has at least this share of all pixels.
_LARGE = 0.02
#: With fewer values, and none beside a far more common one, each is a class.
_FEW = 5
#: Grey levels, such as 0 and 255, are at least this far apart.
_FAR_APART = 100
#: So many values in a row are no classes.
_MANY = 64
_BESIDE, _RARER = 8, 10


class MaskHistogram:
    """How often each value occurs in some masks, and how often inside an area of equal values.

    Classes fill areas; what loss or antialiasing adds occurs at edges only.

    Attributes:
        values: those found, ascending; negative ones are left out.
        masks: in how many masks each value occurs.
        has_negative: whether there were any.

    Example:
        >>> histogram = MaskHistogram()
        >>> histogram.add(np.array([[0, 0, 1], [0, 0, 1]]))
        >>> histogram.values
        [0, 1]
    """

    def __init__(self) -> None:
        self.values: list[int] = []
        self.masks: Counter[int] = Counter()
        self._count = np.zeros(_LEVELS, dtype=np.int64)
        self._inside = np.zeros(_LEVELS, dtype=np.int64)
        self.has_negative = False
        self._is_grey = True  # whether all values are those of an 8-bit image

    def add(self, mask: np.ndarray) -> None:
        """Count the values of one mask, whole numbers [..., h, w]."""
        found = np.unique(mask)
        self.has_negative |= bool(len(found) and found[0] < 0)
        self.masks.update(found[found >= 0].astype(int).tolist())
        self.values = sorted(self.masks)
        self._is_grey &= bool(len(found) == 0 or (found.min() >= 0 and found.max() < _LEVELS))
        if self._is_grey:
            grey = mask.astype(np.uint8)
            self._count += np.bincount(grey.reshape(-1), minlength=_LEVELS)
            self._inside += np.bincount(grey[..., 1:-1, 1:-1][_is_inside(grey)], minlength=_LEVELS)

    def is_lossy(self, values: list[int]) -> bool:
        """Whether values occur that are no classes: most occur at edges only, or are rare beside a common one.

        Args:
            values: of those found, the ones that may be classes, ascending.
        """
        if not self._is_grey or len(values) <= 2 or (len(values) < _MANY and values == list(range(len(values)))):
            return False
        at_edges = [value for value in values if self._inside[value] < _INSIDE * self._count[value]]
        if len(values) >= _FEW and 2 * len(at_edges) > len(values):
            return True
        return any(
            0 < abs(value - other) <= _BESIDE and self._count[other] > _RARER * self._count[value]
            for value in at_edges
            for other in values
        )

    def at_borders(self, values: list[int]) -> list[int]:
        """Values between the lowest and the highest that occur at edges only, where these two fill areas.

        Args:
            values: up to four, ascending; numbers of classes rather than grey levels have none.
        """
        if not self._is_grey or not 3 <= len(values) < _FEW or values[-1] - values[0] < _FAR_APART:
            return []
        edges = [value for value in values if self._inside[value] < _INSIDE * self._count[value]]
        return edges if edges == values[1:-1] else []

    def plain_levels(self) -> tuple[int, ...] | None:
        """The two or three levels that the values scatter around, ascending; None where they are not plain."""
        left = self._count.copy()
        levels: list[int] = []
        weights: list[int] = []
        while left.any() and len(levels) < 4:
            level = int(left.argmax())
            near = slice(max(0, level - _NEAR), level + _NEAR + 1)
            weight = int(left[near].sum())
            sharp = left[max(0, level - _SHARP) : level + _SHARP + 1].sum()
            fills = self._inside[level] >= _INSIDE * self._count[level] or weight >= _LARGE * self._count.sum()
            if sharp < _PEAK * weight or not fills:
                break
            levels.append(level)
            weights.append(weight)
            left[near] = 0
        is_plain = len(levels) in (2, 3) and 2 * left.sum() <= min(weights)
        return tuple(sorted(levels)) if is_plain else None


def _is_inside(mask: np.ndarray) -> np.ndarray:
    """Where the four neighbours of a position, but for the border, have its value."""
    middle = mask[..., 1:-1, 1:-1]
    around = (mask[..., :-2, 1:-1], mask[..., 2:, 1:-1], mask[..., 1:-1, :-2], mask[..., 1:-1, 2:])
    inside: np.ndarray = np.logical_and.reduce([middle == other for other in around])
    return inside
