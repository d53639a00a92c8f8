"""What every score must stand: one battery over all of SCORES."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.score_samples import clusters
from hypothesis import given, settings
from hypothesis import strategies as st

from acrank.errors import UsageError
from acrank.scores import (
    DUPLICATION,
    KEYWORDS,
    NAMES,
    ORDER,
    ROTATION,
    SCALE,
    SCORES,
    TRANSLATION,
    Score,
    UndefinedScoreError,
)
from acrank.scores.evaluate import evaluate_pool, evaluate_score

ARRAYS = {"features", "labels", "logits", "half", "seed"}
TESTED = [score for score in SCORES.values() if set(score.needs) <= ARRAYS]
WITH_LABELS = [score for score in TESTED if "labels" in score.needs]
WITH_FEATURES = [score for score in TESTED if "features" in score.needs]
CLASSES_ONLY = [score for score in WITH_LABELS if set(score.tasks) == {"classification", "segmentation"}]
TOLERANCE = {"rel": 1e-6, "abs": 1e-7}


def named(scores: list[Score]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("score", scores, ids=[score.name for score in scores])


def sample(n: int = 60, d: int = 8, classes: int = 3, *, apart: float = 0.6, seed: int = 0) -> dict:
    x, y = clusters(n, d, classes, apart=apart, seed=seed)
    rng = np.random.default_rng(seed + 1)
    half = rng.permutation(n) % 2 == 0
    return {
        "features": x,
        "labels": y,
        "half": half,
        "logits": rng.normal(size=(classes, 7))[y] + rng.normal(size=(n, 7)),
    }


def call(score: Score, arrays: dict) -> np.ndarray:
    """The value, or the part of a pool-relative score, as numbers."""
    options = {"seed": 0} if "seed" in score.needs else {}
    found = score.function(*(arrays[need] for need in score.needs if need not in KEYWORDS), **options)
    assert all(isinstance(v, float) for v in (found if score.pool_relative else [found]))
    return np.atleast_1d(found)


def renamed(labels: np.ndarray) -> np.ndarray:
    return np.array(["zebra", "ant", "mule", "cow", "bee"])[labels]


def rotated(x: np.ndarray) -> np.ndarray:
    return x @ np.linalg.qr(np.random.default_rng(5).normal(size=(x.shape[1],) * 2))[0]


def in_order(arrays: dict, order: np.ndarray) -> dict:
    return {name: values[order] for name, values in arrays.items()}


def moved(arrays: dict, move) -> dict:
    return arrays | {name: move(arrays[name]) for name in ("features", "logits")}


CHANGES = {
    ORDER: lambda a: in_order(a, np.random.default_rng(3).permutation(len(a["labels"]))),
    NAMES: lambda a: a | {"labels": renamed(a["labels"])},
    ROTATION: lambda a: moved(a, rotated),
    TRANSLATION: lambda a: moved(a, lambda x: x + np.linspace(-3, 3, x.shape[1])),
    SCALE: lambda a: moved(a, lambda x: 7.5 * x),
    DUPLICATION: lambda a: in_order(a, np.tile(np.arange(len(a["labels"])), 2)),
}
PROMISES = [(score, kept) for score in TESTED for kept in sorted(score.invariances)]


@pytest.mark.parametrize(("score", "kept"), PROMISES, ids=[f"{score.name}-{kept}" for score, kept in PROMISES])
@pytest.mark.parametrize(("n", "d"), [(60, 8), (24, 50)])
def test_promised_invariances(score, kept, n, d):
    arrays = sample(n, d)
    assert call(score, CHANGES[kept](arrays)) == pytest.approx(call(score, arrays), **TOLERANCE)


def test_every_invariance_is_known():
    assert {kept for score in SCORES.values() for kept in score.invariances} <= set(CHANGES)


@named(TESTED)
def test_pure(score):
    arrays = sample()
    before = {name: values.copy() for name, values in arrays.items()}
    for values in arrays.values():
        values.setflags(write=False)
    first = call(score, arrays)
    assert np.array_equal(first, call(score, arrays))
    assert all(np.array_equal(arrays[name], before[name]) for name in arrays)


@named(TESTED)
def test_float32_is_computed_in_float64(score):
    arrays = sample()
    narrow = moved(arrays, lambda x: x.astype(np.float32))
    wide = moved(narrow, lambda x: x.astype(np.float64))
    assert np.array_equal(call(score, narrow), call(score, wide))
    assert call(score, narrow) == pytest.approx(call(score, arrays), rel=1e-4, abs=1e-5)


@named(TESTED)
def test_lists_will_do(score):
    arrays = sample()
    plain = {name: values.tolist() for name, values in arrays.items()}
    assert call(score, plain) == pytest.approx(call(score, arrays), **TOLERANCE)


@named(WITH_LABELS)
def test_one_class_is_undefined(score):
    arrays = sample() | {"labels": np.zeros(60, dtype=int)}
    with pytest.raises(UndefinedScoreError, match="one class"):
        call(score, arrays)


@named(TESTED)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_inputs_are_undefined(score, bad):
    arrays = sample()
    for name in ("features", "logits"):
        arrays[name][3, 2] = bad
    with pytest.raises(UndefinedScoreError, match="NaN or infinite values in 1 of 60 rows"):
        call(score, arrays)


@named(WITH_FEATURES)
def test_constant_features(score):
    arrays = sample()
    arrays["features"][:, 2] = 3.5
    assert np.isfinite(call(score, arrays)).all()


@named(WITH_FEATURES)
@pytest.mark.parametrize("level", [0.0, 0.1, -1e6])
def test_only_constant_features_are_undefined(score, level):
    arrays = sample() | {"features": np.full((60, 8), level)}
    if score.name == "logme" and level:  # a constant feature is an intercept: evidence like any other
        assert np.isfinite(call(score, arrays)).all()
        return
    with pytest.raises(UndefinedScoreError):
        call(score, arrays)


@named(TESTED)
@pytest.mark.parametrize(("n", "d"), [(20, 20), (20, 64), (21, 20), (12, 500)])
def test_no_more_images_than_features(score, n, d):
    """A value, and where it sits at the end of the range a note says so."""
    outcome = evaluate_score(score, sample(n, d) | {"seed": 0})
    if score.pool_relative:
        assert np.isfinite(outcome.part).all()
        return
    assert outcome.value is not None
    ends = [end for end in score.range if end is not None]
    at_end = any(abs(outcome.value - end) < 1e-9 for end in ends)
    assert any("saturated" in note for note in outcome.notes) or not at_end


@named(WITH_LABELS)
def test_one_label_an_image(score):
    with pytest.raises(UsageError):
        call(score, sample() | {"labels": np.arange(59) % 3})


@named(TESTED)
def test_a_row_for_each_image(score):
    with pytest.raises(UsageError, match="shape"):
        call(score, {name: values[:, 0] if values.ndim > 1 else values for name, values in sample().items()})


@named(CLASSES_ONLY)
@pytest.mark.parametrize("labels", [np.eye(3)[np.arange(60) % 3], np.linspace(0, 1, 60)], ids=["findings", "values"])
def test_other_tasks_are_refused(score, labels):
    with pytest.raises(UsageError) as refusal:
        call(score, sample() | {"labels": labels})
    assert "acrank scores" in refusal.value.hint


@named([score for score in WITH_LABELS if "multilabel" in score.tasks])
def test_findings_are_taken(score):
    findings = np.random.default_rng(0).integers(0, 2, size=(60, 4))
    assert np.isfinite(call(score, sample() | {"labels": findings})).all()


@named([score for score in WITH_FEATURES if score.name != "etran"])  # its energy is of the features' size
def test_separated_classes_score_higher_than_noise(score):
    good, noise = sample(90, 10, apart=2.0), sample(90, 10, apart=0.0)
    values = [evaluate_score(score, arrays | {"seed": 0}) for arrays in (good, noise)]
    better, worse = (v.value for v in (evaluate_pool(score, values) if score.pool_relative else values))
    assert (better > worse) == score.higher_is_better


@pytest.mark.filterwarnings("error")
@named(TESTED)
@settings(max_examples=15)
@given(
    n=st.integers(8, 40),
    d=st.integers(2, 50),
    classes=st.integers(2, 5),
    apart=st.floats(0, 5),
    seed=st.integers(0, 9),
    size=st.sampled_from([1e-4, 1.0, 1e4]),
)
def test_values_stay_in_range(score, n, d, classes, apart, seed, size):
    arrays = moved(sample(n, d, classes, apart=apart, seed=seed), lambda x: size * x)
    try:
        found = call(score, arrays)
    except UndefinedScoreError:
        return
    assert np.isfinite(found).all()
    if not score.pool_relative:
        low, high = (inf if end is None else end for end, inf in zip(score.range, (-math.inf, math.inf), strict=True))
        assert low - 1e-9 <= found[0] <= high + 1e-9
