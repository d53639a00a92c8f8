"""Sizes of images and volumes in words, with the order of their axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: The axes of a volume as nibabel has them.
XYZ = "x by y by z"
_HEIGHT_WIDTH = "height x width"


def size_text(shape: Sequence[int]) -> str:
    """The sides of an image or volume, without the names of their axes.

    >>> size_text((150, 200))
    '150 x 200'
    """
    return " x ".join(map(str, shape))


def axes_of_size(axes: int, *, is_xyz: bool = False) -> str:
    """The order of the sides of an image, or of a volume whose slices are stacked along the first axis.

    Args:
        axes: how many sides there are.
        is_xyz: whether they run along x, y and z instead.
    """
    if is_xyz:
        return XYZ
    return _HEIGHT_WIDTH if axes == 2 else f"slices x {_HEIGHT_WIDTH}"


def unequal_sizes(sizes: Mapping[str, Sequence[int]]) -> str:
    """A message on sizes that must be equal.

    >>> unequal_sizes({"a.png": (150, 200), "its mask": (200, 150)})
    'a.png is 150 x 200, its mask is 200 x 150 (height x width)'
    """
    axes = axes_of_size(max(map(len, sizes.values())))
    return f"{', '.join(f'{name} is {size_text(shape)}' for name, shape in sizes.items())} ({axes})"
