"""The three pools of candidates, one checkpoint of a recipe: who was trained how, on what, by which objective.

Pool a: small ones of the first study, 32 to 64 px. Pool b: of normal size, at 128 px. Pool c: one architecture from many
sources, a U-Net in two dimensions and one in three.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import candidates as first  # the first study's
import yaml
from pretrain import SPECS, Spec, entry

from acrank.zoo import Candidate, Zoo, load_zoo

from . import HERE

#: Pools and the kinds of candidates in them, each with a manifest of its own.
POOLS: Mapping[str, tuple[str, ...]] = {
    "a": ("real", "embedded", "own"),
    "b": ("shipped", "continued"),
    "c2d": ("sources2d",),
    "c3d": ("sources3d",),
}
#: Of checkpoints of others one of each recipe: source and objective; the depth of few-shot nets alternates.
REAL = (
    "resnet20-cifar10",
    "maml-conv4-cub-5shot",
    "maml-conv6-miniimagenet-5shot",
    "protonet-conv6-cub-5shot",
    "protonet-conv4-miniimagenet-5shot",
)
#: Of the first study's own all but the one that repeats another's recipe, `resnet20-cifar10`.
OWN: tuple[Spec, ...] = tuple(spec for spec in SPECS if spec.id != "own-resnet20-cifar10-supervised")


def zoo(kind: str, shared: Path, work: Path) -> Zoo:
    """The candidates of one kind; checkpoints of the study's own are trained where they are missing.

    Args:
        kind: of POOLS.
        shared: the measuring data and checkpoints.
        work: where own checkpoints and downloads lie.
    """
    if kind == "real":
        return first.zoo("real", shared / "data").select(list(REAL))
    if kind == "embedded":
        return first.zoo("embedded", shared / "data")
    if kind == "own":
        return load_zoo(own_manifest(shared / "data", work / "own"))
    if kind in ("shipped", "continued"):
        from . import real_size

        return load_zoo(real_size.manifest(kind, shared, work / "real_size"))
    from . import sources

    return load_zoo(sources.manifest(kind, work / kind))


def own_manifest(data: Path, out: Path) -> Path:
    """Train the first study's own checkpoints that are missing; the manifest of those of OWN."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "own_zoo.yaml"
    models = [entry(spec, data, out) for spec in OWN]
    path.write_text(yaml.safe_dump({"version": 1, "models": models}, sort_keys=False), encoding="utf-8")
    return path


def family(candidate: Candidate) -> str:
    """Its family of architectures."""
    known = {"unet3d": "unet-3d", "UNet": "unet-2d"}
    name = candidate.architecture.rpartition(":")[2]
    return known.get(name) or (first.family(candidate) if "torchvision" not in candidate.architecture else "torchvision")


def cheapest_first(zoo: Zoo) -> Zoo:
    """The candidates, small inputs first: their runs are the quickest."""
    return replace(zoo, candidates=tuple(sorted(zoo.candidates, key=_size)))


def _size(candidate: Candidate) -> int:
    size = (candidate.input or {}).get("size", 64)
    return max(size) if isinstance(size, list | tuple) else int(size)


__all__ = ["HERE", "OWN", "POOLS", "REAL", "cheapest_first", "family", "own_manifest", "zoo"]
