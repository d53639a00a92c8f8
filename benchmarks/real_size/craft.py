"""The encoder of CRAFT, a detector of text in photographs, for `factory:craft:encoder` in the manifest of weights.py.

VGG16 with batch normalisation and two wide convolutions (Baek et al., Character Region Awareness for Text Detection,
CVPR 2019), laid out as the tensors of craft_mlt_25k.pth are named: layer numbers go on from one slice to the next.
"""

from __future__ import annotations

from torch import Tensor, nn

#: Channels of the convolutions of slice1 to slice4 ("M": max pooling), in order.
SLICES = ((64, 64, "M", 128, 128), ("M", 256, 256), (256, "M", 512, 512), (512, "M", 512, 512))
WIDTH = 1024


class Encoder(nn.Module):
    """Images [n, 3, h, w] to features [n, 1024, h / 16, w / 16]."""

    num_features = WIDTH

    def __init__(self) -> None:
        super().__init__()
        channels, number = 3, 0
        for index, plan in enumerate(SLICES, start=1):
            layers = nn.Sequential()
            for width in plan:
                if isinstance(width, str):
                    new: tuple[nn.Module, ...] = (nn.MaxPool2d(2),)
                else:
                    new = (nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
                    channels = width
                for layer in new:
                    layers.add_module(str(number), layer)
                    number += 1
            setattr(self, f"slice{index}", layers)
        self.slice5 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(channels, WIDTH, 3, padding=6, dilation=6),
            nn.Conv2d(WIDTH, WIDTH, 1),
        )

    def forward_features(self, x: Tensor) -> Tensor:
        return self.slice5(self.slice4(self.slice3(self.slice2(self.slice1(x)))))

    def forward(self, x: Tensor) -> Tensor:
        """Features averaged over space, [n, 1024]."""
        return self.forward_features(x).mean(dim=(2, 3))


def encoder() -> Encoder:
    """The encoder, not yet filled."""
    return Encoder()
