"""The axes of an array's items: images or volumes, with or without channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acrank.errors import TargetError

_MOST_CHANNELS = 4


@dataclass(frozen=True)
class ItemAxes:
    """The axes of one item.

    Attributes:
        spatial: number of spatial axes: 2 for an image, 3 for a volume.
        channel: the channel axis, 0 or -1; None if there is none.
    """

    spatial: int
    channel: int | None

    def to_channels_first(self, item: np.ndarray) -> np.ndarray:
        """The item as [C, ...]."""
        return item[None] if self.channel is None else np.moveaxis(item, self.channel, 0)

    def spatial_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """An item's shape without its channels."""
        return {None: shape, 0: shape[1:], -1: shape[:-1]}[self.channel]


def item_axes_of(shape: tuple[int, ...], where: str, mask: tuple[int, ...] | None = None) -> ItemAxes:
    """The axes of an item, inferred from its shape: [H, W] or [D, H, W], with up to four channels last or first.

    Three axes are an image with channels if the last or the first has a size of up to four (the last is preferred),
    else a volume. An item's mask decides instead, if there is one. Volumes of four slices or fewer need an axis of one
    channel: [1, D, H, W].

    Args:
        shape: of one item.
        where: the array, for messages.
        mask: spatial shape of the item's mask.

    Raises:
        TargetError: the shape is neither an image's nor a volume's.

    Example:
        >>> item_axes_of((28, 28, 3), "x"), item_axes_of((1, 28, 28, 28), "x")
        (ItemAxes(spatial=2, channel=-1), ItemAxes(spatial=3, channel=0))
    """
    orders = [ItemAxes(len(shape), None), ItemAxes(len(shape) - 1, -1), ItemAxes(len(shape) - 1, 0)]
    fitting = [axes for axes in orders if axes.spatial in (2, 3) and _fits(axes, shape, mask)]
    if mask is None:
        fitting.sort(key=lambda axes: axes.channel is None)
    if not fitting or 0 in shape:
        raise TargetError(
            f"{where}: images of shape {list(shape)}",
            hint="images must be [H, W], [H, W, C] or [C, H, W], volumes [D, H, W] or with C first or last, C up to 4",
        )
    return fitting[0]


def _fits(axes: ItemAxes, shape: tuple[int, ...], mask: tuple[int, ...] | None) -> bool:
    channels = 1 if axes.channel is None else shape[axes.channel]
    return channels <= _MOST_CHANNELS and mask in (None, axes.spatial_shape(shape))
