"""How the items of an array lie: images or volumes, and which of their axes is that of channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acrank.errors import TargetError

_MOST_CHANNELS = 4


@dataclass(frozen=True)
class Form:
    """The axes of one item.

    Attributes:
        axes: spatial ones: 2 for an image, 3 for a volume.
        channel: the axis of channels, 0 or -1; None where there is none.
    """

    axes: int
    channel: int | None

    def first(self, item: np.ndarray) -> np.ndarray:
        """The item with its channels first, [C, ...]."""
        return item[None] if self.channel is None else np.moveaxis(item, self.channel, 0)


def form_of(shape: tuple[int, ...], where: str, mask: tuple[int, ...] | None = None) -> Form:
    """Tell the form of an item from its shape: [H, W] or [D, H, W], with up to four channels last or first.

    Three axes are those of an image with channels where the last or the first has a size of up to four, else those of
    a volume; of both ends, the last goes before the first. An item's mask tells instead, where there is one. Volumes of
    four slices or fewer can be told by an axis of one channel: [1, D, H, W].

    Args:
        shape: of one item.
        where: the array, for messages.
        mask: spatial sizes of the item's mask.

    Raises:
        TargetError: neither an image's nor a volume's shape.

    Example:
        >>> form_of((28, 28, 3), "x"), form_of((28, 28, 28), "x"), form_of((1, 28, 28, 28), "x")
        (Form(axes=2, channel=-1), Form(axes=3, channel=None), Form(axes=3, channel=0))
    """
    forms = [Form(len(shape), None), Form(len(shape) - 1, -1), Form(len(shape) - 1, 0)]
    able = [form for form in forms if form.axes in (2, 3) and _suits(form, shape, mask)]
    if mask is None:
        able = sorted(able, key=lambda form: form.channel is None)
    if not able or 0 in shape:
        raise TargetError(
            f"{where}: images of shape {list(shape)}",
            hint="images must be [H, W], [H, W, C] or [C, H, W], volumes [D, H, W] or with C first or last, C up to 4",
        )
    return able[0]


def _suits(form: Form, shape: tuple[int, ...], mask: tuple[int, ...] | None) -> bool:
    channels = 1 if form.channel is None else shape[form.channel]
    spatial = shape if form.channel is None else (shape[1:] if form.channel == 0 else shape[:-1])
    return channels <= _MOST_CHANNELS and mask in (None, spatial)
