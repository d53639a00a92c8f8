"""Where a segmentation network's features are: the input of the convolution that makes its output, at given places."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class PixelReader:
    """Reads rows of features at labelled positions of patches, in the place of `features.read_features`.

    Args:
        positions: [n, p], int64: flat places within a patch.
        size: spatial sizes of a patch.
    """

    def __init__(self, positions: Tensor, size: tuple[int, ...]) -> None:
        self.positions, self.size = positions, size

    def __call__(self, model: nn.Module, inputs: Tensor, patches: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """One forward pass: features [n * p, d], and the network's own outputs [n * p, z] where it has two or more.

        A map of lower resolution gives each position the value of the cell that it lies in.

        Args:
            model: whatever `feature_map` can read.
            inputs: [n, c, *size].
            patches: which rows of `positions` the inputs are; None where they are all.

        Raises:
            CandidateError: the network gives no feature map.
        """
        positions = self.positions if patches is None else self.positions[patches]
        features, output = feature_map(model, inputs)
        dense = isinstance(output, Tensor) and output.dim() == inputs.dim() and output.shape[1] > 1
        return self._rows(features, positions), self._rows(output, positions) if dense else None

    def _rows(self, maps: Tensor, positions: Tensor) -> Tensor:
        """[n, d, *cells] at positions [n, p] -> [n * p, d]."""
        cells = maps.shape[2:]
        places = torch.zeros_like(positions)
        left = positions
        for axis in reversed(range(len(self.size))):
            at, left = left % self.size[axis], left // self.size[axis]
            step = 1
            for wide in cells[axis + 1 :]:
                step *= wide
            places = places + at * cells[axis] // self.size[axis] * step
        flat = maps.flatten(2)
        index = places.to(maps.device)[:, None, :].expand(-1, flat.shape[1], -1)
        return flat.gather(2, index).transpose(1, 2).reshape(-1, flat.shape[1])


def feature_map(model: nn.Module, inputs: Tensor) -> tuple[Tensor, Any]:
    """One forward pass: the last feature map before the output, [n, d, *cells], and the output itself.

    A network whose output is a map is read at the input of its last convolution; where that convolution (of more than
    one position) keeps the number of channels, as in MONAI's residual U-Nets, at the input of the one before. Any other
    network is read at the last map of more than one position that one of its layers gives.

    Raises:
        CandidateError: there is no such map.
    """
    heads: list[tuple[nn.Module, Tensor]] = []
    maps: list[Tensor] = []

    def remember(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if isinstance(layer, _CONVOLUTIONS):
            heads.append((layer, args[0]))
        if isinstance(output, Tensor) and output.dim() == inputs.dim() and output[0, 0].numel() > 1:
            maps[:] = [output]

    hooks = [leaf.register_forward_hook(remember) for leaf in model.modules() if not list(leaf.children())]
    try:
        output = model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    dense = isinstance(output, Tensor) and output.dim() == inputs.dim()
    found = _before_head(heads) if dense and heads else next(iter(maps), None)
    if found is None or found.dim() != inputs.dim() or len(found) != len(inputs):
        raise CandidateError("the network gives no feature map", hint="a segmentation target needs a convolutional one")
    return found, output


def _before_head(convolutions: list[tuple[nn.Module, Tensor]]) -> Tensor:
    place = len(convolutions) - 1
    while place > 0 and _keeps_channels(convolutions[place][0]):
        place -= 1
    return convolutions[place][1]


def _keeps_channels(layer: Any) -> bool:
    return layer.in_channels == layer.out_channels and max(layer.kernel_size) > 1
