"""torchvision's networks by their names in its registry, from local files alone."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from acrank.errors import CandidateError
from acrank.zoo import Candidate, LoadedModel, load_candidate
from acrank.zoo.architectures.timm_import import import_timm

import_timm()
models = importlib.import_module("torchvision.models")


def load(folder: Path, model: nn.Module, network: str, **fields: Any) -> LoadedModel:
    torch.save(model.state_dict(), folder / "w.pth")
    return load_candidate(Candidate(id="it", architecture=network, weights="w.pth", folder=folder, **fields))


def same(loaded: LoadedModel, model: nn.Module, side: int = 64, channels: int = 3) -> bool:
    image = torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return torch.allclose(loaded.model(image), model.eval()(image), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("mobilenet_v2", "classifier.1"),
        ("efficientnet_b0", "classifier.1"),
        ("densenet121", "classifier"),
        ("regnet_y_400mf", "fc"),
        ("shufflenet_v2_x0_5", "fc"),
        ("convnext_tiny", "classifier.2"),
    ],
)
def test_files_load_by_name(tmp_path: Path, name: str, head: str) -> None:
    model = models.get_model(name, weights=None, num_classes=7)
    loaded = load(tmp_path, model, f"torchvision:{name}")
    assert same(loaded, model)
    assert (loaded.source_classes, loaded.head, loaded.weights["share"]) == (7, head, 1.0)
    assert (loaded.weights["missing"], loaded.weights["left_over"]) == (0, 0)
    assert (loaded.input.size, loaded.input.mean) == ((224, 224), (0.485, 0.456, 0.406))
    assert loaded.notes[0].startswith("assumed input: size 224, mean 0.485 0.456 0.406")


@pytest.mark.parametrize("name", ["mnasnet0_5", "squeezenet1_1"])
def test_networks_with_versions_and_with_a_convolution_as_head(tmp_path: Path, name: str) -> None:
    model = models.get_model(name, weights=None, num_classes=3)
    assert same(load(tmp_path, model, f"torchvision:{name}"), model)


def test_as_a_source_with_weights(tmp_path: Path) -> None:
    model = models.get_model("mobilenet_v2", weights=None)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    candidate = Candidate(id="it", source="torchvision:mobilenet_v2", weights="w.pth", folder=tmp_path)
    assert same(load_candidate(candidate), model)


def test_vision_transformers_and_their_sizes(tmp_path: Path) -> None:
    model = models.get_model("vit_b_32", weights=None, image_size=96, num_classes=3)
    loaded = load(tmp_path, model, "torchvision:vit_b_32", factory_args={"image_size": 96})
    assert same(loaded, model, 96)
    assert (loaded.input.size, loaded.head) == ((96, 96), "heads.head")
    with pytest.raises(CandidateError, match=r"encoder.pos_embedding \(file"):
        load(tmp_path, model, "torchvision:vit_b_32")


@pytest.mark.parametrize(("name", "size"), [("inception_v3", 299), ("googlenet", 224)])
def test_auxiliary_classifiers_are_left_out(tmp_path: Path, name: str, size: int) -> None:
    """They would make the network return several outputs in training mode."""
    model = models.get_model(name, weights=None, init_weights=False, transform_input=True, num_classes=5)
    loaded = load(tmp_path, model, f"torchvision:{name}")
    assert same(loaded, model, 128)
    assert loaded.model.train()(torch.rand(2, 3, 128, 128)).shape == (2, 5)
    assert loaded.input.size == (size, size)
    assert any("transform_input=True" in note for note in loaded.notes)
    assert loaded.weights["left_over"] > 0


@pytest.mark.parametrize(("channels", "wanted"), [(3, 1), (1, None), (4, None)])
def test_other_channels(tmp_path: Path, channels: int, wanted: int | None) -> None:
    model = models.get_model("resnet18", weights=None)
    model.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    loaded = load(tmp_path, model, "torchvision:resnet18", in_chans=wanted)
    assert loaded.input.channels == (wanted or channels)
    grey = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        expected = model.eval()(grey.expand(-1, channels, -1, -1))
        assert torch.allclose(loaded.model(grey.expand(-1, loaded.input.channels, -1, -1)), expected, atol=1e-4)


def test_unknown_names_and_arguments(tmp_path: Path) -> None:
    model = nn.Conv2d(3, 4, 3)
    with pytest.raises(CandidateError, match="torchvision has no classification network 'mobilenetv2'") as caught:
        load(tmp_path, model, "torchvision:mobilenetv2")
    assert "'mobilenet_v2'" in (caught.value.hint or "")
    with pytest.raises(CandidateError, match="no classification network 'fasterrcnn_resnet50_fpn'"):
        load(tmp_path, model, "torchvision:fasterrcnn_resnet50_fpn")
    with pytest.raises(CandidateError, match="cannot be built"):
        load(tmp_path, model, "torchvision:resnet18", factory_args={"colour": 1})


def test_the_architecture_of_the_same_family_is_named(tmp_path: Path) -> None:
    model = models.get_model("resnet34", weights=None)
    with pytest.raises(CandidateError, match="layers that the network does not have") as caught:
        load(tmp_path, model, "torchvision:resnet18")
    assert caught.value.hint == "the file fits `architecture: torchvision:resnet34`"
