"""Pool b: checkpoints of normal size, 0.9 to 25 million parameters, at 128 px: shipped ones, and own continuations.

    python -m benchmarks.transferability.study2.real_size --shared FOLDER [--work FOLDER]

"shipped" are four that Python packages ship (../../real_size/weights.py downloads about 130 MB) and two of the shared
data. "continued" begin at one of these, or at random for networks with LayerNorm and the controls, and were trained on
for a little while on other images by other objectives. Existing files are kept; about two hours on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from pretrain import DATA, Rotation, Supervised, dealt, procedural, train
from safetensors.torch import save_file
from torch import Tensor, nn

from acrank.zoo import load_zoo
from acrank.zoo.loading import load_candidate
from benchmarks.real_size import weights

from . import WORK

SIZE, IMAGES, EPOCHS, BATCH, NOISE = 128, 1000, 4, 32, 0.7
RATE = {"continued": 1e-3, "scratch": 2e-3}
IMAGENET = {"size": SIZE, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
#: Of the packages' checkpoints one of each recipe: EfficientNet-Lite1 and 2 are Lite0's recipe again.
PACKAGED = ("mobilenet-v2", "efficientnet-lite0", "efficientnet-b0-photo-or-drawing", "craft-encoder")
FACES: tuple[dict[str, Any], ...] = (
    {
        "id": "mobilenet-v1-faces3d",
        "architecture": "factory:faces:mobilenet_v1",
        "weights": "3ddfa_mobilenetv1_05_120px.pth",
        "weights_key": "state_dict",
        "keep_prefix": "module.",
        "strip_prefix": "module.",
        "input": {"size": SIZE, "mean": [0.5] * 3, "std": [0.502] * 3, "order": "bgr"},
        "allow_unused": True,
    },
    {
        "id": "mobilefacenet-identities",
        "architecture": "factory:faces:mobilefacenet",
        "weights": "mobilefacenet_112x96.ckpt",
        "weights_key": "net_state_dict",
        "input": {"size": SIZE, "mean": [0.5] * 3, "std": [0.502] * 3},
        "allow_unused": True,
    },
)
#: Networks that begin at random: id of the base -> architecture.
SCRATCH: Mapping[str, str] = {
    "convnext-atto": "convnext_atto",
    "vit-tiny": "factory:faces:vit_tiny",
    "resnet18": "resnet18",
}


@dataclass(frozen=True)
class Continuation:
    """One checkpoint that was trained on.

    Attributes:
        base: id of a shipped one, or of SCRATCH.
        source: of pretrain.DATA, or one of the demo's generators.
        task: "supervised", "noisy", "early", "rotation" or "random", which is the base's architecture without training.
    """

    base: str
    source: str
    task: str

    @property
    def id(self) -> str:
        """Its name in the manifest."""
        return "-".join(part for part in (self.base, self.source.replace("_", ""), self.task) if part)


CONTINUED = (
    Continuation("mobilenet-v2", "cifar10", "supervised"),
    Continuation("mobilenet-v2", "pneumonia", "rotation"),
    Continuation("mobilenet-v2", "textures", "noisy"),
    Continuation("mobilenet-v2", "busi", "early"),
    Continuation("efficientnet-lite0", "pneumonia", "supervised"),
    Continuation("efficientnet-lite0", "cells", "rotation"),
    Continuation("mobilenet-v1-faces3d", "busi", "supervised"),
    Continuation("mobilefacenet-identities", "textures", "supervised"),
    Continuation("convnext-atto", "cifar10", "supervised"),
    Continuation("convnext-atto", "textures", "rotation"),
    Continuation("convnext-atto", "", "random"),
    Continuation("vit-tiny", "cifar10", "supervised"),
    Continuation("vit-tiny", "fundus_lesions", "supervised"),
    Continuation("resnet18", "textures", "supervised"),
    Continuation("resnet18", "", "random"),
)


def manifest(kind: str, shared: Path, work: Path) -> Path:
    """The manifest of one kind; what is missing is downloaded or trained."""
    work.mkdir(parents=True, exist_ok=True)
    models = shipped(shared, work)
    if kind == "continued":
        models = [continued(one, models, shared, work) for one in CONTINUED]
    path = work / f"{kind}.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "models": models}, sort_keys=False), encoding="utf-8")
    return path


def shipped(shared: Path, work: Path) -> list[dict[str, Any]]:
    """Entries of the packages' checkpoints, at 128 px, and of the shared ones.

    Raises:
        weights.NotHadError: a package cannot be downloaded.
    """
    (work / "packages").mkdir(exist_ok=True)
    (work / "weights").mkdir(exist_ok=True)
    found = []
    for one in (one for one in weights.SHIPPED if one.id in PACKAGED):
        weights.fetch(one, work)
        given = {**one.entry["input"], "size": SIZE}
        entry = {**one.entry, "input": given, "tags": ["normal-size"]}
        found.append({"id": one.id, **entry, "weights": f"weights/{one.file}", "sha256": one.sha256})
    weights.copy_code(work)
    for face in FACES:
        place = (shared / "checkpoints" / "real" / str(face["weights"])).resolve()
        found.append({**face, "weights": str(place), "tags": ["normal-size", "faces"]})
    return found


def continued(one: Continuation, bases: list[dict[str, Any]], shared: Path, work: Path) -> dict[str, Any]:
    """The entry of a continuation, which is trained if its file is missing."""
    path = work / f"{one.id}.safetensors"
    base = next((entry for entry in bases if entry["id"] == one.base), None)
    architecture = base["architecture"] if base else SCRATCH[one.base]
    if not path.exists():
        network = network_of(base, architecture, work)
        if one.task != "random":
            learn(network, one, shared / "data", scratch=base is None)
        save_file({name: part.contiguous().clone() for name, part in network.state_dict().items()}, path)
    given = base["input"] if base else IMAGENET
    tags = ["normal-size", one.task]
    return {"id": one.id, "architecture": architecture, "weights": path.name, "input": given, "tags": tags}


def network_of(base: dict[str, Any] | None, architecture: str, work: Path) -> nn.Module:
    """The network of a shipped checkpoint as acrank loads it, or one of SCRATCH at random."""
    torch.manual_seed(zlib.crc32(architecture.encode()))
    if base is None:
        if architecture.startswith("factory:"):
            from faces import vit_tiny

            return vit_tiny()
        from acrank.zoo.architectures.timm_import import import_timm

        return import_timm().create_model(architecture, num_classes=0)
    path = work / "base.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "models": [base]}), encoding="utf-8")
    return load_candidate(load_zoo(path).candidates[0], allow_code=True).model


class Backbone(nn.Module):
    """A network's feature maps, [n, c, h, w], whatever its library calls them; tokens become maps of one column."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward_features(self, images: Tensor) -> Tensor:
        """Images to maps."""
        of = getattr(self.network, "forward_features", None) or self.network.features
        maps = of(images)
        return maps if maps.ndim == 4 else maps.transpose(1, 2)[..., None]


def learn(network: nn.Module, one: Continuation, data: Path, *, scratch: bool) -> None:
    """Train a network on for a few epochs."""
    began = time.process_time()
    images, labels = images_of(one.source, data)
    inputs = (images - images.mean((0, 2, 3), keepdim=True)) / images.std((0, 2, 3), keepdim=True)
    labels = dealt(labels, NOISE) if one.task == "noisy" else labels
    backbone = Backbone(network)
    with torch.no_grad():
        width = backbone.eval().forward_features(inputs[:2]).shape[1]
    task = Rotation(width, labels) if one.task == "rotation" else Supervised(width, labels)
    epochs = 1 if one.task == "early" else EPOCHS * (2 if scratch else 1)
    train(backbone, task, inputs, labels, epochs, batch=BATCH, rate=RATE["scratch" if scratch else "continued"])
    print(f"{one.id:40s} {time.process_time() - began:5.0f} s", file=sys.stderr, flush=True)


def images_of(source: str, data: Path) -> tuple[Tensor, Tensor]:
    """At most IMAGES images of a source at SIZE px, float32 in [0, 1], and their labels."""
    if source not in DATA or source == "textures":
        return procedural(source, IMAGES, SIZE)
    images, labels = DATA[source](data, SIZE)
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:IMAGES]
    return images[chosen], labels[chosen]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for each in ("shipped", "continued"):
        print(manifest(each, options.shared, options.work / "real_size"))
