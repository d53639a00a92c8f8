"""Networks of faces, laid out as their checkpoints' tensors are named; for `factory:faces:NAME` in a manifest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: 3DDFA's MobileNetV1 of half width: name, channels in and out, stride.
_SEPARABLE = (
    ("dw2_1", 16, 32, 1),
    ("dw2_2", 32, 64, 2),
    ("dw3_1", 64, 64, 1),
    ("dw3_2", 64, 128, 2),
    ("dw4_1", 128, 128, 1),
    ("dw4_2", 128, 256, 2),
    *((f"dw5_{number}", 256, 256, 1) for number in range(1, 6)),
    ("dw5_6", 256, 512, 2),
    ("dw6", 512, 512, 1),
)
#: MobileFaceNet's bottlenecks: expansion, channels, number, stride of the first.
_BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


class Separable(nn.Module):
    """A depthwise and a pointwise convolution, each normalised."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        self.bn_dw = nn.BatchNorm2d(channels)
        self.conv_sep = nn.Conv2d(channels, width, 1, bias=False)
        self.bn_sep = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn_dw(self.conv_dw(x)))
        return torch.relu(self.bn_sep(self.conv_sep(x)))


class MobileNetV1(nn.Module):
    """Images [n, 3, h, w] to features [n, 512, h / 32, w / 32]; the regression heads are left out."""

    num_features = 512

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        for name, channels, width, stride in _SEPARABLE:
            self.add_module(name, Separable(channels, width, stride))

    def forward_features(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        for name, *_ in _SEPARABLE:
            x = self.get_submodule(name)(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Features averaged over space, [n, 512]."""
        return self.forward_features(x).mean(dim=(2, 3))


class Unit(nn.Module):
    """A convolution, normalised, with PReLU."""

    def __init__(self, channels: int, width: int, *, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, size, stride, size // 2, groups=groups, bias=False)
        self.bn, self.prelu = nn.BatchNorm2d(width), nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """An inverted residual with a linear end."""

    def __init__(self, channels: int, width: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.joined = stride == 1 and channels == width
        self.conv = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.joined else self.conv(x)


class MobileFaceNet(nn.Module):
    """Images [n, 3, h, w] to features [n, 512, h / 16, w / 16]; the embedding of a fixed size is left out."""

    num_features = 512

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.dw_conv1 = Unit(3, 64, size=3, stride=2), Unit(64, 64, size=3, groups=64)
        blocks, channels = [], 64
        for expansion, width, count, stride in _BOTTLENECKS:
            for place in range(count):
                blocks.append(Bottleneck(channels, width, stride=1 if place else stride, expansion=expansion))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = Unit(channels, self.num_features, size=1)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.conv2(self.blocks(self.dw_conv1(self.conv1(x))))

    def forward(self, x: Tensor) -> Tensor:
        """Features averaged over space, [n, 512]."""
        return self.forward_features(x).mean(dim=(2, 3))


def mobilenet_v1() -> MobileNetV1:
    """3DDFA's network, not yet filled."""
    return MobileNetV1()


def mobilefacenet() -> MobileFaceNet:
    """MobileFaceNet, not yet filled."""
    return MobileFaceNet()


def vit_tiny() -> nn.Module:
    """timm's ViT-Tiny for 128 px in patches of 16, not yet filled."""
    from acrank.zoo.architectures.timm_import import import_timm

    return import_timm().create_model("vit_tiny_patch16_224", img_size=128, num_classes=0)
