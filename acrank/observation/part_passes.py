"""Passes of a batch through a network in parts, so that a graph never holds more than one part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acrank.norm import ac_norm_layers
from acrank.observation.features import Reader
from acrank.observation.layer_hooks import LayerOutputs, LayerTrace, RowsOf, last_third, order_of_rows, select_layers


class PartPasses:
    """Passes of a batch through a network, part by part.

    Args:
        model: whose AC-Norm layers are watched.
        inputs, read, parts: as in `take_one_step`.
        rows: as there; None where no layer's output is wanted.
        late: the layers whose outputs are wanted; None for all.

    Attributes:
        rows: which labels the rows of the layers' outputs have.
        order, areas: the AC-Norm layers that ran, as in `LayerTrace`; of a network without any its convolutions and
            linear layers.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Tensor,
        read: Reader,
        *,
        parts: Sequence[Tensor],
        rows: tuple[RowsOf, Tensor] | None,
        late: Sequence[str] | None = None,
    ) -> None:
        self._model, self._inputs, self._read, self._parts = model, inputs, read, parts
        layers = watched_layers(model)
        self.rows = rows[1] if rows else torch.empty(0, dtype=torch.int64)
        self._trace, self._outputs = LayerTrace(layers), None
        if rows:
            self._outputs = LayerOutputs(layers if late is None else {name: layers[name] for name in late}, rows[0])
        self.order, self.areas = self._trace.order, self._trace.areas
        self._graph: Tensor | None = None

    def read_all(self, *, with_graph: bool) -> tuple[Tensor, Tensor | None]:
        """Features [n, d] and logits of all inputs, in their order; the graph of the last part is kept for its pull.

        The AC-Norm layers are watched in these passes only.
        """
        found = []
        try:
            for part in self._parts:
                if self._outputs is not None:
                    self._outputs.part = part
                with torch.set_grad_enabled(with_graph and part is self._parts[-1]):
                    found.append(self._pass(part))
        finally:
            self._trace.close()
            if self._outputs is not None:
                self._outputs.close()
        if with_graph:
            self._graph = found[-1][0]
        return in_order([one[0] for one in found], self._parts), (
            None if found[0][1] is None else in_order([one[1] for one in found if one[1] is not None], self._parts)
        )

    def pull_back(
        self, pulls: Sequence[Tensor], leaves: Sequence[Tensor], *, scale: float, most: int | None
    ) -> list[list[Tensor | None]]:
        """For each pull on the features [n, d], gradients at the leaves; None where features do not depend on them.

        Args:
            pulls: gradients of losses that are means over the labels.
            leaves: where gradients are wanted.
            scale: as `loss_scale` in `take_one_step`.
            most: inputs, in whole parts from the last on, whose pulls count; gradients are scaled up to all inputs.
        """
        totals: list[list[Tensor | None]] = [[None] * len(leaves) for _ in pulls]
        if not pulls:
            return totals
        parts = _last_parts(self._parts, most)
        share = sum(map(len, parts)) / len(self._inputs)
        for part in parts:
            features = self._graph if self._graph is not None else self._pass(part)[0]
            self._graph = None
            rows = rows_of_part(part, len(pulls[0]) // len(self._inputs)).to(features.device)
            for place, pull in enumerate(pulls):
                again = place < len(pulls) - 1
                found = _grads(features, leaves, pull[rows] / share, scale=scale, again=again)
                totals[place] = [_sum(total, grad) for total, grad in zip(totals[place], found, strict=True)]
        return totals

    def gram(self, names: Sequence[str]) -> npt.NDArray[np.float32] | None:
        """As `LayerOutputs.gram`, with the rows in the order of the batch."""
        return self._outputs.gram(names, order_of_rows(self._parts, self.rows)) if self._outputs is not None else None

    def _pass(self, part: Tensor) -> tuple[Tensor, Tensor | None]:
        device = next(self._model.parameters()).device
        whole = len(part) == len(self._inputs)
        return self._read(self._model, (self._inputs if whole else self._inputs[part]).to(device), part)


def _last_parts(parts: Sequence[Tensor], most: int | None) -> list[Tensor]:
    """Parts from the last one on, until they have so many inputs; all for None."""
    kept: list[Tensor] = []
    for part in reversed(parts):
        if most is None or sum(map(len, kept)) < most:
            kept.append(part)
    return kept


def watched_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The AC-Norm layers by name; of a network that has none its convolutions and linear layers, but the classifier."""
    normed: dict[str, nn.Module] = dict(ac_norm_layers(model))
    if normed:
        return normed
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    found = {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds)}
    linear = [name for name, layer in found.items() if isinstance(layer, nn.Linear)]
    return {name: layer for name, layer in found.items() if len(found) == 1 or name != (linear or [None])[-1]}


def late_layers(features: Tensor, trace: LayerTrace, layers: Mapping[str, nn.Module], *, wanted: str) -> list[str]:
    """The layers whose outputs make the Gram matrix: the last third of those wanted that the features depend on.

    Args:
        features: of a forward pass with gradients on.
        trace: of that pass.
        layers: from `watched_layers`.
        wanted: as in `select_layers`.
    """
    chosen = select_layers(trace.order, trace.areas, wanted)
    moving = _leaves_of(features)
    return last_third([name for name in chosen if id(getattr(layers[name], "weight_target", None)) in moving] or chosen)


def _leaves_of(tensor: Tensor) -> set[int]:
    """The ids of the leaves that a tensor's graph reaches."""
    seen, left = set(), [tensor.grad_fn]
    found = set()
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found.add(id(getattr(node, "variable", None)))
        left += [before for before, _ in node.next_functions]
    return found


def rows_of_part(part: Tensor, each: int) -> Tensor:
    """The rows that a part's inputs have, where every input has `each`.

    >>> rows_of_part(torch.tensor([0, 2]), 2).tolist()
    [0, 1, 4, 5]
    """
    return (part[:, None] * each + torch.arange(each)).flatten()


def in_order(found: Sequence[Tensor], parts: Sequence[Tensor]) -> Tensor:
    """Rows of all parts, [n, ...], in the order of the batch."""
    rows = torch.cat([one.detach() for one in found])
    each = len(rows) // sum(map(len, parts))
    order = torch.cat([rows_of_part(part, each) for part in parts]).argsort()
    return rows[order.to(rows.device)]


def _sum(total: Tensor | None, more: Tensor | None) -> Tensor | None:
    return more if total is None else total if more is None else total + more


def _grads(
    features: Tensor, affines: Sequence[Tensor], pull: Tensor, scale: float, *, again: bool
) -> list[Tensor | None]:
    """Gradients at the affines from that at the features; None where these do not depend on them."""
    while True:
        keep = again or scale > 1
        found = torch.autograd.grad(features, affines, pull * scale, retain_graph=keep, allow_unused=True)
        if scale <= 1 or all(bool(grad.isfinite().all()) for grad in found if grad is not None):
            return [None if grad is None else grad / scale for grad in found]
        scale = max(1.0, scale / 4)
