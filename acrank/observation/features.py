"""Features of a network: the input of its classifier, or for segmentation the map before its output convolution."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.norm.per_sample import has_channels_last
from acrank.scores.inputs import MapRows

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)

#: A transformer has so many tokens besides those of its grid, at most.
PREFIX_TOKENS = 8

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


class DenseReader:
    """A `Reader` of features at labelled positions of patches.

    Args:
        positions: [n, p], int64: flat places within a patch.
        size: spatial sizes of a patch.
    """

    def __init__(self, positions: Tensor, size: tuple[int, ...]) -> None:
        self.positions, self.size = positions, size

    def __call__(self, model: nn.Module, inputs: Tensor, patches: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """One forward pass: features [n * p, d], and the network's own outputs [n * p, z] where it has two or more.

        A map of lower resolution gives each position the value of the cell that it lies in.

        Args:
            model: whatever `feature_map` can read.
            inputs: [n, c, *size].
            patches: which rows of `positions` the inputs are; None where they are all.

        Raises:
            CandidateError: the network gives no feature map.
        """
        positions = self.positions if patches is None else self.positions[patches]
        features, output = feature_map(model, inputs)
        dense = isinstance(output, Tensor) and output.dim() == inputs.dim() and output.shape[1] > 1
        return self._rows(features, positions), self._rows(output, positions) if dense else None

    def cells(self, size: tuple[int, ...], positions: Tensor) -> Tensor:
        """In which flat cell of a map of that size each position [n, p] of a patch lies."""
        places = torch.zeros_like(positions)
        left = positions
        for axis in reversed(range(len(self.size))):
            at, left = left % self.size[axis], left // self.size[axis]
            places = places + at * size[axis] // self.size[axis] * math.prod(size[axis + 1 :])
        return places

    def rows(self, maps: Tensor) -> Tensor:
        """[n, d, *cells] at every position of every patch -> [n * p, d]."""
        return self._rows(maps, self.positions)

    def _rows(self, maps: Tensor, positions: Tensor) -> Tensor:
        flat = maps.flatten(2)
        places = self.cells(tuple(maps.shape[2:]), positions).to(maps.device)
        index = places[:, None, :].expand(-1, flat.shape[1], -1)
        return flat.gather(2, index).transpose(1, 2).reshape(-1, flat.shape[1])


def feature_map(model: nn.Module, inputs: Tensor) -> tuple[Tensor, Any]:
    """One forward pass: the last feature map before the output, [n, d, *cells], and the output itself.

    A network whose output is a map is read at the input of its last convolution; where that convolution (of more than
    one position) keeps the number of channels, as in MONAI's residual U-Nets, at the input of the one before. Any other
    network is read at the last map of more than one position that one of its parts gives; tokens [n, t, d] on a grid,
    such as a vision transformer's, are a map, and those before the grid's (of the class, registers) are left out.

    Raises:
        CandidateError: there is no such map.
    """
    head: list[Tensor] = []
    maps: list[Tensor] = []

    def remember(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if _may_be_head(layer, bool(head)):
            head[:] = [args[0]]
        found = _map_of(layer, output, inputs)
        if found is not None and found[0, 0].numel() > 1:
            maps[:] = [found]

    output = _watched(model, list(model.modules())[1:] or [model], inputs, remember=remember)
    found = next(iter(head if head and _is_dense(output, inputs) else maps), None)
    if found is None or not _fits(found, inputs):
        raise CandidateError("the network gives no feature map", hint="a segmentation target needs a convolutional one")
    return found, output


def decoder_maps(model: nn.Module, inputs: Tensor, reader: DenseReader) -> tuple[MapRows, ...]:
    """One forward pass: rows of the maps of a network's decoder, coarsest first.

    The map of `feature_map` is the last. A network whose output is a map gives, before it, the last map that one of its
    parts gives at each other resolution between the deepest one and that map; any other network gives it alone.

    Args:
        model: whatever `feature_map` can read.
        inputs: [n, c, *size].
        reader: of the positions in these inputs.

    Raises:
        CandidateError: the network gives no feature map.
    """
    latest: dict[tuple[int, ...], Tensor] = {}  # by size, from the deepest on; rows, for whole maps are large
    heads: list[dict[tuple[int, ...], Tensor]] = []

    def remember(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if _may_be_head(layer, bool(heads)):
            heads[:] = [_up_to(latest, args[0], reader)] if _fits(args[0], inputs) else [{}]
        if _fits(output, inputs) and output[0, 0].numel() > 1:
            size = tuple(output.shape[2:])
            if all(math.prod(size) <= math.prod(other) for other in latest):
                latest.clear()
            latest.pop(size, None)
            latest[size] = reader.rows(output)

    output = _watched(model, list(model.modules()), inputs, remember=remember)
    found = heads[0] if heads and _is_dense(output, inputs) else {}
    if not found:
        last, _ = feature_map(model, inputs)
        found = {tuple(last.shape[2:]): reader.rows(last)}
    return tuple(_distinct(rows, size, reader) for size, rows in found.items())


def _up_to(latest: dict[tuple[int, ...], Tensor], last: Tensor, reader: DenseReader) -> dict[tuple[int, ...], Tensor]:
    """The decoder's maps by size, coarsest first: those behind the deepest, and `last` as the one of its size."""
    size = tuple(last.shape[2:])
    behind = [one for one in list(latest.items())[1:] if one[0] != size]
    return {**dict(sorted(behind, key=lambda one: math.prod(one[0]))), size: reader.rows(last)}


def _distinct(rows: Tensor, size: tuple[int, ...], reader: DenseReader) -> MapRows:
    """Each cell of each patch once, as the first of its positions."""
    cells = reader.cells(size, reader.positions)
    patches, each = cells.shape
    whole = cells + torch.arange(patches, device=cells.device)[:, None] * math.prod(size)
    first = np.sort(np.unique(whole.flatten().cpu().numpy(), return_index=True)[1]).astype(np.int64)
    return MapRows(rows[torch.from_numpy(first).to(rows.device)].float().cpu().numpy(), first, first // each)


def _watched(model: nn.Module, parts: list[nn.Module], inputs: Tensor, remember: Callable[..., None]) -> Any:
    """The output of one forward pass, in which `remember` sees every call of some parts."""
    hooks = [part.register_forward_hook(remember) for part in parts]
    try:
        return model(inputs)
    finally:
        for hook in hooks:
            hook.remove()


def _map_of(layer: nn.Module, output: Any, inputs: Tensor) -> Tensor | None:
    """A layer's output as a map [n, d, *cells]; None where it is none."""
    if not isinstance(output, Tensor) or len(output) != len(inputs):
        return None
    if output.dim() == 3 < inputs.dim():
        return tokens_as_map(output.movedim(-1, 1), inputs.shape[2:])
    if output.dim() != inputs.dim() or isinstance(layer, nn.Linear):  # a linear layer's channels are last
        return None
    return output.movedim(-1, 1) if has_channels_last(layer) else output


def tokens_as_map(tokens: Tensor, size: Sequence[int]) -> Tensor | None:
    """Tokens [n, d, t] as a map [n, d, *cells], whose sides are to each other as those of the input; None if none fits.

    The grid is the largest that leaves out PREFIX_TOKENS at most, which come first.

    >>> tokens_as_map(torch.zeros(2, 5, 197), (224, 224)).shape, tokens_as_map(torch.zeros(2, 5, 98), (64, 128)).shape
    (torch.Size([2, 5, 14, 14]), torch.Size([2, 5, 7, 14]))
    """
    count = tokens.shape[-1]
    for prefix in range(min(PREFIX_TOKENS, count - 1) + 1):
        cells = _grid_of(count - prefix, size)
        if cells is not None:
            grid: Tensor = tokens[..., prefix:].unflatten(-1, cells)
            return grid
    return None


def _grid_of(count: int, size: Sequence[int]) -> tuple[int, ...] | None:
    """Sides of a grid of so many cells, to each other as those of an image; None if there is none."""
    unit = math.gcd(*size)
    shape = [side // unit for side in size]
    scale = round((count / math.prod(shape)) ** (1 / len(shape)))
    cells = tuple(scale * side for side in shape)
    return cells if math.prod(cells) == count else None


def _is_dense(output: Any, inputs: Tensor) -> bool:
    return isinstance(output, Tensor) and output.dim() == inputs.dim()


def _fits(maps: Any, inputs: Tensor) -> bool:
    return _is_dense(maps, inputs) and len(maps) == len(inputs)


def _may_be_head(layer: Any, later: bool) -> bool:
    """Whether a convolution makes the output, unless another one does later; one that keeps the channels never does.

    Args:
        layer: the one that runs.
        later: whether a convolution ran before; the first may be the head whatever its channels.
    """
    if not isinstance(layer, _CONVOLUTIONS):
        return False
    return not (later and layer.in_channels == layer.out_channels and max(layer.kernel_size) > 1)
