"""Layers during a forward pass: forward hooks, the order in which layers run, and their outputs."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.norm.per_sample import has_channels_last
from acrank.observation.features import DenseReader, tokens_as_map

#: A Gram matrix is of so many rows at most.
ROWS = 512
#: (a layer's output [n, C, ...], which inputs of the batch these are, int64 [n], or None for all) -> rows [m, C], or
#: None where its first dimension is not of the inputs. Tokens that were folded into it are taken to lie input by input,
#: as flattening [n, T, C] leaves them.
RowsOf = Callable[[Tensor, Tensor | None], Tensor | None]


class ForwardHooks:
    """Forward hooks that pass each layer's output to `on_output`, until they are closed; use it in a `with`.

    Args:
        layers: by name.
    """

    def __init__(self, layers: Mapping[str, nn.Module]) -> None:
        self._hooks = [
            layer.register_forward_hook(functools.partial(self._hook, name), prepend=True)
            for name, layer in layers.items()
        ]

    def on_output(self, name: str, output: Tensor) -> None:
        """Called with each output; for subclasses."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove the hooks."""
        for hook in self._hooks:
            hook.remove()

    def _hook(self, name: str, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        self.on_output(name, output)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LayerTrace(ForwardHooks):
    """The order in which layers run, and at how many positions each does.

    Args:
        layers: by name.
    """

    def __init__(self, layers: Mapping[str, nn.Module]) -> None:
        super().__init__(layers)
        self._layers = layers
        self.order: list[str] = []
        self.areas: dict[str, int] = {}

    def on_output(self, name: str, output: Tensor) -> None:
        """A layer that runs again keeps its place."""
        if name not in self.areas:
            self.order.append(name)
        self.areas[name] = channels_second(self._layers[name], output)[0, 0].numel()


class LayerOutputs(ForwardHooks):
    """Keeps a few rows of what each layer put out last in each pass, rectified.

    Args:
        layers: by name.
        rows_of: what makes rows of an output.

    Attributes:
        part: which inputs of the batch the next pass is of; None for all.
    """

    def __init__(self, layers: Mapping[str, nn.Module], rows_of: RowsOf) -> None:
        super().__init__(layers)
        self.part: Tensor | None = None
        self._layers = layers
        self._rows: dict[str, dict[int, Tensor]] = {}
        self._rows_of = rows_of

    def on_output(self, name: str, output: Tensor) -> None:
        """Keep the rows, where the output has any."""
        maps = channels_second(self._layers[name], output.detach())
        if (rows := self._rows_of(maps, self.part)) is not None:
            first = 0 if self.part is None else int(self.part[0])
            self._rows.setdefault(name, {})[first] = rows

    def gram(self, names: Sequence[str], order: Tensor | None = None) -> npt.NDArray[np.float32] | None:
        """The mean over some layers of the Gram matrix of their standardised channels over C, [m, m]; None of none.

        Args:
            names: of the layers.
            order: what puts the rows of all passes, one after the other, into the order of the batch; None keeps them.
        """
        found = []
        for name in names:
            if passes := self._rows.get(name):
                rows = torch.cat(list(passes.values()))
                if order is None or len(rows) == len(order):  # else a layer that did not run in every pass
                    found.append(_gram(rows if order is None else rows[order.to(rows.device)]))
        return np.mean(found, axis=0).astype(np.float32) if found else None


def channels_second(layer: nn.Module, output: Tensor) -> Tensor:
    """An output with its channels as the second dimension: [n, C, ...]."""
    return output.movedim(-1, 1) if has_channels_last(layer) or isinstance(layer, nn.Linear) else output


def rows_of_images(count: int) -> tuple[RowsOf, Tensor]:
    """How outputs for so many images become rows, averaged over positions; and which images these are, int64 [m]."""
    stride = -(-count // ROWS)

    def rows(output: Tensor, part: Tensor | None = None) -> Tensor | None:
        which = torch.arange(count) if part is None else part
        if len(output) % len(which):
            return None
        # an image's tokens may have been folded into the first dimension
        each = output.unflatten(0, (len(which), -1))
        if stride > 1:
            each = each[(which % stride == 0).to(output.device)]
        averaged: Tensor = each.relu().mean([1, *range(3, each.ndim)])
        return averaged

    return rows, torch.arange(0, count, stride)


def rows_of_positions(positions: Tensor, size: tuple[int, ...]) -> tuple[RowsOf, Tensor]:
    """How outputs for patches become rows, at some of their labelled positions [n, p]; and which labels these are."""
    count, each = positions.shape
    stride = -(-count // ROWS)
    along = slice(None, None, -(-each // (ROWS // -(-count // stride))))

    def rows(output: Tensor, part: Tensor | None = None) -> Tensor | None:
        which = torch.arange(count) if part is None else part
        if len(output) != len(which):
            return None
        maps = tokens_as_map(output, size) if output.ndim == 3 else output
        if maps is None or maps.ndim != 2 + len(size):
            return None
        kept = which % stride == 0
        reader = DenseReader(positions[which[kept], along].to(output.device), size)
        return reader.rows(maps[kept.to(maps.device)]).relu()

    return rows, torch.arange(count * each).view(count, each)[::stride, along].flatten()


def order_of_rows(parts: Sequence[Tensor], rows: Tensor) -> Tensor:
    """What puts rows that were made part by part into the order of the batch, int64 [m].

    Args:
        parts: the inputs of each part; together every input once.
        rows: [m], what `rows_of_images` or `rows_of_positions` gave beside the function.
    """
    stride = -(-sum(map(len, parts)) // ROWS)
    kept = torch.cat([part[part % stride == 0] for part in parts])
    each = len(rows) // len(kept)
    return (kept.argsort()[:, None] * each + torch.arange(each)).flatten()


def last_third(names: Sequence[str]) -> list[str]:
    """The later layers, at least one.

    >>> last_third(["a", "b", "c", "d", "e", "f", "g"])
    ['f', 'g']
    """
    return list(names[-max(1, len(names) // 3) :])


def _gram(rows: Tensor) -> npt.NDArray[np.float64]:
    # by torch: threads of numpy's BLAS would wait for those that torch keeps spinning
    x = rows.float().cpu().double()
    x -= x.mean(0)
    spread = x.std(0, correction=0)
    x /= torch.where(spread > 1e-6, spread, 1.0)
    gram: npt.NDArray[np.float64] = (x @ x.T / x.shape[1]).numpy()
    return gram


def select_layers(order: Sequence[str], areas: Mapping[str, int], wanted: str) -> list[str]:
    """The layers that a selection means, in the order in which they ran.

    Args:
        order: names of the AC-Norm layers that ran, in order.
        areas: positions (product of the spatial sizes) at which each layer ran.
        wanted: "all"; "last", the deepest: the last one at the smallest area; "encoder", those that ran up to it; or
            a pattern such as `layer4.*`.

    Raises:
        CandidateError: no layer matches.

    Example:
        >>> select_layers(["enc.bn", "deep.bn", "dec.bn"], {"enc.bn": 64, "deep.bn": 16, "dec.bn": 64}, "last")
        ['deep.bn']
    """
    if wanted == "all":
        return list(order)
    if wanted in ("last", "encoder") and order:
        smallest = min(areas.values())
        deepest = max(place for place, name in enumerate(order) if areas[name] == smallest)
        return list(order[: deepest + 1]) if wanted == "encoder" else [order[deepest]]
    chosen = [name for name in order if fnmatch.fnmatchcase(name, wanted)]
    if not chosen:
        raise CandidateError(f"no normalisation layer matches {wanted!r}", hint=f"it has {', '.join(order[:8])}, …")
    return chosen
