"""The W-Nets of segmentation_zoo.yaml; their layout follows the names and shapes of the tensors in the checkpoints.

Two small U-Nets in a row; the second takes the image and the first one's output (Galdran et al., State-of-the-art
retinal vessel segmentation with minimalistic models, Scientific Reports 2022).
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Twice convolution, ReLU and normalisation, plus a shortcut of a 1x1 convolution with normalisation."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(width_in, width, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(width),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(width_in, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x) + self.shortcut(x)


class Wrapped(nn.Module):
    """Layers under the name `block`."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class Up(nn.Module):
    """A transposed convolution, joined with the encoder's map (after a convolution of its own), then a block."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.up_layer = Wrapped(nn.ConvTranspose2d(width_in, width, 2, stride=2))
        self.conv_layer = Block(2 * width, width)
        self.conv_bridge_layer = Wrapped(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv_layer(torch.cat([self.up_layer(x), self.conv_bridge_layer(skip)], dim=1))


class UNet(nn.Module):
    """`widths` channels, halved in size by max pooling from each level to the next."""

    def __init__(self, channels: int, widths: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.first = Block(channels, widths[0])
        pairs = list(itertools.pairwise(widths))
        self.down_path = nn.ModuleList(Block(above, below) for above, below in pairs)
        self.up_path = nn.ModuleList(Up(below, above) for above, below in reversed(pairs))
        self.final = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.first(x)]
        for down in self.down_path:
            maps.append(down(nn.functional.max_pool2d(maps[-1], 2)))
        x = maps.pop()
        for up in self.up_path:
            x = up(x, maps.pop())
        return self.final(x)


class WNet(nn.Module):
    """Height and width must be multiples of the coarsest level's step."""

    def __init__(self, widths: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.unet1 = UNet(3, widths, outputs)
        self.unet2 = UNet(3 + outputs, widths, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.unet2(torch.cat([x, self.unet1(x)], dim=1))


def vessels() -> WNet:
    """Three levels, one output: the logit of vessel."""
    return WNet((8, 16, 32), 1)


def arteries_veins() -> WNet:
    """Four levels, four outputs: background, uncertain, artery, vein."""
    return WNet((8, 16, 32, 64), 4)
