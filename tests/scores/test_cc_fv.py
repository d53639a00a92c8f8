"""CC-FV against a computation of its own, and what changes it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from acrank.errors import UsageError
from acrank.scores import UndefinedScoreError
from acrank.scores.cc_fv import cc_fv, variety, wasserstein

Map = tuple[np.ndarray, np.ndarray, np.ndarray]
Sample = tuple[list[Map], np.ndarray, np.ndarray]


@pytest.fixture
def sample() -> Sample:
    """Two maps: a fine one of every position, and a coarse one of other width where half of the positions are left.

    Six images in eight patches: the last two have two patches each.
    """
    rng = np.random.default_rng(3)
    labels, patches = rng.integers(0, 3, 240), np.repeat(np.arange(8), 30)
    groups = np.array([10, 11, 12, 13, 14, 14, 15, 15])[patches]
    shifts = rng.normal(size=(6, 5))[groups - 10]
    fine = rng.normal(size=(240, 4)) + labels[:, None] + 0.3 * shifts[:, :4]
    half = np.sort(rng.permutation(240)[:120])
    coarse = 2 * rng.normal(size=(120, 5)) - labels[half, None] + shifts[half]
    return [(fine, np.arange(240), patches), (coarse, half, patches[half])], labels, groups


def by_definition(maps: list[Map], labels: np.ndarray, groups: np.ndarray) -> float:
    """Matrix square roots of the covariances and loops over pairs, as the formula is written."""
    total = 0.0
    for features, rows, patches in maps:
        classes = []
        for name in (1, 2):
            distances = []
            for i in range(10, 16):
                for j in range(10, i):
                    a, b = (features[(groups[rows] == k) & (labels[rows] == name)] for k in (i, j))
                    s, t = np.cov(a.T), np.cov(b.T)
                    root = sqrtm(s)
                    mixed = np.trace(s + t - 2 * sqrtm(root @ t @ root)).real
                    distances.append(np.sqrt(np.sum((a.mean(0) - b.mean(0)) ** 2) + mixed))
            classes.append(sum(distances) / len(distances))
        energies = []
        for patch in range(8):
            sphere = [v / np.sqrt(v @ v) for v in features[patches == patch]]
            pairs = [(v, w) for i, v in enumerate(sphere) for w in sphere[:i]]
            energies.append(sum(1 / np.sqrt(np.sum((v - w) ** 2) + 1e-3) for v, w in pairs) / len(pairs))
        total += np.log(np.mean([1 / energy for energy in energies]) / np.mean(classes))
    return total / len(maps)


def changed(sample: Sample, change) -> Sample:
    """The same with the features of every map changed."""
    maps, labels, groups = sample
    return [(change(features), rows, patches) for features, rows, patches in maps], labels, groups


def test_equals_the_formula_as_written(sample: Sample) -> None:
    assert cc_fv(*sample) == pytest.approx(by_definition(*sample), rel=1e-6)


def test_is_the_mean_over_the_maps(sample: Sample) -> None:
    maps, labels, groups = sample
    alone = [cc_fv([one], labels, groups) for one in maps]
    assert abs(alone[0] - alone[1]) > 0.1
    assert cc_fv(*sample) == pytest.approx(np.mean(alone))


def test_distance_of_gaussians_along_an_axis_is_known() -> None:
    """For one dimension it is sqrt((m - n)² + (s - t)²)."""
    first, second = np.array([[-1.0], [0.0], [1.0]]), np.array([[1.0], [4.0], [7.0]])
    assert wasserstein(first, second) == pytest.approx(np.sqrt(16 + 4))


def test_variety_of_the_corners_of_a_square_is_known() -> None:
    """Four pairs at √2 and two at 2, whatever the lengths; three of four coincident are far less varied."""
    corners = np.array([[1.0, 0.0], [0.0, 3.0], [-0.5, 0.0], [0.0, -7.0]])
    energy = (4 / np.sqrt(2.001) + 2 / np.sqrt(4.001)) / 6
    assert variety(corners) == pytest.approx(1 / energy)
    assert variety(corners[[0, 0, 0, 1]]) == pytest.approx(6 / (3 / np.sqrt(1e-3) + 3 / np.sqrt(2.001)))


def test_variety_grows_with_the_spread_and_not_with_the_count() -> None:
    rng = np.random.default_rng(0)
    narrow, wide = (1 + spread * rng.normal(size=(400, 8)) for spread in (0.2, 5.0))
    assert variety(narrow) < 0.6 * variety(wide)
    assert variety(wide[:200]) == pytest.approx(variety(wide), rel=0.02)


def test_features_of_zero_have_a_variety() -> None:
    """They stay zero, one off every other: maps behind a ReLU have such cells."""
    assert variety(np.array([[0.0, 0.0], [2.0, 0.0]])) == pytest.approx(np.sqrt(1.001))


def test_scale_moves_it_by_its_logarithm(sample: Sample) -> None:
    """The variety is of directions, the distances have the features' unit."""
    assert cc_fv(*changed(sample, lambda x: 7 * x)) == pytest.approx(cc_fv(*sample) - np.log(7), rel=1e-9)


def test_wide_features_go_the_other_way_round(sample: Sample) -> None:
    """More features than positions: the roots are the samples themselves."""
    wide = changed(sample, lambda x: np.hstack([x, np.zeros((len(x), 60))]))
    assert cc_fv(*wide) == pytest.approx(cc_fv(*sample), rel=1e-9)


def test_background_does_not_count_for_consistency(sample: Sample) -> None:
    """Its features may change places within a patch; as a class of its own they count."""
    maps, labels, groups = sample
    features, rows, patches = maps[0]
    swapped = features.copy()
    for patch in range(8):
        one = np.flatnonzero((labels == 0) & (patches == patch))
        swapped[one] = features[np.roll(one, 1)]
    assert cc_fv([(swapped, rows, patches)], labels, groups) == pytest.approx(cc_fv(maps[:1], labels, groups))
    renamed = np.where(labels == 0, 3, labels)
    assert cc_fv(maps, renamed, groups) != pytest.approx(cc_fv(*sample), rel=1e-3)


def test_consistent_classes_score_higher(sample: Sample) -> None:
    maps, labels, groups = sample
    features, rows, patches = maps[0]
    jumps = np.random.default_rng(0).normal(size=(6, 4))[groups - 10]
    scattered = features + np.where(labels == 1, 1.0, -1.0)[:, None] * jumps
    assert cc_fv([(features, rows, patches)], labels, groups) > cc_fv([(scattered, rows, patches)], labels, groups)


def test_order_and_rotation_do_not_matter(sample: Sample) -> None:
    maps, labels, groups = sample
    rng = np.random.default_rng(1)
    order = rng.permutation(240)  # of the labels: the rows point to where they went
    back = np.argsort(order)
    mixed = []
    for features, rows, patches in maps[::-1]:
        turn = np.linalg.qr(rng.normal(size=(features.shape[1],) * 2))[0]
        own = rng.permutation(len(rows))
        mixed.append((features[own] @ turn, back[rows[own]], patches[own]))
    assert cc_fv(mixed, labels[order], groups[order]) == pytest.approx(cc_fv(*sample), rel=1e-9)


def test_images_may_come_in_any_order(sample: Sample) -> None:
    maps, labels, groups = sample
    numbers = np.array([3, 0, 5, 1, 4, 2])
    swapped = [(features, rows, 7 - patches) for features, rows, patches in maps]
    assert cc_fv(swapped, labels, numbers[groups - 10]) == pytest.approx(cc_fv(*sample), rel=1e-9)


def test_maps_without_a_class_to_compare_are_left_out(sample: Sample) -> None:
    maps, labels, groups = sample
    few = np.arange(0, 240, 30)  # one cell a patch
    tiny = (np.ones((8, 3)), few, np.arange(8))
    assert cc_fv([tiny, *maps], labels * (groups < 14), groups) == cc_fv(maps, labels * (groups < 14), groups)


@pytest.mark.parametrize("change", ["one image", "no foreground twice", "equal images", "constant", "not finite"])
def test_undefined(sample: Sample, change: str) -> None:
    maps, labels, groups = sample
    if change == "one image":
        groups = np.zeros_like(groups)
    elif change == "no foreground twice":
        labels = np.zeros_like(labels)
        labels[0] = 1
    elif change == "equal images":
        features = np.tile(maps[0][0][:30], (8, 1))
        maps, labels = [(features, np.arange(240), maps[0][2])], np.tile(labels[:30], 8)
        groups = maps[0][2]
    elif change == "constant":
        maps, labels, groups = changed(sample, lambda x: np.full_like(x, 0.1))
    else:
        maps[1][0][3, 2] = np.nan
    with pytest.raises(UndefinedScoreError):
        cc_fv(maps, labels, groups)


@pytest.mark.parametrize("change", ["no maps", "groups", "a place beyond", "a row short"])
def test_what_does_not_fit_is_refused(sample: Sample, change: str) -> None:
    maps, labels, groups = sample
    features, rows, patches = maps[0]
    if change == "groups":
        groups = groups[1:]
    given = {
        "no maps": [],
        "a place beyond": [(features, rows + 1, patches)],
        "a row short": [(features[1:], rows, patches)],
    }.get(change, maps)
    with pytest.raises(UsageError):
        cc_fv(given, labels, groups)
