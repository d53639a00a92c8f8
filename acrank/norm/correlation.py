"""The affine correlation of AC-Norm and AC-Corr, its measure of transferability.

Source affines (g_s, b_s) and target affines (g_t, b_t) of a normalisation layer with C channels give

    y = b / (|g| + eps)                                  where a channel's activation sits, in units of its own scale
    K_ij = softmax over j of -|y_t,i - y_s,j| / T        how much target channel i resembles source channel j
    C_ij = K_ij where |y_t,i - y_s,j| <= |y_t,i - y_s,i|, else 0

(Zhang et al., arXiv 2307.15282). Membership is by distance: the same as K_ij >= K_ii, but for rounding.

Row i of C is a window of the sorted y_s, so that C is never needed as a matrix: its products are differences of
prefix sums over the sorted list. A prefix sum of exp(s_k) overflows for wide affines; here every prefix sum is kept
relative to its own position, P_j = sum_{k<=j} v_k exp(s_k - s_j), which only ever multiplies by exp(-gap) <= 1 and so
holds full precision at any range.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from acrank.norm.windows import distances, windows

EPS = 1e-5


class AffineOverlap(NamedTuple):
    """What the correlation of one layer says, both per layer.

    Attributes:
        total: sum_ij C_ij, in (0, C]; the authors' AC-Corr of the layer.
        own: sum_i C_ii, in (0, C]; what stays on the own channel.
        channels: C.
    """

    total: float
    own: float
    channels: int


class Correlation:
    """The correlation matrix C of one layer as an operator: O(C log C) time, O(C) memory, float64.

    Args:
        source, target: y_s and y_t, [C], finite.
        temperature: T > 0.

    Example:
        >>> y = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
        >>> Correlation(y, y + 0.6).row_sums().shape
        torch.Size([3])
    """

    def __init__(self, source: Tensor, target: Tensor, *, temperature: float = 1.0) -> None:
        ordered, self._order = torch.sort(source)
        reach = (target - source).abs()
        start, split, stop = windows(ordered, source, target, reach)
        near_left, near_right = distances(ordered, target, split - 1), distances(ordered, target, split)
        nearest = torch.minimum(near_left, near_right)
        edges = torch.stack([split - 1, start - 1, split, stop])
        far = torch.stack([near_left, distances(ordered, target, start - 1)])
        far = torch.cat([far, torch.stack([near_right, distances(ordered, target, stop)])])
        # A sum over a window is the sum up to its near edge less the sum beyond its far edge, on either side of y_t.
        self._edges = edges.clamp_(0, len(source) - 1)
        self._factors = torch.exp((nearest - far) / temperature)
        self._scan = _Scan(ordered / temperature)
        prefix, suffix = self._scan.both(torch.ones_like(ordered))
        mass = self._factors[0] * prefix[self._edges[0]] + self._factors[2] * suffix[self._edges[2]]
        self._factors /= mass
        self._diagonal = torch.exp((nearest - reach) / temperature) / mass

    def apply(self, values: Tensor) -> Tensor:
        """C @ v for each v of `values` [..., C]."""
        prefix, suffix = self._scan.both(values[..., self._order])
        (left, beyond_left, right, beyond_right), factors = self._edges, self._factors
        out = factors[0] * prefix[..., left] - factors[1] * prefix[..., beyond_left]
        return out + factors[2] * suffix[..., right] - factors[3] * suffix[..., beyond_right]

    def transpose(self, values: Tensor) -> Tensor:
        """C^T @ v for each v of `values` [..., C]: the adjoint of `apply`, step by step."""
        (left, beyond_left, right, beyond_right), factors = self._edges, self._factors
        down, up = torch.zeros_like(values), torch.zeros_like(values)
        down.index_add_(-1, left, factors[0] * values).index_add_(-1, beyond_left, factors[1] * values, alpha=-1)
        up.index_add_(-1, right, factors[2] * values).index_add_(-1, beyond_right, factors[3] * values, alpha=-1)
        ordered = self._scan.suffix(down) + self._scan.prefix(up)
        return torch.empty_like(ordered).index_copy_(-1, self._order, ordered)

    def row_sums(self) -> Tensor:
        """sum_j C_ij, [C]."""
        return self.apply(torch.ones_like(self._diagonal))

    def diagonal(self) -> Tensor:
        """C_ii, [C]."""
        return self._diagonal


class _Scan:
    """Prefix and suffix sums over sorted positions, each relative to its own position (doubling, O(C log C))."""

    def __init__(self, ordered: Tensor) -> None:
        # Row 0 runs forwards, row 1 backwards over the same list.
        places = torch.stack([ordered, -ordered.flip(0)])
        self._decays = []
        step = 1
        while step < len(ordered):
            self._decays.append(torch.exp(places[:, :-step] - places[:, step:]))
            step *= 2

    def both(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """sum_{k<=j} v_k exp(s_k - s_j) and sum_{k>=j} v_k exp(s_j - s_k), each [..., C]."""
        sums = torch.stack([values, values.flip(-1)], dim=-2)
        self._run(sums, self._decays)
        return sums[..., 0, :], sums[..., 1, :].flip(-1)

    def prefix(self, values: Tensor) -> Tensor:
        """sum_{k<=j} v_k exp(s_k - s_j), [..., C]."""
        sums = values.clone()
        self._run(sums, [decay[0] for decay in self._decays])
        return sums

    def suffix(self, values: Tensor) -> Tensor:
        """sum_{k>=j} v_k exp(s_j - s_k), [..., C]."""
        sums = values.flip(-1)
        self._run(sums, [decay[1] for decay in self._decays])
        return sums.flip(-1)

    @staticmethod
    def _run(sums: Tensor, decays: list[Tensor]) -> None:
        for level, decay in enumerate(decays):
            step = 2**level
            sums[..., step:] += decay * sums[..., :-step]


def relative_bias(weight: Tensor, bias: Tensor, *, eps: float = EPS) -> Tensor:
    """y = b / (|g| + eps), [C], float64.

    >>> relative_bias(torch.tensor([2.0]), torch.tensor([-1.0]), eps=0.0)
    tensor([-0.5000], dtype=torch.float64)
    """
    return bias.detach().double() / (weight.detach().double().abs() + eps)


def correlation_of(
    source_weight: Tensor,
    source_bias: Tensor,
    target_weight: Tensor,
    target_bias: Tensor,
    *,
    eps: float = EPS,
    temperature: float = 1.0,
) -> Correlation:
    """The correlation of one layer's affines as an operator; arguments as in `ac_corr`."""
    source, target = _checked(source_weight, source_bias, target_weight, target_bias, eps, temperature)
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
        C, float64 [C, C], rows are target channels; entries in [0, 1], each row sums to at most 1.

    Raises:
        ValueError: shapes differ, a value is not finite, or temperature is not positive.

    Source: Zhang et al., arXiv 2307.15282.

    Example:
        >>> g, b = torch.ones(3), torch.tensor([0.0, 1.0, 2.0])
        >>> affine_correlation(g, b, g, b).diagonal().sum() == affine_correlation(g, b, g, b).sum()
        tensor(True)
    """
    source, target = _checked(source_weight, source_bias, target_weight, target_bias, eps, temperature)
    distance = (target[:, None] - source[None, :]).abs()
    kept = distance <= distance.diagonal()[:, None]
    return torch.softmax(-distance / temperature, dim=1) * kept


def ac_corr(
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
        In (0, C], or in (0, 1] per channel. Which direction predicts transfer belongs to the protocol.

    Raises:
        ValueError: shapes differ, a value is not finite, or temperature is not positive.

    Source: Zhang et al., arXiv 2307.15282, and the authors' script (the sum at one layer).

    Example:
        >>> g, b = torch.ones(4), torch.tensor([0.0, 10.0, 20.0, 30.0])
        >>> round(ac_corr(g, b, g, b, per_channel=True), 3)
        1.0
    """
    found = affine_overlap(source_weight, source_bias, target_weight, target_bias, eps=eps, temperature=temperature)
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
    """Sum and trace of the affine correlation of one layer; arguments as in `ac_corr`.

    `own / total` is the layer's channel alignment, in (0, 1]: the share of the correlation that stays on the own
    channel. It is 1 where no channel resembles another one more than itself, and 1/C where all source affines tie.
    """
    matrix = correlation_of(source_weight, source_bias, target_weight, target_bias, eps=eps, temperature=temperature)
    total = min(float(matrix.row_sums().sum()), float(len(source_weight)))
    own = min(float(matrix.diagonal().sum()), total)  # both sums are rounded, their order is not
    return AffineOverlap(total, own, len(source_weight))


def is_untouched(weight: Tensor, bias: Tensor, *, eps: float = EPS) -> bool:
    """Whether all channels of a layer have the same y, as at initialisation: its correlation then says nothing.

    >>> is_untouched(torch.ones(8), torch.zeros(8))
    True
    """
    y = relative_bias(weight, bias, eps=eps)
    return bool((y == y[0]).all())


def _checked(
    source_weight: Tensor,
    source_bias: Tensor,
    target_weight: Tensor,
    target_bias: Tensor,
    eps: float,
    temperature: float,
) -> tuple[Tensor, Tensor]:
    shapes = {tuple(part.shape) for part in (source_weight, source_bias, target_weight, target_bias)}
    if len(shapes) != 1 or source_weight.dim() != 1 or len(source_weight) == 0:
        raise ValueError(f"affines must be four vectors of one length, not of shapes {sorted(shapes)}")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    source = relative_bias(source_weight, source_bias, eps=eps)
    target = relative_bias(target_weight, target_bias, eps=eps)
    if not bool((torch.isfinite(source) & torch.isfinite(target)).all()):
        raise ValueError("affines must be finite, and b / (|g| + eps) too")
    return source, target
