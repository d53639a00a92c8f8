"""Small networks for the tests' zoos: imported by tests, and copied beside each manifest as its factory module."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn


def small(width: int = 8) -> nn.Sequential:
    """A classifier of RGB images with two BN layers and five classes; its head is module 8."""
    return nn.Sequential(
        *(nn.Conv2d(3, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
        *(nn.Conv2d(width, 2 * width, 3, stride=2, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 5)),
    )


def tiny(seed: int) -> nn.Sequential:
    """The smallest classifier that can be scored: one BN layer, with affines drawn from the seed, and two classes."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(4)
    model = nn.Sequential(
        *(nn.Conv2d(3, 4, 3, bias=False), norm, nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
    )
    nn.init.normal_(norm.weight, 1.0, 0.3)
    nn.init.normal_(norm.bias, 0.0, 0.5)
    return model


class Dense(nn.Module):
    """A U-Net of two levels for images or volumes, with a head of its own."""

    def __init__(self, dims: int, channels: int, width: int) -> None:
        super().__init__()
        conv, norm = (nn.Conv2d, nn.BatchNorm2d) if dims == 2 else (nn.Conv3d, nn.BatchNorm3d)
        self.top = nn.Sequential(conv(channels, width, 3, padding=1, bias=False), norm(width), nn.ReLU())
        self.deep = nn.Sequential(
            conv(width, width, 3, stride=2, padding=1, bias=False), norm(width), nn.ReLU(), nn.Upsample(scale_factor=2)
        )
        self.last = nn.Sequential(conv(width, width, 3, padding=1, bias=False), norm(width), nn.ReLU())
        self.head = conv(width, 1, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        top = self.top(inputs)
        return self.head(self.last(top + self.deep(top)))  # type: ignore[no-any-return]


def dense(dims: int = 2, channels: int = 3, width: int = 6) -> Dense:
    """A segmentation network with a skip connection."""
    return Dense(dims, channels, width)


def encoder_decoder(width: int = 6) -> nn.Sequential:
    """A segmentation network of grey images without skip connections: BN layers "1" and "5" encode, "9" decodes."""
    return nn.Sequential(
        *(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Upsample(scale_factor=2)),
        *(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 2, 1)),
    )


def without_norm() -> nn.Sequential:
    """A classifier without normalisation layers."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))


def greedy() -> nn.Sequential:
    """Runs out of memory in every forward pass."""

    def out_of_memory(*_: Any) -> NoReturn:
        raise MemoryError

    network = small()
    network.register_forward_pre_hook(out_of_memory)
    return network


def hungry(bound: int = 12) -> nn.Sequential:
    """Runs out of memory as soon as the batch of a step is larger than `bound`."""

    def allocate_too_much(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        if len(args[0]) > bound and torch.is_grad_enabled():
            torch.empty(2**60, dtype=torch.uint8)

    network = small()
    network[2].register_forward_pre_hook(allocate_too_much)
    return network


def broken() -> nn.Sequential:
    """Raises ZeroDivisionError in every forward pass."""
    network = small()
    network.register_forward_pre_hook(lambda *_: 1 / 0)  # type: ignore[arg-type, return-value]
    return network


def interrupted() -> NoReturn:
    """A factory during which the user presses Ctrl-C."""
    raise KeyboardInterrupt


class Put(nn.Module):
    """The identity, and an operation for which torch has no deterministic algorithm: put_ without accumulation."""

    def forward(self, inputs: Tensor) -> Tensor:
        torch.zeros(4).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
        return inputs


def putting() -> nn.Sequential:
    """`small` behind a `Put`, so that every module has the next number."""
    return nn.Sequential(Put(), *small())


def frail(log: str, times: int = 1) -> nn.Sequential:
    """`small`, which is built so many times and no more; the file `log` counts."""
    with Path(log).open("a+") as file:
        file.seek(0)
        if len(file.read()) >= times:
            raise RuntimeError("built once too often")
        file.write(".")
    return small()
