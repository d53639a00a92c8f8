"""PARC, LFC and kNN: scores on pairs of images."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.score_samples import GOLDEN, clusters, features, iris, labels
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from acrank.scores import UndefinedScoreError
from acrank.scores.knn import knn
from acrank.scores.lfc import lfc
from acrank.scores.parc import parc


def slow_parc(x, y, decimals):
    """The published computation; without rounding, equal label distances are told apart by rounding errors."""
    one_hot = np.eye(y.max() + 1)[y]
    upper = np.triu_indices(len(x), 1)
    between = np.round((1 - np.corrcoef(one_hot))[upper], decimals)
    return spearmanr((1 - np.corrcoef(StandardScaler().fit_transform(x)))[upper], between)[0]


@pytest.mark.parametrize("sample", "BC")
def test_parc_agrees_with_published_values(sample):
    assert 100 * parc(features(sample), labels(sample)) == pytest.approx(GOLDEN["parc_percent"][sample], abs=1e-9)


def test_published_parc_ranks_rounding_errors():
    """With 5 classes one-hot rows correlate by -1/4, or next to it in floating point: ties are broken at random."""
    x, y = features("A"), labels("A")
    assert 100 * slow_parc(x, y, 17) == pytest.approx(GOLDEN["parc_percent"]["A"], abs=1e-6)
    assert parc(x, y) == pytest.approx(slow_parc(x, y, 9), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 6, 7])
def test_parc_equals_the_slow_one(classes):
    x, y = clusters(50, 9, classes)
    assert parc(x, y) == pytest.approx(slow_parc(x, y, 9), abs=1e-12)


def test_parc_of_images_without_contrast_is_defined():
    x, y = clusters(30, 2)  # two features: standardised rows may be flat
    x[:, 1] = x[:, 0] + np.where(np.arange(30) % 5 == 0, 0, np.random.default_rng(0).normal(size=30))
    assert np.isfinite(parc(x - x.mean(axis=0), y))


def test_parc_needs_two_features():
    with pytest.raises(UndefinedScoreError, match="two features"):
        parc([[0.0], [1.0], [2.0]], [0, 0, 1])


def test_parc_is_undefined_where_no_pair_shares_a_class():
    with pytest.raises(UndefinedScoreError, match="equally far"):
        parc(np.random.default_rng(0).normal(size=(4, 3)), [0, 1, 2, 3])


def test_parc_subsamples_large_samples_with_its_seed():
    x, y = clusters(300, 6)
    some = [parc(x, y, seed=seed, max_images=80) for seed in (0, 0, 1)]
    assert some[0] == some[1] != some[2]
    assert some == pytest.approx([parc(x, y)] * 3, abs=0.15)


@pytest.mark.parametrize("sample", "ABCD")
def test_lfc_agrees_with_published_values(sample):
    assert lfc(features(sample), labels(sample)) == pytest.approx(GOLDEN["lfc"][sample], abs=1e-6)  # float32 there


@pytest.mark.parametrize(("n", "d"), [(40, 6), (20, 50)])
def test_lfc_equals_the_correlation_of_matrices(n, d):
    x, y = clusters(n, d, apart=0.6)
    same = np.where(y[:, None] == y[None], 1.0, -1.0)
    expected = np.corrcoef((x @ x.T).ravel(), same.ravel())[0, 1]
    assert lfc(x, y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("sample", "ABCD")
def test_knn_finds_the_published_neighbours(sample):
    x, y = features(sample), labels(sample)
    near = squareform(pdist(x))
    np.fill_diagonal(near, np.inf)
    right = y[near.argmin(axis=1)] == y
    assert right.mean() == GOLDEN["knn1_accuracy"][sample]  # plain accuracy there
    assert knn(x, y, neighbours=1) == pytest.approx(np.mean([right[y == c].mean() for c in np.unique(y)]), abs=1e-12)


def test_knn_on_iris_in_float32():
    assert knn(*iris(), neighbours=1) == pytest.approx(0.96, abs=1e-12)  # classes of equal size: also the accuracy


@pytest.mark.parametrize("neighbours", [1, 3, 7])
def test_knn_of_two_classes_equals_refitting(neighbours):
    x, y = clusters(61, 4, 2, apart=0.4)  # an odd vote between two classes has no ties
    model = KNeighborsClassifier(neighbours)
    expected = balanced_accuracy_score(y, cross_val_predict(model, x, y, cv=LeaveOneOut()))
    assert knn(x, y, neighbours=neighbours) == pytest.approx(expected, abs=1e-12)


def test_knn_ties_go_to_the_nearest():
    x = [[0.0], [1.0], [10.0], [11.5]]
    assert knn(x, ["b", "b", "a", "a"], neighbours=2) == knn(x, ["a", "a", "b", "b"], neighbours=2) == 1.0


def test_knn_is_balanced():
    x = np.concatenate([np.zeros(18), [5.0, 99.0]])[:, None] + np.arange(20)[:, None] * 1e-3
    assert knn(x, [0] * 18 + [1, 1], neighbours=1) == pytest.approx(0.5 + 0.5 / 2)


def test_knn_needs_more_images_than_neighbours():
    with pytest.raises(UndefinedScoreError, match="5 neighbours"):
        knn(np.random.default_rng(0).normal(size=(5, 2)), [0, 0, 0, 1, 1])
