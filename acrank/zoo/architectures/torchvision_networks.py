"""Classification networks of torchvision, by the names of its registry. Nothing is downloaded."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.system.words import closest
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.matching import fit
from acrank.zoo.skip_init import skip_init
from acrank.zoo.structure import last_linear, stem_of
from acrank.zoo.translation import translated

if TYPE_CHECKING:
    from acrank.zoo.schema import Candidate

#: In training mode networks with auxiliary classifiers return several outputs; initialisation is not needed.
_FIXED: dict[str, Any] = {"aux_logits": False, "init_weights": False}


def classifiers() -> list[str]:
    """Names of torchvision's classification networks, such as `mobilenet_v2`."""
    models = _models()
    return list(models.list_models(module=models))


def built_without_weights(name: str, **args: Any) -> nn.Module:
    """A network with random weights, without its auxiliary classifiers."""
    models = _models()
    fixed = {key: value for key, value in _FIXED.items() if key in _constructor(name)}
    model: nn.Module = models.get_model(name, weights=None, **fixed | args)
    return model


def torchvision_network(
    name: str, candidate: Candidate, tensors: dict[str, Tensor]
) -> tuple[nn.Module, dict[str, Tensor], list[str], dict[str, Any]]:
    """The network with the file's classes and channels, the tensors under its names, notes, and its configuration.

    The configuration has torchvision's `input_size`, `mean` and `std` for the network.

    Raises:
        CandidateError: torchvision has no such network for classification, or refuses the arguments.
    """
    if name not in (known := classifiers()):
        hint = closest(name, known, "`torchvision.models.list_models(module=torchvision.models)` has all names")
        raise CandidateError(f"torchvision has no classification network {name!r}", hint=hint)
    args: dict[str, Any] = dict(candidate.factory_args)
    with torch.random.fork_rng(devices=[]), skip_init():
        model = _built(name, args, candidate)
    tensors, notes = translated(model, tensors, last_linear(model))
    if (classes := _outputs(model, tensors)) and "num_classes" not in args:
        args["num_classes"] = classes
    channels = candidate.in_chans or _channels(model, tensors)
    if channels == 3 and "transform_input" in _constructor(name) and "transform_input" not in args:
        args["transform_input"] = True
        notes = [*notes, "assumed arguments: transform_input=True, as torchvision's own weights need it"]
    with torch.random.fork_rng(devices=[]), skip_init() as skipped:
        model = _with_channels(_built(name, args, candidate), channels)
    if not (fit(model, tensors).is_whole and skipped.is_replaced_in(model)):
        model = _with_channels(_built(name, args, candidate), channels)
    return model, tensors, notes, _configuration(name, model)


def _models() -> Any:
    import_timm()  # torchvision may need the operators that it declares
    return importlib.import_module("torchvision.models")


def _constructor(name: str) -> Mapping[str, Any]:
    """Parameters of the class behind a builder, which passes its keyword arguments on."""
    kind = typing.get_type_hints(_models().get_model_builder(name)).get("return")
    return inspect.signature(kind).parameters if inspect.isclass(kind) else {}


def _built(name: str, args: Mapping[str, Any], candidate: Candidate) -> nn.Module:
    try:
        return built_without_weights(name, **args)
    except Exception as error:  # many networks, each with its own ways to refuse arguments
        text = f"{candidate.network} cannot be built with {dict(args)}: {type(error).__name__}: {error}"
        raise CandidateError(text, hint="correct its `factory_args`") from error


def _outputs(model: nn.Module, tensors: Mapping[str, Tensor]) -> int:
    """Number of classes of the file's head, linear or SqueezeNet's convolution; 0 where it has none."""
    heads = [f"{head}.weight" for head in (*last_linear(model), "classifier.1")]
    return next((len(tensors[head]) for head in heads if head in tensors and tensors[head].ndim > 1), 0)


def _channels(model: nn.Module, tensors: Mapping[str, Tensor]) -> int:
    """Channels of the file's first layer, of the network's where the file has none or another kind."""
    stem = stem_of(model) or ""
    own = model.state_dict()[stem]
    return int(tensors[stem].shape[1] if stem in tensors and tensors[stem].ndim == own.ndim else own.shape[1])


def _with_channels(model: nn.Module, channels: int) -> nn.Module:
    """The network with a first convolution for `channels` channels."""
    name = (stem_of(model) or "").removesuffix(".weight")
    old = model.get_submodule(name)
    if not isinstance(old, nn.Conv2d) or old.in_channels == channels:
        return model
    shape = {"kernel_size": old.kernel_size, "stride": old.stride, "padding": old.padding, "dilation": old.dilation}
    new = nn.Conv2d(channels, old.out_channels, bias=old.bias is not None, **shape)  # type: ignore[arg-type]
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, new)
    return model


def _configuration(name: str, model: nn.Module) -> dict[str, Any]:
    """Input size, mean and std, from the description of torchvision's first weights of the network."""
    described = next(iter(_models().get_model_weights(name)), None)
    if described is None:
        return {}
    transforms = described.transforms()
    side = int(getattr(model, "image_size", transforms.crop_size[0]))
    return {"input_size": (3, side, side), "mean": tuple(transforms.mean), "std": tuple(transforms.std)}
