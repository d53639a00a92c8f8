"""The candidates of the study: real few-shot and CIFAR checkpoints, the embedded zoo, and the study's own."""

from __future__ import annotations

import sys
from pathlib import Path

from pretrain import OUT, make_all

from acrank.demo import zoo_path
from acrank.zoo import Candidate, Zoo, load_zoo

HERE = Path(__file__).parent
KINDS = ("real", "embedded", "own")
#: Few-shot nets by Prototypical Networks, which differ little among themselves: one of each depth and source.
PROTONETS = [f"protonet-{depth}-{source}-5shot" for depth in ("conv4", "conv6") for source in ("cub", "miniimagenet")]

#: On whom finetuning with AC-Norm is held against vanilla finetuning: two of each kind, all families.
PANEL = (
    "resnet20-cifar10",
    "maml-conv4-miniimagenet-5shot",
    "efficientnet-fundus-lesions",
    "resnet-shapes",
    "own-resnet20-cifar10-simclr",
    "own-conv4-pneumonia-rotation",
)


def zoo(kind: str, data: Path, own: Path = OUT) -> Zoo:
    """The candidates of one kind, of KINDS.

    Args:
        kind: one of KINDS.
        data: the measuring data, to train the study's own candidates on.
        own: the folder of the study's own candidates; those missing are trained.
    """
    if kind == "real":
        manifest = load_zoo(HERE.parent / "real_checkpoints" / "model_zoo_32px.yaml")
        return manifest.select(["resnet*", "maml-*", *PROTONETS])
    if kind == "embedded":
        return load_zoo(zoo_path())
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))  # own_networks.py is not beside the manifest
    return load_zoo(make_all(data, own))


def family(candidate: Candidate) -> str:
    """Its family of architectures: the CIFAR ResNets, the four- and six-layer conv nets, timm's tiny ones."""
    name = candidate.architecture.rpartition(":")[2]
    if name.startswith("resnet"):
        return "cifar-resnet"
    return "conv" if name.startswith("conv") else "timm-tiny"
