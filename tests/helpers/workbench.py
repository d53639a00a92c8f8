"""Small real zoos and targets for the tests: a network in a file of its own, weights, a manifest, class folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image
from torch import nn

from acrank.system.network_input import NetworkInput


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


NETWORKS = """
import torch
from torch import nn

def small(width=8):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 5),
    )

class Dense(nn.Module):
    # a U-Net of two levels for images or volumes, with a head of its own

    def __init__(self, dims, channels, width):
        super().__init__()
        conv, norm = (nn.Conv2d, nn.BatchNorm2d) if dims == 2 else (nn.Conv3d, nn.BatchNorm3d)
        self.top = nn.Sequential(conv(channels, width, 3, padding=1, bias=False), norm(width), nn.ReLU())
        self.deep = nn.Sequential(
            conv(width, width, 3, stride=2, padding=1, bias=False), norm(width), nn.ReLU(), nn.Upsample(scale_factor=2)
        )
        self.last = nn.Sequential(conv(width, width, 3, padding=1, bias=False), norm(width), nn.ReLU())
        self.head = conv(width, 1, 1)

    def forward(self, inputs):
        top = self.top(inputs)
        return self.head(self.last(top + self.deep(top)))

def dense(dims=2, channels=3, width=6):
    return Dense(dims, channels, width)

def without_norm():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))

def greedy():
    network = small()
    network.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(MemoryError()))
    return network

def hungry(bound=12):
    # wants more memory than there is as soon as a step's batch is larger than the bound
    network = small()
    def pre(_, args):
        if len(args[0]) > bound and torch.is_grad_enabled():
            torch.empty(2**60, dtype=torch.uint8)
    network[2].register_forward_pre_hook(pre)
    return network

def broken():
    network = small()
    network.register_forward_pre_hook(lambda *_: 1 / 0)
    return network

def interrupted():
    raise KeyboardInterrupt
"""


def network(seed: int, width: int = 8) -> nn.Module:
    """A network as `small_networks.small` builds it, with affines that look trained."""
    scope: dict[str, object] = {}
    exec(NETWORKS, scope)
    torch.manual_seed(seed)
    model: nn.Module = scope["small"](width)  # type: ignore[operator]
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.3)
            nn.init.normal_(layer.bias, 0.0, 0.5)
    model.train()(torch.rand(8, 3, 16, 16))  # statistics that were updated once
    return model.eval()


def dense_entry(folder: Path, name: str, *, dims: int = 2, size: int = 16) -> dict[str, object]:
    """A manifest entry for a segmentation network of NETWORKS, whose weights are written into `folder`."""
    scope: dict[str, object] = {"__name__": "small_networks"}
    exec(NETWORKS, scope)
    torch.manual_seed(0)
    channels = 3 if dims == 2 else 1
    model: nn.Module = scope["dense"](dims, channels)  # type: ignore[operator]
    model.train()(torch.rand(4, channels, *[size] * dims))  # statistics that were updated once
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / f"{name}.pth")
    inputs = {"size": [size] * dims, "mean": [0.5] * channels, "std": [0.5] * channels}
    return entry(name, "dense", input=inputs, in_chans=channels, factory_args={"dims": dims, "channels": channels})


def make_masks(folder: Path, *, n: int = 14, size: int = 28) -> Path:
    """RGB noise in which bright rectangles are the foreground; images/ and masks/."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for index in range(n):
        generator = np.random.default_rng([7, index])
        mask = np.zeros((size, size), np.uint8)
        top, left = generator.integers(2, size - 12, 2)
        mask[top : top + 9, left : left + 10] = 1
        pixels = generator.integers(0, 120, (size, size, 3)) + 90 * mask[..., None]
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{index:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{index:02d}.png")
    return folder


def entry(name: str, function: str = "small", **more: object) -> dict[str, object]:
    """A manifest entry for a network of NETWORKS."""
    inputs = {"size": 16, "mean": [0.5] * 3, "std": [0.5] * 3}
    return {
        "id": name,
        "architecture": f"factory:small_networks:{function}",
        "weights": f"{name}.pth",
        "input": inputs,
        **more,
    }


def write_zoo(folder: Path, *entries: dict[str, object]) -> Path:
    """`folder/zoo.yaml` over the given entries, with small_networks.py beside it; weights are the caller's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small_networks.py").write_text(NETWORKS)
    path = folder / "zoo.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "models": list(entries)}))
    return path


def make_zoo(folder: Path, count: int = 3) -> Path:
    """A valid zoo of `count` candidates, `net0`, `net1`, …"""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        torch.save(network(i).state_dict(), folder / f"net{i}.pth")
    return write_zoo(folder, *(entry(f"net{i}", reference={"accuracy": 50.0 + i}) for i in range(count)))


def make_images(folder: Path, *, classes: int = 3, each: int = 10, size: int = 20) -> Path:
    """Class folders of RGB noise whose mean tells the class."""
    for label in range(classes):
        place = folder / f"class{label}"
        place.mkdir(parents=True)
        for i in range(each):
            generator = np.random.default_rng([label, i])
            pixels = generator.integers(0, 120, (size, size, 3)) + 50 * label
            Image.fromarray(pixels.astype(np.uint8)).save(place / f"{i:03d}.png")
    return folder


def write_masks(
    folder: Path, masks: dict[str, np.ndarray], *, suffix: str = "", size: tuple[int, int] = (6, 8)
) -> Path:
    """images/ of grey, and masks/ that hold the given values."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for name, mask in masks.items():
        Image.fromarray(np.full(size, 100, np.uint8)).save(folder / "images" / f"{name}.png")
        Image.fromarray(mask.astype(np.uint8)).save(folder / "masks" / f"{name}{suffix}.png")
    return folder


def touched(network: nn.Module, seed: int) -> nn.Module:
    """With affines that look trained."""
    torch.manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.normal_(layer.weight, 1.0, 0.3)
            nn.init.normal_(layer.bias, 0.0, 0.5)
            layer.running_mean += 0.1  # type: ignore[operator]
    return network


def input_of(size: Sequence[int], channels: int, *, mean: float = 0.0, std: float = 1.0) -> NetworkInput:
    """A network's input with the same mean and standard deviation for every channel."""
    return NetworkInput(size=tuple(size), channels=channels, mean=(mean,) * channels, std=(std,) * channels)
