"""GBC: overlap of the classes as Gaussians in feature space."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UsageError
from acrank.scores.array_checks import Codes, Floats, as_classes, as_matrix, centre, class_means, one_hot
from acrank.scores.linear import compact


def gbc(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    covariance: Literal["spherical", "diagonal"] = "spherical",
    components: int | None = 64,
    floor: float = 1e-4,
) -> float:
    """Minus the sum over ordered pairs of classes of exp(-Bhattacharyya distance).

    Args:
        features: [n, d], float32 or float64.
        labels: [n] classes.
        covariance: "spherical" is one variance a class, and the determinant's logarithm counts it d times;
            "diagonal" one for each dimension.
        components: principal components to keep, as in the paper; None takes the features as they are.
        floor: the least variance, as a share of the features' mean variance (classes of one image have none).

    Returns:
        The score, from -C (C - 1) to 0; higher is better. Wide features push it to 0 for any checkpoint.

    Raises:
        UsageError: unknown covariance.
        UndefinedScoreError: one class, all features constant, or non-finite values.

    Source: Pándy et al., Transferability Estimation using Bhattacharyya Class Separability, CVPR 2022
    (arXiv 2111.12780), eq. 5-6.

    >>> gbc([[0.0], [1.0], [0.0], [1.0]], [0, 0, 1, 1])
    -2.0
    """
    if covariance not in ("spherical", "diagonal"):
        raise UsageError(f"unknown covariance {covariance!r}", hint='choose "spherical" or "diagonal"')
    centred = centre(as_matrix(features, "features"))
    codes, _ = as_classes(labels, len(centred))
    rows = centred if components is None else principal_components(centred, components)
    variances = np.maximum(_class_variances(rows, codes), floor * rows.var(axis=0).mean())
    if covariance == "spherical":
        variances = np.repeat(variances.mean(axis=1, keepdims=True), rows.shape[1], axis=1)
    return _overlap(class_means(rows, codes), variances)


def principal_components(centred: Floats, count: int) -> Floats:
    """[n, up to count] the leading principal components, without those that are zero up to rounding."""
    from sklearn.decomposition import PCA

    rows = compact(centred)
    model = PCA(n_components=min(count, *rows.shape), svd_solver="full")
    found = model.fit_transform(rows)
    return np.asarray(found[:, model.singular_values_ > 1e-10 * model.singular_values_[0]])


def _class_variances(features: Floats, codes: Codes) -> Floats:
    indicator = one_hot(codes)
    within = features - class_means(features, codes)[codes]
    return np.asarray(indicator.T @ within**2 / indicator.sum(axis=0)[:, None])


def _overlap(means: Floats, variances: Floats) -> float:
    total = 0.0
    for i in range(len(means) - 1):
        middle = (variances[i] + variances[i + 1 :]) / 2
        distance = ((means[i] - means[i + 1 :]) ** 2 / middle).sum(axis=1) / 8
        logs = np.log(middle) - (np.log(variances[i]) + np.log(variances[i + 1 :])) / 2
        total += 2 * float(np.exp(-distance - logs.sum(axis=1) / 2).sum())
    return -total
