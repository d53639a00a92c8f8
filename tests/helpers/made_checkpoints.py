"""Checkpoints of known architectures, each saved in one of the ways in which people save them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from acrank.zoo.architectures.timm_import import import_timm

Tensors = dict[str, Tensor]


class Made(NamedTuple):
    """A file to make, and what a scan must find.

    Attributes:
        architecture: as the manifest has it.
        wrapping: name in WRAPPINGS.
        channels: of the input.
        guess: whether something is not in the file, so that the entry can only be a guess.
    """

    architecture: str
    wrapping: str
    channels: int = 3
    guess: bool = False


def _plain(tensors: Tensors, path: Path) -> None:
    torch.save(tensors, path)


def _keyed(tensors: Tensors, path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": tensors, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}}, path)


def _parallel(tensors: Tensors, path: Path) -> None:
    torch.save({"state_dict": _under("module.", tensors), "best_acc": 71.5}, path)


def _lightning(tensors: Tensors, path: Path) -> None:
    weight = {"loss_fn.weight": torch.ones(2)}
    torch.save({"pytorch-lightning_version": "2.4", "state_dict": _under("model.", tensors) | weight}, path)


def _compiled(tensors: Tensors, path: Path) -> None:
    torch.save({"model": _under("_orig_mod.", tensors)}, path)


def _compiled_parallel(tensors: Tensors, path: Path) -> None:
    torch.save(_under("module._orig_mod.model.", tensors), path)


def _dino(tensors: Tensors, path: Path) -> None:
    head = {"module.head.mlp.0.weight": torch.zeros(4, 4), "module.head.last_layer.weight_v": torch.zeros(4, 4)}
    held = {name: _under("module.backbone.", tensors) | head for name in ("student", "teacher")}
    torch.save({**held, "epoch": 100}, path)


def _averaged(tensors: Tensors, path: Path) -> None:
    torch.save({"model": tensors, "model_ema": tensors, "epoch": 9}, path)


def _momentum(tensors: Tensors, path: Path) -> None:
    both = _under("module.encoder_q.", tensors) | _under("module.encoder_k.", tensors)
    torch.save({"state_dict": both | {"module.queue": torch.zeros(8, 4), "module.queue_ptr": torch.zeros(1)}}, path)


def _safetensors(tensors: Tensors, path: Path) -> None:
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, path)


def _legacy(tensors: Tensors, path: Path) -> None:
    torch.save({"net": tensors}, path, _use_new_zipfile_serialization=False)


WRAPPINGS: Mapping[str, tuple[Callable[[Tensors, Path], None], str]] = {
    "plain": (_plain, ".pth"),
    "state_dict": (_keyed, ".pth.tar"),
    "module.": (_parallel, ".pt"),
    "lightning": (_lightning, ".ckpt"),
    "_orig_mod.": (_compiled, ".pth"),
    "module._orig_mod.model.": (_compiled_parallel, ".bin"),
    "dino": (_dino, ".pth"),
    "ema": (_averaged, ".pth"),
    "moco": (_momentum, ".pth"),
    "safetensors": (_safetensors, ".safetensors"),
    "legacy": (_legacy, ".th"),
    "other head": (_plain, ".pth"),
    "no head": (_plain, ".pt"),
}

#: Thirty architectures. VARIED says which of them lose their head or get another.
THIRTY = (
    Made("resnet18", "module.", channels=1),
    Made("resnet50", "moco"),
    Made("resnext50_32x4d", "state_dict"),
    Made("seresnet50", "no head"),
    Made("wide_resnet50_2", "legacy"),
    Made("efficientnet_b0", "lightning"),
    Made("tf_efficientnetv2_b0", "other head"),
    Made("mobilenetv3_large_100", "_orig_mod."),
    Made("mobilenetv2_100", "plain", channels=1),
    Made("mobilevit_s", "safetensors"),
    Made("regnety_016", "state_dict"),
    Made("regnetx_008", "other head", channels=4),
    Made("densenet121", "module."),
    Made("inception_v3", "lightning"),
    Made("xception41", "no head"),
    Made("vit_tiny_patch16_224", "dino"),
    Made("deit3_small_patch16_224", "other head"),
    Made("swin_tiny_patch4_window7_224", "_orig_mod."),
    Made("convnext_atto", "ema"),
    Made("convnextv2_nano", "safetensors"),
    Made("coatnet_nano_rw_224", "module._orig_mod.model."),
    Made("poolformer_s12", "lightning", channels=1),
    Made("mixer_s32_224", "plain"),
    Made("ghostnet_100", "other head"),
    Made("torchvision:mobilenet_v2", "plain"),
    Made("torchvision:efficientnet_b0", "state_dict", channels=1),
    Made("torchvision:vgg11_bn", "other head"),
    Made("smp:Unet/resnet18", "module."),
    Made("monai:SegResNet", "lightning", channels=2),
    Made("monai:UNet", "state_dict", channels=1, guess=True),
)
#: Eight that are quick to make, among them every library.
EIGHT = (
    Made("resnet18", "module.", channels=1),
    Made("mobilenetv3_small_050", "lightning"),
    Made("vit_tiny_patch16_224", "dino"),
    Made("convnext_atto", "ema"),
    Made("resnet10t", "moco"),
    Made("torchvision:mobilenet_v2", "other head"),
    Made("smp:Unet/resnet18", "safetensors"),
    Made("monai:SegResNet", "state_dict", channels=2),
)


def make(one: Made, folder: Path) -> Path:
    """Write the file of a made checkpoint; its name says nothing of the architecture."""
    write, suffix = WRAPPINGS[one.wrapping]
    path = folder / f"checkpoint{len(list(folder.iterdir())):02}{suffix}"
    write(_tensors(one), path)
    return path


def _tensors(one: Made) -> Tensors:
    model, head = _network(one)
    tensors = model.state_dict()
    if one.wrapping in ("no head", "dino"):
        return {name: value for name, value in tensors.items() if not name.startswith(f"{head}.")}
    return dict(tensors)


def _network(one: Made) -> tuple[nn.Module, str]:
    """The network, and the name of its head."""
    library, _, name = one.architecture.rpartition(":")
    timm = import_timm()  # the others import torchvision, which may need the same help
    classes = 5 if one.wrapping == "other head" else 1000
    if library == "torchvision":
        return _torchvision(name, one.channels, classes), "classifier"
    if library == "smp":
        import segmentation_models_pytorch as smp

        arch, _, encoder = name.partition("/")
        return smp.create_model(arch, encoder, encoder_weights=None, in_channels=one.channels, classes=3), ""
    if library == "monai":
        import monai.networks.nets as nets

        args: dict[str, Any] = {"spatial_dims": 3, "in_channels": one.channels, "out_channels": 4}
        if name == "UNet":
            args |= {"channels": (8, 16, 32, 64), "strides": (2, 2, 2), "num_res_units": 2, "norm": "batch"}
        return getattr(nets, name)(**args), ""
    model = timm.create_model(name, num_classes=classes, in_chans=one.channels)
    return model, model.pretrained_cfg["classifier"]


def _torchvision(name: str, channels: int, classes: int) -> nn.Module:
    import torchvision

    model: Any = torchvision.models.get_model(name, weights=None, num_classes=classes)
    if channels != 3:
        old = model.features[0][0]
        args = {"kernel_size": old.kernel_size, "stride": old.stride, "padding": old.padding, "bias": False}
        model.features[0][0] = nn.Conv2d(channels, old.out_channels, **args)
    return model


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: value for name, value in tensors.items()}
