"""What every score must stand: one battery over all of SCORES, each on the inputs that it needs."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from helpers.score_samples import clusters
from hypothesis import given, settings
from hypothesis import strategies as st

from acrank.errors import UsageError
from acrank.norm import affine_overlap
from acrank.scores import (
    DUPLICATION,
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
from acrank.scores.inputs import LayerShift, MapRows

ALL = list(SCORES.values())
AFFINES = ("source_weight", "source_bias", "target_weight", "target_bias")
TOLERANCE = {"rel": 1e-6, "abs": 1e-7}


def needing(*names: str) -> list[Score]:
    return [score for score in ALL if {*names} & {*score.needs}]


WITH_LABELS = needing("labels", "later_gram_labels")
WITH_FEATURES = needing("features", "later_gram", "maps")
WITH_FLOATS = needing("features", "logits", "later_gram", "maps")
CLASSES_ONLY = [score for score in WITH_LABELS if set(score.tasks) <= {"classification", "segmentation"}]


def named(scores: list[Score]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("score", scores, ids=[score.name for score in scores])


def shifts(seed: int, step: float, widths: tuple[int, ...] = (5, 9, 4)) -> tuple[LayerShift, ...]:
    """Layers with random affines, moved by `step` along random gradients."""
    rng = np.random.default_rng([seed, 7])
    found = []
    for place, width in enumerate(widths):
        weight, bias, *grads = (rng.normal(mean, 0.4, width) for mean in (1, 0, 0, 0))
        affines = (weight, bias, weight - step * grads[0], bias - step * grads[1])
        overlap = affine_overlap(*map(torch.from_numpy, affines))
        named_affines = dict(zip(AFFINES, affines, strict=True))
        found.append(LayerShift(name=f"{place}", eps=1e-5, **named_affines, total=overlap.total, own=overlap.own))
    return tuple(found)


def sample(n: int = 60, d: int = 8, classes: int = 3, *, apart: float = 0.6, seed: int = 0) -> dict[str, Any]:
    """All that any score needs, of one sample; for `cc_fv` its rows are positions of two or three images."""
    x, y = clusters(n, d, classes, apart=apart, seed=seed)
    rng = np.random.default_rng(seed + 1)
    half = rng.permutation(n) % 2 == 0
    images = np.arange(n) * (3 if n >= 30 else 2) // n
    coarse = np.arange(0, n, 2)
    return {
        "features": x,
        "labels": y,
        "half": half,
        "logits": rng.normal(size=(classes, 7))[y] + rng.normal(size=(n, 7)),
        "groups": images,
        "maps": (
            MapRows(x.copy(), np.arange(n), images.copy()),
            MapRows(x[coarse, : d - 1] + 1, coarse, images[coarse]),
        ),
        "later_gram": x @ x.T,
        "later_gram_labels": y.copy(),
        "later_gram_half": half.copy(),
        "later_gram_features": x.copy(),
        "shifts": shifts(seed, 0.5),
        "random_head_shifts": shifts(seed + 1, 0.5),
        "seed": 0,
        "per_channel": True,
        "step_size": 0.5,
    }


def call(score: Score, arrays: dict[str, Any]) -> np.ndarray:
    """The value, or the part of a pool-relative score, as numbers."""
    found = score.function(**{need: arrays[need] for need in score.needs})
    assert all(isinstance(v, float) for v in (found if score.pool_relative else [found]))
    return np.atleast_1d(found)


def with_labels(labels: np.ndarray) -> dict[str, Any]:
    return sample() | {"labels": labels, "later_gram_labels": labels}


def renamed(labels: np.ndarray) -> np.ndarray:
    return np.array(["zebra", "ant", "mule", "cow", "bee"])[labels]


def rotated(x: np.ndarray) -> np.ndarray:
    return x @ np.linalg.qr(np.random.default_rng(5).normal(size=(x.shape[1],) * 2))[0]


def in_order(arrays: dict[str, Any], order: np.ndarray) -> dict[str, Any]:
    """The rows of the sample in another order, or several times; layers and their channels in reverse."""
    later = ("later_gram_labels", "later_gram_half", "later_gram_features")
    rows = ("features", "labels", "half", "logits", "groups", *later)
    places = np.argsort(order)  # where each row went; of several copies, that of the first rows is the first
    return (
        arrays
        | {name: arrays[name][order] for name in rows}
        | {"later_gram": arrays["later_gram"][np.ix_(order, order)]}
        | {"maps": tuple(MapRows(m.features[::-1], places[m.rows][::-1], m.patches[::-1]) for m in arrays["maps"])}
        | {name: tuple(map(in_reverse, arrays[name][::-1])) for name in ("shifts", "random_head_shifts")}
    )


def in_reverse(layer: LayerShift) -> LayerShift:
    return dataclasses.replace(layer, **{name: getattr(layer, name)[::-1] for name in AFFINES})


def moved(arrays: dict[str, Any], move: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    """The sample with other features, and logits, maps and a Gram matrix of them."""
    features = move(arrays["features"])
    maps = tuple(MapRows(move(m.features), m.rows, m.patches) for m in arrays["maps"])
    return arrays | {
        "features": features,
        "logits": move(arrays["logits"]),
        "maps": maps,
        "later_gram": features @ features.T,
    }


def converted(arrays: dict[str, Any], dtype: type) -> dict[str, Any]:
    found = {name: arrays[name].astype(dtype) for name in ("features", "logits", "later_gram")}
    return arrays | found | {"maps": tuple(m._replace(features=m.features.astype(dtype)) for m in arrays["maps"])}


def leaves(value: Any) -> Iterator[np.ndarray]:
    """Every array of a sample."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, LayerShift):
        yield from (getattr(value, name) for name in AFFINES)
    elif isinstance(value, dict | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)


CHANGES = {
    ORDER: lambda a: in_order(a, np.random.default_rng(3).permutation(len(a["labels"]))),
    NAMES: lambda a: a | {name: renamed(a[name]) for name in ("labels", "later_gram_labels")},
    ROTATION: lambda a: moved(a, rotated),
    TRANSLATION: lambda a: moved(a, lambda x: x + np.linspace(-3, 3, x.shape[1])),
    SCALE: lambda a: moved(a, lambda x: 7.5 * x),
    DUPLICATION: lambda a: in_order(a, np.tile(np.arange(len(a["labels"])), 2)),
}
PROMISES = [(score, kept) for score in ALL for kept in sorted(score.invariances)]


@pytest.mark.parametrize(("score", "kept"), PROMISES, ids=[f"{score.name}-{kept}" for score, kept in PROMISES])
@pytest.mark.parametrize(("n", "d"), [(60, 8), (24, 50)])
def test_promised_invariances(score, kept, n, d):
    arrays = sample(n, d)
    assert call(score, CHANGES[kept](arrays)) == pytest.approx(call(score, arrays), **TOLERANCE)


def test_every_invariance_is_known():
    assert {kept for score in ALL for kept in score.invariances} <= set(CHANGES)


@named(ALL)
def test_pure(score):
    arrays = sample()
    before = copy.deepcopy(arrays)
    for values in leaves(arrays):
        values.setflags(write=False)
    first = call(score, arrays)
    assert np.array_equal(first, call(score, arrays))
    assert all(np.array_equal(one, other) for one, other in zip(leaves(arrays), leaves(before), strict=True))


@named(WITH_FLOATS)
def test_float32_is_computed_in_float64(score):
    arrays = sample()
    narrow = converted(arrays, np.float32)
    wide = converted(narrow, np.float64)
    assert np.array_equal(call(score, narrow), call(score, wide))
    assert call(score, narrow) == pytest.approx(call(score, arrays), rel=1e-4, abs=1e-5)


@named(ALL)
def test_lists_will_do(score):
    arrays = sample()
    plain = {name: values.tolist() if isinstance(values, np.ndarray) else values for name, values in arrays.items()}
    plain |= {"maps": [tuple(part.tolist() for part in one) for one in arrays["maps"]]}
    plain |= {name: list(arrays[name]) for name in ("shifts", "random_head_shifts")}
    assert call(score, plain) == pytest.approx(call(score, arrays), **TOLERANCE)


@named(WITH_LABELS)
def test_one_class_is_undefined(score):
    with pytest.raises(UndefinedScoreError, match="one class"):
        call(score, with_labels(np.zeros(60, dtype=int)))


@named(WITH_FLOATS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_inputs_are_undefined(score, bad):
    arrays = sample()
    for values in (arrays["features"], arrays["logits"], arrays["later_gram"], arrays["maps"][0].features):
        values[3, 2] = bad
    with pytest.raises(UndefinedScoreError, match="NaN or infinite values in 1 of 60 rows"):
        call(score, arrays)


@named(needing("shifts", "random_head_shifts"))
def test_affines_that_are_not_finite_give_no_value(score):
    arrays = sample()
    broken = {"total": np.nan, "own": np.nan, "target_bias": np.full(5, np.nan)}
    for name in ("shifts", "random_head_shifts"):
        arrays[name] = (dataclasses.replace(arrays[name][0], **broken),)
    outcome = evaluate_score(score, arrays)
    assert outcome.value is None
    assert "not a finite number" in outcome.notes[0]


@named(needing("shifts"))
def test_without_layers_there_is_no_value(score):
    with pytest.raises(UndefinedScoreError, match="normalisation layer"):
        call(score, sample() | {"shifts": ()})


@named(needing("random_head_shifts"))
def test_without_layers_drift_is_a_typical_one(score):
    """The same for all such networks: their order is that of what the later layers tell apart."""
    found = [call(score, sample(seed=seed) | {"random_head_shifts": ()}) for seed in (1, 2)]
    moved = [
        call(score, sample(seed=seed) | {"random_head_shifts": sample(seed=3)["random_head_shifts"]}) for seed in (1, 2)
    ]
    assert found[0] / found[1] == pytest.approx(moved[0] / moved[1], rel=1e-9)
    assert 0 < found[0] < np.inf


@named(WITH_FEATURES)
def test_constant_features(score):
    arrays = moved(sample(), lambda x: np.where(np.arange(x.shape[1]) == 2, 3.5, x))
    assert np.isfinite(call(score, arrays)).all()


@named(WITH_FEATURES)
@pytest.mark.parametrize("level", [0.0, 0.1, -1e6])
def test_only_constant_features_are_undefined(score, level):
    arrays = moved(sample(), lambda x: np.full(x.shape, level))
    if score.name == "logme" and level:  # a constant feature is an intercept: evidence like any other
        assert np.isfinite(call(score, arrays)).all()
        return
    with pytest.raises(UndefinedScoreError):
        call(score, arrays)


@named(ALL)
@pytest.mark.parametrize(("n", "d"), [(20, 20), (20, 64), (21, 20), (12, 500)])
def test_no_more_images_than_features(score, n, d):
    """A value, and where it sits at the end of the range a note says so."""
    outcome = evaluate_score(score, sample(n, d))
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
        call(score, with_labels(np.arange(59) % 3))


@named(WITH_FLOATS)
def test_a_row_for_each_image(score):
    arrays = sample()
    for name in ("features", "logits", "later_gram"):
        arrays[name] = arrays[name][:, 0]
    arrays["maps"] = tuple(one._replace(features=one.features[:, 0]) for one in arrays["maps"])
    with pytest.raises(UsageError, match="shape"):
        call(score, arrays)


@named(CLASSES_ONLY)
@pytest.mark.parametrize("labels", [np.eye(3)[np.arange(60) % 3], np.linspace(0, 1, 60)], ids=["findings", "values"])
def test_other_tasks_are_refused(score, labels):
    with pytest.raises(UsageError) as refusal:
        call(score, with_labels(labels))
    assert "acrank scores" in refusal.value.hint


@named([score for score in WITH_LABELS if "multilabel" in score.tasks])
def test_findings_are_taken(score):
    assert np.isfinite(call(score, with_labels(np.random.default_rng(0).integers(0, 2, size=(60, 4))))).all()


# ETran's energy is of the features' size; CC-FV compares images within a class, not classes
@named([score for score in WITH_FEATURES if score.name not in ("etran", "cc_fv")])
def test_separated_classes_score_higher_than_noise(score):
    good, noise = sample(90, 10, apart=2.0), sample(90, 10, apart=0.0)
    values = [evaluate_score(score, arrays) for arrays in (good, noise)]
    better, worse = (v.value for v in (evaluate_pool(score, values) if score.pool_relative else values))
    assert (better > worse) == score.higher_is_better


@pytest.mark.filterwarnings("error")
@named(ALL)
@settings(max_examples=15, deadline=None)
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
    arrays |= {name: shifts(seed, size) for name in ("shifts", "random_head_shifts")}
    try:
        found = call(score, arrays)
    except UndefinedScoreError:
        return
    assert np.isfinite(found).all()
    if not score.pool_relative:
        low, high = (inf if end is None else end for end, inf in zip(score.range, (-math.inf, math.inf), strict=True))
        assert low - 1e-9 <= found[0] <= high + 1e-9
