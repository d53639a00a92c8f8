"""The drift of a checkpoint is measured once: under a key of its own, for every target, seed and number of draws."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.workbench import dense_entry, make_images, make_masks, make_zoo, write_zoo

from acrank.cache import ObservationCache
from acrank.observation.draw_passes import DrawPasses
from acrank.ranking.candidates import prepare_candidate, score_candidate
from acrank.records import Row
from acrank.scores.inputs import LayerShift
from acrank.settings import Settings
from acrank.targets import Target, open_target
from acrank.targets.draws import make_draws
from acrank.zoo import load_zoo
from acrank.zoo.schema import Candidate


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Candidate, Target]:
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    (candidate,) = load_zoo(make_zoo(tmp_path / "zoo", count=1)).candidates
    return candidate, open_target(make_images(tmp_path / "target"))


@pytest.fixture
def masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Candidate, Target]:
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    (candidate,) = load_zoo(write_zoo(tmp_path / "zoo", dense_entry(tmp_path / "zoo", "unet"))).candidates
    return candidate, open_target(make_masks(tmp_path / "masked"))


def settings_for(target: Target, *scores: str, **more: object) -> Settings:
    settings = Settings(scores=scores, allow_code=True, device="cpu", **{"samples": 9, "repeats": 1, **more})  # type: ignore[arg-type]
    return settings.for_task(target.task)


def row_of(candidate: Candidate, target: Target, settings: Settings, cache: ObservationCache | None) -> Row:
    draws = make_draws(target, samples=9, repeats=settings.repeats or 1, seed=settings.seed)
    row = score_candidate(candidate, draws, settings, cache)
    assert row.status == "scored", row.reason
    return row


def cached_drift(
    candidate: Candidate, target: Target, settings: Settings, cache: ObservationCache
) -> tuple[LayerShift, ...] | None:
    draws = make_draws(target, samples=9, repeats=1, seed=settings.seed)
    return prepare_candidate(candidate, draws, settings, cache=cache).drift


def equal(one: tuple[LayerShift, ...], other: tuple[LayerShift, ...]) -> bool:
    return all(
        a.name == b.name
        and np.array_equal(a.target_weight, b.target_weight)
        and np.array_equal(a.target_bias, b.target_bias)
        for a, b in zip(one, other, strict=True)
    )


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DrawPasses, "drift", lambda *_: pytest.fail("measured again"))


def test_another_target_and_seed_take_what_is_there(
    images: tuple[Candidate, Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate, target = images
    cache = ObservationCache(tmp_path / "cache")
    row_of(candidate, target, settings_for(target), cache)
    assert len(list(cache.entries())) == 2  # a draw, and the drift
    other = open_target(make_images(tmp_path / "other", classes=4, each=7, size=31))
    settings = settings_for(other, seed=5, repeats=2, statistics="source", controls=True)
    fresh = row_of(candidate, other, settings, None)
    forbid(monkeypatch)
    found = row_of(candidate, other, settings, cache)
    assert not found.details.cached
    assert found.scores == fresh.scores
    assert len(list(cache.entries())) == 4


@pytest.mark.parametrize("more", [{"step_size": 0.2}, {"layers": "last"}, {"amp": True}])
def test_what_changes_the_drift_has_another_key(
    images: tuple[Candidate, Target], tmp_path: Path, more: dict[str, object]
) -> None:
    candidate, target = images
    cache = ObservationCache(tmp_path / "cache")
    row_of(candidate, target, settings_for(target), cache)
    assert cached_drift(candidate, target, settings_for(target), cache) is not None
    assert cached_drift(candidate, target, settings_for(target, **more), cache) is None


def test_scores_that_need_no_drift_measure_none(
    images: tuple[Candidate, Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate, target = images
    cache = ObservationCache(tmp_path / "cache")
    forbid(monkeypatch)
    row_of(candidate, target, settings_for(target, "knn", "kernel_ridge_accuracy", "ac_corr"), cache)
    assert len(list(cache.entries())) == 1


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_drift_that_is_missing_beside_cached_draws_is_the_same(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Also for segmentation, where it is read at positions, and no draw that is decoded says so."""
    candidate, target = request.getfixturevalue(kind)
    settings = settings_for(target, "finetunability", "affine_drift")
    cache = ObservationCache(tmp_path / "cache")
    first = row_of(candidate, target, settings, cache)
    whole = cached_drift(candidate, target, settings, cache)
    assert whole is not None
    (path,) = [path for path in cache.entries() if cache.load(path.stem)[0].labels.size == 0]  # type: ignore[index]
    path.unlink()
    for values in cache.folder.rglob("observations/*/*.values"):
        values.unlink()
    assert cached_drift(candidate, target, settings, cache) is None
    again = row_of(candidate, target, settings, cache)
    assert again.details.cached
    assert again.details.patches == first.details.patches
    assert again.scores == first.scores
    assert equal(cached_drift(candidate, target, settings, cache) or (), whole)


def test_images_and_masks_do_not_share_a_drift(tmp_path: Path, masks: tuple[Candidate, Target]) -> None:
    """What moves depends on where features are read."""
    candidate, target = masks
    cache = ObservationCache(tmp_path / "cache")
    row_of(candidate, target, settings_for(target, "finetunability"), cache)
    images = open_target(make_images(tmp_path / "images"))
    assert cached_drift(candidate, images, settings_for(images, "finetunability", layers="encoder"), cache) is None
