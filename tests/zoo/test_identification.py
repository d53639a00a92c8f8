"""Architectures told from names and shapes: the right one with its prefix and channels, or none."""

from __future__ import annotations

import pytest

from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.fingerprint_index import Index, build_index
from acrank.zoo.fingerprints import Shape, timm_fingerprints, torchvision_fingerprints
from acrank.zoo.identification import copy_rank, identify, nearest, of_the_same_form

TIMM = (
    *("resnet18", "resnet34", "resnetblur18", "resnet10t", "efficientnet_b0", "tf_efficientnet_b0"),
    *("vit_tiny_patch16_224", "vit_tiny_patch16_384", "deit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"),
)


@pytest.fixture(scope="module")
def index() -> Index:
    found = [*timm_fingerprints(TIMM), *torchvision_fingerprints(["resnet18", "mobilenet_v2"])]
    return build_index(found, total=len(found))


def shapes_of(name: str, prefix: str = "", **args: object) -> dict[str, Shape]:
    model = import_timm().create_model(name, **args)
    return {prefix + key: tuple(value.shape) for key, value in model.state_dict().items()}


def test_every_library_is_indexed(index: Index) -> None:
    names = [one.name for one in index.fingerprints]
    assert names == [*TIMM, "torchvision:resnet18", "torchvision:mobilenet_v2"]
    assert index.missing == []


@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod.model.", "teacher.backbone.net."])
@pytest.mark.parametrize(("classes", "channels"), [(7, 1), (0, 3), (1000, 4)])
def test_prefix_channels_and_classes(index: Index, prefix: str, classes: int, channels: int) -> None:
    [match] = identify(shapes_of("resnet18", prefix, num_classes=classes, in_chans=channels), index)
    assert (match.fingerprint.name, match.prefix) == ("resnet18", prefix)
    assert (match.channels, match.classes) == (channels, classes or None)
    assert match.same == ("resnetblur18", "torchvision:resnet18")
    assert match.beside == ()


def test_the_files_name_decides_between_equals(index: Index) -> None:
    shapes = shapes_of("tf_efficientnet_b0")
    assert identify(shapes, index)[0].fingerprint.name == "efficientnet_b0"
    assert identify(shapes, index, "my-tf_efficientnet_b0.ns")[0].fingerprint.name == "tf_efficientnet_b0"
    assert identify(shapes, index, "tf_efficientnet_b0x")[0].fingerprint.name == "efficientnet_b0"


def test_deeper_and_longer_networks_are_not_taken_for_shorter_ones(index: Index) -> None:
    assert identify(shapes_of("resnet34"), index)[0].fingerprint.name == "resnet34"
    known = Index([one for one in index.fingerprints if one.name != "resnet34"])
    assert identify(shapes_of("resnet34"), known) == []
    assert nearest(shapes_of("resnet34"), known).name == "resnet18"
    assert identify(shapes_of("vit_tiny_patch16_384"), index)[0].fingerprint.name == "vit_tiny_patch16_384"
    assert identify(shapes_of("deit_tiny_distilled_patch16_224"), index)[0].fingerprint.name.startswith("deit_tiny_d")
    known = Index([one for one in index.fingerprints if "distilled" not in one.name])
    assert identify(shapes_of("deit_tiny_distilled_patch16_224"), known) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"conv1.weight": (64, 3, 3, 3)},
        {"layer4.1.bn2.running_var": None},
        {"layer4.1.conv2.weight": (512, 512, 1, 1)},
        {"layer5.0.conv1.weight": (8, 8, 3, 3)},
        {"layer1.2.conv1.weight": (64, 64, 3, 3)},
        {"cls_token": (1, 1, 512)},
    ],
)
def test_one_other_tensor_makes_it_unknown(index: Index, changed: dict[str, Shape | None]) -> None:
    shapes = shapes_of("resnet18") | changed
    assert identify({name: shape for name, shape in shapes.items() if shape}, index) == []


def test_what_stands_beside_a_network(index: Index) -> None:
    shapes = shapes_of("resnet18", "encoder.", num_classes=0)
    extra = {"projector.0.weight": (4, 4), "criterion.weight": (4,), "queue": (2, 2), "encoder.fc.1.weight": (4, 512)}
    [match] = identify(shapes | extra, index)
    assert (match.classes, match.beside) == (None, ())
    [match] = identify(shapes | {"decoder.0.weight": (4, 4)}, index)
    assert match.beside == ("decoder.0.weight",)


def test_copies_are_found_and_ranked(index: Index) -> None:
    shapes = shapes_of("resnet18", "encoder_q.") | shapes_of("resnet18", "encoder_k.")
    assert [match.prefix for match in identify(shapes, index)] == ["encoder_q.", "encoder_k."]
    assert [copy_rank(place) for place in ("encoder_q.", "encoder_k.", "student.backbone.")] == [1, 2, 2]
    assert [copy_rank(place) for place in ("state_dict_ema.", "teacher.module.", "model_ema.module.")] == [0, 0, 0]


def test_shapes_alone_find_networks_under_other_names(index: Index) -> None:
    shapes = {f"x{name}": shape for name, shape in shapes_of("resnet10t").items()}
    assert identify(shapes, index) == []
    assert of_the_same_form(shapes, index) == ["resnet10t"]


def test_nothing_is_nearest_to_a_foreign_network(index: Index) -> None:
    assert nearest({"a.weight": (3, 3)}, index) is None
