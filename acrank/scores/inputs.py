"""The data that scores read, as plain arrays: what one draw gives for one candidate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from acrank.norm import normalised_bias
from acrank.records import Details
from acrank.scores.array_checks import Floats


@dataclass(frozen=True, kw_only=True)
class LayerShift:
    """Source and target affines of one normalisation layer, with the sums of their correlation.

    Attributes:
        name: the layer's module name.
        eps: in y = b / (|g| + eps).
        source_weight, source_bias, target_weight, target_bias: g_s, b_s, g_t, b_t, float64 [C].
        total: sum_ij C_ij, the layer's AC-Corr, in (0, C]; NaN where it was not computed.
        own: sum_i C_ii, in (0, C]; likewise.
    """

    name: str
    eps: float
    source_weight: Floats
    source_bias: Floats
    target_weight: Floats
    target_bias: Floats
    total: float
    own: float

    @property
    def channels(self) -> int:
        """C."""
        return len(self.source_weight)

    @property
    def untouched(self) -> bool:
        """Whether y_s is the same for all channels, as at initialisation; AC-Corr then carries no information."""
        source = normalised_bias(self.source_weight, self.source_bias, self.eps)
        return bool((source == source[0]).all())

    @property
    def as_begun(self) -> bool:
        """Whether the source affines are as layers begin: offsets 0, scales all 1, or all 0 at the end of a branch."""
        scales, offsets = self.source_weight, self.source_bias
        return bool((offsets == 0).all() and ((scales == 1).all() or (scales == 0).all()))

    @property
    def before(self) -> LayerShift:
        """The layer before the step; its correlation is not computed: NaN."""
        nan = float("nan")
        return replace(self, target_weight=self.source_weight, target_bias=self.source_bias, total=nan, own=nan)

    @property
    def drift(self) -> Floats:
        """|y_t - y_s| per channel, [C]."""
        source = normalised_bias(self.source_weight, self.source_bias, self.eps)
        return np.abs(normalised_bias(self.target_weight, self.target_bias, self.eps) - source)


class MapRows(NamedTuple):
    """Rows of one feature map: one for each cell that a labelled position of a patch lies in.

    Attributes:
        features: [m, d], float32.
        rows: [m], int64, the label that a cell has: the first of the positions that lie in it.
        patches: [m], int64, the patch that a cell is of.
    """

    features: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    patches: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The result of running one candidate on one draw; every score is computed from it.

    A row is an image; for segmentation it is a labelled position of one. A new field is cached and passed to the scores
    that need its name, without further code.

    Attributes:
        labels: [n], int64 classes, or as the target has them.
        half: [n], bool, the half of the cross-fit that a row is in.
        permutation: [n], int64, which shuffles the labels for the control.
        features: [n, d], float32; None under a protocol that changes the network before it reads the affines.
        logits: [n, z], float32, of the checkpoint's own head; None where it has none.
        shifts: of the selected layers after the step; empty where no step on labels was taken.
        initial_shifts: of the same layers before the step.
        shuffled_shifts: of the same layers after a step on shuffled labels.
        random_head_shifts: of the same layers after a step under a random head on the bundled images, batch after
            batch: what the checkpoint alone gives; empty where no score needs them.
        later_gram: [m, m], float32, the mean Gram matrix of the later layers' outputs (see
            `acrank.observation.layer_hooks`); None where no single step was taken.
        later_gram_rows: [m], int64, the rows that the Gram matrix is of.
        groups: [n], int64, the image that a row comes from; None where every row is an image.
        corners: [patches, axes], int64, where each patch begins in its image; None where rows are images.
        maps: of a segmentation network's decoder, coarsest first; None where no score needs them.
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
    corners: npt.NDArray[np.int64] | None = None
    maps: tuple[MapRows, ...] | None = None

    def arrays(self, control: str = "") -> dict[str, Any]:
        """The fields by name, with labels, half and features of the Gram matrix's rows: what a score can need.

        Args:
            control: "no_drift" takes the affines before the step, "shuffled" the shuffled labels.
        """
        found = dict(vars(self))
        if control == "no_drift":
            still = tuple(layer.before for layer in self.random_head_shifts)
            found |= {"shifts": self.initial_shifts, "random_head_shifts": still}
        if control == "shuffled":  # a random head's step hardly depends on the labels, and counts as the same
            found |= {"shifts": self.shuffled_shifts, "labels": self.labels[self.permutation]}
        if self.later_gram_rows is not None:
            found["later_gram_labels"] = found["labels"][self.later_gram_rows]
            found["later_gram_half"] = self.half[self.later_gram_rows]
            found["later_gram_features"] = None if self.features is None else self.features[self.later_gram_rows]
        return found

    def rows(self, kept: npt.NDArray[np.bool_]) -> Observation:
        """The observation of some of its rows, as scores that read rows see it: without shifts on labels, and maps.

        Args:
            kept: [n].
        """
        places = np.cumsum(kept) - 1
        gram, gram_rows = self.later_gram, self.later_gram_rows
        if gram is not None and gram_rows is not None:
            inside = kept[gram_rows]
            gram, gram_rows = gram[np.ix_(inside, inside)], places[gram_rows[inside]]
        return Observation(
            labels=self.labels[kept],
            half=self.half[kept],
            permutation=np.arange(int(kept.sum())),
            features=None if self.features is None else self.features[kept],
            logits=None if self.logits is None else self.logits[kept],
            random_head_shifts=self.random_head_shifts,
            later_gram=gram,
            later_gram_rows=gram_rows,
            groups=None if self.groups is None else self.groups[kept],
        )


def drift_alone(shifts: tuple[LayerShift, ...]) -> Observation:
    """An observation of a checkpoint without a target: of no rows, with shifts on the bundled images."""
    none = np.empty(0, dtype=np.int64)
    return Observation(labels=none, half=none.astype(bool), permutation=none, random_head_shifts=shifts)


@dataclass(kw_only=True)
class CandidateInfo:
    """Facts about a loaded candidate that go into its row, beside its observations.

    Attributes:
        params, notes, weights, details: as in `acrank.records.Row`.
        seconds: of an entry of the cache: "load" until network and images were there, "pass" for what the entry holds.
    """

    params: int
    notes: list[str]
    weights: dict[str, Any]
    details: Details
    seconds: dict[str, float] = field(default_factory=dict)
