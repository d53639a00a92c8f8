"""What an observation hands to the scores, and what a layer's shift says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from acrank.scores import SCORES
from acrank.scores.inputs import LayerShift, MapRows, Observation

OPTIONS = {"seed", "per_channel", "step_size"}  # of the run, not of an observation


def shift(weight: list[float], bias: list[float], eps: float = 1e-5) -> LayerShift:
    g, b = np.array(weight), np.array(bias)
    affines = {"source_weight": g, "source_bias": b, "target_weight": g, "target_bias": b + 1}
    return LayerShift(name="bn", eps=eps, **affines, total=1.0, own=0.5)


def observation() -> Observation:
    before, after, dealt, random = (shift([1.0, 2.0], [0.0, float(place)]) for place in range(4))
    return Observation(
        labels=np.array([0, 1, 2]),
        half=np.array([True, False, True]),
        permutation=np.array([2, 0, 1]),
        features=np.zeros((3, 2), np.float32),
        logits=np.ones((3, 2), np.float32),
        shifts=(after,),
        initial_shifts=(before,),
        shuffled_shifts=(dealt,),
        random_head_shifts=(random,),
        later_gram=np.eye(2, dtype=np.float32),
        later_gram_rows=np.array([2, 1]),
        groups=np.array([0, 0, 1]),
        maps=(MapRows(np.zeros((1, 2), np.float32), np.zeros(1, np.int64), np.zeros(1, np.int64)),),
    )


def test_every_need_of_every_score_is_there() -> None:
    arrays = observation().arrays()
    for score in SCORES.values():
        assert {*score.needs} - OPTIONS <= {name for name, value in arrays.items() if value is not None}, score.name


def test_every_field_is_handed_on() -> None:
    seen = observation()
    found = seen.arrays()
    assert all(found[field.name] is getattr(seen, field.name) for field in dataclasses.fields(seen))
    assert found["later_gram_labels"].tolist() == [2, 1]
    assert found["later_gram_half"].tolist() == [True, False]
    np.testing.assert_array_equal(found["later_gram_features"], seen.features[seen.later_gram_rows])


def test_shuffled_labels_keep_the_step_under_a_random_head() -> None:
    seen = observation()
    found = seen.arrays("shuffled")
    assert found["labels"].tolist() == [2, 0, 1]
    assert found["later_gram_labels"].tolist() == [1, 0]
    assert found["shifts"] is seen.shuffled_shifts
    assert found["random_head_shifts"] is seen.random_head_shifts
    assert found["later_gram_half"].tolist() == [True, False]


def test_without_drift_all_shifts_are_those_before_the_step() -> None:
    seen = observation()
    found = seen.arrays("no_drift")
    assert found["shifts"] is seen.initial_shifts
    assert len(found["random_head_shifts"]) == len(seen.random_head_shifts) > 0
    for still, layer in zip(found["random_head_shifts"], seen.random_head_shifts, strict=True):
        assert still.source_bias is still.target_bias is layer.source_bias
        assert still.source_weight is still.target_weight is layer.source_weight
    assert found["labels"] is seen.labels


def test_what_was_not_observed_is_absent() -> None:
    seen = dataclasses.replace(observation(), later_gram=None, later_gram_rows=None, logits=None)
    found = seen.arrays()
    assert [found.get(name) for name in ("logits", "later_gram", "later_gram_labels", "later_gram_half")] == [None] * 4


def test_layers_as_they_begin_are_told_from_trained_ones_without_offsets() -> None:
    assert shift([1.0] * 3, [0.0] * 3).as_begun
    assert shift([0.0] * 3, [0.0] * 3).as_begun  # the last of a residual branch
    for trained in (([1.0, 1.0, 1.1], [0.0] * 3), ([1.0] * 3, [0.0, 0.1, 0.0]), ([0.5] * 3, [0.0] * 3)):
        assert not shift(*trained).as_begun
    assert shift([1.0, 1.0, 1.1], [0.0] * 3).untouched  # AC-Corr has nothing to go by, and yet it is trained


def test_untouched_reads_y_not_the_affines() -> None:
    assert shift([0.5] * 3, [0.0] * 3).untouched
    assert shift([1.0, 2.0], [1.0, 2.0], eps=0.0).untouched
    assert not shift([1.0] * 3, [0.0, 0.0, 1e-6]).untouched


def test_drift_is_that_of_y() -> None:
    assert shift([1.0, -2.0], [0.0, 3.0], eps=0.0).drift == pytest.approx([1.0, 0.5])
