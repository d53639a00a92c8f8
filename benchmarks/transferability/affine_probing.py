"""Affine probing: do a few steps on the normalisation affines alone, under a ridge head, rank better than none?

    python benchmarks/transferability/affine_probing.py [--shared FOLDER] [--work FOLDER]

On the choosing half's targets to classify, with the candidates that are bit for bit those of the ground truth (kinds
real and embedded), and the first draw of each target. For each half of the draw in turn: Adam on the affines of the
AC-Norm layers, the loss being the cross-entropy of a ridge head that is fitted anew in every step, across two quarters;
then a ridge head is fitted to the half and tested on the other one. Kept after 0, 5, 10 and 20 steps: balanced accuracy
and cross-entropy on images that neither head nor affines saw. Writes affine_probing.csv beside this file, a row per
target and candidate as it comes; what is there is not done again. Prints the weighted tau of each column, alone and
joined with the default (its value on the same draw, recomputed.csv) by mean rank.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
import torch
from observe import CPU, draws_of
from recomputed import BASE, HERE, finetuned_ones, tau
from targets import STUDIES
from torch import Tensor, nn
from truth import suits, target_of

from acrank.norm import ac_norm_layers
from acrank.observation.batches import Batch
from acrank.observation.heads import ridge_logits
from acrank.observation.observing import load_for_draws
from acrank.observation.one_step import wrap_in_ac_norm
from acrank.scores.knn import balanced_accuracy
from acrank.system.machine import channels_last
from acrank.targets.draws import Draw
from acrank.targets.sampling import halves
from acrank.zoo import Candidate

OUT = HERE / "affine_probing.csv"
STEPS = (0, 5, 10, 20)
RATE = 0.01
Found = dict[str, float]


def main(words: list[str]) -> None:
    data, work, candidates = finetuned_ones(words, __doc__)
    known = pd.read_csv(HERE / "recomputed.csv").set_index(["dataset", "model"])
    rows = pd.read_csv(OUT).to_dict("records") if OUT.exists() else []
    done = {(row["dataset"], row["model"]) for row in rows}
    for name, study in STUDIES.items():
        target = target_of(name, data, work)
        if study.half != "choosing" or target.task != "classification":
            continue
        (draw,) = draws_of(study, target, 1)
        for candidate in candidates:
            if suits(candidate, study) and (name, candidate.id) in known.index and (name, candidate.id) not in done:
                found = probed(candidate, draw)
                truth = known.loc[(name, candidate.id)]
                rows.append(
                    {
                        "dataset": name,
                        "model": candidate.id,
                        "ground_truth": truth["ground_truth"],
                        "default": truth["draw 0"],
                        **found,
                    }
                )
                pd.DataFrame(rows).to_csv(OUT, index=False, float_format="%.6g")
        print(name, file=sys.stderr, flush=True)
    print(taus(pd.DataFrame(rows)).to_string(float_format=lambda x: f"{x:.3f}"))


def probed(candidate: Candidate, draw: Draw) -> Found:
    """Accuracy and loss of a candidate after each number of steps, means over the two halves; seconds of all."""
    ready = load_for_draws(candidate, [draw], BASE)
    batch = ready.batches[0]
    model, _ = wrap_in_ac_norm(channels_last(ready.model.model))
    leaves = [part for _, layer in ac_norm_layers(model) for part in (layer.weight_target, layer.bias_target)]
    before = [part.detach().clone() for part in leaves]
    started, found = time.perf_counter(), []
    for fold in (batch.half, ~batch.half):
        with torch.no_grad():
            for part, value in zip(leaves, before, strict=True):
                part.copy_(value)
        found.append(of_half(model, batch, fold, leaves=leaves))
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    return {**means, "seconds": time.perf_counter() - started}


def of_half(model: nn.Module, batch: Batch, fold: Tensor, *, leaves: list[Tensor]) -> Found:
    """The steps on one half, and what the other half says after some of them."""
    read, labels = batch.reader(CPU), batch.labels.flatten()
    own = labels[fold]
    quarters = torch.as_tensor(halves(own.numpy(), seed=0, repeat=0, task="classification"))
    optimiser = torch.optim.Adam(leaves, lr=RATE)
    found: Found = {}
    for step in range(max(STEPS) + 1):
        if step in STEPS:
            found |= tested(model, batch, fold, step=step)
        if step < max(STEPS):
            features, _ = read(model, batch.inputs[fold], None)
            loss = nn.functional.cross_entropy(ridge_logits(features, own, quarters, classes=batch.classes), own)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return found


@torch.no_grad()
def tested(model: nn.Module, batch: Batch, fold: Tensor, *, step: int) -> Found:
    """A ridge head fitted to the half, on the images of the other one."""
    labels = batch.labels.flatten()
    features, _ = batch.reader(CPU)(model, batch.inputs, None)
    logits, truth = ridge_logits(features, labels, fold, classes=batch.classes)[~fold], labels[~fold]
    return {
        f"accuracy@{step}": balanced_accuracy(logits.argmax(1).numpy(), truth.numpy()),
        f"loss@{step}": float(nn.functional.cross_entropy(logits, truth)),
    }


def taus(table: pd.DataFrame) -> pd.DataFrame:
    """Weighted tau of every column, alone and joined with the default by mean rank, by target, and the mean."""
    names = [name for name in table.columns if "@" in name]
    found: dict[str, Found] = {}
    for target, rows in table.groupby("dataset", sort=False):
        truth, default = rows["ground_truth"], rows["default"]
        signed = {name: -rows[name] if name.startswith("loss") else rows[name] for name in names}
        found[str(target)] = {
            "default": tau(truth, default),
            **{name: tau(truth, value) for name, value in signed.items()},
            **{f"default + {name}": tau(truth, default.rank() + value.rank()) for name, value in signed.items()},
            "seconds": rows["seconds"].median(),
            "candidates": len(rows),
        }
    out = pd.DataFrame(found)
    out["mean"] = out.mean(axis=1)
    return out


if __name__ == "__main__":
    main(sys.argv[1:])
