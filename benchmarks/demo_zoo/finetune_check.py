"""Balanced accuracies of the embedded checkpoints after brief finetuning on the embedded target: do they differ?

    python benchmarks/demo_zoo/finetune_check.py [ID ...]

Half of each grade trains, the other half tests; three splits, each with its own seed; two learning rates. Takes about
three minutes on one core.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from acrank.demo import GRADES, make_target, zoo_path
from acrank.zoo import Candidate, load_candidate, load_zoo

RATES, SPLITS, EPOCHS, BATCH, WEIGHT_DECAY = (3e-3, 1e-2), 3, 10, 30, 0.02


def main(ids: list[str]) -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    images, labels = target()
    print("| checkpoint | " + " | ".join(f"at {rate:g}" for rate in RATES) + " |\n|---|---|---|")
    for candidate in load_zoo(zoo_path()).select(ids).candidates:
        found = [[finetune(candidate, images, labels, rate, seed) for seed in range(SPLITS)] for rate in RATES]
        cells = (f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}" for values in found)
        print(f"| {candidate.id} | {' | '.join(cells)} |", flush=True)


def target() -> tuple[Tensor, Tensor]:
    """The default target: images [240, 3, 64, 64] in [0, 1] and grades [240]."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "target"
        make_target(folder)
        paths = [(path, grade) for grade, part in enumerate(GRADES) for path in sorted((folder / part).iterdir())]
        pixels = [np.asarray(Image.open(path).resize((64, 64), Image.Resampling.BILINEAR)) for path, _ in paths]
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 255
    return images, torch.tensor([grade for _, grade in paths])


def finetune(candidate: Candidate, images: Tensor, labels: Tensor, rate: float, seed: int) -> float:
    """Balanced accuracy on one half after finetuning on the other; the head is initialised from `seed`."""
    torch.manual_seed(seed)
    loaded = load_candidate(candidate)
    model = loaded.model.train()
    model.reset_classifier(len(GRADES))  # type: ignore[operator]
    x = (images - torch.tensor(loaded.input.mean).view(3, 1, 1)) / torch.tensor(loaded.input.std).view(3, 1, 1)
    train, test = halves(labels, seed)
    fit(model, x[train], labels[train], rate)
    with torch.no_grad():
        predicted = model.eval()(x[test]).argmax(1)
    hits = predicted == labels[test]
    return float(np.mean([hits[labels[test] == grade].float().mean() for grade in range(len(GRADES))]))


def halves(labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of a training and a test half, grade by grade."""
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.nonzero(labels == grade).flatten() for grade in range(len(GRADES))]
    parts = [part[torch.randperm(len(part), generator=generator)] for part in parts]
    return torch.cat([part[: len(part) // 2] for part in parts]), torch.cat([part[len(part) // 2 :] for part in parts])


def fit(model: nn.Module, x: Tensor, y: Tensor, rate: float) -> None:
    batches = -(-len(x) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=EPOCHS * batches)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            flips = [axis for axis in (2, 3) if torch.rand(()) < 0.5]
            optimiser.zero_grad()
            cross_entropy(model(x[batch].flip(flips)), y[batch]).backward()
            optimiser.step()
            schedule.step()


if __name__ == "__main__":
    main(sys.argv[1:])
