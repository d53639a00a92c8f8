"""The channels that a row of the affine correlation keeps: a window of the sorted source, exact despite rounding."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from acrank.norm.scan import Floats

Indices = npt.NDArray[np.intp]


def windows(ordered: Floats, source: Floats, target: Floats, reach: Floats) -> tuple[Indices, Indices, Indices]:
    """Per row: first member, first position at or right of y_t, and one past the last member, as indices [C].

    The own channel is one edge, its mirror image in y_t the other, but for rounding: channels may tie in the computed
    distance, or the mirror image may miss one. Where the distances contradict, bisection on the distance decides.

    Args:
        ordered: y_s, [C], ascending.
        source, target, reach: y_s, y_t and |y_t - y_s| of each row, [C].

    Example:
        >>> y = np.array([0.0, 1.0, 3.0])
        >>> [edge.tolist() for edge in windows(y, y, y + 0.75, np.full(3, 0.75))]
        [[0, 1, 2], [1, 2, 3], [2, 2, 3]]
    """
    mirror = target + (target - source)
    split = _searched(ordered, target)
    start = _searched(ordered, np.minimum(source, mirror))
    stop = _searched(ordered, np.maximum(source, mirror), side="right")
    if not _confirmed(ordered, target, reach, start=start, stop=stop):
        start, stop = bisected(ordered, target, reach, split=split)
    return start, split, stop


def _searched(ordered: Floats, needles: Floats, side: Literal["left", "right"] = "left") -> Indices:
    """np.searchsorted; it finds ascending needles several times faster, and numpy sorts fast."""
    order = needles.argsort()
    found = np.empty_like(order)
    found[order] = ordered.searchsorted(needles[order], side)
    return found


def _confirmed(ordered: Floats, target: Floats, reach: Floats, start: Indices, stop: Indices) -> bool:
    """Whether the outermost members of every window are within reach, and the channels next to them are not."""
    places = padded(ordered, np.inf)
    inside = np.abs(target - places.take(np.array([[start + 1, stop], [start, stop + 1]]))) <= reach
    return bool((inside[0] & ~inside[1]).all())


def bisected(ordered: Floats, target: Floats, reach: Floats, split: Indices) -> tuple[Indices, Indices]:
    """First member left of `split` and one past the last right of it: the computed distance is monotone there."""
    start, stop = np.zeros_like(split), split
    left_end, right_end = split, np.full_like(split, len(ordered))
    for _ in range(len(ordered).bit_length()):
        middle = np.array([start + left_end, stop + right_end]) // 2
        inside = np.abs(target - ordered.take(middle, mode="clip")) <= reach
        open_left, open_right = start < left_end, stop < right_end
        left_end = np.where(open_left & inside[0], middle[0], left_end)
        start = np.where(open_left & ~inside[0], middle[0] + 1, start)
        stop = np.where(open_right & inside[1], middle[1] + 1, stop)
        right_end = np.where(open_right & ~inside[1], middle[1], right_end)
    return start, stop


def padded(ordered: Floats, end: float) -> Floats:
    """`ordered` [..., C] between -end and end, [..., C + 2]: what was at position i is at i + 1."""
    out = np.empty((*ordered.shape[:-1], ordered.shape[-1] + 2))
    out[..., 0], out[..., -1], out[..., 1:-1] = -end, end, ordered
    return out
