"""Networks of segmentation-models-pytorch, MONAI and Models Genesis, told with their arguments."""

from __future__ import annotations

from typing import Any

import pytest

from acrank.zoo.architectures.genesis import UNet3D
from acrank.zoo.architectures.recognition import has_decoder, recognise
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.fingerprint_index import Index, build_index
from acrank.zoo.fingerprints import Shape, smp_fingerprints

NONE = Index([])


@pytest.fixture(scope="module")
def encoders() -> Index:
    return build_index(smp_fingerprints(["resnet18", "resnet34", "timm-regnetx_002"]), total=3)


def shapes_of(model: Any, prefix: str = "") -> dict[str, Shape]:
    return {prefix + name: tuple(value.shape) for name, value in model.state_dict().items()}


@pytest.mark.parametrize("arch", ["Unet", "UnetPlusPlus", "FPN", "Linknet", "DeepLabV3Plus"])
def test_smp(encoders: Index, arch: str) -> None:
    import_timm()
    import segmentation_models_pytorch as smp

    model = smp.create_model(arch, "resnet18", encoder_weights=None, in_channels=1, classes=2)
    found = recognise(shapes_of(model, "module."), encoders)
    assert found is not None
    assert (found.architecture, found.args, found.prefix) == (f"smp:{arch}/resnet18", {"classes": 2}, "module.")
    assert (found.channels, found.doubts) == (1, ())


def test_smp_with_another_decoder_is_unknown(encoders: Index) -> None:
    import_timm()
    import segmentation_models_pytorch as smp

    model = smp.Unet("resnet18", encoder_weights=None, decoder_channels=(128, 64, 32, 16, 8))
    assert has_decoder(shapes_of(model))
    assert recognise(shapes_of(model), encoders) is None


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("BasicUNet", {"features": [8, 8, 16, 32, 64, 8], "norm": "batch"}),
        ("SegResNet", {"init_filters": 16, "norm": "batch"}),
        ("VNet", {}),
        ("DenseNet121", {}),
        ("HighResNet", {}),
    ],
)
@pytest.mark.parametrize("axes", [2, 3])
def test_monai(name: str, args: dict[str, Any], axes: int) -> None:
    import_timm()
    import monai.networks.nets as nets

    known = {"spatial_dims": axes, "in_channels": 2, "out_channels": 5, **args}
    found = recognise(shapes_of(getattr(nets, name)(**known), "net."), NONE)
    assert found is not None
    assert (found.architecture, found.args, found.prefix) == (f"monai:{name}", known, "net.")
    assert found.doubts == ()


def test_strides_are_in_no_file() -> None:
    import_timm()
    import monai.networks.nets as nets

    args = {"spatial_dims": 2, "in_channels": 1, "out_channels": 3, "channels": [4, 8, 16], "strides": [2, 2]}
    found = recognise(shapes_of(nets.UNet(**args, num_res_units=2)), NONE)
    assert found is not None
    assert found.args == {**args, "num_res_units": 2, "norm": "instance"}
    assert found.doubts == ("the strides are not in the file: 2 at each level is assumed",)


def test_models_genesis() -> None:
    found = recognise(shapes_of(UNet3D(width=8, outputs=3), "module."), NONE)
    assert found is not None
    assert (found.architecture, found.prefix) == ("genesis:unet3d", "module.")
    lacking = shapes_of(UNet3D(width=8))
    del lacking["up_tr64.ops.1.conv1.weight"]
    assert recognise(lacking, NONE) is None


def test_other_networks_are_none_of_these(encoders: Index) -> None:
    assert recognise(shapes_of(import_timm().create_model("resnet18")), encoders) is None
    assert recognise({"a.weight": (2, 2)}, encoders) is None
