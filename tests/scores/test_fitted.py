"""Linear probes, PACTran and NLEEP: scores that fit something."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.score_samples import GOLDEN, clusters, features, labels
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from acrank.errors import UsageError
from acrank.scores.leep import likelihoods
from acrank.scores.linear_probe import linear_probe, probe_accuracy
from acrank.scores.nleep import mixture_posterior, nleep
from acrank.scores.pactran import pactran


@pytest.mark.parametrize(("n", "d", "classes"), [(60, 5, 3), (40, 80, 4), (51, 6, 2)])
def test_probe_equals_refitting_without_each_image(n, d, classes):
    x, y = clusters(n, d, classes, apart=0.3)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    model = Ridge(alpha=0.1 * n)
    predicted = cross_val_predict(model, standard, np.eye(classes)[y], cv=LeaveOneOut()).argmax(axis=1)
    assert 0.3 < balanced_accuracy_score(y, predicted) < 1
    assert linear_probe(x, y) == pytest.approx(balanced_accuracy_score(y, predicted), abs=1e-12)


def halved(x, y, **options):
    """The probe on halves: even against odd images of the order in which they come."""
    return probe_accuracy(x, y, np.arange(len(x)) % 4 < 2, **options)


def test_probes_are_balanced_and_honest():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 300)), (np.arange(200) < 20).astype(int)
    for probe in (linear_probe, halved):  # 300 random features separate 200 images perfectly
        assert probe(x, y) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("probe", [linear_probe, halved])
def test_probes_of_findings_average_over_them(probe):
    x, y = clusters(80, 6, 2, apart=0.4)
    other = (x[:, 0] > 0).astype(int)
    findings = np.stack([y, other, np.ones(80, dtype=int)], axis=1)  # everybody has the last: left out
    single = [probe(x, column[:, None]) for column in (y, other)]
    assert probe(x, findings) == pytest.approx(np.mean(single), abs=1e-12)
    if probe is linear_probe:  # one-hot ridge of two classes decides as one column against one half
        assert single[0] == pytest.approx(linear_probe(x, y), abs=1e-12)


@pytest.mark.parametrize("probe", [linear_probe, halved])
def test_probes_refuse_quantities(probe):
    x, _ = clusters()
    with pytest.raises(UsageError, match="quantities"):
        probe(x, x[:, 0])
    with pytest.raises(UsageError, match="ridge"):
        probe(x, np.arange(60) % 2, ridge=0.0)


def test_halves_equal_two_fits():
    x, y = clusters(50, 7, apart=0.4)
    half, predicted = np.random.default_rng(1).random(50) < 0.5, np.empty(50, dtype=int)
    for fit in (half, ~half):
        mean, sd = x[fit].mean(axis=0), x[fit].std(axis=0)
        z, new, t = (x[fit] - mean) / sd, (x[~fit] - mean) / sd, np.eye(3)[y[fit]]
        weights = np.linalg.solve(z.T @ z + 0.1 * fit.sum() * np.eye(7), z.T @ (t - t.mean(axis=0)))
        predicted[~fit] = (new @ weights + t.mean(axis=0)).argmax(axis=1)
    assert probe_accuracy(x, y, half) == pytest.approx(balanced_accuracy_score(y, predicted), abs=1e-12)


@pytest.mark.parametrize("half", [[True] * 60, [False] * 60, [True, False] * 20])
def test_halves_must_split_the_sample(half):
    x, y = clusters()
    with pytest.raises(UsageError, match="does not split"):
        probe_accuracy(x, y, half)


def dense_pactran(x, y):
    """The bound written out with one weight vector a class, minimised by a general optimiser."""
    x = x - x.mean(axis=0)
    n, d, k = len(x), x.shape[1], y.max() + 1

    def loss(flat):
        w, b = flat[: d * k].reshape(d, k), flat[d * k :]
        z = x @ w + b
        gradient = (softmax(z, axis=1) - np.eye(k)[y]) / n
        value = (logsumexp(z, axis=1) - z[np.arange(n), y]).mean() + (w**2).sum() / (2 * n)
        return value, np.concatenate([(x.T @ gradient + w / n).ravel(), gradient.sum(axis=0)])

    found = minimize(loss, np.zeros(d * k + k), jac=True, method="L-BFGS-B", tol=1e-14, options={"maxiter": 20000})
    w, b = found.x[: d * k].reshape(d, k), found.x[d * k :]
    p = softmax(x @ w + b, axis=1)
    blocks = [(x.T * p[:, c] * (1 - p[:, c])) @ x / n for c in range(k)]
    prior = 100 / d
    lam = n / prior
    trace = sum(np.trace(block) for block in blocks)
    return -(found.fun + k * d / (2 * lam) * np.log(1 + lam * prior / (k * d) * trace))


@pytest.mark.parametrize(("n", "d", "classes"), [(60, 5, 3), (45, 6, 2), (30, 50, 3)])
def test_pactran_equals_the_bound_written_out(n, d, classes):
    x, y = clusters(n, d, classes, apart=0.5)
    assert pactran(x, y) == pytest.approx(dense_pactran(x, y), abs=1e-6)


def test_pactran_of_large_problems_equals_newton(monkeypatch):
    x, y = clusters(120, 90, 4, apart=0.3)  # 360 weights: found by L-BFGS
    found = pactran(x, y)
    monkeypatch.setattr("acrank.scores.pactran._NEWTON", 10**6)
    assert found != pactran(x, y)
    assert found == pytest.approx(pactran(x, y), rel=1e-6)


@pytest.mark.parametrize(("sample", "tolerance"), [("A", 1e-6), ("C", 1e-6), ("D", 1e-3)])
def test_nleep_mixture_agrees_with_published_values(sample, tolerance):
    x, y = features(sample), labels(sample)
    posterior = mixture_posterior(x - x.mean(axis=0), 5 * (y.max() + 1), 0, 0.8)
    found = likelihoods(posterior, y).mean()  # that copy drops the logarithm
    assert found == pytest.approx(GOLDEN["nleep_without_log"][sample], abs=tolerance)


def test_nleep_written_out():
    x, y = clusters(80, 6, apart=0.3)
    z = PCA(n_components=0.8, svd_solver="full").fit_transform(x)
    p = GaussianMixture(15, random_state=4, reg_covar=1e-6 * z.var(axis=0).mean()).fit(z).predict_proba(z)
    conditional = np.stack([p[y == c].sum(axis=0) for c in range(3)]) / p.sum(axis=0)
    expected = np.mean([np.log(p[i] @ conditional[y[i]]) for i in range(80)])
    assert nleep(x, y, seed=4) == pytest.approx(expected, abs=1e-6)


def test_nleep_depends_on_its_seed_only():
    x, y = clusters(80, 6, apart=0.3)
    assert nleep(x, y, seed=1) == nleep(x, y, seed=1) != nleep(x, y, seed=2)


def test_nleep_of_few_images_has_fewer_clusters_than_images():
    x, y = clusters(12, 3, 4)  # 20 clusters would be asked for
    assert nleep(x, y) <= 0
