"""Train the checkpoints of the embedded zoo and write both manifests.

    python benchmarks/demo_zoo/pretrain.py [ID ...]

Without arguments all are trained, in about ten minutes on one core. Images are generated; nothing is downloaded.
The same machine and versions give the same files, bit for bit.
"""

from __future__ import annotations

import argparse
import json
import struct
import time
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from manifest import Entry, write_manifests
from safetensors import safe_open
from safetensors.torch import save
from specs import SPECS, Spec

from acrank.demo import SOURCE_STREAM, zoo_path
from acrank.demo.sources import SOURCES
from acrank.system.files import atomic_write

SIZE = 64
TRAIN, TEST = 3000, 600
BATCH = 50
LEARNING_RATE, WEIGHT_DECAY = 3e-3, 0.02
Arrays = tuple[np.ndarray, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [spec.id for spec in SPECS]
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"one of {', '.join(names)}")
    chosen = parser.parse_args().ids
    if unknown := set(chosen) - set(names):
        parser.error(f"no checkpoint named {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder = zoo_path().parent / "weights"
    for spec in SPECS:
        if not chosen or spec.id in chosen:
            make(spec, folder / f"{spec.id}.safetensors")
    write_manifests([entry_of(spec, folder / f"{spec.id}.safetensors") for spec in SPECS])


def make(spec: Spec, path: Path) -> None:
    """Train one checkpoint and write it, with its settings in the file's metadata."""
    started = time.perf_counter()
    images, labels = draw(spec.source, spec.seed)
    mean, std = statistics(images[:TRAIN])
    # permuted, not copied: channels come last in memory, which takes a CPU a third less time
    x = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - channels(mean)) / channels(std)
    y = torch.from_numpy(labels)
    model = train(spec, x[:TRAIN], deal(labels[:TRAIN], spec))
    accuracy = float((predict(model, x[TRAIN:]) == y[TRAIN:]).float().mean())
    settings = {
        "source": spec.source,
        "epochs": spec.epochs,
        "seed": spec.seed,
        "shuffled_labels": spec.shuffled,
        "source_accuracy": round(accuracy, 3),
        "mean": mean,
        "std": std,
        "license": "MIT",
    }
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()}
    atomic_write(path, serialise(model.state_dict(), texts))
    print(f"{spec.id:30s} source accuracy {accuracy:.3f}  {time.perf_counter() - started:5.0f} s", flush=True)


@lru_cache(maxsize=1)
def draw(source: str, seed: int) -> Arrays:
    """Images [3600, 64, 64, 3], uint8, and labels [3600], int64; the last 600 are for testing."""
    if source == "digits":
        return draw_digits(seed)
    family, stream = SOURCES[source], (SOURCE_STREAM, seed, zlib.crc32(source.encode()))
    labels = np.random.default_rng(stream).integers(family.classes, size=TRAIN + TEST)
    images = [
        family.draw(np.random.default_rng((*stream, index)), int(label), SIZE) for index, label in enumerate(labels)
    ]
    return np.stack(images), labels.astype(np.int64)


def draw_digits(seed: int) -> Arrays:
    """The 1,797 digits of scikit-learn, enlarged; images drawn twice differ in contrast. No digit is in both parts."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    rng = np.random.default_rng((SOURCE_STREAM, seed))
    bunch = load_digits()
    order = rng.permutation(len(bunch.target))
    picked = np.concatenate([rng.choice(order[:-300], TRAIN), rng.choice(order[-300:], TEST)])
    grey = zoom(bunch.images / 16, (1, SIZE / 8, SIZE / 8), order=1)[picked]
    contrast = rng.uniform(0.5, 1.0, (len(picked), 1, 1))
    noisy = np.clip(grey * contrast + rng.normal(scale=0.03, size=grey.shape), 0, 1)
    return np.repeat(np.round(noisy * 255).astype(np.uint8)[..., None], 3, axis=3), bunch.target[picked].astype(
        np.int64
    )


def statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel in [0, 1], to three decimals, as the manifest states them."""
    scaled = images.reshape(-1, 3) / 255
    return [round(float(m), 3) for m in scaled.mean(0)], [round(float(s), 3) for s in scaled.std(0)]


def channels(values: list[float]) -> torch.Tensor:
    return torch.tensor(values).view(3, 1, 1)


def deal(labels: np.ndarray, spec: Spec) -> torch.Tensor:
    """The training labels, of which the share `spec.shuffled` is permuted."""
    rng = np.random.default_rng((SOURCE_STREAM, spec.seed, 1))
    dealt, moved = labels.copy(), rng.permutation(len(labels))[: round(spec.shuffled * len(labels))]
    dealt[moved] = labels[rng.permutation(moved)]
    return torch.from_numpy(dealt)


def train(spec: Spec, x: torch.Tensor, y: torch.Tensor) -> torch.nn.Module:
    """`spec.architecture` after `spec.epochs` of AdamW under a one-cycle schedule on `x` [n, 3, 64, 64], `y` [n]."""
    torch.manual_seed(spec.seed + zlib.crc32(spec.id.encode()))
    classes = 10 if spec.source == "digits" else SOURCES[spec.source].classes
    model = build(spec.architecture, classes).to(memory_format=torch.channels_last)
    steps = spec.epochs * (len(x) // BATCH)
    if not steps:
        return model.eval()
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    for _ in range(spec.epochs):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def build(architecture: str, classes: int) -> torch.nn.Module:
    from acrank.zoo.architectures.timm_import import import_timm

    return import_timm().create_model(architecture, pretrained=False, num_classes=classes).train()


@torch.no_grad()
def predict(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([model(part).argmax(1) for part in x.split(200)])


def serialise(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """safetensors with a sorted header: the library's own order of the metadata changes from run to run."""
    raw = save({key: value.contiguous() for key, value in tensors.items()}, metadata)
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.dumps(json.loads(raw[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + raw[8 + length :]


def entry_of(spec: Spec, path: Path) -> Entry:
    with safe_open(path, "pt") as file:
        texts = file.metadata()
    mean, std, accuracy = (json.loads(texts[key]) for key in ("mean", "std", "source_accuracy"))
    return Entry(spec.id, spec.architecture, path.name, tuple(mean), tuple(std), spec.tags, accuracy)


if __name__ == "__main__":
    main()
