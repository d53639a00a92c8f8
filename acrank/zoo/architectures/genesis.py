"""A 3D U-Net whose tensors are named as in Models Genesis' checkpoints: down_tr64.ops.0.conv1 … out_tr.final_conv."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError

STEM, _HEAD = "down_tr64.ops.0.conv1.weight", "out_tr.final_conv.weight"


class Unit(nn.Module):
    """Convolution, normalisation, ReLU."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(width_in, width, 3, padding=1)
        self.bn1 = nn.BatchNorm3d(width)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.bn1(self.conv1(x)))


class Down(nn.Module):
    """Two units; the second doubles the width of the first."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.ops = nn.Sequential(Unit(width_in, width // 2), Unit(width // 2, width))

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.ops(x)
        return maps


class Up(nn.Module):
    """A transposed convolution that doubles the size, concatenation with the encoder's map, then two units."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.up_conv = nn.ConvTranspose3d(width_in, width_in, 2, stride=2)
        self.ops = nn.Sequential(Unit(width_in + width, width), Unit(width, width))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        maps: Tensor = self.ops(torch.cat([self.up_conv(x), skip], dim=1))
        return maps


class Out(nn.Module):
    """The head: a 1x1x1 convolution; its outputs are logits."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.final_conv = nn.Conv3d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.final_conv(x)
        return logits


class UNet3D(nn.Module):
    """Four levels of 1, 2, 4 and 8 times `width` channels; 64 in the published checkpoints.

    Sizes must be multiples of 8. Zhou et al., Models Genesis, Medical Image Analysis 2021, arXiv 2004.07882.

    Example:
        >>> UNet3D(channels=1, outputs=2, width=4).eval()(torch.zeros(1, 1, 8, 8, 8)).shape
        torch.Size([1, 2, 8, 8, 8])
    """

    def __init__(self, *, channels: int = 1, outputs: int = 1, width: int = 64) -> None:
        super().__init__()
        self.down_tr64, self.down_tr128 = Down(channels, width), Down(width, 2 * width)
        self.down_tr256, self.down_tr512 = Down(2 * width, 4 * width), Down(4 * width, 8 * width)
        self.up_tr256, self.up_tr128 = Up(8 * width, 4 * width), Up(4 * width, 2 * width)
        self.up_tr64 = Up(2 * width, width)
        self.out_tr = Out(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, X, Y, Z] -> logits [n, outputs, X, Y, Z]."""
        skips = [self.down_tr64(x)]
        for down in (self.down_tr128, self.down_tr256):
            skips.append(down(nn.functional.max_pool3d(skips[-1], 2)))
        x = self.down_tr512(nn.functional.max_pool3d(skips[-1], 2))
        for up in (self.up_tr256, self.up_tr128, self.up_tr64):
            x = up(x, skips.pop())
        logits: Tensor = self.out_tr(x)
        return logits


def unet3d(tensors: Mapping[str, Tensor]) -> UNet3D:
    """The network whose width, channels and outputs are those of a checkpoint's tensors.

    Raises:
        CandidateError: the tensors do not have Models Genesis' names.
    """
    if STEM not in tensors or tensors[STEM].ndim != 5:
        found = next((name for name in tensors if name.endswith(STEM)), None)
        hint = f"give `strip_prefix: {found.removesuffix(STEM)}`" if found else "its names should be Models Genesis'"
        raise CandidateError(f"the file has no tensor {STEM!r}", hint=hint)
    stem = tensors[STEM]
    outputs = len(tensors[_HEAD]) if _HEAD in tensors else 1
    return UNet3D(channels=int(stem.shape[1]), outputs=outputs, width=2 * len(stem))
