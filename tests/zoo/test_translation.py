"""Names of other libraries: a file renamed from the real network computes what that network computes."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.zoo import Candidate, LoadedModel, load_candidate
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.translation import translated

timm = import_timm()


def network(name: str, **options: Any) -> nn.Module:
    """A network no two of whose norms are alike; they scale by nearly 1, so that values stay finite."""
    model: nn.Module = timm.create_model(name, **options).eval()
    return drawn(model)


def drawn(model: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.is_floating_point() and value.ndim == 1:
                noise = torch.rand(value.shape, generator=generator) * 0.1
                value.copy_(noise if "bias" in key or "mean" in key else 1 + noise)
    return model.eval()


def load(folder: Path, payload: Any, architecture: str, **fields: Any) -> LoadedModel:
    torch.save(payload, folder / "w.pth")
    return load_candidate(Candidate(id="it", architecture=architecture, weights="w.pth", folder=folder, **fields))


def same(loaded: LoadedModel, model: nn.Module, side: int = 64) -> bool:
    image = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return torch.allclose(loaded.model(image), model(image), atol=1e-5, rtol=1e-4)


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in tensors.items()}


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.model.", "backbone.", "net."])
def test_prefixes_are_removed_and_noted(tmp_path: Path, prefix: str) -> None:
    model = network("test_resnet", num_classes=3)
    loaded = load(tmp_path, {"state_dict": prefixed(prefix, model.state_dict())}, "test_resnet")
    assert same(loaded, model)
    assert loaded.source_classes == 3
    assert loaded.notes[0] == f"prefix `{prefix}` removed from the tensor names"


def test_moco_takes_the_query_encoder(tmp_path: Path) -> None:
    query, key = network("test_resnet", num_classes=0), timm.create_model("test_resnet", num_classes=0)
    tensors = prefixed("module.encoder_q.", query.state_dict()) | prefixed("module.encoder_k.", key.state_dict())
    tensors |= {"module.queue": torch.rand(128, 9), "module.encoder_q.fc.0.weight": torch.rand(64, 192)}
    loaded = load(tmp_path, {"epoch": 200, "state_dict": tensors}, "test_resnet")
    assert same(loaded, query)
    assert loaded.source_classes is None


def test_two_networks_without_a_rule_are_refused(tmp_path: Path) -> None:
    tensors = network("test_resnet").state_dict()
    both = prefixed("left.", tensors) | prefixed("right.", tensors)
    with pytest.raises(CandidateError, match="would stay random") as caught:
        load(tmp_path, both, "test_resnet")
    assert "strip_prefix: left." in (caught.value.hint or "")


def test_dino_takes_the_teacher(tmp_path: Path) -> None:
    teacher, student = network("test_vit", num_classes=0), timm.create_model("test_vit", num_classes=0)
    head = {"head.mlp.0.weight": torch.rand(8, 64), "head.last_layer.weight_g": torch.rand(9, 1)}
    payload = {
        "student": prefixed("module.backbone.", student.state_dict()) | prefixed("module.", head),
        "teacher": prefixed("backbone.", teacher.state_dict()) | head,
        "epoch": 100,
        "args": argparse.Namespace(arch="vit_small"),
        "dino_loss": {"center": torch.zeros(1, 9)},
    }
    loaded = load(tmp_path, payload, "test_vit")
    assert same(loaded, teacher, 160)
    assert "weights under `teacher`, of `student`, `teacher`" in loaded.notes


def test_mae_leaves_its_decoder_out(tmp_path: Path) -> None:
    model = network("test_vit", num_classes=0)
    decoder = {"mask_token": torch.zeros(1, 1, 32), "decoder_pos_embed": torch.zeros(1, 101, 32)}
    decoder |= prefixed("decoder_blocks.0.", {"norm1.weight": torch.ones(32), "mlp.fc1.weight": torch.rand(64, 32)})
    loaded = load(tmp_path, {"model": model.state_dict() | decoder}, "test_vit")
    assert same(loaded, model, 160)
    assert (loaded.weights["missing"], loaded.weights["left_over"]) == (0, 4)


def test_retfound_averages_its_tokens(tmp_path: Path) -> None:
    """The finetuned MAE has `fc_norm` after the average, and no `norm` before it."""
    model = network("test_vit", num_classes=5, global_pool="avg")
    assert {"fc_norm.weight", "head.weight"} <= set(model.state_dict())
    assert "norm.weight" not in model.state_dict()
    payload = {"model": model.state_dict(), "optimizer": {"state": {}}, "args": argparse.Namespace(nb_classes=5)}
    loaded = load(tmp_path, payload, "test_vit")
    assert same(loaded, model, 160)
    assert loaded.source_classes == 5


@pytest.mark.parametrize(
    ("name", "prefix"), [("resnet18", "backbone."), ("densenet121", "backbone."), ("resnet18", "")]
)
def test_children_of_a_sequential(tmp_path: Path, name: str, prefix: str) -> None:
    """As RadImageNet's files are named: `backbone.0.weight` for `conv1.weight`."""
    model = network(name, num_classes=0)
    numbers = {child: str(i) for i, (child, _) in enumerate(model.named_children())}
    tensors = {}
    for key, value in model.state_dict().items():
        child, _, rest = key.partition(".")
        tensors[f"{prefix}{numbers[child]}.{rest}"] = value
    loaded = load(tmp_path, tensors, name)
    assert same(loaded, model)
    assert "tensor names translated from the numbers of a Sequential" in loaded.notes


def densenet_before(name: str) -> str:
    return re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)\.", r"\1.\2.", name)


@pytest.mark.parametrize("architecture", ["densenet121", "torchvision:densenet121"])
def test_densenets_old_names(tmp_path: Path, architecture: str) -> None:
    model = network("densenet121", num_classes=4)
    tensors = {densenet_before(name): value for name, value in model.state_dict().items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in tensors
    loaded = load(tmp_path, tensors, architecture)
    assert same(loaded, model)
    assert loaded.source_classes == 4
    assert "tensor names translated from torchvision's old names of DenseNet" in loaded.notes


def lukemelas(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of timm's EfficientNet under EfficientNet-PyTorch's names, which number the blocks through."""
    keys = list(model.state_dict())
    blocks = list(dict.fromkeys(found[0] for key in keys if (found := re.match(r"blocks\.\d+\.\d+", key))))
    inverted = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    inverted |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    separable = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    excite = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
    outside = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}

    def renamed(key: str) -> str:
        block = next((block for block in blocks if key.startswith(f"{block}.")), None)
        layer, _, part = key.removeprefix(f"{block}.").rpartition(".")
        if block is None:
            return f"{outside[layer]}.{part}"
        names = excite | (separable if block.startswith("blocks.0.") else inverted)
        return f"_blocks.{blocks.index(block)}.{names[layer]}.{part}"

    return {renamed(key): value for key, value in model.state_dict().items()}


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_efficientnet_b0"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_efficientnet_pytorch(tmp_path: Path, name: str, prefix: str) -> None:
    model = network(name, num_classes=6)
    loaded = load(tmp_path, prefixed(prefix, lukemelas(model)), name)
    assert same(loaded, model)
    assert loaded.source_classes == 6
    assert "tensor names translated from EfficientNet-PyTorch's names" in loaded.notes


@pytest.mark.parametrize(
    ("theirs", "ours", "title"),
    [
        ("mobilenet_v2", "mobilenetv2_100", "torchvision's names of MobileNetV2"),
        ("efficientnet_b0", "efficientnet_b0", "torchvision's names of EfficientNet"),
    ],
)
def test_torchvisions_files_fill_timms_networks(tmp_path: Path, theirs: str, ours: str, title: str) -> None:
    models = importlib.import_module("torchvision.models")
    model = drawn(models.get_model(theirs, weights=None, num_classes=7))
    loaded = load(tmp_path, model.state_dict(), ours)
    assert same(loaded, model)
    assert loaded.source_classes == 7
    assert f"tensor names translated from {title}" in loaded.notes


def mmpretrain_vit(name: str) -> str:
    """`backbone.layers.0.ffn.layers.0.0.weight` for `blocks.0.mlp.fc1.weight`."""
    if name.startswith("head."):
        return f"head.layers.{name}"
    name = name.replace("patch_embed.proj", "patch_embed.projection").replace("blocks.", "layers.")
    name = name.replace("mlp.fc1", "ffn.layers.0.0").replace("mlp.fc2", "ffn.layers.1")
    return "backbone." + re.sub(r"(^|\.)norm(\d?)\.", lambda found: f"{found[1]}ln{found[2] or 1}.", name)


def mmpretrain_resnet(name: str) -> str:
    return f"head.{name}" if name.startswith("fc.") else f"backbone.{name}"


@pytest.mark.parametrize(
    ("architecture", "rename", "side"), [("resnet18", mmpretrain_resnet, 64), ("test_vit", mmpretrain_vit, 160)]
)
def test_mmpretrain(tmp_path: Path, architecture: str, rename: Callable[[str], str], side: int) -> None:
    model = network(architecture, num_classes=4)
    payload = {"meta": {"epoch": 3}, "state_dict": {rename(key): value for key, value in model.state_dict().items()}}
    loaded = load(tmp_path, payload, architecture)
    assert same(loaded, model, side)
    assert loaded.source_classes == 4


def test_other_authors_names_under_a_prefix_reach_timms_conversion(tmp_path: Path) -> None:
    model = network("test_convnext2", num_classes=4)
    tensors = {}
    for name, value in model.state_dict().items():
        name = re.sub(r"stages\.(\d)\.blocks\.(\d)", r"stages.\1.\2", name).replace("conv_dw", "dwconv")
        name = re.sub(r"mlp\.fc([12])", r"pwconv\1", name)
        name = re.sub(r"stages\.(\d)\.downsample\.(\d)", r"downsample_layers.\1.\2", name)
        name = name.replace("stem.", "downsample_layers.0.")
        tensors[f"module.{name.replace('head.norm', 'norm').replace('head.fc', 'head')}"] = value
    loaded = load(tmp_path, {"model": tensors}, "test_convnext2")
    assert same(loaded, model, 96)
    assert loaded.notes[:2] == ["prefix `module.` removed from the tensor names", "tensor names translated by timm"]


def test_nothing_is_changed_where_nothing_fits() -> None:
    tensors = {"module.x": torch.ones(2), "module.y": torch.ones(2)}
    assert translated(network("test_resnet"), tensors) == (tensors, [])
