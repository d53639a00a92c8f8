"""Every variant of a score that was tried, computed from the raw observations: a number per candidate and draw.

All go through `measures`, so that its keys count the variants. All are computed from the one forward and backward pass
that `observe.py` saved; names tell the variant: ac or plain forward pass, head, step size, layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from acrank.norm import affine_overlap

Draw = Mapping[str, np.ndarray]
STEPS = {"0.01": 0.01, "0.1": 0.1, "1": 1.0, "10": 10.0}
RELATIVE = {"r0.01": 0.01, "r0.1": 0.1, "r0.5": 0.5}


def measures(draw: Draw) -> dict[str, float]:
    """All variants of one draw by name; higher is better unless the name begins with a minus."""
    found = dict(controls(draw))
    for source in ("ac/ridge", "ac/random0", "plain/ridge", "plain/random0"):
        found |= dict(from_affines(draw, source))
    found |= dict(from_gradients(draw))
    found |= dict(from_logits(draw))
    found |= dict(from_grams(draw))
    found |= dict(from_features(draw))
    return {name: float(value) for name, value in found.items()}


def controls(draw: Draw) -> Iterator[tuple[str, float]]:
    channels = draw["channels"]
    yield "params", float(draw["params"])
    yield "width", channels.mean()
    yield "depth", len(channels)


def split(draw: Draw, flat: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases by layer, from the concatenated array."""
    found, at = [], 0
    for size in draw["channels"]:
        found.append((flat[at : at + size], flat[at + size : at + 2 * size]))
        at += 2 * size
    return found


def from_affines(draw: Draw, source: str) -> Iterator[tuple[str, float]]:
    """Alignment, AC-Corr and drift after one step, of several sizes."""
    affines = split(draw, draw["affines"].astype(np.float64))
    kinds = ("true", "shuffled") if source == "ac/ridge" else ("true",)
    by_kind: dict[str, dict[str, float]] = {}
    for kind in kinds:
        grads = split(draw, draw[f"grad/{source}/{kind}"].astype(np.float64))
        scale = np.sqrt(np.mean(draw["affines"] ** 2)) / max(
            np.sqrt(np.mean(draw[f"grad/{source}/{kind}"] ** 2)), 1e-30
        )
        steps = {**STEPS, **{name: share * scale for name, share in RELATIVE.items()}}
        if kind == "shuffled" or source != "ac/ridge":
            steps = {name: steps[name] for name in ("0.1", "1", "r0.1")}
        by_kind[kind] = {}
        for step, size in steps.items():
            for name, value in overlaps(draw, affines, grads, size):
                by_kind[kind][f"{name}@{step}"] = value
    for name, value in by_kind["true"].items():
        yield f"{source}/{name}", value
    if len(kinds) == 2:
        for name, value in by_kind["shuffled"].items():
            yield f"{source}/shuffled {name}", value
            yield f"{source}/less shuffled {name}", by_kind["true"][name] - value


def overlaps(draw: Draw, affines: list, grads: list, step: float) -> Iterator[tuple[str, float]]:
    own, per_channel, raw, drift, told = [], [], [], [], []
    for (w, b), (gw, gb), eps in zip(affines, grads, draw["eps"].astype(np.float64), strict=True):
        parts = [torch.from_numpy(part) for part in (w, b, w - step * gw, b - step * gb)]
        found = affine_overlap(*parts, eps=float(eps))
        y, moved = (bias.numpy() / (np.abs(weight.numpy()) + eps) for weight, bias in (parts[:2], parts[2:]))
        told.append(bool((y != y[0]).any()))
        own.append(found.own / found.total)
        per_channel.append(found.total / len(w))
        raw.append(found.total)
        drift.append(np.abs(moved - y))
    own_, per, raw_, told_ = (np.array(part) for part in (own, per_channel, raw, told))
    areas, sizes = draw["areas"], draw["channels"]
    third = max(1, len(own) // 3)
    yield "alignment", own_.mean()
    yield "alignment, last third", own_[-third:].mean()
    yield "alignment, last", own_[-1]
    yield "alignment, by channels", np.average(own_, weights=sizes)
    yield "alignment, worst layer", own_.min()
    yield "-ac_corr", -per[told_].mean() if told_.any() else np.nan
    yield "-ac_corr, untouched in", -per.mean()
    yield "-ac_corr raw", -raw_[told_].mean() if told_.any() else np.nan
    yield "-ac_corr raw, deepest", -raw_[np.flatnonzero(areas == areas.min())[-1]]
    yield "drift", float(np.median(np.concatenate(drift)))
    yield "drift, last third", float(np.median(np.concatenate(drift[-third:])))


def from_gradients(draw: Draw) -> Iterator[tuple[str, float]]:
    """Norms of the gradient at the affines, relative to several norms, and the part that depends on the labels."""
    affines = draw["affines"].astype(np.float64)
    for source in ("ac/ridge", "ac/random0", "plain/ridge", "plain/random0"):
        grad = draw[f"grad/{source}/true"].astype(np.float64)
        norm = np.linalg.norm(grad)
        yield f"{source}/log gradient norm", np.log(norm + 1e-30)
        yield f"{source}/log gradient rms", np.log(norm / np.sqrt(len(grad)) + 1e-30)
        yield f"{source}/log relative gradient", np.log(norm / np.linalg.norm(affines) + 1e-30)
        yield f"{source}/log saliency", np.log(np.abs(grad * affines).sum() + 1e-30)
        layers = [np.linalg.norm(np.concatenate(parts)) for parts in split(draw, grad)]
        yield f"{source}/mean log layer gradient", np.mean(np.log(np.array(layers) + 1e-30))
        yield f"{source}/log last layer gradient", np.log(layers[-1] + 1e-30)
        yield f"{source}/log first layer gradient", np.log(layers[0] + 1e-30)
        dealt = draw[f"grad/{source}/shuffled"].astype(np.float64)
        yield f"{source}/log gradient over shuffled", np.log((norm + 1e-30) / (np.linalg.norm(dealt) + 1e-30))
        yield f"{source}/cosine with shuffled", cosine(grad, dealt)
        if "ridge" in source:
            half = draw[f"grad/{source}/true/half"].astype(np.float64)
            yield f"{source}/cosine of halves", cosine(half, grad - half)
            yield f"{source}/dot of halves", half @ (grad - half) / norm**2 if norm else 0.0
            pairs = zip(split(draw, half), split(draw, grad - half), strict=True)
            yield (
                f"{source}/mean cosine of halves",
                np.mean([cosine(np.concatenate(one), np.concatenate(other)) for one, other in pairs]),
            )
    norms = [np.linalg.norm(draw[f"grad/ac/random{head}/true"].astype(np.float64)) for head in range(2)]
    yield "ac/random mean/log gradient norm", np.log(np.mean(norms) + 1e-30)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    scale = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / scale) if scale > 0 else 0.0


def from_logits(draw: Draw) -> Iterator[tuple[str, float]]:
    """Quality of the pass's own cross-fitted ridge head."""
    labels = draw["labels"]
    for forward in ("ac", "plain"):
        yield from quality(draw[f"grad/{forward}/ridge/true/logits"] / 5, labels, f"{forward}/ridge head")
    dealt = draw["labels"][draw["permutation"]]
    yield from quality(draw["grad/ac/ridge/shuffled/logits"] / 5, dealt, "ac/ridge head, shuffled")


def quality(scores: np.ndarray, labels: np.ndarray, name: str) -> Iterator[tuple[str, float]]:
    """Balanced accuracy, balanced R^2, and the balanced likelihood at the best temperature, of one score per class."""
    classes = np.arange(scores.shape[1])
    there = [one for one in classes if (labels == one).any()]
    hot = (labels[:, None] == classes).astype(float)
    weights = np.zeros(len(labels))
    for one in there:
        weights[labels == one] = 1 / ((labels == one).sum() * len(there))
    yield f"{name} accuracy", float(weights @ (scores.argmax(1) == labels))
    mean = weights @ hot
    yield f"{name} R2", 1 - float(weights @ ((scores - hot) ** 2).sum(1)) / float(weights @ ((hot - mean) ** 2).sum(1))
    best = -np.inf
    for heat in (1, 2, 4, 8, 16, 32):
        logits = scores * heat
        logits = logits - logits.max(1, keepdims=True)
        likelihood = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        best = max(best, float(weights @ likelihood[np.arange(len(labels)), labels]))
    yield f"{name} likelihood", best


GROUPS = {
    "all": lambda count: np.ones(count),
    "last": lambda count: np.arange(count) == count - 1,
    "last third": lambda count: np.arange(count) >= count - max(1, count // 3),
    "last half": lambda count: np.arange(count) >= count - max(1, count // 2),
    "rising": lambda count: np.arange(1, count + 1) / count,
}


def from_grams(draw: Draw) -> Iterator[tuple[str, float]]:
    """Cross-fitted kernel ridge regression over the outputs of all normalisation layers."""
    rows = draw["grams/rows"]
    labels, fold = draw["labels"][rows], draw["fold"][rows]
    grams = draw["grams"].astype(np.float64)
    for group, weights_of in GROUPS.items():
        weights = weights_of(len(grams)).astype(float)
        gram = np.tensordot(weights / weights.sum(), grams, 1)
        for ridge in (0.01, 0.1, 1.0):
            if group != "all" and ridge != 0.1:
                continue
            scores = crossfit(gram, labels, fold, ridge)
            yield from quality(scores, labels, f"layers {group}, ridge {ridge:g}")
        yield f"layers {group}, kernel alignment", kernel_alignment(gram, labels)
        yield f"layers {group}, neighbours", neighbours(gram, labels, fold)
    each = [quality_of(crossfit(gram, labels, fold, 0.1), labels) for gram in grams]
    yield "layers each, best accuracy", max(each)
    yield "layers each, mean accuracy", float(np.mean(each))


def quality_of(scores: np.ndarray, labels: np.ndarray) -> float:
    return next(value for _, value in quality(scores, labels, ""))


def crossfit(gram: np.ndarray, labels: np.ndarray, fold: np.ndarray, ridge: float) -> np.ndarray:
    """Kernel ridge regression of one-hot labels; each half is predicted by the fit on the other."""
    classes = int(labels.max()) + 1
    hot = (labels[:, None] == np.arange(classes)).astype(float)
    scores = np.zeros_like(hot)
    scale = np.trace(gram) / len(gram)
    for half in (fold, ~fold):
        known = ~half
        mean = hot[known].mean(0)
        inner = gram[np.ix_(known, known)] / scale
        # centred by the half that is known
        left = gram[np.ix_(half, known)] / scale
        inner_mean = inner.mean(0)
        left = left - left.mean(1, keepdims=True) - inner_mean + inner_mean.mean()
        inner = inner - inner.mean(1, keepdims=True) - inner_mean + inner_mean.mean()
        solved = np.linalg.solve(inner + ridge * np.eye(len(inner)), hot[known] - mean)
        scores[half] = left @ solved + mean
    return scores


def kernel_alignment(gram: np.ndarray, labels: np.ndarray) -> float:
    """Centred alignment of a kernel with the labels' (Cortes et al. 2012), in [0, 1]."""
    hot = (labels[:, None] == np.unique(labels)).astype(float)
    hot = (hot - hot.mean(0)) / np.sqrt(hot.sum(0))
    centred = gram - gram.mean(0) - gram.mean(1, keepdims=True) + gram.mean()
    target = hot @ hot.T
    return float((centred * target).sum() / (np.linalg.norm(centred) * np.linalg.norm(target) + 1e-30))


def neighbours(gram: np.ndarray, labels: np.ndarray, fold: np.ndarray, k: int = 5) -> float:
    """Balanced accuracy of five nearest neighbours among the other half."""
    square = np.diag(gram)
    away = square[:, None] + square[None] - 2 * gram
    away[fold[:, None] == fold[None]] = np.inf
    near = labels[np.argsort(away, axis=1)[:, :k]]
    votes = np.stack([(near == one).sum(1) for one in range(int(labels.max()) + 1)], 1)
    guess = votes.argmax(1)
    return float(np.mean([(guess[labels == one] == one).mean() for one in np.unique(labels)]))


def from_features(draw: Draw) -> Iterator[tuple[str, float]]:
    """Rank and spread of the last features."""
    for forward in ("ac", "plain", "source"):
        x = draw[f"features/{forward}"].astype(np.float64)
        x = x[:: max(1, len(x) // 512)]
        values = np.linalg.svd(x - x.mean(0), compute_uv=False)
        share = values / max(values.sum(), 1e-30)
        yield f"{forward}/log effective rank", float(-(share * np.log(share + 1e-30)).sum())
