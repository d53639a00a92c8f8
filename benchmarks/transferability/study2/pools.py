"""The three pools of candidates, one checkpoint of a recipe: who was trained how, on what, by which objective.

Pool a: small ones of the first study, 32 to 64 px. Pool b: of normal size, at 128 px. Pool c: one architecture from
many sources, a U-Net in two dimensions and one in three.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import candidates as first  # the first study's
import yaml
from pretrain import SPECS, Spec, entry

from acrank.zoo import Candidate, Zoo, load_zoo

from . import HERE, WORK
from .protocol import TARGETS

#: Pools and the kinds of candidates in them, each with a manifest of its own.
POOLS: Mapping[str, tuple[str, ...]] = {
    "a": ("real", "embedded", "own", "own-slow"),
    "b": ("shipped", "continued"),
    "c2d": ("sources2d",),
    "c3d": ("sources3d",),
}
#: Networks with a hyphen in their name.
LONG_NAMES = ("mobilenet-v2", "efficientnet-lite0", "efficientnet-b0", "convnext-atto", "vit-tiny", "craft-encoder")
#: Of checkpoints of others one of each recipe: source and objective; the depth of few-shot nets alternates.
REAL = (
    "resnet20-cifar10",
    "maml-conv4-cub-5shot",
    "maml-conv6-miniimagenet-5shot",
    "protonet-conv6-cub-5shot",
    "protonet-conv4-miniimagenet-5shot",
)
#: Of the first study's own all but the one that repeats another's recipe, `resnet20-cifar10`. Those of "own" are
#: trained in about a quarter of an hour, those of "own-slow" in one.
_ONCE = tuple(spec for spec in SPECS if spec.id != "own-resnet20-cifar10-supervised")
OWN: Mapping[str, tuple[Spec, ...]] = {
    "own": tuple(spec for spec in _ONCE if spec.network == "conv4" or spec.epochs < 2),
    "own-slow": tuple(spec for spec in _ONCE if spec.network != "conv4" and spec.epochs >= 2),
}


def parser_of_a_pool(about: str | None) -> argparse.ArgumentParser:
    """The command line of what is done for the candidates of a pool on targets."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; the pool's without")
    parser.add_argument("--shared", type=Path, default=HERE.parents[3] / "shared")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--pool", choices=tuple(POOLS), default="a")
    parser.add_argument("--kind", action="append", help="of the pool's candidates; all without")
    return parser


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
    if kind in OWN:
        return load_zoo(own_manifest(kind, shared / "data", work / "own"))
    if kind in ("shipped", "continued"):
        from . import real_size

        return load_zoo(real_size.manifest(kind, shared, work / "real_size"))
    from . import sources

    return load_zoo(sources.manifest(kind, work / kind))


def own_manifest(kind: str, data: Path, out: Path) -> Path:
    """Train the first study's own checkpoints of a kind that are missing; their manifest."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{kind}.yaml"
    models = [entry(spec, data, out) for spec in OWN[kind]]
    path.write_text(yaml.safe_dump({"version": 1, "models": models}, sort_keys=False), encoding="utf-8")
    return path


def family(candidate: Candidate) -> str:
    """Its family of architectures: in pools b and c the architecture's name, in pool a as in the first study."""
    name = (candidate.architecture or "").rpartition(":")[2]
    return name if {"normal-size", "unet"} & set(candidate.tags) else first.family(candidate)


def cluster(model: str) -> str:
    """The cluster of a candidate, by its id: what has network and source in common, whatever the objective.

    >>> cluster("own-resnet20-cifar10-early"), cluster("resnet20-cifar10"), cluster("maml-conv4-cub-5shot")
    ('resnet20-cifar10', 'resnet20-cifar10', 'conv4-cub')
    """
    for word in ("own-", "maml-", "protonet-"):
        model = model.removeprefix(word)
    if model.endswith("-random"):
        return model
    network = next((one for one in LONG_NAMES if model.startswith(f"{one}-")), model.partition("-")[0])
    source = model[len(network) + 1 :].partition("-")[0]
    return f"{network}-{source}" if source else network


def cheapest_first(zoo: Zoo) -> Zoo:
    """The candidates, small inputs first: their runs are the quickest."""
    return replace(zoo, candidates=tuple(sorted(zoo.candidates, key=_size)))


def _size(candidate: Candidate) -> int:
    size = candidate.input.size or 224
    return size if isinstance(size, int) else max(size)
