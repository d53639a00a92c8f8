"""Loading: the network is the checkpoint's, wholly, or there is an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.system.files import sha256_of
from acrank.zoo import Candidate, LoadedModel, ManifestInput, load_candidate
from acrank.zoo.architectures.timm_import import import_timm

timm = import_timm()


def network(name: str = "test_resnet", **options: Any) -> nn.Module:
    """A network that no initialisation could give: every tensor drawn at random, statistics too."""
    model = timm.create_model(name, **options).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) * 0.1 + 0.05)
    return model


def stored(folder: Path, payload: Any, **fields: Any) -> Candidate:
    torch.save(payload, folder / "w.pth")
    settings: dict[str, Any] = {"architecture": "test_resnet", "weights": "w.pth"} | fields
    return Candidate(id="it", folder=folder, **settings)


def same_output(loaded: LoadedModel, model: nn.Module, channels: int = 3) -> bool:
    image = torch.rand(2, channels, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return torch.allclose(loaded.model(image), model(image), atol=1e-5)


def test_the_network_is_the_one_that_was_saved(tmp_path: Path) -> None:
    model = network(num_classes=7)
    candidate = stored(tmp_path, model.state_dict())
    loaded = load_candidate(candidate)
    assert same_output(loaded, model)
    assert not loaded.model.training
    assert (loaded.input.channels, loaded.source_classes, loaded.head) == (3, 7, "fc")
    counted = sum(1 for _ in model.state_dict())
    assert {key: loaded.weights[key] for key in ("matched", "missing", "left_over", "share", "adapted")} == {
        "matched": counted,
        "missing": 0,
        "left_over": 0,
        "share": 1.0,
        "adapted": [],
    }
    assert (loaded.weights["file"], loaded.weights["sha256"]) == ("w.pth", sha256_of(tmp_path / "w.pth"))
    assert loaded.notes == ["assumed input: size 160, mean 0.5, std 0.5"]


@pytest.mark.parametrize("name", ["test_byobnet", "test_efficientnet", "test_convnext2", "test_vit", "test_vit_relpos"])
def test_other_architectures(tmp_path: Path, name: str) -> None:
    if not timm.is_model(name):
        pytest.skip("this timm does not have it yet")
    model = timm.create_model(name, num_classes=5).eval()
    loaded = load_candidate(stored(tmp_path, model.state_dict(), architecture=name))
    image = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        assert torch.allclose(loaded.model(image), model(image), atol=1e-5)
    assert loaded.source_classes == 5


def test_a_moco_checkpoint(tmp_path: Path) -> None:
    """Momentum contrast (He et al. 2020) saves query and key encoders, with a projection where the head would be."""
    query, key = network(num_classes=0), network(num_classes=0)
    tensors: dict[str, Tensor] = {f"module.encoder_q.{name}": value for name, value in query.state_dict().items()}
    tensors |= {f"module.encoder_k.{name}": value + 1 for name, value in key.state_dict().items()}
    tensors |= {"module.encoder_q.fc.0.weight": torch.rand(64, 192), "module.queue": torch.rand(128, 9)}
    payload = {
        "epoch": 200,
        "arch": "resnet",
        "state_dict": tensors,
        "optimizer": {"state": {0: {}}, "param_groups": []},
    }
    for options in ({}, {"keep_prefix": "module.encoder_q."}):
        loaded = load_candidate(stored(tmp_path, payload, strip_prefix="module.encoder_q.", **options))
        assert same_output(loaded, query)
        assert (loaded.source_classes, loaded.head) == (None, None)
    assert (loaded.weights["left_over"], loaded.weights["left_over_names"]) == (1, ["fc.0.weight"])


def test_the_hint_names_a_prefix_that_makes_most_names_match(tmp_path: Path) -> None:
    tensors = {f"module.{name}": value for name, value in network().state_dict().items()}
    del tensors["module.layer4.0.conv1.weight"]
    with pytest.raises(CandidateError, match=r"fills 0\.0% of the backbone's parameters; 75 of its tensors") as caught:
        load_candidate(stored(tmp_path, tensors))
    assert caught.value.hint == "with `strip_prefix: module.` 74 of the network's 75 tensors would match"
    few = {name: value for name, value in tensors.items() if "layer4" in name or "layer3" in name}
    with pytest.raises(CandidateError) as caught:
        load_candidate(stored(tmp_path, few))
    assert "check that architecture and weights belong together" in (caught.value.hint or "")


def test_renaming_reaches_the_network(tmp_path: Path) -> None:
    model = network(num_classes=3)
    tensors = {re.sub(r"^layer(\d)", r"stage_\1", name): value for name, value in model.state_dict().items()}
    loaded = load_candidate(stored(tmp_path, tensors, rename={r"^stage_(\d)": r"layer\1"}))
    assert same_output(loaded, model)


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    model = network(num_classes=3)
    loaded = load_candidate(
        stored(tmp_path, {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()})
    )
    assert {value.dtype for value in loaded.model.parameters()} == {torch.float32}
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(loaded.model(image), model(image), rtol=1e-2)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_images_with_other_channels(tmp_path: Path, channels: int) -> None:
    """The channels repeat in order, scaled by 3 / channels; so a grey image in 1 or 6 gives what it gave in three."""
    model = network(num_classes=3)
    loaded = load_candidate(stored(tmp_path, model.state_dict(), in_chans=channels))
    old, new = model.state_dict()["conv1.0.weight"], loaded.model.state_dict()["conv1.0.weight"]
    if channels == 1:
        assert torch.allclose(new[:, 0], old[:, 0] + old[:, 1] + old[:, 2])
    else:
        assert all(torch.allclose(new[:, i], old[:, i % 3] * 3 / channels) for i in range(channels))
    if channels in (1, 6):
        grey = torch.rand(2, 1, 64, 64)
        with torch.no_grad():
            was, now = model(grey.expand(-1, 3, -1, -1)), loaded.model(grey.expand(-1, channels, -1, -1))
        assert torch.allclose(was, now, atol=1e-4)
    assert (loaded.input.channels, loaded.weights["adapted"]) == (channels, ["conv1.0.weight"])
    assert f"first layer adapted from 3 to {channels} channels" in loaded.notes
    assert len(loaded.input.mean) == channels


@pytest.mark.parametrize(("source", "wanted"), [(1, None), (1, 3), (4, None), (4, 1)])
def test_checkpoints_with_other_channels(tmp_path: Path, source: int, wanted: int | None) -> None:
    model = network(num_classes=3, in_chans=source)
    loaded = load_candidate(stored(tmp_path, model.state_dict(), in_chans=wanted))
    assert loaded.input.channels == (wanted or source)
    grey = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        expected, found = (
            model(grey.expand(-1, source, -1, -1)),
            loaded.model(grey.expand(-1, loaded.input.channels, -1, -1)),
        )
    assert torch.allclose(found, expected, atol=1e-4)


def test_a_stem_that_folds_pixels_into_channels(tmp_path: Path) -> None:
    """tresnet's first convolution sees 48 channels, of images that have three."""
    model = timm.create_model("tresnet_m", num_classes=2)
    assert load_candidate(stored(tmp_path, model.state_dict(), architecture="tresnet_m")).input.channels == 3


def test_an_architectures_own_size_and_the_manifests(tmp_path: Path) -> None:
    """A transformer of one size: its position embedding is interpolated to another."""
    model = timm.create_model("test_vit3", num_classes=2)
    candidate = stored(tmp_path, model.state_dict(), architecture="test_vit3", input=ManifestInput(size=(96, 96)))
    loaded = load_candidate(candidate)
    assert loaded.input.size == (96, 96)
    assert loaded.model(torch.rand(1, 3, 96, 96)).shape == (1, 2)


def test_an_embedding_resized_by_timm_is_noted_and_patches_of_another_size_are_refused(tmp_path: Path) -> None:
    tensors = timm.create_model("test_vit3", num_classes=2).state_dict()
    fields = {"architecture": "test_vit3", "input": ManifestInput(size=(96, 96))}
    notes = load_candidate(stored(tmp_path, tensors, **fields)).notes
    assert any(note.startswith("pos_embed resized by timm from") for note in notes)
    tensors = timm.create_model("vit_tiny_patch16_224", num_classes=2, depth=12, patch_size=32).state_dict()
    with pytest.raises(CandidateError, match=r"patch_embed.proj.weight \(file \(192, 3, 32, 32\), network"):
        load_candidate(stored(tmp_path, tensors, architecture="vit_tiny_patch16_224"))


def test_another_architectures_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CandidateError, match="tensors would stay random") as caught:
        load_candidate(stored(tmp_path, network("test_byobnet").state_dict()))
    assert "check that architecture and weights belong together" in (caught.value.hint or "")
    wider = timm.create_model("resnet18").state_dict()
    with pytest.raises(CandidateError, match=r"\(file \(64, 64, 3, 3\), network \(64, 64, 1, 1\)\)"):
        load_candidate(stored(tmp_path, wider, architecture="resnet50"))


def test_min_match_decides_how_much_may_be_missing(tmp_path: Path) -> None:
    model = network(num_classes=3)
    tensors = model.state_dict()
    backbone = sum(v.numel() for name, v in model.named_parameters() if not name.startswith("fc."))
    lost = "layer4.0.conv1.weight"
    share = 1 - tensors.pop(lost).numel() / backbone
    loaded = load_candidate(stored(tmp_path, tensors, min_match=share - 1e-6))
    assert loaded.weights["share"] == pytest.approx(share)
    assert (loaded.weights["missing"], loaded.weights["missing_names"]) == (1, [lost])
    with pytest.raises(CandidateError, match=f"1 missing, 0 left over\\); missing: {lost}"):
        load_candidate(stored(tmp_path, tensors, min_match=share + 1e-6))
    with pytest.raises(CandidateError, match=rf"1 of its tensors would stay random \(.*\): {lost}"):
        load_candidate(stored(tmp_path, tensors))


def test_the_first_layer_is_never_random(tmp_path: Path) -> None:
    """The stem of networks for 32 px in place of one for 224: by elements it is a thousandth of the network."""
    tensors = timm.create_model("resnet18", num_classes=5).state_dict()
    tensors["conv1.weight"] = torch.rand(64, 3, 3, 3)
    payload = {"state_dict": {f"backbone.{name}": value for name, value in tensors.items()}}
    for options in ({}, {"min_match": 0.5}):
        fields = {"architecture": "resnet18", "strip_prefix": "backbone."} | options
        with pytest.raises(
            CandidateError, match=r"conv1\.weight \(file \(64, 3, 3, 3\), network \(64, 3, 7, 7\)\)"
        ) as caught:
            load_candidate(stored(tmp_path, payload, **fields))
        assert "begins with another layer" in (caught.value.hint or "")


@pytest.mark.parametrize(("file", "network"), [("resnet34", "resnet18"), ("resnet18", "resnet34")])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_deeper_or_shallower_network_is_refused_and_named(
    tmp_path: Path, file: str, network: str, prefix: str
) -> None:
    tensors = {f"{prefix}{name}": value for name, value in timm.create_model(file).state_dict().items()}
    said = "belong to layers that the network does not have: layer1.2" if file == "resnet34" else "would stay random"
    with pytest.raises(CandidateError, match=said) as caught:
        load_candidate(stored(tmp_path, tensors, architecture=network))
    assert caught.value.hint == f"the file fits `architecture: {file}`"
    if file == "resnet34":
        loaded = load_candidate(stored(tmp_path, tensors, architecture=network, allow_unused=True))
        assert loaded.weights["left_over"] == 96


@pytest.mark.parametrize("part", ["weight", "bias", "running_mean", "running_var"])
def test_a_missing_normalisation_tensor_is_refused(tmp_path: Path, part: str) -> None:
    tensors = network().state_dict()
    del tensors[f"layer2.0.bn1.{part}"]
    with pytest.raises(CandidateError, match=f"1 tensors of normalisation layers are missing .*layer2.0.bn1.{part}"):
        load_candidate(stored(tmp_path, tensors, min_match=0.1))


def test_counters_may_be_missing(tmp_path: Path) -> None:
    model = network(num_classes=3)
    tensors = {name: value for name, value in model.state_dict().items() if "num_batches" not in name}
    loaded = load_candidate(stored(tmp_path, tensors, min_match=1.0))
    assert loaded.weights["missing"] == 0
    assert same_output(loaded, model)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["layer1.0.bn1.running_var", "fc.weight"])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, name: str, value: float) -> None:
    tensors = network(num_classes=3).state_dict()
    tensors[name].view(-1)[0] = value
    with pytest.raises(CandidateError, match=f"'{name}' has values that are not finite"):
        load_candidate(stored(tmp_path, tensors))


def test_left_over_tensors_may_be_anything(tmp_path: Path) -> None:
    tensors = network(num_classes=3).state_dict() | {"queue": torch.tensor([float("nan")])}
    loaded = load_candidate(stored(tmp_path, tensors))
    assert (loaded.weights["left_over"], loaded.weights["left_over_names"]) == (1, ["queue"])


def test_a_wrong_hash_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    candidate = stored(tmp_path, network().state_dict(), sha256="0" * 64, weights_key="nowhere")
    with pytest.raises(CandidateError, match=f"sha256 {sha256_of(tmp_path / 'w.pth')}, the manifest wants 000"):
        load_candidate(candidate)
    right = stored(tmp_path, network().state_dict(), sha256=sha256_of(tmp_path / "w.pth").upper())
    assert load_candidate(right).weights["share"] == 1


def test_an_unknown_architecture_or_tag(tmp_path: Path) -> None:
    tensors = network().state_dict()
    with pytest.raises(CandidateError, match="no architecture 'test_resnett'") as caught:
        load_candidate(stored(tmp_path, tensors, architecture="test_resnett"))
    assert "'test_resnet'" in (caught.value.hint or "")
    with pytest.raises(CandidateError, match=r"no pretrained weights called 'test_resnet\.nope'") as caught:
        load_candidate(stored(tmp_path, tensors, architecture="test_resnet.nope"))
    assert "test_resnet.r160_in1k" in (caught.value.hint or "")


def test_statistics_that_were_never_updated_are_noted(tmp_path: Path) -> None:
    untouched = timm.create_model("test_resnet").state_dict()
    noted = "the running statistics of its normalisation layers were never updated"
    assert noted in load_candidate(stored(tmp_path, untouched)).notes
    assert noted not in load_candidate(stored(tmp_path, network().state_dict())).notes


def test_what_is_missing_is_the_same_every_time_and_others_randomness_is_left_alone(tmp_path: Path) -> None:
    tensors = network().state_dict()
    del tensors["layer1.0.conv1.weight"]
    candidate = stored(tmp_path, tensors, min_match=0.5)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, drawn = load_candidate(candidate), torch.rand(1)
    assert torch.equal(drawn, expected)
    second = load_candidate(candidate)
    assert torch.equal(
        first.model.state_dict()["layer1.0.conv1.weight"], second.model.state_dict()["layer1.0.conv1.weight"]
    )


def test_original_names_are_translated_by_timm(tmp_path: Path) -> None:
    """The authors' ConvNeXt calls its blocks `stages.0.0.dwconv`, timm `stages.0.blocks.0.conv_dw`."""
    model = timm.create_model("test_convnext2", num_classes=4).eval()
    tensors = {}
    for name, value in model.state_dict().items():
        name = re.sub(r"stages\.(\d)\.blocks\.(\d)", r"stages.\1.\2", name).replace("conv_dw", "dwconv")
        name = re.sub(r"mlp\.fc([12])", r"pwconv\1", name)
        name = re.sub(r"stages\.(\d)\.downsample\.(\d)", r"downsample_layers.\1.\2", name)
        name = name.replace("stem.", "downsample_layers.0.")
        name = name.replace("head.norm", "norm").replace("head.fc", "head")
        tensors[name] = value
    loaded = load_candidate(stored(tmp_path, {"model": tensors}, architecture="test_convnext2"))
    image = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        assert torch.allclose(loaded.model(image), model(image), atol=1e-5)
    assert loaded.source_classes == 4
    assert "tensor names translated by timm" in loaded.notes
