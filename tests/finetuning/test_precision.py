"""Mixed precision and the layout of images in memory: what networks compute in, and that results stay what they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.finetuning_bench import make_bench, quick, sample, start
from torch import nn

from acrank.errors import TableError
from acrank.finetuning.flow import finetune
from acrank.finetuning.image_loader import ImageLoader, ImageSource
from acrank.finetuning.methods import METHODS
from acrank.finetuning.splits import make_partition
from acrank.finetuning.trainer import Trainer
from acrank.targets import open_target


def dtypes_of(folder: Path, amp: bool | None) -> tuple[set[torch.dtype], Trainer]:
    """What the convolutions put out while a network trains for an epoch."""
    _, target = make_bench(folder)
    network, methods, candidate = start("vanilla")
    parts = make_partition({"all": open_target(target)}, split=0, val_share=0.2, test_share=0.3, train_size=None)
    source = ImageSource(parts.train.target, candidate)
    settings = quick(amp=amp).for_task("classification")
    train, val = ImageLoader(source, parts.train), ImageLoader(source, parts.val)
    trainer = Trainer(network, methods, train=train, val=val, settings=settings, lr=0.1)
    seen: set[torch.dtype] = set()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, __, output: seen.add(output.dtype))
    trainer.run_epoch()
    return seen, trainer


@pytest.mark.parametrize(("amp", "dtype"), [(None, torch.float32), (False, torch.float32), (True, torch.bfloat16)])
def test_networks_compute_in_the_precision_asked_for(tmp_path: Path, amp: bool | None, dtype: torch.dtype) -> None:
    seen, trainer = dtypes_of(tmp_path, amp)
    assert seen == {dtype}
    assert {part.dtype for part in trainer.network.parameters()} == {torch.float32}
    assert trainer.best is not None


@pytest.mark.parametrize("method", METHODS)
def test_each_method_learns_in_mixed_precision(tmp_path: Path, method: str) -> None:
    zoo, target = make_bench(tmp_path, each=20)
    settings = quick(lrs=[0.1], epochs=12, patience=0, amp=True)
    outcome = finetune(zoo, target, [method], settings, work_dir=tmp_path / "work").outcomes[0]
    assert outcome.ground_truth is not None, outcome.reason
    assert outcome.ground_truth > 0.6  # chance is a third


def test_a_work_folder_of_another_precision_is_not_taken_up(tmp_path: Path) -> None:
    zoo, target = make_bench(tmp_path)
    plain = finetune(zoo, target, ["vanilla"], quick(lrs=[0.1]), work_dir=tmp_path / "work")
    assert plain.settings["amp"] is None
    with pytest.raises(TableError, match="settings"):
        finetune(zoo, target, ["vanilla"], quick(lrs=[0.1], amp=True), work_dir=tmp_path / "work", resume=True)


@pytest.mark.parametrize("method", ["vanilla", "ac-norm"])
def test_images_run_channels_last_and_give_the_same(method: str) -> None:
    network, _, _ = start(method)
    weights = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in weights)
    inputs, _ = sample()
    features, outputs = network.eval()(inputs)
    for part in weights:
        part.data = part.data.contiguous()
    again = network(inputs)
    assert torch.allclose(features, again[0], atol=1e-5)
    assert torch.allclose(outputs, again[1], atol=1e-5)
