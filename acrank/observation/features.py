"""Where a network's features are: the input of its classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError

#: (model, inputs, which of the sample the inputs are) -> features [rows, d], logits [rows, z] or None.
Reader = Callable[[nn.Module, Tensor, Tensor | None], tuple[Tensor, Tensor | None]]


def read_images(model: nn.Module, inputs: Tensor, _: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """`read_features` as a `Reader`: one row per image, whichever images they are."""
    return read_features(model, inputs)


def in_mixed_precision(read: Reader, dtype: torch.dtype) -> Reader:
    """A `Reader` whose forward pass is under autocast to `dtype`; features and logits come out in float32."""

    def reading(model: nn.Module, inputs: Tensor, which: Tensor | None) -> tuple[Tensor, Tensor | None]:
        with torch.autocast(inputs.device.type, dtype=dtype):
            features, logits = read(model, inputs, which)
        return features.float(), None if logits is None else logits.float()

    return reading


def read_features(model: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
    """One forward pass: pooled features [n, d], and the logits [n, z] of the network's own head where it has one.

    A timm network is read before its classifier. Any other is read at the input of the last Linear layer that runs;
    without one, its output is the features. Feature maps are averaged over their positions.

    Raises:
        CandidateError: the output is not a tensor of one row per image.
    """
    is_timm = all(callable(getattr(model, name, None)) for name in ("forward_features", "forward_head"))
    features, logits = _before_classifier(model, inputs) if is_timm else _at_last_linear(model, inputs)
    if not isinstance(features, Tensor) or features.dim() < 2 or len(features) != len(inputs):
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise CandidateError(f"the network returned {shape} for {len(inputs)} images", hint="return one row per image")
    return _pooled(features), logits


def _before_classifier(model: Any, inputs: Tensor) -> tuple[Any, Tensor | None]:
    features = model.forward_head(model.forward_features(inputs), pre_logits=True)
    classifier = model.get_classifier() if hasattr(model, "get_classifier") else None
    if not isinstance(classifier, nn.Linear) or features.dim() != 2:
        return features, None
    return features, classifier(features)


def _at_last_linear(model: nn.Module, inputs: Tensor) -> tuple[Any, Tensor | None]:
    seen: list[tuple[Tensor, Tensor]] = []

    def remember(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        seen[:] = [(args[0], output)]

    hooks = [layer.register_forward_hook(remember) for layer in model.modules() if isinstance(layer, nn.Linear)]
    try:
        output = model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        return output, None
    features, logits = seen[0]
    return features, logits if logits.dim() == 2 else None


def _pooled(features: Tensor) -> Tensor:
    """[n, d] as it is; maps [n, d, ...] averaged over their positions."""
    return features if features.dim() == 2 else features.flatten(2).mean(2)
