"""Images and volumes converted to a network's input: channels, size, normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from acrank.errors import CandidateError
from acrank.system.network_input import NetworkInput

if TYPE_CHECKING:
    import torch

_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def prepare_images(images: Sequence[np.ndarray], network_input: NetworkInput, *, colour: bool = True) -> torch.Tensor:
    """Images or volumes as one batch of a network's input size, channels and normalisation.

    Grey images are repeated for three channels, colour images become luminance (ITU-R BT.601) for one. Images are
    resized to exactly the input size, bilinear (volumes trilinear) and antialiased. The aspect ratio is not kept:
    cropping could remove what the label refers to, and padding would add edges that no image has. Networks that take
    blue first get the channels reversed.

    Args:
        images: float32 [C, H, W] or [C, X, Y, Z] in [0, 1], each of any size, with as many channels as the network
            takes, or 1 for 3, or 3 for 1; each is read once, in order.
        network_input: of the candidate.
        colour: True if three channels are colours, which can be converted to luminance.

    Returns:
        float32 [n, channels, *size].

    Raises:
        CandidateError: the network does not take images of these axes or channels.

    Example:
        >>> rgb = NetworkInput(size=(2, 2), channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
        >>> batch = prepare_images([np.ones((1, 4, 6), np.float32)], rgb)
        >>> tuple(batch.shape), batch.unique().tolist()
        ((1, 3, 2, 2), [1.0])
    """
    import torch

    size, channels = network_input.size, network_input.channels
    batch = torch.empty((len(images), channels, *size), dtype=torch.float32)
    for place, image in enumerate(images):
        check_axes(len(size), image.ndim - 1)
        batch[place] = _resized(_with_channels(image, channels, colour), size)
    return _normalised(batch.flip(1) if network_input.order == "bgr" else batch, network_input)


def check_axes(expected: int, given: int) -> None:
    """Refuse images for a 3D network and volumes for a 2D network, by their numbers of spatial axes.

    Raises:
        CandidateError: they differ.

    Example:
        >>> check_axes(2, 2)
    """
    if expected != given:
        kinds = {2: "images (2 dimensions)", 3: "volumes (3 dimensions)"}
        candidate, target = (kinds.get(axes, f"{axes} dimensions") for axes in (expected, given))
        hint = "choose 3D candidates, or --slices 3" if given == 3 else "choose candidates for images"
        raise CandidateError(f"the candidate takes {candidate}, the target holds {target}", hint=hint)


def _normalised(batch: torch.Tensor, network_input: NetworkInput) -> torch.Tensor:
    import torch

    shape = (1, -1, *[1] * (batch.dim() - 2))
    centre, scale = (
        torch.tensor(list(values), dtype=torch.float32).view(shape)
        for values in (network_input.mean, network_input.std)
    )
    return batch.sub_(centre).div_(scale)


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
        hint="only grey and colour are converted; choose candidates of matching channels",
    )


def _resized(image: np.ndarray, size: tuple[int, ...]) -> torch.Tensor:
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
    if image.shape[1:] == tuple(size):
        return tensor
    if len(size) == 2:
        return _resized_planes(tensor, size)
    # the filter is a product of one per axis: y and z of every x, then x with y and z flattened into one axis
    across = _resized_planes(tensor.flatten(0, 1), size[1:]).reshape(*tensor.shape[:2], -1)
    return _resized_planes(across, (size[0], size[1] * size[2])).reshape(-1, *size)


def _resized_planes(images: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """[m, h, w] -> [m, *size], bilinear, with a wider filter if it shrinks."""
    import torch

    return torch.nn.functional.interpolate(
        images[None], size=size, mode="bilinear", align_corners=False, antialias=True
    )[0]
