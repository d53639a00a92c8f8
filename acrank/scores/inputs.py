"""What the passes over a draw yield, as plain arrays: shifts of the affines, features, labels, logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

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


class MapRows(NamedTuple):
    """Rows of one feature map: of the cells that the labelled positions of patches lie in, each cell once.

    Attributes:
        features: [m, d], float32.
        rows: [m], int64, the label that a cell has: the first of the positions that lie in it.
        patches: [m], int64, the patch that a cell is of.
    """

    features: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    patches: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Observation:
    """What the passes over one draw yield; every score is derived from it.

    A row is an image; for segmentation it is a labelled position of one.

    Attributes:
        labels: [n], int64 classes, or as the target has them.
        half: [n], bool, the halves of the cross-fit.
        permutation: [n], int64, which shuffles the labels for the control.
        features: [n, d], float32; None under a protocol that changes the network before it reads the affines.
        logits: [n, z], float32, of the checkpoint's own head; None where it has none.
        shifts: shifts of the selected layers after the step; empty where no step on labels was taken.
        initial_shifts: the same layers before the step.
        shuffled_shifts: the same layers after a step on shuffled labels.
        random_head_shifts: the same layers after a step under a seeded random head; empty where no single step was
            taken.
        groups: [n], int64, the image that a row comes from; None where every row is an image.
        later_gram: [m, m], float32, the mean Gram matrix of the later layers' outputs (see
            `acrank.observation.layer_outputs`); None where no single step was taken.
        later_gram_rows: [m], int64, the rows that the Gram matrix is of.
        maps: of a segmentation network's decoder, coarsest first; None where no score asked for them.
    """

    labels: npt.NDArray[np.generic]
    half: npt.NDArray[np.bool_]
    permutation: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32] | None = None
    logits: npt.NDArray[np.float32] | None = None
    shifts: tuple[LayerShift, ...] = ()
    initial_shifts: tuple[LayerShift, ...] = ()
    shuffled_shifts: tuple[LayerShift, ...] = ()
    random_head_shifts: tuple[LayerShift, ...] = ()
    later_gram: npt.NDArray[np.float32] | None = None
    later_gram_rows: npt.NDArray[np.int64] | None = None
    groups: npt.NDArray[np.int64] | None = None
    maps: tuple[MapRows, ...] | None = None


@dataclass
class CandidateInfo:
    """What loading a candidate told, besides its observations; goes into the row.

    Attributes:
        params: number of parameters of the network.
        notes: what a reader should know about the candidate.
        weights: sha256 of the weights and how many tensors matched, missed and were left over.
        details: input size and normalisation, device, and what was changed for this candidate.
    """

    params: int
    notes: list[str]
    weights: dict[str, Any]
    details: dict[str, Any]
