"""kNN: accuracy of a nearest-neighbour vote."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UndefinedScoreError
from acrank.scores.array_checks import Codes, as_classes, as_matrix, centre, one_hot


def knn(features: ArrayLike, labels: ArrayLike, *, neighbours: int = 5) -> float:
    """Balanced accuracy of a nearest-neighbour vote, each image left out of its own vote.

    Euclidean distance on the features as they are. Between classes with equally many votes the nearest
    neighbour among them decides.

    Args:
        features: [n, d], float32 or float64.
        labels: [n] classes.
        neighbours: how many vote.

    Returns:
        The mean over classes of the share of images classified correctly, in [0, 1]; higher is better.

    Raises:
        UndefinedScoreError: one class, not more images than neighbours, all features constant, or non-finite values.

    Source: leave-one-out k-nearest-neighbour accuracy (Cover and Hart, Nearest neighbor pattern classification, IEEE
    Trans. Information Theory 1967); as a transferability score in Bolya et al., NeurIPS 2021 (arXiv 2111.06977).

    >>> knn([[0.0], [0.1], [1.0], [1.1]], ["a", "a", "b", "b"], neighbours=1)
    1.0
    """
    from sklearn.neighbors import NearestNeighbors

    rows = as_matrix(features, "features")
    codes, _ = as_classes(labels, len(rows))
    if len(rows) <= neighbours:
        raise UndefinedScoreError(f"{neighbours} neighbours need more than {len(rows)} images")
    model = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(centre(rows))
    near = model.kneighbors(return_distance=False)  # without arguments no image is its own neighbour
    # the nearest outweighs the farther ones together, but all of them stay below half a vote
    votes = np.einsum("k,nkc->nc", 1 + 0.5 ** np.arange(2, neighbours + 2), one_hot(codes)[near])
    return balanced_accuracy(votes.argmax(axis=1), codes)


def balanced_accuracy(predicted: Codes, codes: Codes) -> float:
    """Mean over the classes in `codes` of the share predicted right."""
    return float(np.mean([np.mean(predicted[codes == c] == c) for c in np.unique(codes)]))
