"""Networks of other libraries: `torchvision:resnet50`, `smp:Unet/resnet34`, `monai:UNet`, and `genesis:unet3d`."""

from __future__ import annotations

import contextlib
import inspect
import logging
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.system.imports import extra
from acrank.system.offline import DownloadRefusedError, downloads_off
from acrank.system.words import closest
from acrank.zoo.architectures.arguments import check_arguments
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.architectures.torchvision_networks import torchvision_network
from acrank.zoo.matching import fit
from acrank.zoo.translation import translated

if TYPE_CHECKING:
    from acrank.zoo.schema import Candidate

#: What MONAI's networks are built with unless `factory_args` says otherwise, where they have such a parameter.
MONAI_ARGS: dict[str, Any] = {
    "spatial_dims": 3,
    "in_channels": 1,
    "n_input_channels": 1,
    "out_channels": 2,
    "num_classes": 2,
    "norm": "batch",
    "block": "basic",
    "layers": (2, 2, 2, 2),
    "block_inplanes": (64, 128, 256, 512),
    "channels": (16, 32, 64, 128),
    "strides": (2, 2, 2),
}
_DECODER = ("decoder", "segmentation_head", "classification_head")


class LibraryNetwork(NamedTuple):
    """A network, not yet filled, and the file's tensors under the network's names.

    Attributes:
        heads: names of the modules that are no part of the backbone.
        notes: for the reader of the ranking.
        cfg: the library's input size, mean and std, None where it has none.
    """

    model: nn.Module
    tensors: dict[str, Tensor]
    heads: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cfg: dict[str, Any] | None = None


def build_from_library(
    candidate: Candidate, tensors: dict[str, Tensor], *, allow_download: bool = False
) -> LibraryNetwork:
    """A candidate's network for the tensors of its file.

    Args:
        candidate: of a library.
        tensors: of the file.
        allow_download: whether `factory_args` may ask the library for weights of its own, which it then downloads.

    Raises:
        MissingExtraError: the library is not installed.
        CandidateError: the library has no such network, or refuses the arguments, or wants to download.
    """
    library, name = candidate.library or ("", "")
    check_arguments(candidate.factory_args, "`factory_args`", allow_download=allow_download)
    with contextlib.nullcontext() if allow_download else downloads_off():
        return _BUILDERS[library](name, candidate, tensors)


def _monai(name: str, candidate: Candidate, tensors: dict[str, Tensor]) -> LibraryNetwork:
    import_timm()  # MONAI imports torchvision, which may need the same help
    nets = extra("monai.networks.nets", "volumes", f"monai:{name} needs")
    kind = getattr(nets, name, None)
    if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
        hint = closest(name, [known for known in vars(nets) if known[0].isupper()], "see monai.networks.nets")
        raise CandidateError(f"MONAI has no network {name!r}", hint=hint)
    _log_to_stderr("monai")
    parameters = inspect.signature(kind).parameters
    assumed = {key: value for key, value in MONAI_ARGS.items() if key in parameters}
    if "pretrained" in parameters:
        assumed["pretrained"] = False
    args = assumed | candidate.factory_args
    given = {"pretrained", *candidate.factory_args}
    listed = ", ".join(f"{key}={value}" for key, value in args.items() if key not in given)
    notes = (f"assumed arguments: {listed}",) if listed else ()
    return LibraryNetwork(_built(kind, args, candidate), tensors, notes=notes)


def _smp(name: str, candidate: Candidate, tensors: dict[str, Tensor]) -> LibraryNetwork:
    import_timm()
    smp = extra("segmentation_models_pytorch", "segmentation", f"smp:{name} needs")
    arch, slash, encoder = name.partition("/")
    if not slash:
        raise CandidateError(f"smp:{name} names no encoder", hint=f"write smp:{name}/resnet34")
    args = {"arch": arch, "encoder_name": encoder, "encoder_weights": None, **candidate.factory_args}
    if candidate.in_chans:
        args["in_channels"] = candidate.in_chans
    return _for_encoder(_built(smp.create_model, args, candidate), tensors)


def _for_encoder(model: Any, tensors: dict[str, Tensor]) -> LibraryNetwork:
    """The network with tensors of a whole network, or of an encoder alone; the decoder then stays random."""
    whole, notes = translated(model, tensors)
    if notes or any(re.search(rf"(^|\.)({'|'.join(_DECODER)})\.", name) for name in tensors):
        return LibraryNetwork(model, whole, notes=tuple(notes))
    alone = "weights of the encoder alone: the decoder is drawn from seed 0"
    for prefix in ("encoder.", "encoder.model."):
        encoder = model.get_submodule(prefix.removesuffix(".")) if prefix != "encoder.model." else _inner(model)
        if encoder is None:
            continue
        found, notes = translated(encoder, tensors)
        moved = {f"{prefix}{name}": value for name, value in found.items()}
        if not fit(encoder, found).lost:
            return LibraryNetwork(model, moved, heads=_DECODER, notes=(*notes, alone))
    return LibraryNetwork(model, tensors)


def _inner(model: Any) -> nn.Module | None:
    """The timm network inside an encoder, None where the encoder is the network itself."""
    inner = getattr(model.encoder, "model", None)
    return inner if isinstance(inner, nn.Module) else None


def _torchvision(name: str, candidate: Candidate, tensors: dict[str, Tensor]) -> LibraryNetwork:
    model, tensors, notes, cfg = torchvision_network(name, candidate, tensors)
    return LibraryNetwork(model, tensors, notes=tuple(notes), cfg=cfg)


def _genesis(name: str, candidate: Candidate, tensors: dict[str, Tensor]) -> LibraryNetwork:
    from acrank.zoo.architectures.genesis import STEM, unet3d

    if name != "unet3d" or candidate.factory_args:
        hint = "write genesis:unet3d, without `factory_args`: the file determines the network"
        raise CandidateError(f"genesis:{name} is unknown or has arguments", hint=hint)
    prefixes = [found.removesuffix(STEM) for found in tensors if found.endswith(f".{STEM}")]
    if STEM in tensors or len(prefixes) != 1:
        return LibraryNetwork(unet3d(tensors), tensors)
    named = {key.removeprefix(prefixes[0]): value for key, value in tensors.items()}
    return LibraryNetwork(unet3d(named), named, notes=(f"prefix `{prefixes[0]}` removed from the tensor names",))


def _log_to_stderr(library: str) -> None:
    """Turn a library's log away from stdout, which carries data."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == library:
            for handler in logging.getLogger(name).handlers:
                if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stdout, sys.__stdout__):
                    handler.setStream(sys.stderr)


def _built(kind: Callable[..., Any], args: Mapping[str, Any], candidate: Candidate) -> nn.Module:
    try:
        model: nn.Module = kind(**args)
    except DownloadRefusedError as error:
        text = f"{candidate.architecture} wants to download weights of its own"
        raise CandidateError(text, hint="leave that argument out, or give --allow-download") from error
    except Exception as error:  # many networks, each with its own ways to refuse arguments
        text = f"{candidate.architecture} cannot be built with {dict(args)}: {type(error).__name__}: {error}"
        raise CandidateError(text, hint="give its arguments in `factory_args`") from error
    return model


_BUILDERS = {"smp": _smp, "monai": _monai, "genesis": _genesis, "torchvision": _torchvision}
