"""Networks of segmentation-models-pytorch and MONAI, and Models Genesis' U-Net, told from the tensors of a whole file.

Their arguments are read off the shapes; only a network that then has all of the file's names and shapes counts.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from acrank.errors import CandidateError
from acrank.zoo.architectures.genesis import STEM, unet3d
from acrank.zoo.architectures.libraries import MONAI_ARGS
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.fingerprint_index import Index
from acrank.zoo.fingerprints import Shape, built_without_memory
from acrank.zoo.identification import identify, without_harmless
from acrank.zoo.structure import last_linear, named_tensors, stem_of

_OUTPUTS = 7919  # stands for the number of outputs; no width of a network
_WIDTHS = (1009, 1013, 1019, 1021, 1031, 1033)  # stand for `channels` and `features`
_MOST = 0.9  # of the names a prefix must have
_STRIDES = "the strides are not in the file: 2 at each level is assumed"
_STRIDE = "the stride of the first layer is not in the file: MONAI's default, 1, is assumed"


class Recognised(NamedTuple):
    """A network and the arguments that its shapes tell.

    Attributes:
        architecture: as a manifest has it.
        args: for `factory_args`.
        prefix: before its names in the file.
        channels: of its input, where `in_chans` must say them.
        doubts: what the file does not tell.
    """

    architecture: str
    args: dict[str, Any]
    prefix: str = ""
    channels: int | None = None
    doubts: tuple[str, ...] = ()


class _Template(NamedTuple):
    """A MONAI class with arguments that stand for those to be found."""

    name: str
    args: dict[str, Any]
    doubts: tuple[str, ...] = ()


def recognise(shapes: Mapping[str, Shape], encoders: Index) -> Recognised | None:
    """The network of a library that has all of a file's names and shapes, None where none has.

    Args:
        shapes: name -> shape of the file's tensors.
        encoders: fingerprints of segmentation-models-pytorch's encoders; empty where it is not installed.

    Example:
        >>> from acrank.zoo.architectures.genesis import UNet3D
        >>> shapes = {name: tuple(value.shape) for name, value in UNet3D(width=4).state_dict().items()}
        >>> recognise(shapes, Index([])).architecture
        'genesis:unet3d'
    """
    shapes = without_harmless(shapes)
    for prefix in _prefixes(shapes):
        inside = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
        found = _genesis(inside) or _smp(inside, encoders) or _monai(inside)
        if found:
            return found._replace(prefix=prefix)
    return None


def has_decoder(shapes: Mapping[str, Shape]) -> bool:
    """Whether the names are those of segmentation-models-pytorch's networks, whatever the prefix."""
    parts = ("encoder", "decoder", "segmentation_head")
    return all(any(re.search(rf"(^|\.){part}\.", name) for name in shapes) for part in parts)


def _prefixes(shapes: Mapping[str, Shape]) -> list[str]:
    """None, and the dotted beginnings that nearly all names share, the shortest first."""
    votes: Counter[str] = Counter()
    for name in shapes:
        parts = name.split(".")
        votes.update(".".join(parts[:i]) + "." for i in range(1, min(5, len(parts))))
    return ["", *sorted((prefix for prefix, count in votes.items() if count >= _MOST * len(shapes)), key=len)]


def _genesis(shapes: Mapping[str, Shape]) -> Recognised | None:
    if len(shapes.get(STEM, ())) != 5:
        return None
    try:
        model = unet3d({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    except CandidateError:
        return None
    return Recognised("genesis:unet3d", {}) if without_harmless(_shapes(model)) == shapes else None


def _smp(shapes: Mapping[str, Shape], encoders: Index) -> Recognised | None:
    head = next((shape for name, shape in shapes.items() if name.startswith("segmentation_head.")), None)
    inner = {name.removeprefix("encoder."): shape for name, shape in shapes.items() if name.startswith("encoder.")}
    if not head or not has_decoder(shapes):
        return None
    smp = importlib.import_module("segmentation_models_pytorch")
    kinds = [name for name, kind in vars(smp).items() if isinstance(kind, type) and issubclass(kind, nn.Module)]
    for match in identify(inner, encoders):
        for encoder in (match.fingerprint.name, *match.same):
            args = {"encoder_name": encoder, "in_channels": match.channels, "classes": head[0]}
            for kind in kinds:
                build = functools.partial(smp.create_model, kind, encoder_weights=None, **args)
                model = built_without_memory(build)
                if model is not None and without_harmless(_shapes(model)) == shapes:
                    classes = {"classes": head[0]} if head[0] != 1 else {}
                    channels = match.channels if match.channels != 3 else None
                    return Recognised(f"smp:{kind}/{encoder}", classes, channels=channels)
    return None


def _monai(shapes: Mapping[str, Shape]) -> Recognised | None:
    stem = next((shape for shape in shapes.values() if len(shape) > 3), None)
    if stem is None or importlib.util.find_spec("monai") is None:
        return None
    for template, model, heads in _monai_templates(len(stem) - 2):
        wanted = without_harmless(_shapes(model))
        lacking = {name for name in wanted if name.rpartition(".")[0] in heads}
        if set(shapes) not in (set(wanted), set(wanted) - lacking):
            continue
        args = _arguments(template, model, shapes)
        built = _built(template.name, args)
        if built is not None and _agree(without_harmless(_shapes(built)), shapes, lacking):
            return Recognised(f"monai:{template.name}", args, doubts=template.doubts)
    return None


def _agree(wanted: Mapping[str, Shape], shapes: Mapping[str, Shape], lacking: set[str]) -> bool:
    """Whether names and shapes are equal, but for those of a head that the file may lack."""
    return {name: shape for name, shape in wanted.items() if name in shapes or name not in lacking} == shapes


def _arguments(template: _Template, model: nn.Module, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """The template's arguments with the numbers of the file."""
    known: dict[int, int] = {}
    for name, wanted in _shapes(model).items():
        known |= dict(zip(wanted, shapes.get(name, ()), strict=False))
    stem = stem_of(model) or ""
    out: dict[str, Any] = {}
    for key, value in template.args.items():
        if key in ("in_channels", "n_input_channels"):
            out[key] = shapes[stem][1] if stem in shapes else value
        elif isinstance(value, tuple) and value[0] in _WIDTHS:
            out[key] = [known.get(one, 0) for one in value]
        elif value in (_OUTPUTS, _WIDTHS[0]):
            out[key] = known.get(value, 2)  # a file without a head: two classes, as MONAI's defaults here
        else:
            out[key] = list(value) if isinstance(value, tuple) else value
    return out


@functools.cache
def _monai_templates(axes: int) -> list[tuple[_Template, nn.Module, tuple[str, ...]]]:
    """The templates for images or volumes, each built, with its head."""
    built = [(one, _built(one.name, one.args)) for one in _templates(axes)]
    return [(one, model, last_linear(model)) for one, model in built if model is not None]


def _templates(axes: int) -> Iterator[_Template]:
    plain = {"spatial_dims": axes, "in_channels": 1, "out_channels": _OUTPUTS}
    for levels in range(3, 7):
        widths = {"channels": _WIDTHS[:levels], "strides": (2,) * (levels - 1)}
        for norm in ("batch", "instance"):
            for units in range(4):
                yield _Template("UNet", {**plain, **widths, "num_res_units": units, "norm": norm}, (_STRIDES,))
        yield _Template("AttentionUnet", {**plain, **widths}, (_STRIDES,))
    for norm in ("batch", "instance"):
        affine = ["instance", {"affine": True}] if norm == "instance" else norm
        yield _Template("BasicUNet", {**plain, "features": _WIDTHS, "norm": affine})
    for name in ("VNet", "HighResNet", "DenseNet121", "DenseNet169", "DenseNet201"):
        yield _Template(name, plain)
    groups = ["group", {"num_groups": 8}]
    for filters in (8, 16, 32):
        for kind in ("batch", groups):
            yield _Template("SegResNet", {**plain, "init_filters": filters, "norm": kind})
    fixed: dict[str, Any] = {
        "spatial_dims": axes,
        "n_input_channels": 1,
        "num_classes": _OUTPUTS,
        "block_inplanes": (64, 128, 256, 512),
    }
    for block, layers in (("basic", (1, 1, 1, 1)), ("basic", (2, 2, 2, 2)), ("basic", (3, 4, 6, 3))):
        yield _Template("ResNet", {"block": block, "layers": layers, **fixed}, (_STRIDE,))
    for layers in ((3, 4, 6, 3), (3, 4, 23, 3)):
        yield _Template("ResNet", {"block": "bottleneck", "layers": layers, **fixed}, (_STRIDE,))


def _built(name: str, args: Mapping[str, Any]) -> nn.Module | None:
    import_timm()  # MONAI imports torchvision, which may need the same help
    kind = getattr(importlib.import_module("monai.networks.nets"), name, None)
    if kind is None:
        return None
    assumed = {key: value for key, value in MONAI_ARGS.items() if key in inspect.signature(kind).parameters}
    return built_without_memory(functools.partial(kind, **assumed | dict(args)))  # what loading will build


def _shapes(model: nn.Module) -> dict[str, Shape]:
    return {name: tuple(value.shape) for name, value in named_tensors(model).items()}
