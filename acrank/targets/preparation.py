"""Images and volumes made ready for one candidate: channels, size, normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from acrank.errors import CandidateError
from acrank.system.network_input import NetworkInput

if TYPE_CHECKING:
    import torch

_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def prepare(images: Sequence[np.ndarray], network_input: NetworkInput, *, colour: bool = True) -> torch.Tensor:
    """Images or volumes as a candidate expects them: one batch of its size, channels and scale.

    Grey images are repeated for three channels, colour images become luminance (ITU-R BT.601) for one. Images are
    resized to exactly its size, bilinear (volumes trilinear) and antialiased. The aspect ratio is not kept: cropping
    could cut away what the label is about, and padding would add edges that no image has.

    Args:
        images: float32 [C, H, W] or [C, X, Y, Z] in [0, 1], each of any size, with as many channels as the network
            takes, or 1 for 3, or 3 for 1; taken one after the other.
        network_input: of the candidate.
        colour: whether three channels are colours, which one channel of luminance may stand for.

    Returns:
        float32 [n, channels, *size].

    Raises:
        CandidateError: the candidate cannot take images of these axes or channels.

    Example:
        >>> rgb = NetworkInput(size=(2, 2), channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
        >>> batch = prepare([np.ones((1, 4, 6), np.float32)], rgb)
        >>> tuple(batch.shape), batch.unique().tolist()
        ((1, 3, 2, 2), [1.0])
    """
    import torch

    size, channels = network_input.size, network_input.channels
    batch = torch.empty((len(images), channels, *size), dtype=torch.float32)
    for place, image in enumerate(images):
        refuse_axes(len(size), image.ndim - 1)
        batch[place] = _resized(_with_channels(image, channels, colour), size)
    return _normalised(batch, network_input)


def prepare_patches(patches: Sequence[np.ndarray], network_input: NetworkInput, *, colour: bool = True) -> torch.Tensor:
    """Patches of one size as a candidate expects them: channels and scale as in `prepare`, never resized.

    Args:
        patches: float32 [C, H, W] or [C, X, Y, Z] in [0, 1], all of one size.
        network_input, colour: as in `prepare`.

    Returns:
        float32 [n, channels, *size].

    Raises:
        CandidateError: as in `prepare`.
    """
    import torch

    parts = [np.ascontiguousarray(_with_channels(one, network_input.channels, colour)) for one in patches]
    return _normalised(torch.stack([torch.from_numpy(part) for part in parts]).float(), network_input)


def refuse_axes(wanted: int, given: int) -> None:
    """Tell a candidate for images from a target of volumes, and the reverse, by their spatial axes.

    Raises:
        CandidateError: they differ.

    Example:
        >>> refuse_axes(2, 2)
    """
    if wanted != given:
        kinds = {2: "images (2 dimensions)", 3: "volumes (3 dimensions)"}
        candidate, target = (kinds.get(axes, f"{axes} dimensions") for axes in (wanted, given))
        hint = "choose 3D candidates, or --slices 3" if given == 3 else "choose candidates for images"
        raise CandidateError(f"the candidate takes {candidate}, the target holds {target}", hint=hint)


def _normalised(batch: torch.Tensor, network_input: NetworkInput) -> torch.Tensor:
    import torch

    shape = (1, -1, *[1] * (batch.dim() - 2))
    mean, std = (
        torch.tensor(values, dtype=torch.float32).view(shape) for values in (network_input.mean, network_input.std)
    )
    return batch.sub_(mean).div_(std)


def _with_channels(image: np.ndarray, channels: int, colour: bool) -> np.ndarray:
    count = image.shape[0]
    if count == channels:
        return image
    if count == 1 and channels == 3:
        return np.repeat(image, 3, axis=0)
    if colour and count == 3 and channels == 1:
        return np.tensordot(np.array([_LUMINANCE], dtype=np.float32), image, axes=1)
    raise CandidateError(
        f"the candidate takes {channels} channels, the images have {count}",
        hint="only grey and colour are turned into each other; choose candidates of matching channels",
    )


def _resized(image: np.ndarray, size: tuple[int, ...]) -> torch.Tensor:
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
    if image.shape[1:] == tuple(size):
        return tensor
    if len(size) == 2:
        return _plane(tensor, size)
    # the filter is a product of one for each axis: y and z of every x, then x with y and z as one
    across = _plane(tensor.flatten(0, 1), size[1:]).unflatten(0, tensor.shape[:2])
    return _plane(across.flatten(2), (size[0], size[1] * size[2])).unflatten(2, size[1:])


def _plane(images: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """[m, h, w] -> [m, *size], bilinear, the filter widened where it shrinks."""
    import torch

    return torch.nn.functional.interpolate(
        images[None], size=size, mode="bilinear", align_corners=False, antialias=True
    )[0]
