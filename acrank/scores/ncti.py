"""NCTI: closeness of the features to neural collapse on the target, relative to the pool."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UndefinedScoreError
from acrank.scores.array_checks import Codes, Floats, as_classes, as_matrix, centre, min_max_sum
from acrank.scores.gbc import principal_components

_LEAST = 1e-10  # below this shrinkage the discriminant is solved without any, as in the paper's code
_COUNTED = 32  # components whose variance sets the shrinkage, as there


def ncti(features: ArrayLike, labels: ArrayLike, *, components: int = 64) -> tuple[float, float, float]:
    """One candidate's part: (simplex geometry, nearest class centre, log of the variability within classes).

    In the discriminant space of the principal components: the nuclear norm of the centred features; the mean
    probability of the own class; the log of the summed nuclear norms of each class's probabilities. Each is put on
    [0, 1] over the pool, and the last one subtracted, by `ncti_pool`.

    Args:
        features: [n, d], float32 or float64.
        labels: [n] classes.
        components: principal components to keep; fewer where the features have a lower rank.

    Returns:
        The three terms: at least 0, in [0, 1], any real number.

    Raises:
        UndefinedScoreError: one class, every class a single image, all features constant, or non-finite values.

    Source: Wang et al., How Far Pre-trained Models Are from Neural Collapse on the Target Dataset Informs their
    Transferability, ICCV 2023, eq. 4-9.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(90, 4))
    >>> _, own_class, _ = ncti(x, x[:, 0] > 0)
    >>> 0.5 < own_class < 1
    True
    """
    rows = principal_components(centre(as_matrix(features, "features")), components)
    codes, counts = as_classes(labels, len(rows))
    if len(counts) == len(rows):
        raise UndefinedScoreError("one image in every class: no variability within classes")
    projected, probabilities = _discriminant(rows, codes)
    nuclear = [np.linalg.norm(probabilities[codes == c], ord="nuc") for c in range(len(counts))]
    geometry = np.linalg.norm(projected - projected.mean(axis=0), ord="nuc")
    own = probabilities[np.arange(len(codes)), codes].mean()
    return float(geometry), float(own), float(np.log(np.sum(nuclear)))


def ncti_pool(parts: Sequence[tuple[float, float, float]]) -> list[float]:
    """The parts of all candidates as values in [-1, 2], higher is better; NaN for a pool of one.

    >>> ncti_pool([(1.0, 0.5, 3.0), (3.0, 0.9, 2.0)])
    [-1.0, 2.0]
    """
    return min_max_sum(parts, (1.0, 1.0, -1.0))


def _discriminant(rows: Floats, codes: Codes) -> tuple[Floats, Floats]:
    """Features in discriminant space [n, up to C-1] and class probabilities [n, C]."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    variances = (rows**2).sum(axis=0) / (len(rows) - 1)
    shrinkage = float(np.exp(-variances[:_COUNTED].sum()))
    if shrinkage > _LEAST:
        model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage)
    else:
        model = LinearDiscriminantAnalysis(solver="svd")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Only one sample available")  # a class of one has no spread: 0 is right
        return model.fit_transform(rows, codes), model.predict_proba(rows)
