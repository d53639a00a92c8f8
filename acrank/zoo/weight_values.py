"""Values of a file's tensors: those that no training leaves behind are refused, those that look damaged are noted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.system.words import shortened
from acrank.zoo.structure import CONVOLUTIONS, named_tensors, under

_WEIGHTED = (*CONVOLUTIONS, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
_LARGEST_WEIGHT = 1e6
_LARGEST_VARIANCE = 1e12
_SHOWN, _LONGEST = 3, 80


@dataclass(frozen=True)
class _Extent:
    """The smallest and the largest value of a tensor; both are NaN where one value is."""

    low: float
    high: float

    @classmethod
    def of(cls, value: Tensor) -> _Extent | None:
        """Of floating-point numbers; None of others, where there are none, and without data."""
        if value.is_meta or not value.is_floating_point() or not value.numel():
            return None
        low, high = torch.aminmax(value.detach())  # a file may hold parameters, which ask for gradients
        return cls(float(low), float(high))


def check_values(
    model: nn.Module, tensors: Mapping[str, Tensor], names: Iterable[str], *, heads: Iterable[str] = ()
) -> list[str]:
    """Refuse numbers that no training leaves behind; notes on those that look damaged, by kind.

    Noted are weights of convolutions and linear layers that are all equal though the network does not hold that number
    before it is filled, as a fixed filter does, weights of a magnitude above 1e6, and running variances that are all
    zero or above 1e12. Each tensor is passed once.

    Args:
        model: the network, not yet filled.
        tensors: of the file, under the network's names.
        names: of the tensors that fill the network.
        heads: names of the modules that are no part of the backbone; an untrained head may well be zero.

    Raises:
        CandidateError: a value is not finite, or a variance negative.

    Example:
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> check_values(layer, {"weight": torch.zeros(2, 2)}, ["weight"])
        ["damaged? all values are equal in 1 of the file's weights: weight"]
    """
    own, heads = named_tensors(model), tuple(heads)
    weighted = {id(m.weight) for m in model.modules() if isinstance(m, _WEIGHTED)}
    equal: list[str] = []
    large: list[str] = []
    variances: list[str] = []
    for name in names:
        if (extent := _Extent.of(tensors[name])) is None:
            continue
        _check(name, extent)
        if name.endswith("running_var"):
            if extent.high == 0 or extent.high > _LARGEST_VARIANCE:
                variances.append(name)
        elif isinstance(own[name], nn.Parameter) and not under(name, heads):
            if max(-extent.low, extent.high) > _LARGEST_WEIGHT:
                large.append(name)
            if id(own[name]) in weighted and extent.low == extent.high and tensors[name].numel() > 1:
                equal += [] if _is_fixed(own[name], extent) else [name]
    kinds = {
        "all values are equal in {} of the file's weights": equal,
        f"values are above {_LARGEST_WEIGHT:.0e} in {{}} of the file's weights": large,
        f"{{}} of the file's running variances are all zero or above {_LARGEST_VARIANCE:.0e}": variances,
    }
    return [f"damaged? {text.format(len(found))}: {_first(found)}" for text, found in kinds.items() if found]


def _check(name: str, extent: _Extent) -> None:
    if not (math.isfinite(extent.low) and math.isfinite(extent.high)):
        raise CandidateError(f"the tensor {name!r} has values that are not finite", hint="use another checkpoint")
    if name.endswith("running_var") and extent.low < 0:
        raise CandidateError(f"the tensor {name!r} has negative variances", hint="use another checkpoint")


def _is_fixed(own: Tensor, extent: _Extent) -> bool:
    """Whether the network itself begins with this number everywhere; zeros may be what is not drawn yet."""
    return extent.low != 0 and _Extent.of(own.detach()) == extent


def _first(names: list[str]) -> str:
    shown = ", ".join(shortened(name, _LONGEST) for name in names[:_SHOWN])
    return shown + (", …" if len(names) > _SHOWN else "")
