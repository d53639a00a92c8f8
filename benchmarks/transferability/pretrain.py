"""The study's own checkpoints: small networks pretrained by several tasks on several sources, some with noisy labels.

    python benchmarks/transferability/pretrain.py [--shared FOLDER] [--out FOLDER]

Writes one safetensors file each and `own_zoo.yaml` beside them, in about ten minutes on one core; existing files are
kept. They are trained on data that may not be redistributed, so everyone trains them anew; the same machine and
versions give the same files.
"""

from __future__ import annotations

import argparse
import hashlib
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from own_networks import conv4, resnet20
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from acrank.demo.sources import SOURCES
from acrank.finetuning.image_loader import augmented

HERE = Path(__file__).parent
OUT = HERE / "own.work"
SIZE, BATCH, RATE = 32, 64, 3e-3
NETWORKS = {"resnet20": resnet20, "conv4": conv4}


@dataclass(frozen=True)
class Spec:
    """One checkpoint.

    Attributes:
        network: of NETWORKS.
        source: of DATA; also the tag that keeps the checkpoint from being ranked on its own data.
        task: "supervised", "rotation", "simclr", "masked" or "random".
        noise: the share of labels that are permuted.
    """

    network: str
    source: str
    task: str
    epochs: int = 15
    noise: float = 0.0
    note: str = ""

    @property
    def id(self) -> str:
        return "-".join(filter(None, ("own", self.network, self.source, self.note or self.task)))


SPECS = (
    Spec("resnet20", "cifar10", "supervised"),
    Spec("resnet20", "cifar10", "supervised", epochs=1, note="early"),
    Spec("resnet20", "cifar10", "supervised", noise=0.7, note="noisy"),
    Spec("resnet20", "cifar10", "rotation"),
    Spec("resnet20", "cifar10", "simclr"),
    Spec("resnet20", "pneumonia", "supervised"),
    Spec("resnet20", "busi", "supervised", epochs=30),
    Spec("resnet20", "textures", "supervised"),
    Spec("resnet20", "textures", "random", epochs=0),
    Spec("conv4", "cifar10", "supervised"),
    Spec("conv4", "cifar10", "masked"),
    Spec("conv4", "pneumonia", "rotation"),
    Spec("conv4", "busi", "simclr", epochs=40),
    Spec("conv4", "textures", "random", epochs=0),
)
Arrays = tuple[Tensor, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=HERE.parents[2] / "shared")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    make_all(given.shared / "data", given.out)


def make_all(data: Path, out: Path) -> Path:
    """Train the checkpoints that are missing; return the manifest of all."""
    out.mkdir(parents=True, exist_ok=True)
    entries = [entry(spec, data, out) for spec in SPECS]
    manifest = out / "own_zoo.yaml"
    manifest.write_text(yaml.safe_dump({"version": 1, "models": entries}, sort_keys=False))
    return manifest


def entry(spec: Spec, data: Path, out: Path) -> dict[str, object]:
    """The manifest entry of one checkpoint, which is trained if it is missing."""
    path = out / f"{spec.id}.safetensors"
    if not path.exists():
        make(spec, data, path)
    moments = load_file(out / f"{spec.id}.moments.safetensors")
    return {
        "id": spec.id,
        "architecture": f"factory:own_networks:{spec.network}",
        "weights": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "input": {"size": SIZE, **{name: [round(float(one), 3) for one in moments[name]] for name in ("mean", "std")}},
        "tags": ["own", spec.task] if spec.task == "random" else ["own", spec.source, spec.task],
    }


def make(spec: Spec, data: Path, path: Path) -> None:
    """Train a network and write its weights, and the moments of its source beside them."""
    started = time.perf_counter()
    images, labels = DATA[spec.source](data)
    mean, std = images.mean((0, 2, 3)), images.std((0, 2, 3))
    inputs = ((images - mean[:, None, None]) / std[:, None, None]).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(zlib.crc32(spec.id.encode()))
    network = NETWORKS[spec.network]().to(memory_format=torch.channels_last)
    if spec.epochs:
        train(network, TASKS[spec.task](network.num_features, labels), inputs, dealt(labels, spec.noise), spec.epochs)
    state = {name: part.contiguous() for name, part in network.state_dict().items() if not name.startswith("linear.")}
    save_file({"mean": mean, "std": std}, path.with_suffix(".moments.safetensors"))
    save_file(state, path)
    print(f"{spec.id:32s} {time.perf_counter() - started:5.0f} s", flush=True)


def train(
    network: nn.Module,
    task: Task,
    inputs: Tensor,
    labels: Tensor,
    epochs: int,
    *,
    batch: int = BATCH,
    rate: float = RATE,
) -> None:
    """AdamW under a one-cycle schedule, in bfloat16 where autocast allows."""
    parts = [*network.parameters(), *task.parameters()]
    optimiser = torch.optim.AdamW(parts, weight_decay=0.02)
    steps = epochs * (len(inputs) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    network.train()
    for _ in range(epochs):
        for places in torch.randperm(len(inputs)).split(batch):
            if len(places) < batch:
                continue
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = task(network, inputs[places], labels[places])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    last = float(loss.detach())
    print(f"  loss of the last batch {last:.3f}", flush=True)


class Task(nn.Module):
    """A pretraining task: (network, images [n, 3, 32, 32], labels [n]) -> loss."""


class Supervised(Task):
    """Cross-entropy of the source's labels."""

    def __init__(self, width: int, labels: Tensor) -> None:
        super().__init__()
        self.head = nn.Linear(width, int(labels.max()) + 1)

    def forward(self, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(self.head(pooled(network, augmented(images))).float(), labels)


class Rotation(Task):
    """Predict by how many quarter turns an image was rotated (Gidaris et al. 2018)."""

    def __init__(self, width: int, _: Tensor) -> None:
        super().__init__()
        self.head = nn.Linear(width, 4)

    def forward(self, network: nn.Module, images: Tensor, _: Tensor) -> Tensor:
        turns = torch.randint(4, (len(images),))
        turned = torch.stack([image.rot90(int(turn), (1, 2)) for image, turn in zip(images, turns, strict=True)])
        return functional.cross_entropy(self.head(pooled(network, turned)).float(), turns)


class SimCLR(Task):
    """Two views of an image are nearer to each other than to others (Chen et al. 2020, temperature 0.2)."""

    def __init__(self, width: int, _: Tensor) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 32))

    def forward(self, network: nn.Module, images: Tensor, _: Tensor) -> Tensor:
        views = torch.cat([viewed(images), viewed(images)])
        codes = functional.normalize(self.head(pooled(network, views)).float(), dim=1)
        alike = (codes @ codes.T / 0.2).fill_diagonal_(-torch.inf)
        return functional.cross_entropy(alike, torch.arange(len(views)).roll(len(images)))


class Masked(Task):
    """Half of an image's 4 px squares are hidden and reconstructed by one transposed convolution (He et al. 2022)."""

    def __init__(self, width: int, _: Tensor) -> None:
        super().__init__()
        self.paint = nn.ConvTranspose2d(width, 3, 16, stride=16)

    def forward(self, network: nn.Module, images: Tensor, _: Tensor) -> Tensor:
        hidden = (torch.rand(len(images), 1, SIZE // 4, SIZE // 4) < 0.5).float()
        hidden = hidden.repeat_interleave(4, 2).repeat_interleave(4, 3)
        painted = self.paint(network.forward_features(images * (1 - hidden))).float()
        return ((painted - images).square() * hidden).sum() / (3 * hidden.sum())


TASKS: dict[str, Callable[[int, Tensor], Task]] = {
    "supervised": Supervised,
    "rotation": Rotation,
    "simclr": SimCLR,
    "masked": Masked,
}


def pooled(network: nn.Module, images: Tensor) -> Tensor:
    """Features averaged over space, [n, d]."""
    return network.forward_features(images).mean((2, 3))


def viewed(images: Tensor) -> Tensor:
    """Each image randomly cropped to 60 to 100% of its sides, mirrored, and changed in brightness and contrast."""
    count = len(images)
    scale = torch.empty(count).uniform_(0.6, 1.0)
    shift = torch.empty(2, count).uniform_(-1, 1) * (1 - scale)
    flip = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    zero = torch.zeros(count)
    rows = [torch.stack([scale * flip, zero, shift[0]], 1), torch.stack([zero, scale, shift[1]], 1)]
    places = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    seen = functional.grid_sample(images, places, padding_mode="reflection", align_corners=False)
    contrast, light = torch.empty(2, count, 1, 1, 1).uniform_(-0.4, 0.4)
    return seen * (1 + contrast) + light


def dealt(labels: Tensor, noise: float) -> Tensor:
    """The labels, of which the share `noise` is permuted."""
    moved = torch.randperm(len(labels))[: round(noise * len(labels))]
    found = labels.clone()
    found[moved] = labels[moved[torch.randperm(len(moved))]]
    return found


def cifar10(data: Path, size: int = SIZE) -> Arrays:
    arrays = np.load(data / "cifar10_jpeg_subset.npz")
    return tensors(list(arrays["train_images"]), arrays["train_labels"], size)


def pneumonia(data: Path, size: int = SIZE) -> Arrays:
    arrays = np.load(data / "pneumoniamnist.npz")
    return tensors(list(arrays["train_images"]), arrays["train_labels"][:, 0], size)


def busi(data: Path, size: int = SIZE) -> Arrays:
    paths = sorted((data / "busi").glob("*/*.png"))
    names = sorted({path.parent.name for path in paths})
    images = [np.asarray(Image.open(path).convert("L")) for path in paths]
    return tensors(images, np.array([names.index(path.parent.name) for path in paths]), size)


def textures(_: Path, size: int = SIZE) -> Arrays:
    return procedural("textures", 3000, size)


def procedural(name: str, count: int, size: int) -> Arrays:
    """Images of one of the demo's generators, with their classes."""
    source = SOURCES[name]
    labels = np.random.default_rng(7).integers(source.classes, size=count)
    images = [source.draw(np.random.default_rng((7, index)), int(label), size) for index, label in enumerate(labels)]
    return tensors(images, labels, size)


DATA: dict[str, Callable[..., Arrays]] = {
    "cifar10": cifar10,
    "pneumonia": pneumonia,
    "busi": busi,
    "textures": textures,
}


def tensors(images: list[np.ndarray], labels: np.ndarray, size: int = SIZE) -> Arrays:
    """Images as float32 [n, 3, size, size] in [0, 1], labels as int64 [n]."""
    sized = [np.asarray(Image.fromarray(image).convert("RGB").resize((size, size))) for image in images]
    pixels = torch.from_numpy(np.stack(sized)).permute(0, 3, 1, 2).float() / 255
    return pixels, torch.from_numpy(np.asarray(labels, dtype=np.int64).reshape(-1))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
