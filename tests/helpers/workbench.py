"""Small real zoos and targets for the tests: manifests with weights and code, class folders, images with masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from helpers import small_networks
from PIL import Image
from torch import nn

from acrank.system.network_input import NetworkInput


@dataclass(frozen=True)
class Outcome:
    """Exit code, stdout and stderr of a command."""

    code: int
    out: str
    err: str


def network(seed: int, width: int = 8) -> nn.Module:
    """`small_networks.small` in eval mode, with affines that look trained and statistics of one batch."""
    torch.manual_seed(seed)
    model = small_networks.small(width)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.3)
            nn.init.normal_(layer.bias, 0.0, 0.5)
    model.train()(torch.rand(8, 3, 16, 16))
    return model.eval()


def dense_entry(folder: Path, name: str, *, dims: int = 2, size: int = 16) -> dict[str, object]:
    """A manifest entry for `small_networks.dense`, whose weights are written into `folder`."""
    torch.manual_seed(0)
    channels = 3 if dims == 2 else 1
    model = small_networks.dense(dims, channels)
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
    """A manifest entry for a function of small_networks."""
    inputs = {"size": 16, "mean": [0.5] * 3, "std": [0.5] * 3}
    return {
        "id": name,
        "architecture": f"factory:small_networks:{function}",
        "weights": f"{name}.pth",
        "input": inputs,
        **more,
    }


def copy_code(path: str | Path, folder: Path) -> None:
    """Copy a module of the helpers beside a manifest."""
    (folder / Path(path).name).write_text(Path(path).read_text())


def write_zoo(folder: Path, *entries: dict[str, object]) -> Path:
    """`folder/zoo.yaml` over the given entries, with small_networks.py beside it; weights are the caller's."""
    folder.mkdir(parents=True, exist_ok=True)
    copy_code(small_networks.__file__, folder)
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
