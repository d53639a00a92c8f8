"""Networks of other libraries, and checkpoints named as Models Genesis names them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from acrank.errors import CandidateError, ManifestError, MissingExtraError
from acrank.zoo import Candidate, load_candidate, load_zoo
from acrank.zoo.architectures.genesis import UNet3D
from acrank.zoo.architectures.timm_import import import_timm

GENESIS_TENSORS = {  # names and shapes as the published checkpoints have them, for 64 channels
    "down_tr64.ops.0.conv1.weight": (32, 1, 3, 3, 3),
    "down_tr64.ops.1.bn1.weight": (64,),
    "down_tr128.ops.0.conv1.weight": (64, 64, 3, 3, 3),
    "down_tr512.ops.1.conv1.weight": (512, 256, 3, 3, 3),
    "down_tr512.ops.1.bn1.running_var": (512,),
    "up_tr256.up_conv.weight": (512, 512, 2, 2, 2),
    "up_tr256.ops.0.conv1.weight": (256, 768, 3, 3, 3),
    "up_tr128.ops.0.conv1.weight": (128, 384, 3, 3, 3),
    "up_tr64.up_conv.bias": (128,),
    "up_tr64.ops.1.bn1.bias": (64,),
    "out_tr.final_conv.weight": (1, 64, 1, 1, 1),
}


def candidate(folder: Path, network: nn.Module, architecture: str, prefix: str = "", **more: object) -> Candidate:
    torch.save({"state_dict": {prefix + name: value for name, value in network.state_dict().items()}}, folder / "w.pt")
    about = {"id": "it", "architecture": architecture, "weights": "w.pt", "weights_key": "state_dict", "folder": folder}
    return Candidate.model_validate({**about, **more})


def test_genesis_has_the_published_names_and_shapes() -> None:
    with torch.device("meta"):
        own = UNet3D().state_dict()
    assert {name: tuple(own[name].shape) for name in GENESIS_TENSORS} == GENESIS_TENSORS


def test_genesis_takes_its_width_channels_and_outputs_from_the_file(tmp_path: Path) -> None:
    network = UNet3D(channels=2, outputs=3, width=8)
    loaded = load_candidate(candidate(tmp_path, network, "genesis:unet3d", "module.", strip_prefix="module."))
    assert (loaded.input.channels, loaded.input.size, loaded.weights["share"]) == (2, (64, 64, 64), 1.0)
    inputs = torch.rand(1, 2, 16, 16, 16)
    assert torch.equal(loaded.model(inputs), network.eval()(inputs))
    assert loaded.notes[0] == "assumed input: size 64, mean 0.5, std 0.5"


def test_a_forgotten_prefix_is_removed(tmp_path: Path) -> None:
    network = UNet3D(width=4)
    loaded = load_candidate(candidate(tmp_path, network, "genesis:unet3d", "module."))
    assert torch.equal(loaded.model.state_dict()["out_tr.final_conv.bias"], network.out_tr.final_conv.bias)
    assert loaded.notes[0] == "prefix `module.` removed from the tensor names"
    torch.save({"x": torch.ones(3)}, tmp_path / "w.pt")
    with pytest.raises(CandidateError, match="no tensor 'down_tr64"):
        load_candidate(Candidate(id="it", architecture="genesis:unet3d", weights="w.pt", folder=tmp_path))


def test_a_square_in_the_manifest_is_a_cube_for_volumes(tmp_path: Path) -> None:
    sizes = {"a": "32", "b": "[8, 8, 16]", "c": "[16, 24]"}
    entries = [
        f"  - {{id: {name}, architecture: 'genesis:unet3d', weights: w.pt, weights_key: state_dict,"
        f" input: {{size: {size}}}}}\n"
        for name, size in sizes.items()
    ]
    (tmp_path / "zoo.yaml").write_text("version: 1\nmodels:\n" + "".join(entries))
    candidate(tmp_path, UNet3D(width=4), "genesis:unet3d")
    first, second, third = load_zoo(tmp_path / "zoo.yaml").candidates
    assert load_candidate(first).input.size == (32, 32, 32)
    assert load_candidate(second).input.size == (8, 8, 16)
    with pytest.raises(CandidateError, match=r"input.size \[16, 24\] has 2 axes, the network 3"):
        load_candidate(third)


@pytest.mark.parametrize("name", ["UNet", "SegResNet", "ResNet", "DynUNet"])
def test_monai_networks_have_batch_norm(tmp_path: Path, name: str) -> None:
    nets = pytest.importorskip("monai.networks.nets")
    args: dict[str, object] = {
        "UNet": {"channels": [4, 8, 16], "strides": [2, 2], "num_res_units": 1},
        "SegResNet": {"init_filters": 8},
        "ResNet": {"block_inplanes": [4, 8, 16, 32], "layers": [1, 1, 1, 1]},
        "DynUNet": {
            "kernel_size": [3, 3, 3],
            "strides": [1, 2, 2],
            "upsample_kernel_size": [2, 2],
            "filters": [4, 8, 16],
            "norm_name": "batch",
        },
    }[name]
    shape = {"UNet": "in_channels", "SegResNet": "in_channels", "ResNet": "n_input_channels", "DynUNet": "in_channels"}
    full = {"spatial_dims": 3, shape[name]: 1, **args}
    full |= {"num_classes": 2, "block": "basic"} if name == "ResNet" else {"out_channels": 2}
    full |= {"norm": "batch"} if name in ("UNet", "SegResNet") else {}
    network = getattr(nets, name)(**full)
    loaded = load_candidate(candidate(tmp_path, network, f"monai:{name}", factory_args=args))
    norms = [layer for layer in loaded.model.modules() if isinstance(layer, nn.BatchNorm3d)]
    assert norms
    assert (loaded.weights["missing"], loaded.input.channels) == (0, 1)
    assert any(note.startswith("assumed arguments: spatial_dims=3") for note in loaded.notes)


def test_unknown_networks_and_arguments(tmp_path: Path) -> None:
    pytest.importorskip("monai")
    with pytest.raises(CandidateError, match="no network 'UNett'") as caught:
        load_candidate(candidate(tmp_path, nn.Conv3d(1, 2, 1), "monai:UNett"))
    assert "UNet" in (caught.value.hint or "")
    with pytest.raises(CandidateError, match="cannot be built"):
        load_candidate(candidate(tmp_path, nn.Conv3d(1, 2, 1), "monai:UNet", factory_args={"colour": 1}))
    with pytest.raises(CandidateError, match="names no encoder"):
        load_candidate(candidate(tmp_path, nn.Conv2d(1, 2, 1), "smp:Unet"))


def test_an_unknown_library_is_refused_by_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "zoo.yaml").write_text("version: 1\nmodels:\n  - {id: a, architecture: 'keras:UNet', weights: w.pt}\n")
    with pytest.raises(ManifestError, match="keras:UNet"):
        load_zoo(tmp_path / "zoo.yaml")


def test_smp_from_a_whole_checkpoint_and_from_an_encoder(tmp_path: Path) -> None:
    timm = import_timm()
    smp = pytest.importorskip("segmentation_models_pytorch")
    whole = smp.create_model("Unet", "resnet18", encoder_weights=None, in_channels=1, classes=3)
    loaded = load_candidate(candidate(tmp_path, whole, "smp:Unet/resnet18", in_chans=1, factory_args={"classes": 3}))
    inputs = torch.rand(1, 1, 32, 32)
    assert torch.equal(loaded.model(inputs), whole.eval()(inputs))
    encoder = timm.create_model("resnet18", num_classes=7)
    loaded = load_candidate(candidate(tmp_path, encoder, "smp:Unet/resnet18"))
    assert loaded.input.channels == 3
    assert torch.equal(loaded.model.encoder.conv1.weight, encoder.conv1.weight)
    assert "weights of the encoder alone: the decoder is drawn from seed 0" in loaded.notes
    assert loaded.weights["share"] == 1.0


def test_smp_from_lightning_and_from_encoders_under_a_prefix(tmp_path: Path) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    whole = smp.create_model("Unet", "resnet18", encoder_weights=None)
    loaded = load_candidate(candidate(tmp_path, whole, "smp:Unet/resnet18", "model."))
    inputs = torch.rand(1, 3, 32, 32)
    assert torch.equal(loaded.model(inputs), whole.eval()(inputs))
    assert loaded.notes[0] == "prefix `model.` removed from the tensor names"
    encoder = import_timm().create_model("resnet18", num_classes=7)
    loaded = load_candidate(candidate(tmp_path, encoder, "smp:Unet/resnet18", "module.encoder_q."))
    assert torch.equal(loaded.model.encoder.conv1.weight, encoder.conv1.weight)
    assert loaded.notes[:2] == [
        "prefix `module.encoder_q.` removed from the tensor names",
        "weights of the encoder alone: the decoder is drawn from seed 0",
    ]
    with pytest.raises(CandidateError, match="would stay random"):
        load_candidate(candidate(tmp_path, whole, "smp:FPN/resnet18"))


def test_an_encoder_of_a_segmentation_network_fills_a_classifier(tmp_path: Path) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    whole = smp.create_model("Unet", "resnet18", encoder_weights=None)
    loaded = load_candidate(candidate(tmp_path, whole, "resnet18"))
    assert torch.equal(loaded.model.conv1.weight, whole.encoder.conv1.weight)
    assert loaded.notes[0] == "prefix `encoder.` removed from the tensor names"
    assert loaded.source_classes is None


@pytest.mark.parametrize(
    ("architecture", "module", "extra"),
    [
        ("monai:UNet", "monai.networks.nets", "volumes"),
        ("smp:Unet/resnet18", "segmentation_models_pytorch", "segmentation"),
    ],
)
def test_a_missing_library_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        load_candidate(candidate(tmp_path, nn.Conv3d(1, 2, 1), architecture))
    assert caught.value.hint == f"pip install 'acrank[{extra}]'"
