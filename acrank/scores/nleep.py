"""NLEEP: LEEP with the clusters of a Gaussian mixture in place of source classes, so that no source head is needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from acrank.scores.array_checks import Floats, as_classes, as_matrix, centre
from acrank.scores.leep import likelihoods
from acrank.scores.linear import compact


def nleep(
    features: ArrayLike, labels: ArrayLike, *, seed: int = 0, clusters_per_class: int = 5, energy: float = 0.8
) -> float:
    """LEEP of the posterior of a Gaussian mixture, fitted to the principal components with `energy` of the variance.

    The mixture has `clusters_per_class` · C components, but no more than half as many as there are images. With as
    many dimensions as images per component it fits every image by itself: then the score saturates near 0.

    Args:
        features: [n, d], float32 or float64.
        labels: [n] classes.
        seed: of the mixture's start; the value depends on it, and on the order of the images.
        clusters_per_class: 5 in the paper.
        energy: share of the variance that the principal components keep, in (0, 1); 0.8 in the paper.

    Returns:
        The score in nats, at most 0; higher is better.

    Raises:
        UndefinedScoreError: one class, all features constant, or non-finite values.

    Source: Li et al., Ranking Neural Checkpoints, CVPR 2021 (arXiv 2011.11200), section 3.2. Some copies drop the
    logarithm; this is with it.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(90, 4))
    >>> nleep(10 * x, x[:, 0] > 0) <= 0
    True
    """
    rows = compact(centre(as_matrix(features, "features")))
    codes, counts = as_classes(labels, len(rows))
    clusters = min(clusters_per_class * len(counts), max(len(rows) // 2, 1))
    return float(np.log(likelihoods(mixture_posterior(rows, clusters, seed, energy=energy), codes)).mean())


def mixture_posterior(features: Floats, clusters: int, seed: int, energy: float) -> Floats:
    """[n, clusters] posterior of a Gaussian mixture (full covariances) on the principal components."""
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    components = PCA(n_components=energy, svd_solver="full").fit_transform(features)
    mixture = GaussianMixture(n_components=clusters, random_state=seed, reg_covar=_floor(components))
    return np.asarray(mixture.fit(components).predict_proba(components))


def _floor(components: Floats) -> float:
    """scikit-learn's 1e-6, relative to the data: features of any scale are clustered alike."""
    return 1e-6 * float(components.var(axis=0).mean())
