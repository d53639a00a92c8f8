"""The networks of the checkpoints in model_zoo.yaml, named as their files name them.

CIFAR ResNets with parameter-free shortcuts (He et al. 2016, section 4.2) and the convolutional nets of few-shot
learning (Conv-4 and Conv-6, 64 channels; Snell et al. 2017). Each gives `forward_features(x)` [n, c, h, w] and
`forward(x)`: logits where it has a head, otherwise features averaged over space.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut that subsamples and pads with zero channels where shapes change."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride = stride
        self.pad = (width - width_in) // 2

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        shortcut = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))
        return functional.relu(inner + shortcut)


class CifarResNet(nn.Module):
    """6 n + 2 layers in three stages of 16, 32 and 64 channels, for 32 px images."""

    num_features = 64

    def __init__(self, blocks: int, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(16, 16, blocks, 1)
        self.layer2 = self._stage(16, 32, blocks, 2)
        self.layer3 = self._stage(32, 64, blocks, 2)
        self.linear = nn.Linear(64, classes)

    @staticmethod
    def _stage(width_in: int, width: int, blocks: int, stride: int) -> nn.Sequential:
        return nn.Sequential(Block(width_in, width, stride), *(Block(width, width, 1) for _ in range(blocks - 1)))

    def get_classifier(self) -> nn.Module:
        return self.linear

    def forward_features(self, x: Tensor) -> Tensor:
        return self.layer3(self.layer2(self.layer1(functional.relu(self.bn1(self.conv1(x))))))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.forward_features(x).mean(dim=(2, 3)))


class FewShotBlock(nn.Module):
    """3x3 convolution (`C`), normalisation (`BN`), ReLU, and optionally halving by max pooling."""

    def __init__(self, width_in: int, width: int, pool: bool) -> None:
        super().__init__()
        self.C = nn.Conv2d(width_in, width, 3, padding=1)
        self.BN = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(functional.relu(self.BN(self.C(x))))


class FewShotNet(nn.Module):
    """A trunk of blocks, of which the first four pool; no head."""

    def __init__(self, depth: int, width: int = 64) -> None:
        super().__init__()
        self.num_features = width
        self.trunk = nn.Sequential(*(FewShotBlock(width if i else 3, width, i < 4) for i in range(depth)))

    def forward_features(self, x: Tensor) -> Tensor:
        return self.trunk(x)

    def forward(self, x: Tensor) -> Tensor:
        return torch.mean(self.forward_features(x), dim=(2, 3))


def resnet20() -> CifarResNet:
    return CifarResNet(3)


def resnet32() -> CifarResNet:
    return CifarResNet(5)


def resnet44() -> CifarResNet:
    return CifarResNet(7)


def resnet56() -> CifarResNet:
    return CifarResNet(9)


def conv4() -> FewShotNet:
    return FewShotNet(4)


def conv6() -> FewShotNet:
    return FewShotNet(6)
