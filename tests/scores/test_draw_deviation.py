"""The deviation of a score between draws, estimated within one: against many draws, and on subsets by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.scores import SCORES
from acrank.scores.draw_deviation import FEWEST, SUBSETS, _share_of_units, deviation_of, subsets
from acrank.scores.inputs import Observation
from acrank.scores.kernels import kernel_target_alignment

RNG = np.random.default_rng(7)


def observation(rng: np.random.Generator, count: int = 96, apart: float = 1.0) -> Observation:
    """Two classes in ten dimensions."""
    labels = np.arange(count) % 2
    features = rng.normal(size=(count, 10)) + apart * labels[:, None] * (np.arange(10) < 2)
    half = np.arange(count) // 2 % 2 == 0
    order = rng.permutation(count)
    return Observation(
        labels=labels,
        half=half,
        permutation=np.arange(count),
        features=features.astype(np.float32),
        later_gram=(features @ features.T)[np.ix_(order, order)].astype(np.float32),
        later_gram_rows=order,
    )


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        *((smooth, 0.8, 1.3) for smooth in ("kernel_target_alignment", "logme", "gbc", "h_score", "lfc")),
        *((steps, 1.0, 1.8) for steps in ("kernel_ridge_accuracy", "knn", "linear_probe")),
    ],
)
def test_one_draw_tells_how_far_draws_differ(name: str, low: float, high: float) -> None:
    """Draws of endless data: the estimates lie around the true deviation; those of accuracies err on the wide side."""
    rng, score = np.random.default_rng(1), SCORES[name]
    draws = [observation(rng) for _ in range(60)]
    arrays = [draw.arrays() for draw in draws]
    values = [float(score.function(**{need: one[need] for need in score.needs})) for one in arrays]
    estimates = [deviation_of(score, draw, {}, units=range(96), seed=0, repeat=0) for draw in draws]
    typical = float(np.sqrt(np.mean(np.square(np.array(estimates, dtype=float)))))
    assert low < typical / np.std(values, ddof=1) < high


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    """Over all subsets the delete-d jackknife of a mean is exactly the standard error; over 24 about so."""
    values = RNG.normal(size=64)
    kept = subsets(np.zeros(64), np.arange(64) % 2 == 0, range(64), seed=3, repeat=0)
    means = [values[mask].mean() for mask in kept]
    assert len(kept) == SUBSETS
    assert np.std(means, ddof=1) * np.sqrt(48 / 16) == pytest.approx(np.std(values, ddof=1) / 8, rel=0.35)


def test_of_groups_the_jackknife_is_of_their_number_not_of_their_rows() -> None:
    """Images of a group are alike: the deviation of a mean is that of the means of 30 groups, whatever their sizes."""
    rng = np.random.default_rng(5)
    sizes = np.where(np.arange(30) % 3 == 0, 12, 2)
    units = np.repeat(np.arange(30), sizes)
    level = rng.normal(size=30)
    half = units % 2 == 0
    found, rows = [], []
    for seed in range(40):
        kept = subsets(np.zeros(len(units)), half, units, seed=seed, repeat=0)
        means = [level[np.unique(units[mask])].mean() for mask in kept]
        shares = [len(np.unique(units[mask])) / 30 for mask in kept]
        found.append(np.std(means, ddof=1) * np.sqrt(np.mean(shares) / (1 - np.mean(shares))))
        rows += [mask.mean() for mask in kept]
        assert shares == [_share_of_units(mask, units) for mask in kept]
    assert np.mean(found) == pytest.approx(np.std(level, ddof=1) / np.sqrt(30), rel=0.2)
    assert np.std(rows) > 0.02, "the share of rows is another one"


def test_the_scale_is_that_of_the_units_that_are_left_out() -> None:
    """Of classes with one image in a half few are left out, and what is left out weighs the more."""
    labels = np.concatenate([np.arange(20), np.arange(20), np.repeat(np.arange(20), 2)])
    half = np.repeat([True, False, True], [20, 20, 40])
    draw = observation(RNG, count=80)
    draw = dataclasses.replace(draw, labels=labels, half=half)
    kept = subsets(labels, half, range(80), seed=0, repeat=0)
    share = np.mean([mask.mean() for mask in kept])
    assert share > 0.78, "fewer than a quarter"
    score = SCORES["h_score"]
    values = [score.function(**{need: draw.rows(mask).arrays()[need] for need in score.needs}) for mask in kept]
    expected = np.std(values, ddof=1) * np.sqrt(share / (1 - share))
    assert deviation_of(score, draw, {}, units=range(80), seed=0, repeat=0) == pytest.approx(expected)


def test_values_that_are_no_classes_are_left_out_by_their_half_alone() -> None:
    half = np.arange(40) % 2 == 0
    for labels in (RNG.normal(size=40), RNG.integers(0, 2, size=(40, 3))):
        kept = subsets(labels, half, range(40), seed=0, repeat=0)
        assert len(kept) == SUBSETS
        assert {int(mask.sum()) for mask in kept} == {30}


@given(st.integers(0, 2**32), st.integers(2, 12), st.integers(2, 9), st.booleans())
def test_every_class_stays_in_both_halves_and_units_stay_whole(
    seed: int, classes: int, each: int, grouped: bool
) -> None:
    rng = np.random.default_rng(seed)
    labels = np.repeat([f"class {place}" for place in range(classes)], 2 * each)
    half = np.tile([True, False], classes * each)
    units = np.arange(len(labels)) // (2 if grouped else 1)
    order = rng.permutation(len(labels))
    labels, half, units = labels[order], half[order], units[order]
    for kept in subsets(labels, half, units, seed=seed, repeat=1):
        assert len({*zip(labels[kept], half[kept], strict=True)}) == 2 * classes
        assert not set(units[kept]) & set(units[~kept])
        assert 0 < (~kept).sum() <= len(labels) / 4 + 2


def test_subsets_depend_on_labels_seed_and_repeat_alone() -> None:
    labels, half = np.arange(40) % 4, np.arange(40) // 4 % 2 == 0
    first = subsets(labels, half, range(40), seed=1, repeat=0)
    assert all(
        (one == other).all()
        for one, other in zip(first, subsets(labels, half, range(40), seed=1, repeat=0), strict=True)
    )
    for seed, repeat in ((2, 0), (1, 1)):
        other = subsets(labels, half, range(40), seed=seed, repeat=repeat)
        assert any((one != two).any() for one, two in zip(first, other, strict=True))


def test_too_few_units_tell_nothing() -> None:
    labels, half = np.repeat([0, 1], 20), np.tile([True, False], 20)
    assert subsets(labels, half, np.arange(40) % (FEWEST - 1), seed=0, repeat=0) == []
    assert subsets(np.arange(20) // 2, np.tile([True, False], 10), range(20), seed=0, repeat=0) == [], "one of each"
    found = observation(RNG, count=12)
    assert deviation_of(SCORES["logme"], found, {}, units=np.arange(12) // 2, seed=0, repeat=0) is None
    assert deviation_of(SCORES["logme"], found, {}, units=np.arange(12), seed=0, repeat=0) is not None


@pytest.mark.parametrize("name", ["ac_corr", "affine_drift", "cc_fv", "ncti", "gradient_norm"])
def test_scores_of_a_step_of_maps_and_of_the_pool_are_not_resampled(name: str) -> None:
    assert not SCORES[name].reads_rows
    assert deviation_of(SCORES[name], observation(RNG), {}, units=range(96), seed=0, repeat=0) is None


def test_rows_of_an_observation_keep_gram_and_labels_together() -> None:
    whole = observation(RNG)
    kept = np.arange(96) % 3 != 0
    part = whole.rows(kept).arrays()
    gram, labels = whole.arrays()["later_gram"], whole.arrays()["later_gram_labels"]
    inside = kept[whole.later_gram_rows]
    assert (part["later_gram"] == gram[np.ix_(inside, inside)]).all()
    assert (part["later_gram_labels"] == labels[inside]).all()
    assert kernel_target_alignment(part["later_gram"], part["later_gram_labels"]) == pytest.approx(
        kernel_target_alignment(whole.features[kept] @ whole.features[kept].T, whole.labels[kept]), rel=1e-5
    )
