"""Pool c: one U-Net from eleven sources, once in two dimensions and once in three, all procedural.

    python -m benchmarks.transferability.study2.sources [--work FOLDER]

Supervision, noisy supervision, rotation, restoration (blurred and noisy to clean), and random initialisation, as in
the setting of AC-Corr's paper: the architecture is the same, the affines differ. Existing files are kept; about a
quarter of an hour on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from pretrain import Task, dealt, procedural, train
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from acrank.zoo.architectures.genesis import UNet3D

from . import WORK
from .volume_sources import VOLUMES, volumes

FLAT = {"spatial_dims": 2, "in_channels": 3, "channels": [16, 32, 64, 128], "strides": [2, 2, 2], "norm": "batch"}
IMAGES, IMAGE_SIZE, CUBES, CUBE_SIZE, WIDTH = 1200, 64, 48, 32, 8
EPOCHS = {"sources2d": 8, "sources3d": 12}
BATCHES = {"sources2d": 32, "sources3d": 4}
NOISE = 0.7
#: Of acdc3d's volumes, about ten slices deep.
PATCH = [48, 48, 16]
#: Source data and objective.
RECIPES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "sources2d": (
        ("cells", "supervised"),
        ("cells", "noisy"),
        ("cells", "rotation"),
        ("cells", "restoration"),
        ("textures", "supervised"),
        ("textures", "rotation"),
        ("fundus_lesions", "supervised"),
        ("fundus_lesions", "restoration"),
        ("ultrasound", "supervised"),
        ("ultrasound", "restoration"),
        ("", "random"),
    ),
    "sources3d": (
        ("nodules", "supervised"),
        ("nodules", "noisy"),
        ("nodules", "rotation"),
        ("nodules", "restoration"),
        ("tubes", "supervised"),
        ("tubes", "rotation"),
        ("tubes", "restoration"),
        ("shells", "supervised"),
        ("shells", "noisy"),
        ("shells", "restoration"),
        ("", "random"),
    ),
}


@dataclass(frozen=True)
class Recipe:
    """One checkpoint of a kind, of RECIPES."""

    kind: str
    source: str
    task: str

    @property
    def id(self) -> str:
        """Its name in the manifest."""
        parts = ("unet2d" if self.flat else "unet3d", self.source.replace("_", ""), self.task)
        return "-".join(part for part in parts if part)

    @property
    def flat(self) -> bool:
        """Whether it is of two dimensions."""
        return self.kind == "sources2d"


class OfImage(Task):
    """Cross-entropy of the outputs' spatial means against labels of whole images."""

    def forward(self, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(network(images).flatten(2).mean(2).float(), labels)


class OfPosition(Task):
    """Cross-entropy of the outputs at every position against masks; the foreground weighs as much as the background."""

    def forward(self, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        share = labels.float().mean().clamp(0.01, 0.5)
        weight = torch.stack([1 / (1 - share), 1 / share]) / 2
        return functional.cross_entropy(network(images).float(), labels, weight=weight)


class Turned(Task):
    """By how many quarter turns in the first plane an image was rotated."""

    def forward(self, network: nn.Module, images: Tensor, _: Tensor) -> Tensor:
        turns = torch.randint(4, (len(images),))
        turned = torch.stack([image.rot90(int(turn), (1, 2)) for image, turn in zip(images, turns, strict=True)])
        return functional.cross_entropy(network(turned).flatten(2).mean(2).float(), turns)


class Restored(Task):
    """Mean squared error of the outputs, given the image blurred and with noise."""

    def forward(self, network: nn.Module, images: Tensor, _: Tensor) -> Tensor:
        pool = functional.avg_pool2d if images.ndim == 4 else functional.avg_pool3d
        worse = pool(images, 3, stride=1, padding=1) + 0.3 * torch.randn_like(images)
        return functional.mse_loss(network(worse).float(), images)


def manifest(kind: str, out: Path) -> Path:
    """Train the checkpoints of a kind that are missing; their manifest."""
    out.mkdir(parents=True, exist_ok=True)
    recipes = [Recipe(kind, *one) for one in RECIPES[kind]]
    models = []
    for recipe in recipes:
        path = out / f"{recipe.id}.safetensors"
        if not path.exists():
            make(recipe, path)
        models.append(entry(recipe, path.name))
    found = out / f"{kind}.yaml"
    found.write_text(yaml.safe_dump({"version": 1, "models": models}, sort_keys=False), encoding="utf-8")
    return found


def entry(recipe: Recipe, file: str) -> dict[str, Any]:
    """The manifest's entry of a checkpoint; every source is normalised alike, so the input is too."""
    about: dict[str, Any] = {"id": recipe.id, "weights": file, "tags": ["unet", recipe.task]}
    if recipe.flat:
        args = {**FLAT, "out_channels": outputs(recipe)}
        scaled = {"size": IMAGE_SIZE, "mean": [0.5] * 3, "std": [0.25] * 3}
        return about | {"architecture": "monai:UNet", "factory_args": args, "input": scaled}
    return about | {"architecture": "genesis:unet3d", "input": {"size": PATCH, "mean": [0.5], "std": [0.25]}}


def outputs(recipe: Recipe) -> int:
    """Channels of the network's outputs."""
    from acrank.demo.sources import SOURCES

    if recipe.task in ("rotation", "random"):
        return 4
    if recipe.task == "restoration":
        return 3 if recipe.flat else 1
    return SOURCES[recipe.source].classes if recipe.flat else 2


def network_of(recipe: Recipe) -> nn.Module:
    """The U-Net with random weights, the same for every recipe up to its outputs."""
    if not recipe.flat:
        return UNet3D(outputs=outputs(recipe), width=WIDTH)
    from acrank.zoo.architectures.timm_import import import_timm

    import_timm()  # before monai, so that mixed builds of torchvision load
    from monai.networks.nets import UNet

    return UNet(**FLAT, out_channels=outputs(recipe))  # type: ignore[arg-type]


def make(recipe: Recipe, path: Path) -> None:
    """Train one checkpoint and write it."""
    began = time.process_time()
    torch.manual_seed(zlib.crc32(recipe.id.encode()))
    network = network_of(recipe)
    if recipe.task != "random":
        inputs, labels = data_of(recipe)
        labels = dealt(labels, NOISE) if recipe.task == "noisy" else labels
        batch = BATCHES[recipe.kind]
        train(network, task_of(recipe), (inputs - 0.5) / 0.25, labels, EPOCHS[recipe.kind], batch=batch)
    save_file({name: part.contiguous() for name, part in network.state_dict().items()}, path)
    print(f"{recipe.id:36s} {time.process_time() - began:5.0f} s", file=sys.stderr, flush=True)


def data_of(recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Source images in [0, 1] with their classes, or volumes with their masks."""
    if recipe.flat:
        return procedural(recipe.source, IMAGES, IMAGE_SIZE)
    return volumes(VOLUMES[recipe.source], CUBES, CUBE_SIZE)


def task_of(recipe: Recipe) -> Task:
    """The objective of a recipe."""
    supervised: Callable[[], Task] = OfImage if recipe.flat else OfPosition
    return {"rotation": Turned, "restoration": Restored}.get(recipe.task, supervised)()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=WORK)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for each in RECIPES:
        print(manifest(each, given.work / each))
