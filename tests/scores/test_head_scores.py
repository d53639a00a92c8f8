"""LEEP, NCE and the energy: scores of the source head's outputs."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.score_samples import GOLDEN, features, labels, logits
from sklearn.metrics import mutual_info_score

from acrank.errors import UsageError
from acrank.scores.energy import energy
from acrank.scores.leep import leep
from acrank.scores.nce import nce


def slow_leep(outputs, classes):
    """The paper's equations 1 and 2, image by image."""
    n, z = outputs.shape
    theta = [[np.exp(v) / sum(np.exp(u) for u in row) for v in row] for row in outputs]
    joint = {(y, k): sum(theta[i][k] for i in range(n) if classes[i] == y) / n for y in set(classes) for k in range(z)}
    mass = [sum(joint[y, k] for y in set(classes)) for k in range(z)]
    return sum(np.log(sum(joint[classes[i], k] / mass[k] * theta[i][k] for k in range(z))) for i in range(n)) / n


@pytest.mark.parametrize("sample", "ABC")
def test_leep_agrees_with_published_values(sample):
    assert leep(logits(sample), labels(sample)) == pytest.approx(GOLDEN["leep"][sample], abs=1e-12)


def test_leep_equals_the_paper_written_out():
    assert leep(logits("C"), labels("C")) == pytest.approx(slow_leep(logits("C"), labels("C").tolist()), abs=1e-12)


def test_leep_leaves_out_source_classes_without_probability():
    sure = np.array([[0.0, 5.0, -1e5], [1.0, 0.0, -1e5], [2.0, 0.0, -1e5]])  # the last underflows to 0
    assert leep(sure, [0, 1, 1]) == leep(sure[:, :2], [0, 1, 1])


def test_leep_survives_certain_heads():
    assert leep(np.array([[1e4, 0.0], [1e4, 0.0], [0.0, 1e4]]), [0, 1, 1]) == pytest.approx(-2 * np.log(2) / 3)


@pytest.mark.parametrize("sample", "ABC")
def test_nce_agrees_with_published_values(sample):
    assert nce(logits(sample), labels(sample)) == pytest.approx(GOLDEN["nce"][sample], abs=1e-12)


@pytest.mark.parametrize("sample", "ABC")
def test_nce_is_mutual_information_minus_entropy(sample):
    share = np.bincount(labels(sample)) / len(labels(sample))
    information = mutual_info_score(labels(sample), logits(sample).argmax(axis=1))
    assert nce(logits(sample), labels(sample)) == pytest.approx(information + (share * np.log(share)).sum(), abs=1e-12)


def test_nce_is_a_conditional_entropy_of_labels_given_decisions_not_the_reverse():
    decided = 9.0 * np.eye(4)[[0, 1, 2, 3]]
    assert nce(decided, [0, 0, 1, 1]) == 0  # four decisions settle two classes; the reverse would be -log 2


@pytest.mark.parametrize("sample", "ABC")
def test_energy_agrees_with_published_values(sample):
    assert energy(logits(sample)) == pytest.approx(GOLDEN["energy_lowest_half"][sample], rel=1e-6)  # there in float32


@pytest.mark.parametrize("sample", "AD")
def test_energy_of_features_agrees_with_published_values(sample):
    assert energy(features(sample), fraction=0.005) == pytest.approx(GOLDEN["energy_features"][sample], rel=1e-6)


def test_energy_in_closed_form():
    assert energy(np.full((4, 8), 3.0)) == pytest.approx(3 + np.log(8))
    assert energy([[1000.0], [0.0], [7.0], [8.0]], fraction=0.5) == pytest.approx(3.5)


@pytest.mark.parametrize("fraction", [0.0, -1.0, 1.5])
def test_energy_refuses_fractions_of_nothing(fraction):
    with pytest.raises(UsageError):
        energy([[0.0]], fraction=fraction)
