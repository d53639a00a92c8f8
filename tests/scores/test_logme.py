"""LogME against dense evidence, scikit-learn's Bayesian ridge, published values and limits."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.score_samples import GOLDEN, clusters, features, iris, labels, targets
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.linear_model import BayesianRidge

from acrank.scores import UndefinedScoreError
from acrank.scores.logme import logme


def dense_evidence(x, y):
    """Maximum of log N(y; 0, I/b + F F'/a) over a and b, by brute force in n dimensions."""

    def loss(logs):
        a, b = np.exp(logs)
        return -multivariate_normal(cov=np.eye(len(y)) / b + x @ x.T / a).logpdf(y)

    starts = [(i, j) for i in (-4, 0, 4) for j in (-1, 2, 5)]
    return max(-minimize(loss, start, method="Nelder-Mead", options={"fatol": 1e-9}).fun for start in starts) / len(y)


@pytest.mark.parametrize("sample", "ACD")
def test_agrees_with_published_values(sample):
    assert logme(features(sample), labels(sample)) == pytest.approx(GOLDEN["logme"][sample], abs=1e-6)


def test_n_below_d_has_the_whole_evidence():
    # 4.683 is what dropping (d - k)/2 log(alpha) gives; an iteration that stops early gives 0.39813 (maximum 0.39832)
    assert logme(features("B"), labels("B")) == pytest.approx(GOLDEN["logme"]["B"], abs=3e-4)
    assert logme(features("B"), labels("B")) >= GOLDEN["logme"]["B"]


@pytest.mark.parametrize(("n", "d"), [(40, 5), (25, 60), (30, 30)])
def test_equals_the_dense_evidence(n, d):
    x, y = clusters(n, d)
    expected = np.mean([dense_evidence(x, (y == c).astype(float)) for c in range(3)])
    assert logme(x, y) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("n", "d"), [(80, 6), (40, 90)])
def test_equals_bayesian_ridge_of_scikit_learn(n, d):
    x, _ = clusters(n, d)
    y = x[:, 0] + np.random.default_rng(1).normal(size=n)
    flat = {"alpha_1": 0, "alpha_2": 0, "lambda_1": 0, "lambda_2": 0}
    model = BayesianRidge(fit_intercept=False, compute_score=True, max_iter=3000, tol=1e-12, **flat).fit(x, y)
    assert logme(x, y) == pytest.approx(model.scores_[-1] / n, abs=1e-6)


def test_regression_targets():
    assert logme(features("R"), targets()) == pytest.approx(-1.063891326200444, abs=1e-6)  # thuml/LogME
    assert logme(features("R"), targets()[:, 0]) == pytest.approx(-1.126846006256448, abs=1e-6)


def test_iris_in_float32():
    assert logme(*iris()) == pytest.approx(-0.1600602203, abs=1e-6)


def test_one_hot_columns_are_the_classes():
    x, y = clusters()
    assert logme(x, np.eye(3)[y]) == pytest.approx(logme(x, y), abs=1e-12)


def test_a_finding_that_nobody_has_is_left_out():
    x, y = clusters()
    findings = np.stack([y == 0, y == 1, np.zeros(len(y))], axis=1)
    assert logme(x, findings) == pytest.approx(logme(x, findings[:, :2]), abs=1e-12)


def test_rank_deficient_features_are_exact():
    x, y = clusters(40, 5)
    doubled = np.hstack([x, x]) / np.sqrt(2)  # the same F F'
    assert logme(doubled, y) == pytest.approx(logme(x, y), abs=1e-9)


def test_infinite_evidence_is_undefined():
    x = np.random.default_rng(0).normal(size=(50, 4))
    with pytest.raises(UndefinedScoreError, match="infinite evidence"):
        logme(x, x @ [1.0, 2.0, 0.0, -1.0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e-141])
def test_labels_whose_squares_vanish_have_no_value(size):
    x = np.random.default_rng(0).normal(size=(50, 4))
    with pytest.raises(UndefinedScoreError, match="labels: they vary by less than 1e-140"):
        logme(x, np.arange(50) % 2 * size)
    y = np.random.default_rng(1).normal(size=50)
    assert logme(x, y * 1e-100) == pytest.approx(logme(x, y) + np.log(1e100), abs=1e-6)
