"""Fingerprints of architectures: hashes of the names and shapes of their tensors, from networks without memory."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import init
from torch.overrides import TorchFunctionMode

from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.architectures.torchvision_networks import built_without_weights
from acrank.zoo.hub import registered_cfg
from acrank.zoo.skip_init import without_data
from acrank.zoo.structure import backbone_shapes, last_linear, named_tensors, stem_of, under

HASH_BYTES = 6
_LEAST = 8  # tensors of a backbone, below which names and shapes could agree by chance
_DRAWS = (init.uniform_, init.normal_, init.kaiming_uniform_, Tensor.uniform_, Tensor.normal_, Tensor.erfinv_)
_IN_PLACE = (*_DRAWS, Tensor.clamp_, Tensor.mul_, Tensor.add_, Tensor.fill_, Tensor.zero_, Tensor.copy_)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Fingerprint:
    """What tells an architecture apart in a file.

    Attributes:
        name: as `architecture:` of a manifest has it.
        entries: hashes of name and shape of the backbone's tensors, without those of `stems`.
        stems: name -> shape of the first layers' weights, whose channels may differ in a file.
        heads: name of each module that classifies -> the features that it takes, 0 where it has no layer.
        buffers: hashes of the names of further tensors, which a file may hold or not.
        tops: names of the outermost modules and parameters of the backbone.
        channels: of the input.
        form: hash of all shapes of the backbone without names, but for the first layers.
    """

    name: str
    entries: tuple[int, ...]
    stems: dict[str, Shape]
    heads: dict[str, int]
    buffers: tuple[int, ...]
    tops: tuple[str, ...]
    channels: int
    form: int

    @property
    def size(self) -> int:
        """Number of the backbone's tensors."""
        return len(self.entries) + len(self.stems)


def entry_hash(name: str, shape: Iterable[int] = ()) -> int:
    """A hash of a tensor's name and shape, the same in every process."""
    text = f"{name} {','.join(map(str, shape))}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=HASH_BYTES).digest(), "big")


def form_hash(shapes: Iterable[Shape]) -> int:
    """A hash of shapes in any order."""
    counted = sorted(Counter(shapes).items())
    return entry_hash(";".join(f"{shape}x{count}" for shape, count in counted))


def fingerprint_of(
    name: str, model: nn.Module | None, *, heads: Iterable[str], stems: Iterable[str], channels: int
) -> Fingerprint | None:
    """The fingerprint of a network, None where its backbone is too small for one or there is none.

    Args:
        name: as a manifest has it.
        model: with or without memory; None for one that cannot be built.
        heads: names of the modules that classify.
        stems: names of the first layers.
        channels: of the input.

    Example:
        >>> model = nn.Sequential(*(nn.BatchNorm1d(2) for _ in range(4)))
        >>> fingerprint_of("norms", model, heads=(), stems=(), channels=2).size
        16
    """
    if model is None:
        return None
    heads = tuple(heads)
    backbone = backbone_shapes(model, heads)
    if len(backbone) < _LEAST:
        return None
    wanted = {f"{stem}.weight" for stem in stems} or {stem_of(model) or ""}
    first = {key: shape for key, shape in backbone.items() if key in wanted and len(shape) > 1}
    rest = {key: shape for key, shape in backbone.items() if key not in first}
    own = named_tensors(model)
    return Fingerprint(
        name=name,
        entries=tuple(entry_hash(key, shape) for key, shape in rest.items()),
        stems=first,
        heads={head: int(own[f"{head}.weight"].shape[1]) if f"{head}.weight" in own else 0 for head in heads},
        buffers=tuple(entry_hash(key) for key in own if key not in backbone and not under(key, heads)),
        tops=tuple(dict.fromkeys(key.partition(".")[0] for key in backbone)),
        channels=channels,
        form=form_hash(rest.values()),
    )


def built_without_memory(build: Callable[[], nn.Module]) -> nn.Module | None:
    """A network with names and shapes alone; None where it cannot be built so."""
    for context in (without_data, _parameters_without_data):
        try:
            with torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"), context():
                return build()
        except Exception:  # noqa: S112 - as many ways to need data as there are networks
            continue
    return None


class _parameters_without_data(TorchFunctionMode):  # noqa: N801 - a context manager
    """Like `without_data` for parameters alone: what networks work out from tensors on the way stays possible."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        first = args[0] if args else kwargs.get("tensor")
        if func in _IN_PLACE and isinstance(first, Tensor) and first.is_meta:
            return first
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def timm_fingerprints(names: Iterable[str]) -> Iterator[tuple[str, Fingerprint | None]]:
    """Name and fingerprint of timm architectures; None for those that cannot be built without memory."""
    timm = import_timm()
    for name in names:
        model = built_without_memory(partial(timm.create_model, name))
        cfg = registered_cfg(name)
        channels = int((cfg.get("input_size") or (3,))[0])
        parts: dict[str, Any] = {
            "heads": _words(cfg.get("classifier")),
            "stems": _words(cfg.get("first_conv")),
            "channels": channels,
        }
        yield name, fingerprint_of(name, model, **parts) if model is not None else None


def torchvision_fingerprints(names: Iterable[str]) -> Iterator[tuple[str, Fingerprint | None]]:
    """Name and fingerprint of torchvision's classification networks; None as for timm's."""
    for name in names:
        model = built_without_memory(partial(built_without_weights, name))
        known = f"torchvision:{name}"
        heads = _torchvision_heads(model) if model else ()
        yield known, fingerprint_of(known, model, heads=heads, stems=(), channels=3)


def smp_fingerprints(names: Iterable[str]) -> Iterator[tuple[str, Fingerprint | None]]:
    """Name and fingerprint of the encoders of segmentation-models-pytorch; None as for timm's."""
    import_timm()  # it imports torchvision, which may need the same help
    encoders = importlib.import_module("segmentation_models_pytorch.encoders")
    for name in names:
        build = partial(encoders.get_encoder, name, weights=None)
        model = built_without_memory(build)
        yield name, fingerprint_of(name, model, heads=(), stems=(), channels=3)


def smp_encoders() -> list[str]:
    """Names of the encoders of segmentation-models-pytorch, none where it is not installed."""
    import_timm()
    if importlib.util.find_spec("segmentation_models_pytorch") is None:
        return []
    return list(importlib.import_module("segmentation_models_pytorch.encoders").encoders)


def _torchvision_heads(model: nn.Module) -> tuple[str, ...]:
    """The last linear layer, or SqueezeNet's last convolution."""
    return last_linear(model) or tuple(name for name, _ in model.named_modules() if name == "classifier.1")


def _words(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())
