"""Saved networks load in plain timm, and give the same logits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from helpers.finetuning_bench import loaded, make_bench, quick, sample, start
from helpers.workbench import make_images
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from acrank.demo import zoo_path
from acrank.errors import CandidateError
from acrank.finetuning.flow import finetune
from acrank.finetuning.image_loader import ImageSource
from acrank.finetuning.saved_networks import plain_network, save_network
from acrank.finetuning.splits import partition_indices
from acrank.finetuning.tasks.quality import mean_recall
from acrank.targets import open_target
from acrank.zoo import load_zoo
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.loading import load_candidate


def step(network: nn.Module, methods: list) -> None:
    """Training mode forward and a step, so that affines and statistics move."""
    optimiser = torch.optim.SGD([part for part in network.parameters() if part.requires_grad], 0.1)
    network.train()
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(sample()[0])[1], sample()[1]).backward()
        optimiser.step()


@pytest.mark.parametrize("model", ["resnet-shapes", "byobnet-cells", "efficientnet-digits"])
@pytest.mark.parametrize("method", ["ac-norm", "stochnorm"])
def test_timm_loads_what_was_finetuned(tmp_path: Path, model: str, method: str) -> None:
    target = make_images(tmp_path / "target", each=6, size=32)
    zoo = load_zoo(zoo_path()).select([model])
    settings = quick(lrs=[0.03], epochs=1)
    folder = tmp_path / "saved"
    outcome = finetune(zoo, target, [method], settings, work_dir=tmp_path / "work", save_dir=folder).outcomes[0]
    (path,) = folder.iterdir()
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["acrank"])
    assert (about["model"], about["method"], about["ground_truth"]) == (model, method, outcome.ground_truth)
    candidate = load_candidate(zoo.candidates[0])
    plain = import_timm().create_model(zoo.candidates[0].architecture, num_classes=3)
    plain.load_state_dict(load_file(path), strict=True)
    opened = open_target(target)
    indices = partition_indices(opened.labels, split=0, val_share=0.2, test_share=0.3)["test"]
    with torch.no_grad():
        logits = plain.eval()(ImageSource(opened, candidate).batch(torch.from_numpy(indices)))
    # the file is the network that was measured
    assert mean_recall(logits.numpy(), opened.labels[indices]) == pytest.approx(outcome.ground_truth)
    assert about["input"]["size"] == [64, 64]


@pytest.mark.parametrize("method", ["vanilla", "ac-norm", "stochnorm", "ac-norm+bn-only"])
@pytest.mark.parametrize("model", ["resnet-shapes", "byobnet-cells", "efficientnet-digits"])
def test_logits_are_equal_in_eval_mode(tmp_path: Path, model: str, method: str) -> None:
    candidate = load_candidate(load_zoo(zoo_path()).select([model]).candidates[0])
    network, methods, _ = start(method, candidate)
    step(network, methods)
    path = tmp_path / "network.safetensors"
    save_network(path, network, methods, loaded=candidate, about={}, sample=sample()[0])
    architecture = load_zoo(zoo_path()).select([model]).candidates[0].architecture
    plain = import_timm().create_model(architecture, num_classes=3)
    plain.load_state_dict(load_file(path), strict=True)
    inputs = sample(seed=5, n=6)[0]
    with torch.no_grad():
        torch.testing.assert_close(plain.eval()(inputs), network.eval()(inputs)[1], rtol=1e-4, atol=1e-4)
    assert all(
        type(layer).__name__.startswith("BatchNorm") for layer in plain.modules() if isinstance(layer, _BatchNorm)
    )


def test_networks_of_a_factory_keep_their_names(tmp_path: Path) -> None:
    network, methods, candidate = start("ac-norm")
    step(network, methods)
    plain = plain_network(network, methods, candidate)
    assert set(plain.state_dict()) == set(candidate.model.state_dict())
    assert plain.state_dict()["8.weight"].shape == (3, 16)
    with torch.no_grad():
        torch.testing.assert_close(plain(sample()[0]), network.eval()(sample()[0])[1], rtol=1e-4, atol=1e-5)
    headless = loaded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1)), head=None)
    network, methods, _ = start("vanilla", headless)
    assert {"body.0.weight", "head.weight"} <= set(plain_network(network, methods, headless).state_dict())


def test_a_network_that_would_change_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, methods, _ = start("ac-norm")
    monkeypatch.setattr(
        "acrank.finetuning.saved_networks.plain_network", lambda *_: lambda inputs: torch.zeros(len(inputs), 3)
    )
    with pytest.raises(CandidateError, match="other logits"):
        save_network(tmp_path / "x.safetensors", network, methods, loaded=loaded(), about={}, sample=sample()[0])
    assert not list(tmp_path.iterdir())


def test_saving_survives_a_resume(tmp_path: Path) -> None:
    zoo, target = make_bench(tmp_path)

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    files = []
    for name, on_epoch in (("whole", None), ("cut", stop)):
        while True:
            try:
                work, saved = tmp_path / name, tmp_path / f"{name}-saved"
                finetune(
                    zoo, target, ["ac-norm"], quick(), work_dir=work, save_dir=saved, resume=True, on_epoch=on_epoch
                )
                break
            except KeyboardInterrupt:
                continue
        (path,) = saved.iterdir()
        files.append(load_file(path))
    assert set(files[0]) == set(files[1])
    assert all(torch.equal(part, files[1][name]) for name, part in files[0].items())
