"""A tiny zoo and a separable target, and the pieces of a run on them."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from helpers.workbench import input_of, make_images, make_zoo, network
from torch import Tensor, nn

from acrank.finetuning.building import build_network
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.methods import make_methods
from acrank.finetuning.methods.method import Method
from acrank.finetuning.network import Network
from acrank.finetuning.tasks.classification import Classification
from acrank.zoo.loading import LoadedModel

CLASSES = 3


def make_bench(folder: Path, count: int = 1, each: int = 12) -> tuple[Path, Path]:
    """Manifest and target."""
    return make_zoo(folder / "zoo", count), make_images(folder / "target", each=each)


def quick(**more: object) -> FinetuneSettings:
    """Settings of a run that takes a second."""
    given: dict[str, object] = {"lrs": [0.1, 0.03], "epochs": 3, "batch_size": 8, "device": "cpu", "allow_code": True}
    return FinetuneSettings(**{**given, **more})  # type: ignore[arg-type]


def loaded(model: nn.Module | None = None, *, head: str | None = "8", size: int = 16) -> LoadedModel:
    """A candidate in memory: the workbench's network, whose head is its module 8."""
    model = network(0) if model is None else model
    return LoadedModel(copy.deepcopy(model), input_of((size, size), 3, mean=0.5, std=0.5), head=head)


def sample(n: int = 12, size: int = 16, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images [n, 3, size, size] and labels [n]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, size, size, generator=generator), torch.arange(n) % CLASSES


def start(name: str, candidate: LoadedModel | None = None) -> tuple[Network, list[Method], LoadedModel]:
    """The network of a method before its first step."""
    torch.manual_seed(0)
    candidate = candidate or loaded()
    methods = make_methods(name)
    return build_network(candidate, methods, Classification(CLASSES), sample=sample()), methods, candidate
