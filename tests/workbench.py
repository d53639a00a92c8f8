"""Small real zoos and targets for the tests: a network in a file of its own, weights, a manifest, class folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image
from torch import nn


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


NETWORKS = """
from torch import nn

def small(width=8):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 5),
    )

def without_norm():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))

def greedy():
    network = small()
    network.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(MemoryError()))
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
