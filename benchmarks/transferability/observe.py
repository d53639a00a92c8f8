"""Raw observations of the study: gradients at the affine parameters, and features; every variant is made from them.

    python benchmarks/transferability/observe.py [--shared FOLDER] [--work FOLDER] [--draws 3] [TARGET...]

Draw r of a target is the training part of split r of the ground truth: no score sees an image that its split tests on.
Writes one compressed file per candidate and target into the work folder (about 100 MB in all), unless it exists.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from candidates import KINDS, zoo
from targets import STUDIES, Study
from torch import Tensor, nn
from truth import WORK, suits, target_of

from acrank.finetuning.splits import make_partition
from acrank.norm import AffineCoNorm, ac_norm_layers
from acrank.observation.batches import Batch
from acrank.observation.features import DenseReader
from acrank.observation.heads import random_logits, ridge_logits
from acrank.observation.layer_hooks import ForwardHooks, LayerTrace
from acrank.observation.observing import load_for_draws
from acrank.observation.one_step import wrap_in_ac_norm
from acrank.settings import Settings
from acrank.system.machine import channels_last
from acrank.targets import Target
from acrank.targets.draws import Draw, PatchDraw
from acrank.targets.sampling import halves
from acrank.zoo import Candidate

HEADS = 2  # random ones
PATCHES = 16
POSITIONS = 256
CPU = torch.device("cpu")
Arrays = dict[str, np.ndarray]


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(STUDIES)}; all without")
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[2] / ".." / "shared")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    for name in options.targets or STUDIES:
        target = target_of(name, options.shared / "data", options.work)
        draws = draws_of(STUDIES[name], target, options.draws)
        for kind in KINDS:
            for candidate in zoo(kind, options.shared / "data").candidates:
                if suits(candidate, STUDIES[name]):
                    keep(options.work / "observed" / name / f"{candidate.id}.npz", candidate, draws)


def draws_of(study: Study, target: Target, count: int) -> list[Draw]:
    """Draws of the training parts of the first splits, as `acrank score` makes them; masks: 16 patches."""
    found: list[Draw] = []
    shares = {"val_share": study.settings.val_share, "test_share": study.settings.test_share}
    for split in range(count):
        part = make_partition({"all": target}, split=split, train_size=study.settings.train_size, **shares).train
        fold = halves(part.labels, seed=0, repeat=split, task=target.task)
        if target.task == "segmentation":
            places = np.sort(np.resize(np.random.default_rng([0, split, 3]).permutation(len(part.indices)), PATCHES))
            shuffle = np.random.default_rng([0, split, 1]).permutation(PATCHES)
            found.append(
                PatchDraw(
                    target=target,
                    repeat=split,
                    indices=part.indices[places],
                    labels=part.labels[places],
                    half=fold[places],
                    permutation=shuffle,
                    seed=0,
                )
            )
        else:
            shuffle = np.random.default_rng([0, split, 1]).permutation(len(part.indices))
            found.append(
                Draw(
                    target=target,
                    repeat=split,
                    indices=part.indices,
                    labels=part.labels,
                    half=fold,
                    permutation=shuffle,
                )
            )
    return found


def keep(path: Path, candidate: Candidate, draws: Sequence[Draw]) -> None:
    """Observe a candidate on the draws and write the file, unless it exists."""
    if path.exists():
        return
    started = time.perf_counter()
    found: Arrays = {}
    for draw in draws:
        for name, values in observed(candidate, draw).items():
            found[f"{draw.repeat}/{name}"] = values
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, **found)
    partial.rename(path)
    print(f"{path.parent.name} {candidate.id} {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)


def observed(candidate: Candidate, draw: Draw) -> Arrays:
    """Everything of one draw, by name: `affines` and `grad/…` are concatenated over the layers of sizes `channels`."""
    ready = load_for_draws(candidate, [draw], Settings(allow_code=True, device="cpu"))
    batch, model = ready.batches[0], channels_last(ready.model.model)
    labels = batch.labels.flatten()
    found: Arrays = {
        "labels": labels.numpy(),
        "fold": batch.half.numpy(),
        "permutation": batch.permutation.numpy(),
        "params": np.array(sum(part.numel() for part in model.parameters())),
    }
    plain = copy.deepcopy(model)
    with torch.no_grad():
        features, logits = batch.reader(CPU)(model.eval(), batch.inputs, None)
    found["features/source"] = features.numpy()
    if logits is not None:
        found["logits"] = logits.numpy()
    model, _ = wrap_in_ac_norm(model)
    layers = dict(ac_norm_layers(model))
    with LayerTrace(layers) as trace, Grams(layers, batch) as grams:
        features, _ = batch.reader(CPU)(model, batch.inputs, None)
    found["grams"] = np.stack([grams.found[name] for name in trace.order])
    found["grams/rows"] = grams.rows.numpy()
    moved = [part for name in trace.order for part in (layers[name].weight_target, layers[name].bias_target)]
    found |= {f"grad/ac/{name}": values for name, values in pulls(features, moved, batch, heads=HEADS)}
    found["features/ac"] = features.detach().numpy()
    found["channels"] = np.array([layers[name].num_features for name in trace.order])
    found["areas"] = np.array([trace.areas[name] for name in trace.order])
    found["eps"] = np.array([layers[name].eps for name in trace.order])
    sources = [part for name in trace.order for part in (layers[name].weight, layers[name].bias)]
    found["affines"] = torch.cat(sources).numpy()
    features, moved = plain_forward(plain, trace.order, batch)
    found |= {f"grad/plain/{name}": values for name, values in pulls(features, moved, batch, heads=1)}
    found["features/plain"] = features.detach().numpy()
    return {name: values.astype(np.float32) if values.dtype == np.float64 else values for name, values in found.items()}


class Grams(ForwardHooks):
    """Gram matrices of the layers' outputs, rectified and averaged over space (at labelled positions: as they are).

    `found` has, by layer, the Gram matrix of its standardised channels over their number, float16 [m, m], of the rows
    `rows` [m]: all images, or some positions.
    """

    def __init__(self, layers: dict[str, AffineCoNorm], batch: Batch) -> None:
        super().__init__(layers)
        self.found: dict[str, np.ndarray] = {}
        count = len(batch.labels.flatten())
        self.rows = torch.arange(count) if count <= POSITIONS else torch.arange(0, count, count // POSITIONS)
        self._read = batch.reader(CPU)

    def on_output(self, name: str, output: Tensor) -> None:
        """Compute the Gram matrix."""
        maps = output.detach().relu()
        parts = self._read.rows(maps) if isinstance(self._read, DenseReader) else maps.flatten(2).mean(2)
        x = parts[self.rows].double()
        x = x - x.mean(0)
        spread = x.std(0, correction=0)
        x = x / torch.where(spread > 1e-6, spread, 1.0)
        self.found[name] = (x @ x.T / x.shape[1]).to(torch.float16).numpy()


def plain_forward(model: nn.Module, order: Sequence[str], batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """Features under plain batch normalisation with batch statistics, and the affine parameters that need gradients."""
    model.eval().requires_grad_(False)
    modules = dict(model.named_modules())
    for name in order:
        modules[name].train()
    moved = [part.requires_grad_() for name in order for part in (modules[name].weight, modules[name].bias)]
    return batch.reader(CPU)(model, batch.inputs, None)[0], moved


def pulls(features: Tensor, moved: Sequence[Tensor], batch: Batch, *, heads: int) -> Iterator[tuple[str, np.ndarray]]:
    """Gradients at the affines under several heads, labels and halves; the mean losses and the ridge head's logits."""
    labels, fold = batch.labels.flatten(), batch.half
    dealt = labels[batch.permutation]
    for name, truth in (("true", labels), ("shuffled", dealt)):
        leaf = features.detach().requires_grad_()
        logits = ridge_logits(leaf, truth, fold, classes=batch.classes)
        yield f"ridge/{name}/logits", logits.detach().numpy()
        losses = nn.functional.cross_entropy(logits, truth, reduction="none")
        yield f"ridge/{name}/loss", losses.mean().detach().numpy()
        yield f"ridge/{name}", pulled(features, moved, leaf, losses.mean())
        if name == "true":
            yield f"ridge/{name}/half", pulled(features, moved, leaf, losses[fold].sum() / len(labels))
    for head in range(heads):
        for name, truth in (("true", labels), ("shuffled", dealt))[: 2 if head == 0 else 1]:
            leaf = features.detach().requires_grad_()
            loss = nn.functional.cross_entropy(random_logits(leaf, classes=batch.classes, seed=head), truth)
            yield f"random{head}/{name}/loss", loss.detach().numpy()
            yield f"random{head}/{name}", pulled(features, moved, leaf, loss)


def pulled(features: Tensor, moved: Sequence[Tensor], leaf: Tensor, loss: Tensor) -> np.ndarray:
    """The gradient of a loss at the affine parameters, in their order; 0 where the features do not depend on them."""
    (pull,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    found = torch.autograd.grad(features, list(moved), pull, retain_graph=True, allow_unused=True)
    parts = [torch.zeros_like(part) if grad is None else grad for part, grad in zip(moved, found, strict=True)]
    return torch.cat(parts).numpy()


if __name__ == "__main__":
    main(sys.argv[1:])
