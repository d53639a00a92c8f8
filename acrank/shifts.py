"""How far one step moved the affines of a normalisation layer, and what that did to their correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LayerShift:
    """Source and target affines of one normalisation layer, with the sums of their correlation.

    Attributes:
        name: the layer's module name.
        eps: in y = b / (|g| + eps).
        source_weight, source_bias, target_weight, target_bias: g_s, b_s, g_t, b_t, float64 [C].
        total: sum_ij C_ij, the layer's AC-Corr, in (0, C].
        own: sum_i C_ii, in (0, C].
    """

    name: str
    eps: float
    source_weight: Array
    source_bias: Array
    target_weight: Array
    target_bias: Array
    total: float
    own: float

    @property
    def channels(self) -> int:
        """C."""
        return len(self.source_weight)

    @property
    def untouched(self) -> bool:
        """Whether all source channels have the same y, as at initialisation: its AC-Corr then says nothing."""
        source = self.source_bias / (np.abs(self.source_weight) + self.eps)
        return bool((source == source[0]).all())

    @property
    def drift(self) -> Array:
        """|y_t - y_s| per channel, [C]."""
        source = self.source_bias / (np.abs(self.source_weight) + self.eps)
        target = self.target_bias / (np.abs(self.target_weight) + self.eps)
        return np.abs(target - source)
