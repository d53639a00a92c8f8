"""The affine correlation of AC-Norm and AC-Corr, its measure of transferability.

Source affines (g_s, b_s) and target affines (g_t, b_t) of a normalisation layer with C channels give

    y = b / (|g| + eps)                                  where a channel's activation sits, in units of its own scale
    K_ij = softmax over j of -|y_t,i - y_s,j| / T        how much target channel i resembles source channel j
    C_ij = K_ij where |y_t,i - y_s,j| <= |y_t,i - y_s,i|, else 0

(Zhang et al., arXiv 2307.15282). Membership is by distance: the same as K_ij >= K_ii, but for rounding.

Row i of C is a window of the sorted y_s, so that C is never needed as a matrix: its products are differences of
prefix and suffix sums over the sorted list (`Scan`). Sorts and searches take C log C time, the sums are linear in C.

The operator computes in numpy: at the width of a layer a call is mostly overhead, and numpy has little of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from acrank.norm.bias import normalised_bias
from acrank.norm.scan import Floats, Scan
from acrank.norm.windows import padded, windows

EPS = 1e-5


class AffineOverlap(NamedTuple):
    """Sum and trace of one layer's affine correlation.

    Attributes:
        total: sum_ij C_ij, in (0, C]; the authors' AC-Corr of the layer.
        own: sum_i C_ii, in (0, C]; the part that stays on the own channel.
        channels: C.
    """

    total: float
    own: float
    channels: int


class Correlation:
    """The correlation matrix C of one layer as an operator: O(C log C) time, O(C) memory, float64.

    Args:
        source, target: y_s and y_t, float64 [C], finite.
        temperature: T > 0.

    Example:
        >>> y = np.array([0.0, 1.0, 3.0])
        >>> Correlation(y, y + 0.6).row_sums().shape
        (3,)
    """

    def __init__(self, source: Floats, target: Floats, *, temperature: float = 1.0) -> None:
        self._order = np.argsort(source)
        ordered, reach = source[self._order], np.abs(target - source)
        places = padded(ordered, np.inf)
        self._scan = Scan(places, temperature)
        start, split, stop = windows(ordered, source, target, reach=reach)
        # A sum over a window is the sum up to its near edge less the sum beyond its far edge, on either side of y_t.
        edges = np.array([[split, split + 1], [start, stop + 1]])  # [near or beyond, left or right, C]
        distances = np.abs(target - places.take(edges))
        nearest = np.minimum(*distances[0])
        self._factors = np.exp((nearest - distances) / temperature)
        self._edges = edges + np.array([[0], [len(places)]])  # the suffix sums stand behind the prefix sums
        mass = (self._factors * self._sums(np.ones((1, len(source)))))[0, 0].sum(axis=0)
        self._factors[1] *= -1
        self._factors /= mass
        self._diagonal: Floats = np.exp((nearest - reach) / temperature) / mass

    def apply(self, values: Floats) -> Floats:
        """C @ v for each v of `values` [..., C]."""
        rows = values.reshape(-1, values.shape[-1])
        return np.asarray((self._factors * self._sums(rows)).sum(axis=(1, 2)).reshape(values.shape))

    def transpose(self, values: Floats) -> Floats:
        """C^T @ v for each v of `values` [..., C]: the adjoint of `apply`, step by step."""
        weights = self._factors * values.reshape(-1, 1, 1, values.shape[-1])
        length = values.shape[-1] + 2
        sums = np.array([np.bincount(self._edges.ravel(), row.ravel(), 2 * length) for row in weights])
        ordered = self._scan.suffix(sums[:, :length]) + self._scan.prefix(sums[:, length:])
        out = np.empty((len(sums), values.shape[-1]))
        out[:, self._order] = ordered[:, 1:-1]
        return np.asarray(out.reshape(values.shape))

    def row_sums(self) -> Floats:
        """sum_j C_ij, [C]."""
        return self.apply(np.ones_like(self._diagonal))

    def diagonal(self) -> Floats:
        """C_ii, [C]."""
        return self._diagonal

    def _sums(self, rows: Floats) -> Floats:
        """Prefix and suffix sums of `rows` [r, C] at the edges, [r, near or beyond, left or right, C]."""
        values = padded(rows.take(self._order, axis=1), 0.0)
        sums = np.concatenate([self._scan.prefix(values), self._scan.suffix(values)], axis=1)
        return np.asarray(sums.take(self._edges, axis=1))


def correlation_of(
    source_weight: Tensor,
    source_bias: Tensor,
    target_weight: Tensor,
    target_bias: Tensor,
    *,
    eps: float = EPS,
    temperature: float = 1.0,
) -> Correlation:
    """The correlation of one layer's affines as an operator on arrays; arguments as `layer_ac_corr` has them."""
    both = _checked(
        source_weight, source_bias, target_weight, target_bias=target_bias, eps=eps, temperature=temperature
    )
    source, target = both.cpu().numpy()
    return Correlation(source, target, temperature=temperature)


def affine_correlation(
    source_weight: Tensor,
    source_bias: Tensor,
    target_weight: Tensor,
    target_bias: Tensor,
    *,
    eps: float = EPS,
    temperature: float = 1.0,
) -> Tensor:
    """The sparse correlation matrix of one layer, dense: the reference that the sorted form must equal.

    Args:
        source_weight, source_bias, target_weight, target_bias: affines, [C], any floating dtype.
        eps: added to |g|; the layer's own eps in a network, 1e-5 in the authors' script.
        temperature: T of the softmax, > 0.

    Returns:
        C, float64 [C, C], rows are target channels; entries in [0, 1], each row sums to at most 1. On the affines'
        device, but for MPS, which has no float64: on the CPU.

    Raises:
        ValueError: shapes differ, a value is not finite, or temperature is not positive.

    Source: Zhang et al., arXiv 2307.15282.

    Example:
        >>> g, b = torch.ones(3), torch.tensor([0.0, 1.0, 2.0])
        >>> affine_correlation(g, b, g, b).diagonal().sum() == affine_correlation(g, b, g, b).sum()
        tensor(True)
    """
    source, target = _checked(
        source_weight, source_bias, target_weight, target_bias=target_bias, eps=eps, temperature=temperature
    )
    distance = (target[:, None] - source[None, :]).abs()
    kept = distance <= distance.diagonal()[:, None]
    matrix: Tensor = torch.softmax(-distance / temperature, dim=1) * kept
    return matrix


def layer_ac_corr(
    source_weight: Tensor,
    source_bias: Tensor,
    target_weight: Tensor,
    target_bias: Tensor,
    *,
    eps: float = EPS,
    temperature: float = 1.0,
    per_channel: bool = False,
) -> float:
    """AC-Corr of one layer: the sum of its affine correlation, in O(C log C) time and O(C) memory.

    The raw sum is the authors' and compares only layers of equal width; per channel it lies in (0, 1]. It rises with
    the drift of the affines, and depends on the step that made the drift. Where all source affines are equal it is at
    its maximum and carries no information (see `is_untouched`).

    Args:
        source_weight, source_bias, target_weight, target_bias: affines, [C], any floating dtype.
        eps: added to |g|.
        temperature: T of the softmax, > 0.
        per_channel: divide by C.

    Returns:
        In (0, C], or in (0, 1] per channel; lower is taken as better (see `acrank.scores.affine.ac_corr`).

    Raises:
        ValueError: shapes differ, a value is not finite, or temperature is not positive.

    Source: Zhang et al., arXiv 2307.15282, and the authors' script (the sum at one layer).

    Example:
        >>> g, b = torch.ones(4), torch.tensor([0.0, 10.0, 20.0, 30.0])
        >>> round(layer_ac_corr(g, b, g, b, per_channel=True), 3)
        1.0
    """
    found = affine_overlap(
        source_weight, source_bias, target_weight, target_bias=target_bias, eps=eps, temperature=temperature
    )
    return found.total / found.channels if per_channel else found.total


def affine_overlap(
    source_weight: Tensor,
    source_bias: Tensor,
    target_weight: Tensor,
    target_bias: Tensor,
    *,
    eps: float = EPS,
    temperature: float = 1.0,
) -> AffineOverlap:
    """Sum and trace of the affine correlation of one layer; arguments as in `layer_ac_corr`.

    `own / total` is the layer's channel alignment, in (0, 1]: the share of the correlation that stays on the own
    channel. It is 1 where no channel resembles another one more than itself, and 1/C where all source affines tie.
    """
    matrix = correlation_of(
        source_weight, source_bias, target_weight, target_bias=target_bias, eps=eps, temperature=temperature
    )
    total = min(float(matrix.row_sums().sum()), float(len(source_weight)))
    own = min(float(matrix.diagonal().sum()), total)  # both sums are rounded, their order is not
    return AffineOverlap(total, own, len(source_weight))


def _checked(
    source_weight: Tensor,
    source_bias: Tensor,
    target_weight: Tensor,
    target_bias: Tensor,
    eps: float,
    temperature: float,
) -> Tensor:
    """y_s and y_t, float64 [2, C]."""
    shapes = {tuple(part.shape) for part in (source_weight, source_bias, target_weight, target_bias)}
    if len(shapes) != 1 or source_weight.dim() != 1 or len(source_weight) == 0:
        raise ValueError(f"affines must be four vectors of one length, not of shapes {sorted(shapes)}")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    weights, biases = torch.stack([source_weight, target_weight]), torch.stack([source_bias, target_bias])
    both = normalised_bias(_float64(weights), _float64(biases), eps)
    if not np.isfinite(both.cpu().numpy()).all():
        raise ValueError("affines must be finite, and b / (|g| + eps) too")
    return both


def _float64(tensor: Tensor) -> Tensor:
    """Detached; on the CPU where the device (MPS) has no float64."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).detach().double()
