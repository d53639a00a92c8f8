"""What passes in parts, smaller draws, and drift on bundled images do to the scores of the study.

    python benchmarks/transferability/parts.py [--shared FOLDER] [--work FOLDER] [--kinds real,embedded,own] [TARGET...]

Draw r of a target is the training part of split r of the ground truth, or a stratified sample of it. Writes one JSON
line per candidate, target, draw and variant to parts.jsonl in the work folder, and one per candidate, bundled source
and head to bundled.jsonl; lines that are there are not made again. Choosing half by default.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from candidates import family, zoo
from observe import draws_of
from targets import STUDIES
from torch import Tensor, nn
from truth import HERE, WORK, suits, target_of

from acrank.demo.sources import SOURCES
from acrank.norm import AffineCoNorm, ac_norm_layers
from acrank.observation.batches import Batch, batch_of
from acrank.observation.features import read_images
from acrank.observation.one_step import take_one_step, wrap_in_ac_norm
from acrank.scores.affine import ac_corr, affine_drift, channel_alignment, gradient_norm
from acrank.scores.finetunability import drift_at_unit_step
from acrank.scores.inputs import Observation
from acrank.scores.kernels import kernel_ridge_accuracy, kernel_target_alignment
from acrank.scores.linear_probe import probe_accuracy
from acrank.settings import Settings
from acrank.targets.draws import Draw, PatchDraw
from acrank.targets.preparation import prepare_images
from acrank.targets.sampling import draw_sample
from acrank.zoo import Candidate
from acrank.zoo.loading import load_candidate

SETTINGS = Settings(allow_code=True, device="cpu")
#: (images of a draw, how many go through together), 0 for all; "p" for precise statistics from a first pass.
IMAGES = ((32, 0), (32, 16), (32, 8), (32, 4), (32, "p"), (16, 0), (64, 0))
PATCHES = ((16, 0), (16, 8), (16, 4), (16, 2), (16, "p"))
STEP = 0.1


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--shared", type=Path, default=HERE.parents[2] / "shared")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--kinds", default="embedded,real,own")
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    candidates = [one for kind in options.kinds.split(",") for one in zoo(kind, options.shared / "data").candidates]
    with Lines(options.work / "bundled.jsonl", ("model", "source", "standard")) as lines:
        for candidate in candidates:
            lines.add({"model": candidate.id}, lambda one=candidate: bundled(one))
    names = options.targets or [name for name, study in STUDIES.items() if study.half == "choosing"]
    with Lines(options.work / "parts.jsonl", ("target", "model", "draw", "images", "part")) as lines:
        for name in names:
            draws = draws_of(STUDIES[name], target_of(name, options.shared / "data", options.work), options.draws)
            for candidate in candidates:
                if suits(candidate, STUDIES[name]):
                    about = {"target": name, "model": candidate.id}
                    lines.add(about, lambda one=candidate, draws=draws: variants(one, draws))


class Lines:
    """JSON lines of a file; what is there is not made again."""

    def __init__(self, path: Path, _: Sequence[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._known = {
            json.dumps({k: one[k] for k in ("target", "model") if k in one})
            for one in map(json.loads, path.read_text().splitlines() if path.exists() else [])
        }
        self._file = path.open("a")

    def add(self, about: dict[str, Any], make: Any) -> None:
        """Append the lines that `make` gives, each with what they are about."""
        if json.dumps(about) in self._known:
            return
        started = time.perf_counter()
        found = list(make())
        self._file.writelines(json.dumps({**about, **one}) + "\n" for one in found)
        self._file.flush()
        print(*about.values(), f"{time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def variants(candidate: Candidate, draws: Sequence[Draw]) -> Iterator[dict[str, Any]]:
    """Scores of a candidate on each draw under each variant."""
    network = load_candidate(candidate, allow_code=True)
    model, _ = wrap_in_ac_norm(network.model)
    for draw in draws:
        whole = batch_of(draw, network.input)
        for images, part in PATCHES if isinstance(draw, PatchDraw) else IMAGES:
            batch = whole if images >= len(whole.inputs) else sampled(whole, draw, images)
            size = 8 if part == "p" else part or images
            with Precise(model, batch, size, enabled=part == "p"):
                seen = observed(model, batch, size)
            yield {"draw": draw.repeat, "images": images, "part": part, "family": family(candidate), **scores(seen)}


def sampled(batch: Batch, draw: Draw, count: int) -> Batch:
    """A stratified sample of a draw's images."""
    kept = draw_sample(draw.labels, count, seed=0, repeat=draw.repeat, task=draw.target.task)
    rows = torch.from_numpy(kept)
    return dataclasses.replace(
        batch,
        inputs=batch.inputs[rows],
        labels=batch.labels[rows],
        half=batch.half[rows],
        permutation=batch.permutation[rows].argsort().argsort(),
    )


def observed(model: nn.Module, batch: Batch, size: int) -> Observation:
    """One step, in parts."""
    return take_one_step(
        model, batch.inputs, batch.labels.flatten(), classes=batch.classes, half=batch.half,
        permutation=batch.permutation, step_size=STEP, layers="all" if batch.positions is None else "encoder",
        read=batch.reader(torch.device("cpu")), rows=batch.rows(), parts=batch.parts(size),
    )  # fmt: skip


class Precise:
    """Inside it batch normalisation has the mean of the parts' statistics, from a pass without gradients."""

    def __init__(self, model: nn.Module, batch: Batch, size: int, *, enabled: bool) -> None:
        self._layers = [one for _, one in ac_norm_layers(model) if isinstance(one, AffineCoNorm)] if enabled else []
        self._run = (model, batch, size)

    def __enter__(self) -> None:
        model, batch, size = self._run
        self._kept = [(one.running_mean.clone(), one.running_var.clone(), one.momentum) for one in self._layers]
        for layer in self._layers:
            layer.momentum = None
            layer.num_batches_tracked.zero_()
        if self._layers:
            with torch.no_grad():
                for part in batch.parts(size):
                    batch.reader(torch.device("cpu"))(model, batch.inputs[part], part)
        for layer in self._layers:
            layer.training = False

    def __exit__(self, *_: object) -> None:
        for layer, (mean, var, momentum) in zip(self._layers, self._kept, strict=True):
            layer.training, layer.momentum = True, momentum
            layer.running_mean.copy_(mean)
            layer.running_var.copy_(var)


def scores(seen: Observation) -> dict[str, float | None]:
    """Those that the default ranking is made from, and the default columns."""
    labels, half = seen.labels[seen.later_gram_rows], seen.half[seen.later_gram_rows]
    dealt = seen.labels[seen.permutation][seen.later_gram_rows]
    return {
        "kta": kernel_target_alignment(seen.later_gram, labels),
        "kra": kernel_ridge_accuracy(seen.later_gram, labels, half),
        "kta_shuffled": kernel_target_alignment(seen.later_gram, dealt),
        "kra_shuffled": kernel_ridge_accuracy(seen.later_gram, dealt, half),
        "random_drift": drift_at_unit_step(seen.random_head_shifts, step_size=STEP),
        "ac_corr": ac_corr(seen.shifts) if not all(one.untouched for one in seen.shifts) else None,
        "channel_alignment": channel_alignment(seen.shifts),
        "affine_drift": affine_drift(seen.shifts),
        "gradient_norm": gradient_norm(seen.shifts, step_size=STEP),
        "probe_accuracy": probe_accuracy(seen.features, seen.labels, seen.half),
    }


def bundled(candidate: Candidate) -> Iterator[dict[str, Any]]:
    """Drift under a random head on eight procedural images of each source, with features plain or standardised."""
    network = load_candidate(candidate, allow_code=True)
    model, _ = wrap_in_ac_norm(network.model)
    for number, (name, source) in enumerate(SOURCES.items()):
        labels = np.arange(8) % source.classes
        images = [
            source.draw(np.random.default_rng([17, number, i]), int(label), 96).transpose(2, 0, 1).astype(np.float32)
            / 255
            for i, label in enumerate(labels)
        ]
        inputs = prepare_images(images, network.input)
        for standard in (False, True):
            seen = take_one_step(
                model, inputs, torch.from_numpy(labels), classes=source.classes, half=torch.arange(8) % 2 == 0,
                permutation=torch.arange(8), step_size=1.0, head=None, seed=number,
                read=standardised if standard else read_images,
            )  # fmt: skip
            layers = seen.random_head_shifts
            yield {
                "source": name,
                "standard": standard,
                "drift": affine_drift(layers),
                "norm": gradient_norm(layers, step_size=1.0),
                "layers": [float(np.median(layer.drift)) for layer in layers],
                "spread": [
                    float(np.std(layer.source_bias / (abs(layer.source_weight) + layer.eps))) for layer in layers
                ],
                "middle": [float(np.median(abs(layer.source_weight))) for layer in layers],
                "grad": [float(np.linalg.norm(layer.target_bias - layer.source_bias)) for layer in layers],
                "channels": [layer.channels for layer in layers],
                "scale": float(np.std(seen.features)),
            }


def standardised(model: nn.Module, inputs: Tensor, which: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Features divided by their deviation over all images and channels."""
    features, logits = read_images(model, inputs, which)
    return features / features.detach().std().clamp(min=1e-12), logits


if __name__ == "__main__":
    main(sys.argv[1:])
