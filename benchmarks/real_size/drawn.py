"""Networks of normal size with drawn weights, their manifests, and targets for them.

    python benchmarks/real_size/drawn.py network NAME FOLDER [COUNT]     COUNT checkpoints (1) and model_zoo.yaml
    python benchmarks/real_size/drawn.py data KIND FOLDER                a made-up target: images, masks or volumes

The weights are those of the network's own initialisation from seeds 0, 1, …; the affine parameters of its normalisation
layers are drawn around 1 and 0, so that no two channels are alike, and running statistics were updated once. That is
good for time and memory, not for a ranking. NAME is one of NETWORKS, or any architecture of timm.

torch is imported only where a network is drawn: scripts that measure memory start this one as a child.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

IMAGES, MASKS, VOLUMES = "images", "masks", "volumes"
SPREAD = 0.3


@dataclass(frozen=True)
class Network:
    """A network and what it is scored on.

    Attributes:
        architecture: as in a manifest.
        kind: of target: IMAGES, MASKS or VOLUMES.
        size: of its input; None is what timm says.
        args: of a network that is not timm's.
    """

    architecture: str
    kind: str = IMAGES
    size: int | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


_UNET3D: Mapping[str, Any] = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [16, 32, 64, 128, 256],
    "strides": [2, 2, 2, 2],
    "num_res_units": 2,
    "norm": "batch",
}
#: The sixteen of memory.py.
NETWORKS: Mapping[str, Network] = {
    **{
        name: Network(name)
        for name in (
            *("resnet18", "resnet50", "regnety_016", "densenet121", "efficientnet_b4", "inception_v3", "mobilevit_s"),
            *("coatnet_0_rw_224", "convnext_tiny", "vit_small_patch16_224", "swin_tiny_patch4_window7_224"),
            *("resnetv2_50x1_bit", "resnet50_gn", "nf_resnet50"),
        )
    },
    "unet3d": Network("monai:UNet", VOLUMES, size=96, args=_UNET3D),
    "smp-unet-resnet34": Network("smp:Unet/resnet34", MASKS, size=256, args={"classes": 2}),
}


def network_called(name: str) -> Network:
    """One of NETWORKS, else the timm architecture of this name."""
    return NETWORKS.get(name, Network(name))


def draw(name: str, folder: Path, count: int = 1) -> Path:
    """Write `count` checkpoints of a network, with ids NAME-0, NAME-1, …, and return their manifest."""
    import torch
    import yaml

    network = network_called(name)
    models = []
    for seed in range(count):
        torch.manual_seed(seed)
        model, described = _built(network)
        _draw_affines(model)
        _update_statistics(model, channels=len(described["mean"]), size=described["size"], network=network)
        torch.save(model.state_dict(), folder / f"{seed}.pth")
        entry = {"id": f"{name}-{seed}", "architecture": network.architecture, "weights": f"{seed}.pth"}
        models.append(entry | ({"factory_args": dict(network.args)} if network.args else {}) | {"input": described})
    path = folder / "model_zoo.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "models": models}, sort_keys=False))
    return path


def _built(network: Network) -> tuple[nn.Module, dict[str, Any]]:
    """The network, and size, mean and std of its input."""
    from acrank.zoo.architectures.timm_import import import_timm

    timm = import_timm()
    if network.architecture.startswith("monai:"):
        from monai.networks import nets

        model = getattr(nets, network.architecture.partition(":")[2])(**network.args)
        return model, {"size": network.size, "mean": [0.0], "std": [1.0]}
    if network.architecture.startswith("smp:"):
        import segmentation_models_pytorch as smp

        arch, _, encoder = network.architecture.partition(":")[2].partition("/")
        model = smp.create_model(arch, encoder_name=encoder, encoder_weights=None, **network.args)
        return model, {"size": network.size, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    model = timm.create_model(network.architecture, pretrained=False)
    config = model.pretrained_cfg
    size = network.size or config["input_size"][-1]
    return model, {"size": size, "mean": list(config["mean"]), "std": list(config["std"])}


def _draw_affines(model: nn.Module) -> None:
    """Normalisation layers alone have a weight of one dimension."""
    import torch

    for layer in model.modules():
        weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
        if isinstance(weight, torch.nn.Parameter) and weight.ndim == 1 and isinstance(bias, torch.nn.Parameter):
            torch.nn.init.normal_(weight, 1.0, SPREAD)
            torch.nn.init.normal_(bias, 0.0, SPREAD)


def _update_statistics(model: nn.Module, *, channels: int, size: int, network: Network) -> None:
    import torch

    if any(name.endswith("running_mean") for name, _ in model.named_buffers()):
        axes = 3 if network.kind == VOLUMES else 2
        with torch.no_grad():
            model.train()(torch.rand(2, channels, *[size] * axes))


def make_data(kind: str, folder: Path) -> Path:
    """A made-up target: graded retinas, retinas with vessels of 320 px, or scans of 112 voxels with nodules."""
    from acrank.demo import make_target
    from acrank.demo.nodules import make_nodules
    from acrank.demo.vessels import make_vessels

    if kind == MASKS:
        make_vessels(folder, n=12, size=320)
    elif kind == VOLUMES:
        make_nodules(folder, n=6, size=112)
    else:
        make_target(folder, n=390)
    return folder


def main() -> None:
    """Draw what the command line names; prints the path of it as JSON."""
    what, name, folder, *rest = sys.argv[1:]
    place = Path(folder)
    if what == "data":
        path = make_data(name, place)
    elif what == "network":
        place.mkdir(parents=True, exist_ok=True)
        path = draw(name, place, count=int(rest[0]) if rest else 1)
    else:
        sys.exit(__doc__)
    print(json.dumps(str(path)))


if __name__ == "__main__":
    main()
