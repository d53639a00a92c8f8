"""Networks of other libraries: `smp:Unet/resnet34`, `monai:UNet`, and `genesis:unet3d`, which is acrank's own."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from acrank.errors import CandidateError, MissingExtraError
from acrank.zoo.architectures.timm_import import import_timm

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


def build_from_library(
    candidate: Candidate, tensors: dict[str, Tensor]
) -> tuple[nn.Module, dict[str, Tensor], tuple[str, ...], list[str]]:
    """A candidate's network, its tensors as the network calls them, the modules that are no backbone, and notes.

    Raises:
        MissingExtraError: the library is not installed.
        CandidateError: it has no such network, or refuses the arguments.
    """
    library, name = candidate.library or ("", "")
    return _BUILDERS[library](name, candidate, tensors)


def _monai(
    name: str, candidate: Candidate, tensors: dict[str, Tensor]
) -> tuple[nn.Module, dict[str, Tensor], tuple[str, ...], list[str]]:
    try:
        import_timm()  # MONAI imports torchvision, which may need the same help
        from monai.networks import nets
    except ImportError as error:
        raise MissingExtraError(f"monai:{name} needs MONAI", hint="pip install 'acrank[volumes]'") from error
    kind = getattr(nets, name, None)
    if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
        raise CandidateError(
            f"MONAI has no network {name!r}", hint=_close(name, [k for k in vars(nets) if k[0].isupper()])
        )
    takes = inspect.signature(kind).parameters
    args = {key: value for key, value in MONAI_ARGS.items() if key in takes} | candidate.factory_args
    told = ", ".join(f"{key}={value}" for key, value in args.items() if key not in candidate.factory_args)
    return _made(kind, args, candidate), tensors, (), [f"assumed arguments: {told}"] if told else []


def _smp(
    name: str, candidate: Candidate, tensors: dict[str, Tensor]
) -> tuple[nn.Module, dict[str, Tensor], tuple[str, ...], list[str]]:
    try:
        import_timm()
        import segmentation_models_pytorch as smp
    except ImportError as error:
        text = f"smp:{name} needs segmentation-models-pytorch"
        raise MissingExtraError(text, hint="pip install 'acrank[segmentation]'") from error
    arch, slash, encoder = name.partition("/")
    if not slash:
        raise CandidateError(f"smp:{name} names no encoder", hint=f"write smp:{name}/resnet34")
    args = {"arch": arch, "encoder_name": encoder, "encoder_weights": None, **candidate.factory_args}
    if candidate.in_chans:
        args["in_channels"] = candidate.in_chans
    model = _made(smp.create_model, args, candidate)
    return _with_encoder(model, tensors)


def _with_encoder(
    model: nn.Module, tensors: dict[str, Tensor]
) -> tuple[nn.Module, dict[str, Tensor], tuple[str, ...], list[str]]:
    """Where the file is an encoder's alone, its tensors under the encoder's name; the decoder then stays random."""
    own = model.state_dict()
    for prefix in ("", "encoder.", "encoder.model."):
        if sum(f"{prefix}{name}" in own for name in tensors) > len(tensors) / 2:
            break
    moved = {f"{prefix}{name}": value for name, value in tensors.items()}
    if any(name.startswith(_DECODER) for name in moved):
        return model, moved, (), []
    return model, moved, _DECODER, ["weights of the encoder alone: the decoder is drawn from seed 0"]


def _genesis(
    name: str, candidate: Candidate, tensors: dict[str, Tensor]
) -> tuple[nn.Module, dict[str, Tensor], tuple[str, ...], list[str]]:
    from acrank.zoo.architectures.genesis import unet3d

    if name != "unet3d" or candidate.factory_args:
        raise CandidateError(
            f"there is no genesis:{name} with arguments", hint="write genesis:unet3d; the file tells the rest"
        )
    return unet3d(tensors), tensors, (), []


def _made(kind: Callable[..., Any], args: Mapping[str, Any], candidate: Candidate) -> nn.Module:
    try:
        model: nn.Module = kind(**args)
    except Exception as error:  # many networks, each with its own ways to refuse arguments
        text = f"{candidate.architecture} cannot be built with {dict(args)}: {type(error).__name__}: {error}"
        raise CandidateError(text, hint="give its arguments in `factory_args`") from error
    return model


def _close(name: str, known: list[str]) -> str:
    found = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(found)}?" if found else "see monai.networks.nets"


_BUILDERS = {"smp": _smp, "monai": _monai, "genesis": _genesis}
